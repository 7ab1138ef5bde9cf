//! WebSocket frames as a client writes and reads them, good ones and bad ones.

use std::ops::Range;

/// First byte of a whole text frame, and of others.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A client's frame, masked, with any first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len(), true);
    let mask = [0x17, 0x2a, 0x99, 0x04];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// A frame's head without its mask.
pub(crate) fn header(first: u8, length: usize, masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    match length {
        0..126 => out.push(bit | length as u8),
        126..=0xffff => {
            out.push(bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out
}

/// The first byte of a server's frame at the start of `buffer`, and where its payload lies; none while it is not whole.
pub(crate) fn whole_frame(buffer: &[u8]) -> Option<(u8, Range<usize>)> {
    let [first, second, rest @ ..] = buffer else { return None };
    let (start, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        short => (2, usize::from(*short)),
    };
    (buffer.len() >= start + length).then_some((*first, start..start + length))
}
