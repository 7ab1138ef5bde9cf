//! What every measured message starts with: the time and the sender. Printable, so that it travels in JSON as it is.

/// Marks a measured payload. JSON that a server writes around it has no such bytes.
const MARK: [u8; 2] = *b"|>";
/// Length of a stamp in bytes: the mark, sixteen digits of time, eight of the sender.
pub(super) const STAMP_BYTES: usize = 26;

/// A message's time in nanoseconds on the generator's clock, and its sender's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) at: u64,
    pub(super) sender: u32,
}

impl Stamp {
    /// The stamp as it stands in the payload.
    pub(super) fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut out = [0; STAMP_BYTES];
        out[..2].copy_from_slice(&MARK);
        write_hex(&mut out[2..18], self.at);
        write_hex(&mut out[18..], u64::from(self.sender));
        out
    }

    /// Reads the stamp at the start of `payload`.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let digits = payload.get(..STAMP_BYTES)?.strip_prefix(&MARK)?;
        let (at, sender) = digits.split_at(16);
        Some(Self { at: read_hex(at)?, sender: read_hex(sender)? as u32 })
    }

    /// Where in `text` a stamp starts.
    pub(super) fn find(text: &[u8]) -> Option<usize> {
        memchr::memmem::find(text, &MARK)
    }
}

fn write_hex(out: &mut [u8], value: u64) {
    let digits = out.len();
    for (at, digit) in out.iter_mut().enumerate() {
        let nibble = (value >> (4 * (digits - 1 - at))) as u8 & 0xf;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_and_read_again() {
        for stamp in
            [Stamp { at: 0, sender: 0 }, Stamp { at: u64::MAX, sender: u32::MAX }, Stamp { at: 0x1234, sender: 10 }]
        {
            let text = [br#"{"content":""#, &stamp.to_bytes()[..], br#"xx"}"#].concat();
            let at = Stamp::find(&text).unwrap();
            assert_eq!(Stamp::read(&text[at..]), Some(stamp));
            assert_eq!(Stamp::read(&text[at..at + STAMP_BYTES - 1]), None);
        }
        assert_eq!(Stamp::read(b"|>not hexadecimal at all.."), None);
        assert_eq!(Stamp::find(br#"{"cmd":"hello"}"#), None);
    }
}
