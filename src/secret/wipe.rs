//! Wiping memory that is not freed: buffers that are used again, and the stack.
//!
//! The program's allocator wipes freed memory. It does not see these places.

use std::hint::black_box;

/// Maximum stack, in bytes, that a command uses below an event loop. Without optimisation it is several times as much.
pub const SHALLOW: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 16 * 1024 };
/// Maximum stack, in bytes, of everything else: handshakes, and reading the state of another process.
pub const DEEP: usize = 128 * 1024;

/// Empties a buffer that is used again. It wipes only the used part, so the cost depends on the content and not on the
/// size of the buffer.
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

/// Wipes `BYTES` of the part of this thread's stack that finished calls have used. For a thread that has become idle.
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

    #[test]
    fn an_emptied_buffer_keeps_its_memory() {
        let mut buffer = b"a secret".to_vec();
        let room = buffer.capacity();
        empty(&mut buffer);
        assert_eq!((buffer.len(), buffer.capacity()), (0, room));
    }
}
