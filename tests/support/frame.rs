//! WebSocket frames as a client writes them, good ones and bad ones.

use subrosa::protocol::frame::{Opcode, write_client_frame, write_server_header};

/// First byte of a whole text frame, and of others.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// A client's frame, masked, with any first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_client_frame(&mut out, true, Opcode::Text, [0x17, 0x2a, 0x99, 0x04], payload);
    out[0] = first;
    out
}

/// A frame's head without its mask.
pub(crate) fn header(first: u8, length: usize, masked: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write_server_header(&mut out, Opcode::Text, length);
    out[0] = first;
    out[1] |= if masked { 0x80 } else { 0 };
    out
}
