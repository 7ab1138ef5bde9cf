//! Wiping what is not freed: buffers that are used again, and the stack.
//!
//! What is freed is wiped by the program's allocator; these are the places that it does not see.

use std::hint::black_box;

/// Bytes of stack that carrying out commands uses at most below an event loop. Without optimisation it is several times
/// as much.
pub const SHALLOW: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 16 * 1024 };
/// Bytes of stack that anything else uses at most: handshakes, and reading what another process hands over.
pub const DEEP: usize = 128 * 1024;

/// Empties a buffer that is to be used again. Only what it held is wiped, so a large buffer costs no more than what was
/// in it.
pub fn empty(buffer: &mut Vec<u8>) {
    buffer.fill(0);
    buffer.clear();
}

/// Forgets the first `count` bytes of a buffer; the others move to its front.
pub fn forget_front(buffer: &mut Vec<u8>, count: usize) {
    let kept = buffer.len().saturating_sub(count);
    let count = buffer.len() - kept;
    buffer.copy_within(count.., 0);
    buffer[kept..].fill(0);
    buffer.truncate(kept);
}

/// Wipes `BYTES` of the part of this thread's stack that finished calls have used: for a thread that has nothing more
/// to do.
#[inline(never)]
pub fn stack<const BYTES: usize>() {
    black_box(&mut [0u8; BYTES]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_moves_to_the_front() {
        let mut buffer = b"gone, kept".to_vec();
        forget_front(&mut buffer, 6);
        assert_eq!(buffer, b"kept");
        forget_front(&mut buffer, 0);
        assert_eq!(buffer, b"kept");
        forget_front(&mut buffer, 9);
        assert!(buffer.is_empty());
    }
}
