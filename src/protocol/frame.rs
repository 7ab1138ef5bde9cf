//! WebSocket framing (RFC 6455 §5): a client's frames are read out of a buffer, a server's are written.
//!
//! The relay frames data itself because it owns the buffers: a frame is read in place, and an event for many members is
//! framed once. [`write_client_frame`] and [`read_server_frame`] are the client's half, for programs that speak to a
//! server without a WebSocket library: tests and load generators.

use std::ops::Range;

use bytes::Bytes;

/// What a frame carries (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with a fragmented message.
    Continuation,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// The sender is done.
    Close,
    /// Asks for a pong with the same payload.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Control frames may stand between the fragments of a message (RFC 6455 §5.5).
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Largest payload of a control frame in bytes (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// Largest header that a server writes, in bytes: two, and eight of length.
pub const MAX_SERVER_HEADER: usize = 10;

/// A client's frame header, read from the start of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFrame {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// The masking key (RFC 6455 §5.3).
    pub mask: [u8; 4],
    /// Where the payload lies in the buffer; it may not all have arrived.
    pub payload: Range<usize>,
}

/// Why a frame cannot be accepted. None of them can be recovered from: the stream's framing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A client must mask (RFC 6455 §5.1).
    #[error("a client's frames must be masked")]
    Unmasked,
    /// No extension was negotiated that would give these bits a meaning (RFC 6455 §5.2).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// An opcode without a meaning (RFC 6455 §5.2).
    #[error("the opcode is unknown")]
    UnknownOpcode,
    /// A control frame that is fragmented or carries more than 125 bytes (RFC 6455 §5.5).
    #[error("a control frame is fragmented or longer than 125 bytes")]
    BadControl,
    /// The length is not written in its shortest form, or has its top bit set (RFC 6455 §5.2).
    #[error("the length is not in its shortest form")]
    BadLength,
    /// More payload than the bound.
    #[error("the frame is larger than the bound")]
    TooLarge,
}

/// Reads a client's frame header from the start of `buffer`. `max_payload` bounds the payload in bytes.
///
/// `Ok(None)` means that the header has not all arrived.
///
/// # Errors
/// What the client did wrong; the connection cannot go on.
pub fn read_client_frame(buffer: &[u8], max_payload: usize) -> Result<Option<ClientFrame>, FrameError> {
    let [first, second, rest @ ..] = buffer else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(FrameError::ReservedBit);
    }
    let fin = first & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(FrameError::UnknownOpcode)?;
    if second & 0x80 == 0 {
        return Err(FrameError::Unmasked);
    }
    let (length, header) = match second & 0x7f {
        126 => {
            let Some(bytes) = rest.first_chunk::<2>() else { return Ok(None) };
            let length = u64::from(u16::from_be_bytes(*bytes));
            if length < 126 {
                return Err(FrameError::BadLength);
            }
            (length, 4)
        }
        127 => {
            let Some(bytes) = rest.first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            if length <= u64::from(u16::MAX) || length >> 63 != 0 {
                return Err(FrameError::BadLength);
            }
            (length, 10)
        }
        short => (u64::from(short), 2),
    };
    if opcode.is_control() && (!fin || length > MAX_CONTROL_PAYLOAD as u64) {
        return Err(FrameError::BadControl);
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= max_payload).ok_or(FrameError::TooLarge)?;
    let Some(mask) = buffer.get(header..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
    let start = header + 4;
    Ok(Some(ClientFrame { fin, opcode, mask: *mask, payload: start..start + length }))
}

/// Removes the mask in place (RFC 6455 §5.3).
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends a client's frame: header, masking key, masked payload (RFC 6455 §5.3).
pub fn write_client_frame(out: &mut Vec<u8>, fin: bool, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    let header = out.len();
    write_server_header(out, opcode, payload.len());
    if !fin {
        out[header] &= 0x7f;
    }
    out[header + 1] |= 0x80;
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], mask);
}

