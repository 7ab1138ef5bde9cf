//! Memory for long-lived secrets, on systems on which this library cannot lock pages: an allocation that is wiped on
//! drop.

use zeroize::Zeroizing;

/// `N` secret bytes, on the heap. Wiped on drop, not cloneable, never printed.
pub struct Locked<const N: usize>(Box<Zeroizing<[u8; N]>>);

impl<const N: usize> Locked<N> {
    /// New secret bytes. `fill` writes them in place; they are zero before.
    pub fn init(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new(Zeroizing::new([0; N])));
        fill(&mut secret.0);
        secret
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}
