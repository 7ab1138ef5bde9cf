//! Memory for long-lived secrets: our own pages, which are not swapped out, not dumped and not passed to child
//! processes.
//!
//! A page contains many secrets, in slots of one size. A secret is wiped when it is dropped, and its slot is used
//! again. Guard pages around every secret would cost three pages each, which is too much for thousands of members. They
//! protect against buffer overflows, which safe Rust excludes.
#![allow(unsafe_code, reason = "pages are mapped, locked and cut into slots here; everything outside is safe")]

use std::ptr::NonNull;
use std::sync::Mutex;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous};
use zeroize::Zeroize;

use crate::sync::lock;

/// Size of a slot in bytes, and the maximum size of a secret.
const SLOT: usize = 32;
/// Bytes that are mapped at once: 2,048 slots. The usual limit of 8 MiB of locked memory is enough for 262,144
/// secrets.
const CHUNK: usize = 64 * 1024;

/// The place of a secret. Nothing else refers to it.
struct Slot(NonNull<[u8; SLOT]>);

// SAFETY: a slot is memory like a box's, which no thread owns more than another.
unsafe impl Send for Slot {}
// SAFETY: through a shared slot the memory can only be read.
unsafe impl Sync for Slot {}

/// The free slots. All of them are zero.
static FREE: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

/// `N` secret bytes, 32 at most, on a locked page. Wiped on drop, not cloneable, never printed.
///
/// Beyond the system's limit on locked memory the page is not locked, but it is still kept out of core dumps.
pub struct Locked<const N: usize>(Slot);

impl<const N: usize> Locked<N> {
    const FITS: () = assert!(N <= SLOT, "a secret has 32 bytes at most");

    /// New secret bytes. `fill` writes them in place; they are zero before.
    pub fn init(fill: impl FnOnce(&mut [u8; N])) -> Self {
        const { Self::FITS };
        let mut secret = Self(take());
        fill(secret.expose_mut());
        secret
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8; N] {
        // SAFETY: the slot is mapped for good, has SLOT ≥ N initialised bytes, and is borrowed as long as `self` is.
        unsafe { self.0.0.cast::<[u8; N]>().as_ref() }
    }

    fn expose_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: as above, and the slot is this one's alone.
        unsafe { self.0.0.cast::<[u8; N]>().as_mut() }
    }

    /// Wipes the slot and adds it to the free slots. `self` is not used again.
    fn give_back(&mut self, free: &mut Vec<Slot>) {
        self.expose_mut().zeroize();
        free.push(Slot(self.0.0));
    }
}

impl<const N: usize> Drop for Locked<N> {
    fn drop(&mut self) {
        self.give_back(&mut lock(&FREE));
    }
}

/// Whether pages can be locked here.
#[cfg(feature = "server")]
pub(super) fn works() -> bool {
    map().is_some_and(|(chunk, locked)| {
        lock(&FREE).extend(slots(chunk));
        locked
    })
}

fn take() -> Slot {
    let mut free = lock(&FREE);
    if let Some(slot) = free.pop() {
        return slot;
    }
    let Some((chunk, _)) = map() else { std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; CHUNK]>()) };
    free.extend(slots(chunk));
    free.pop().unwrap_or_else(|| unreachable!("a chunk has slots"))
}

fn slots(chunk: NonNull<[u8; SLOT]>) -> impl Iterator<Item = Slot> {
    // SAFETY: the chunk has this many slots, one after the other.
    (0..CHUNK / SLOT).map(move |index| Slot(unsafe { chunk.add(index) }))
}

/// Maps a chunk of zeros; also whether it is locked.
fn map() -> Option<(NonNull<[u8; SLOT]>, bool)> {
    // SAFETY: the system chooses a place where nothing is, and the pages stay mapped for good.
    unsafe {
        let place = mmap_anonymous(std::ptr::null_mut(), CHUNK, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        let place = NonNull::new(place.ok()?)?;
        // Older kernels may not know them; the other measures remain.
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            let _ = madvise(place.as_ptr(), CHUNK, advice);
        }
        let locked = mlock(place.as_ptr(), CHUNK).is_ok();
        Some((place.cast(), locked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_apart_and_hold_what_was_written() {
        let secrets: Vec<Locked<32>> =
            (0..5000u32).map(|n| Locked::init(|bytes| bytes[..4].copy_from_slice(&n.to_le_bytes()))).collect();
        for (n, secret) in (0u32..).zip(&secrets) {
            assert_eq!(secret.expose()[..4], n.to_le_bytes());
            assert_eq!(secret.expose()[4..], [0; 28]);
        }
    }

    #[test]
    fn a_dropped_secret_is_wiped() {
        let full = || Locked::<24>::init(|bytes| bytes.fill(0xa5));
        let (secret, many) = (full(), Vec::from_iter((0..1_000).map(|_| full())));
        let places: Vec<_> = many.iter().map(|secret| secret.0.0).collect();
        drop(many);
        let mut free = FREE.lock().unwrap();
        // Other tests may have taken some of the slots, but not all. The rest stays free under the lock.
        let dropped: Vec<_> = free.iter().filter(|slot| places.contains(&slot.0)).map(|slot| slot.0).collect();
        assert!(!dropped.is_empty(), "what is dropped is given back");
        let place = secret.0.0;
        std::mem::ManuallyDrop::new(secret).give_back(&mut free);
        assert!(free.last().is_some_and(|slot| slot.0 == place));
        for place in dropped.iter().chain([&place]) {
            // SAFETY: the slot is free, and stays so under the lock.
            assert_eq!(unsafe { *place.as_ref() }, [0; SLOT]);
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn whether_pages_can_be_locked_is_found_out() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
        // A chunk fits under every limit that systems set, and under none at all.
        assert_eq!(works(), limit.is_none_or(|limit| limit >= CHUNK as u64));
    }

    #[test]
    fn a_page_is_out_of_core_dumps_and_swap() {
        let secret = Locked::<24>::init(|bytes| bytes.fill(1));
        let address = secret.expose().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            if let Some((start, end)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-'))
                && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
            {
                inside = (start..end).contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                for flag in ["lo", "dd", "wf"] {
                    assert!(flags.split_whitespace().any(|set| set == flag), "{flag} is not among{flags}");
                }
                return;
            }
        }
        panic!("the page is not listed");
    }
}