/// Reads the first byte and the payload's place of a server's frame at the start of `buffer`; `None` while the frame is
/// incomplete. The frame is taken to be well formed.
pub fn read_server_frame(buffer: &[u8]) -> Option<(u8, Range<usize>)> {
    let [first, second, rest @ ..] = buffer else { return None };
    let (length, start) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let end = usize::try_from(length).ok()?.checked_add(start)?;
    (end <= buffer.len()).then_some((*first, start..end))
}

/// Length of the header that [`write_server_header`] writes, in bytes.
fn server_header_len(length: usize) -> usize {
    match length {
        0..126 => 2,
        126..=0xffff => 4,
        _ => MAX_SERVER_HEADER,
    }
}

/// Appends the header of a server's unfragmented frame with a payload of `length` bytes. Servers do not mask (RFC 6455
/// §5.1).
pub fn write_server_header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    out.push(0x80 | opcode.bits());
    if length < 126 {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// A server's text frame, ready for the socket: made once, however many connections get it.
///
/// The tail is what recipients of one packet share, held once for all of them; the head carries the WebSocket header.
#[derive(Clone)]
pub struct TextFrame {
    head: Bytes,
    tail: Bytes,
}

impl TextFrame {
    /// A frame whose text is `parts` and then `tail`.
    pub fn new(parts: &[&[u8]], tail: Bytes) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // Exactly as large as needed: a vector to spare would cost `Bytes` a second allocation.
        let mut head = Vec::with_capacity(server_header_len(length + tail.len()) + length);
        write_server_header(&mut head, Opcode::Text, length + tail.len());
        for part in parts {
            head.extend_from_slice(part);
        }
        Self { head: head.into(), tail }
    }

    /// A frame with this text.
    pub fn text(text: &[u8]) -> Self {
        Self::new(&[text], Bytes::new())
    }

    /// A frame whose bytes, header included, are shared by all that get it.
    pub fn shared(text: &[u8], share: impl FnOnce(Vec<u8>) -> Bytes) -> Self {
        let mut bytes = Vec::with_capacity(server_header_len(text.len()) + text.len());
        write_server_header(&mut bytes, Opcode::Text, text.len());
        bytes.extend_from_slice(text);
        Self { head: Bytes::new(), tail: share(bytes) }
    }

    /// The same frame, its bytes shared by all that get it.
    pub fn into_shared(self, share: impl FnOnce(Vec<u8>) -> Bytes) -> Self {
        Self { head: Bytes::new(), tail: share(self.parts().concat()) }
    }

    /// A frame from all its bytes, header included.
    pub fn ready_made(bytes: &[u8]) -> Self {
        Self { head: Bytes::copy_from_slice(bytes), tail: Bytes::new() }
    }

    /// The bytes to write, in two parts.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.tail]
    }

    /// Bytes on the wire before encryption.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Of these, the bytes that are this frame's alone and not shared with others.
    pub fn own_len(&self) -> usize {
        self.head.len()
    }

    /// Never: a frame has a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for TextFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextFrame({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_a_client_writes(length in prop_oneof![0usize..300, 65_500usize..65_600], mask: [u8; 4], fin: bool) {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut bytes = Vec::new();
            write_client_frame(&mut bytes, fin, Opcode::Text, mask, &payload);
            let frame = read_client_frame(&bytes, length).unwrap().unwrap();
            prop_assert_eq!(frame.fin, fin);
            prop_assert_eq!(frame.payload.end, bytes.len());
            unmask(&mut bytes[frame.payload.clone()], frame.mask);
            prop_assert_eq!(&bytes[frame.payload.clone()], &payload[..]);
            for cut in 0..frame.payload.start {
                prop_assert_eq!(read_client_frame(&bytes[..cut], length), Ok(None));
            }
        }

        #[test]
        fn never_panics_and_never_points_past_the_bound(bytes in proptest::collection::vec(any::<u8>(), 0..32), bound in 0usize..100_000) {
            if let Ok(Some(frame)) = read_client_frame(&bytes, bound) {
                prop_assert!(frame.payload.len() <= bound);
            }
        }
    }

    #[test]
    fn a_client_reads_what_the_server_writes() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let frame = TextFrame::text(&vec![b'x'; length]).parts().concat();
            let (first, payload) = read_server_frame(&frame).unwrap();
            assert_eq!((first, payload.len(), payload.end), (0x81, length, frame.len()));
            assert_eq!(read_server_frame(&frame[..frame.len() - 1]), None);
        }
    }

    /// The example of RFC 6455 §5.7: "Hello", masked.
    const HELLO: [u8; 11] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

    #[test]
    fn the_example_of_the_rfc_is_read_and_written() {
        let frame = read_client_frame(&HELLO, 5).unwrap().unwrap();
        assert_eq!((frame.fin, frame.opcode, frame.payload.clone()), (true, Opcode::Text, 6..11));
        let mut payload = HELLO[frame.payload].to_vec();
        unmask(&mut payload, frame.mask);
        assert_eq!(payload, b"Hello");
        let mut written = Vec::new();
        write_client_frame(&mut written, true, Opcode::Text, frame.mask, b"Hello");
        assert_eq!(written, HELLO);
    }

    #[test]
    fn every_opcode_has_its_number() {
        let all = [
            (0, Opcode::Continuation),
            (1, Opcode::Text),
            (2, Opcode::Binary),
            (8, Opcode::Close),
            (9, Opcode::Ping),
            (10, Opcode::Pong),
        ];
        for bits in 0..16 {
            let known = all.iter().find(|(number, _)| *number == bits).map(|(_, opcode)| *opcode);
            assert_eq!(Opcode::from_bits(bits), known);
            let mut header = Vec::new();
            if let Some(opcode) = known {
                write_server_header(&mut header, opcode, 0);
                assert_eq!((header[0], opcode.is_control()), (0x80 | bits, bits >= 8));
            }
        }
    }

    #[test]
    fn a_control_frame_may_carry_125_bytes() {
        let ping = |length: u8| read_client_frame(&[0x89, 0x80 | length, 1, 2, 3, 4], 1000);
        assert_eq!(ping(125).unwrap().unwrap().payload, 6..131);
        assert_eq!(read_client_frame(&[0x89, 0xfe, 0, 126, 1, 2, 3, 4], 1000).unwrap_err(), FrameError::BadControl);
    }

    #[test]
    fn a_frame_says_how_long_it_is_and_nothing_else() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(server_header_len(length), header);
            let frame = TextFrame::new(&[&vec![b'x'; length / 2]], vec![b'y'; length - length / 2].into());
            assert_eq!((frame.len(), frame.is_empty()), (header + length, false));
            assert_eq!(format!("{frame:?}"), format!("TextFrame({} bytes)", header + length));
        }
        assert!(TextFrame::ready_made(&[]).is_empty());
    }

    #[test]
    fn refuses_what_the_rfc_forbids() {
        let refused = |bytes: &[u8]| read_client_frame(bytes, 1000).unwrap_err();
        assert_eq!(refused(&[0x81, 0x05]), FrameError::Unmasked);
        assert_eq!(refused(&[0xc1, 0x85]), FrameError::ReservedBit);
        assert_eq!(refused(&[0x83, 0x85]), FrameError::UnknownOpcode);
        assert_eq!(refused(&[0x09, 0x80]), FrameError::BadControl);
        assert_eq!(refused(&[0x89, 0xfe, 0, 126]), FrameError::BadControl);
        assert_eq!(refused(&[0x81, 0xfe, 0, 125]), FrameError::BadLength);
        assert_eq!(refused(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), FrameError::BadLength);
        assert_eq!(refused(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0]), FrameError::BadLength);
        assert_eq!(refused(&[0x81, 0xfe, 0x03, 0xe9]), FrameError::TooLarge);
    }
}
