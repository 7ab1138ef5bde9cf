//! The thread that frees memory: see [`Pressure`].

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::mailbox::WorkersHandle;
use crate::relay::{Pressure, Relay};
use crate::secret::heap;

/// The warden of a running server. It ends when this is dropped.
pub(super) struct Warden {
    pressure: Arc<Pressure>,
    thread: Option<JoinHandle<()>>,
}

impl Warden {
    pub(super) fn start(relay: &Relay, workers: WorkersHandle) -> io::Result<Self> {
        let pressure = relay.accounts().pressure().clone();
        let kept = pressure.clone();
        let watch = move || kept.keep(heap::trim, |closing| workers.wake_all(closing));
        let thread = std::thread::Builder::new().name("warden".to_owned()).spawn(watch)?;
        Ok(Self { pressure, thread: Some(thread) })
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.pressure.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that frees memory ended by a fault of its own");
        }
    }
}
