//! Padding to buckets, so that sizes tell little.
//!
//! 0x80, then zeros, up to 256, 512, 1,024 … 16,384 bytes, and beyond that to multiples of 16,384.
use zeroize::Zeroizing;

use super::SealedError;

/// The smallest bucket, in bytes.
pub const SMALLEST: usize = 256;
/// Up to here buckets double; beyond it they are multiples of it. In bytes.
pub const LARGEST_DOUBLING: usize = 16 * 1024;

/// The bucket that `length` bytes and their mark go into, at least `least` bytes.
pub fn bucket(length: usize, least: usize) -> usize {
    let needed = length.saturating_add(1).max(least).max(SMALLEST);
    if needed <= LARGEST_DOUBLING {
        needed.next_power_of_two()
    } else {
        needed.div_ceil(LARGEST_DOUBLING).saturating_mul(LARGEST_DOUBLING)
    }
}

/// Pads the concatenation of `parts` to its bucket, at least `least` bytes. The buffer is wiped when dropped, and has
/// `spare` bytes of room left for what an in-place cipher appends.
pub fn pad(parts: &[&[u8]], least: usize, spare: usize) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|p| p.len()).sum();
    let padded = bucket(length, least);
    let mut out = Zeroizing::new(Vec::with_capacity(padded + spare));
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(0x80);
    out.resize(padded, 0);
    out
}

/// Takes the padding off. A bucket larger than needed is allowed: a sender may hide more.
///
/// # Errors
/// [`SealedError::Padding`] if the whole is no bucket or does not end in 0x80 and zeros.
pub fn unpad(padded: &[u8]) -> Result<&[u8], SealedError> {
    if padded.is_empty() || bucket(padded.len() - 1, 0) != padded.len() {
        return Err(SealedError::Padding);
    }
    match padded.iter().rposition(|&b| b != 0) {
        Some(mark) if padded[mark] == 0x80 => Ok(&padded[..mark]),
        _ => Err(SealedError::Padding),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_are_as_written() {
        for (length, expected) in [
            (0, 256),
            (255, 256),
            (256, 512),
            (511, 512),
            (512, 1024),
            (16383, 16384),
            (16384, 32768),
            (32767, 32768),
            (32768, 49152),
        ] {
            assert_eq!(bucket(length, 0), expected, "{length}");
        }
        assert_eq!(bucket(3, 1024), 1024);
    }

    #[test]
    fn wrong_padding_is_refused() {
        let good = pad(&[b"tea"], 0, 0);
        assert_eq!(unpad(&good).unwrap(), b"tea");
        let mut wrong_mark = good.to_vec();
        wrong_mark[3] = 0x81;
        let mut late_byte = good.to_vec();
        late_byte[255] = 1;
        for bad in [&[][..], &[0; 256], &wrong_mark, &late_byte, &good[..255], &[&good[..], &[0]].concat()] {
            assert_eq!(unpad(bad), Err(SealedError::Padding));
        }
    }

    proptest! {
        #[test]
        fn padding_round_trips(data in proptest::collection::vec(any::<u8>(), 0..40_000), least in 0usize..5000) {
            let padded = pad(&[&data], least, 16);
            prop_assert!(padded.len() > data.len() && padded.len() >= least);
            prop_assert_eq!(unpad(&padded).unwrap(), &data[..]);
        }

        #[test]
        fn unpad_never_panics(data: Vec<u8>) {
            let _ = unpad(&data);
        }
    }
}
