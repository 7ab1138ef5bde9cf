//! WebSocket framing, the client's half (RFC 6455 §5): masked frames out, a server's frames in.

use std::ops::Range;

use subrosa::protocol::frame::{Opcode, unmask, write_server_header};

/// The mask bit, beside the length (RFC 6455 §5.2).
const MASKED: u8 = 0x80;
/// The bit that ends a message.
const FIN: u8 = 0x80;

/// Appends one unfragmented frame whose payload is `parts`, masked.
pub(super) fn write_client_frame(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], parts: &[&[u8]]) {
    let start = out.len();
    write_server_header(out, opcode, parts.iter().map(|part| part.len()).sum());
    out[start + 1] |= MASKED;
    out.extend_from_slice(&mask);
    let payload = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    // The mask is its own inverse.
    unmask(&mut out[payload..], mask);
}

/// What a server's frame is to a load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text or binary, or the continuation of it; `ends` says whether the message ends here.
    Data {
        /// The frame is the last of its message.
        ends: bool,
    },
    Ping,
    Close,
    /// Pongs, and what no server sends.
    Other,
}

/// Reads the frame at the start of `buffer`: its kind and where its payload lies. `None` until all of it is there.
pub(super) fn read_server_frame(buffer: &[u8]) -> Option<(Kind, Range<usize>)> {
    let [first, second, rest @ ..] = buffer else { return None };
    let (length, start) = match second & !MASKED {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let end = usize::try_from(length).ok()?.checked_add(start)?;
    let kind = match first & 0x0f {
        0..=2 => Kind::Data { ends: first & FIN != 0 },
        8 => Kind::Close,
        9 => Kind::Ping,
        _ => Kind::Other,
    };
    (end <= buffer.len()).then_some((kind, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use subrosa::protocol::frame::read_client_frame;

    #[test]
    fn the_server_reads_what_is_written() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let (left, right) = payload.split_at(length / 3);
            let mut out = vec![7];
            write_client_frame(&mut out, Opcode::Text, [1, 2, 3, 4], &[left, right]);
            let mut written = out.split_off(1);
            let frame = read_client_frame(&written, length).unwrap().unwrap();
            assert_eq!((frame.fin, frame.opcode, frame.payload.end), (true, Opcode::Text, written.len()));
            unmask(&mut written[frame.payload.clone()], frame.mask);
            assert_eq!(written[frame.payload], payload);
        }
    }

    #[test]
    fn reads_whole_frames_of_a_server_alone() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut frame = Vec::new();
            write_server_header(&mut frame, Opcode::Binary, length);
            let start = frame.len();
            frame.resize(start + length, b'x');
            assert_eq!(read_server_frame(&frame), Some((Kind::Data { ends: true }, start..start + length)));
            for cut in [0, 1, start.saturating_sub(1), frame.len() - 1] {
                assert_eq!(read_server_frame(&frame[..cut]), None);
            }
            frame[0] &= !FIN;
            assert_eq!(read_server_frame(&frame).unwrap().0, Kind::Data { ends: false });
        }
        assert_eq!(read_server_frame(&[0x89, 1, 7]), Some((Kind::Ping, 2..3)));
        assert_eq!(read_server_frame(&[0x88, 0]), Some((Kind::Close, 2..2)));
        assert_eq!(read_server_frame(&[0x8a, 0]), Some((Kind::Other, 2..2)));
    }
}
