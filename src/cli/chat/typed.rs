//! What was typed.

use zeroize::Zeroizing;

/// Longest line that is taken, in bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// What a read gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, without its end.
    Line(Zeroizing<String>),
    /// A line that is too long or not UTF-8; it was skipped.
    Bad,
    /// Nothing more comes.
    End,
}
