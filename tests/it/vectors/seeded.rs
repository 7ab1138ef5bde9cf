//! A generator of bytes that gives the same ones on every machine and in every version, for making the vectors.

use aws_lc_rs::digest::{SHA256, digest};

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
