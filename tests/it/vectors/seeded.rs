//! A generator of bytes that gives the same ones on every machine and in every version, for making the vectors.
use std::convert::Infallible;

use aws_lc_rs::digest::{SHA256, digest};
use rsa::rand_core::{TryCryptoRng, TryRng};
use subrosa::sealed::Random;

/// SHA-256 over a label and a counter.
pub(crate) struct Seeded {
    label: String,
    counter: u64,
}

impl Seeded {
    /// A stream of its own for each label, so that a new case changes no old one.
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), counter: 0 }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = digest(&SHA256, format!("{}/{}", self.label, self.counter).as_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
            self.counter += 1;
        }
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}
