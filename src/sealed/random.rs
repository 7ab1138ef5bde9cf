//! Where randomness comes from: one small trait, so that the test vectors can be made from a seed.

/// A source of unpredictable bytes.
pub trait Random {
    /// Fills `out` entirely.
    ///
    /// # Panics
    /// A source that has no bytes to give panics: there is no safe way to go on without them.
    fn fill(&mut self, out: &mut [u8]);
}

/// The operating system's generator, through the cryptographic library.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        assert!(aws_lc_rs::rand::fill(out).is_ok(), "the operating system gives no randomness");
    }
}

/// Random bytes that are no secret: nonces and ids.
pub(crate) fn array<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}
