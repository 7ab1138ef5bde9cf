//! A bad cable: a TCP relay that breaks each connection after a number of bytes and in a way that a seed decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use subrosa::client::{Address, Config, Pin, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::test_server::TestServer;

pub(crate) struct Cable {
    port: u16,
    pin: Pin,
    cuts: Arc<AtomicUsize>,
    /// Bytes that a connection gets at most; from 1 upwards. 0: no end.
    most: Arc<AtomicU64>,
}

/// The next number of a fixed row (xorshift64*).
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

impl Cable {
    /// Lies before `server`; whole until [`Self::rot`].
    pub(crate) async fn before(server: &TestServer, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (to, counted, bound) = (server.client_address(), cuts.clone(), most.clone());
        tokio::spawn(async move {
            let mut state = seed | 1;
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let Ok(far) = TcpStream::connect((to.host(), to.port())).await else { continue };
                let random = next(&mut state);
                let (bound, counted) = (bound.clone(), counted.clone());
                tokio::spawn(async move {
                    carry(near, far, random, &bound).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { port, pin: server.pin(), cuts, most }
    }

    /// A client's settings for the way through this cable.
    pub(crate) fn config(&self) -> Config {
        Config::new(Address::new("127.0.0.1", self.port).unwrap(), Trust::Pin(self.pin))
    }

    /// From now on connections break after at most `most` bytes, those that stand included.
    pub(crate) fn rot(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many connections are over.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// How a connection breaks when it has had its share.
#[derive(Clone, Copy)]
enum Break {
    /// Both ends see it closed.
    Cut,
    /// Both ends see it reset.
    Reset,
    /// The server sees that nothing more comes, the client sees nothing at all.
    HalfClose,
    /// Neither end sees anything: the bytes just stop.
    Stall,
}

/// Carries bytes both ways until an end closes or the connection has had its share; `random` decides how much that is,
/// how it breaks, and whether its bytes come late.
async fn carry(mut near: TcpStream, mut far: TcpStream, random: u64, most: &AtomicU64) {
    let mut carried = 0;
    let late = random >> 40 & 7 == 0;
    let kind = [Break::Cut, Break::Reset, Break::HalfClose, Break::Stall][(random >> 50 & 3) as usize];
    let (mut out, mut back) = ([0; 4096], [0; 4096]);
    loop {
        let (bytes, to) = tokio::select! {
            read = near.read(&mut out) => match read { Ok(1..) => (&out[..read.unwrap_or(0)], &mut far), _ => return },
            read = far.read(&mut back) => match read { Ok(1..) => (&back[..read.unwrap_or(0)], &mut near), _ => return },
        };
        let most = most.load(Ordering::Relaxed);
        if late && most > 0 {
            tokio::time::sleep(Duration::from_millis(random >> 32 & 3)).await;
        }
        let left = if most == 0 { bytes.len() as u64 } else { (random % most + 1).saturating_sub(carried) };
        carried += bytes.len() as u64;
        let part = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        // The last part may end anywhere: inside a record, a frame, or a greeting.
        if to.write_all(part).await.is_err() {
            return;
        }
        if part.len() < bytes.len() {
            return give_way(kind, near, far).await;
        }
    }
}

async fn give_way(kind: Break, mut near: TcpStream, mut far: TcpStream) {
    match kind {
        Break::Cut => return,
        Break::Reset => {
            let _ = near.set_zero_linger();
            let _ = far.set_zero_linger();
            return;
        }
        Break::HalfClose => drop(far.shutdown().await),
        Break::Stall => {}
    }
    // What still comes goes nowhere, until the client has had enough.
    let mut nowhere = [0; 4096];
    while let Ok(1..) = near.read(&mut nowhere).await {}
}
