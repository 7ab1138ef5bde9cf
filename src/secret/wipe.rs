//! Wiping what is not freed: buffers that are used again, and the stack.
//!
//! What is freed is wiped by the program's allocator; these are the places that it does not see.

use std::hint::black_box;

/// Bytes of stack that [`stack`] wipes: more than anything here uses below an event loop, cryptography included.
const STACK: usize = 32 * 1024;

/// Empties a buffer that is to be used again. Only what it held is wiped, so a large buffer costs no more than what was in it.
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

/// Wipes the part of this thread's stack that finished calls have used. Takes about a microsecond: for a thread that is about to wait.
#[inline(never)]
pub fn stack() {
    black_box(&mut [0u8; STACK]);
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
