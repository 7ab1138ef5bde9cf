//! A bad cable: a TCP relay that breaks each connection after a number of bytes that a seed decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use subrosa::client::{Address, Config, Pin, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::TestServer;

pub struct Cable {
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
    pub async fn before(server: &TestServer, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (to, counted, bound) = (server.address(), cuts.clone(), most.clone());
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
        Self { port, pin: server.pin, cuts, most }
    }

    /// A client's settings for the way through this cable.
    pub fn config(&self) -> Config {
        Config::new(Address::new("127.0.0.1", self.port).unwrap(), Trust::Pin(self.pin))
    }

    /// From now on connections break after at most `most` bytes, those that stand included.
    pub fn rot(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many connections are over.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Carries bytes both ways until an end closes or the connection has had its share.
async fn carry(mut near: TcpStream, mut far: TcpStream, random: u64, most: &AtomicU64) {
    let mut carried = 0;
    let (mut out, mut back) = ([0; 4096], [0; 4096]);
    loop {
        let (bytes, to) = tokio::select! {
            read = near.read(&mut out) => match read { Ok(1..) => (&out[..read.unwrap_or(0)], &mut far), _ => return },
            read = far.read(&mut back) => match read { Ok(1..) => (&back[..read.unwrap_or(0)], &mut near), _ => return },
        };
        let most = most.load(Ordering::Relaxed);
        let left = if most == 0 { bytes.len() as u64 } else { (random % most + 1).saturating_sub(carried) };
        carried += bytes.len() as u64;
        let part = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        // The last part may end anywhere: inside a record, a frame, or a greeting.
        if to.write_all(part).await.is_err() || part.len() < bytes.len() {
            return;
        }
    }
}
