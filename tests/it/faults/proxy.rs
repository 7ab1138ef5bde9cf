//! What can happen to bytes between a client and the server: a TCP proxy that breaks every connection in one of many
//! ways, at a byte and in a way that its seed decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::random::Random;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Both ends see an end.
    Cut,
    /// Both ends see a reset.
    Reset,
    /// The server sees an end of what the client says, and may go on talking.
    HalfUp,
    /// The client sees an end of what the server says.
    HalfDown,
    /// Nothing gets through any more; after a moment it is cut.
    Stall,
    /// The client sees an end; the server sees nothing at all, until it closes.
    Ghost,
    /// As `Ghost`, and what the client said last arrives after it has come back on another connection.
    Late,
}

const KINDS: [Kind; 7] = [Kind::Cut, Kind::Reset, Kind::HalfUp, Kind::HalfDown, Kind::Stall, Kind::Ghost, Kind::Late];

/// What happens, and after how many bytes, both ways together.
struct Fault {
    kind: Kind,
    after: u64,
    /// Bytes go through in small pieces.
    slowly: bool,
}

impl Fault {
    fn of(random: &mut Random) -> Self {
        let kind = KINDS[random.below(KINDS.len() as u64) as usize];
        // A new connection takes about 5,000 bytes before it is of use, so some break while they are made.
        let after = if random.once_in(5) { random.below(6_000) } else { 5_000 + random.below(60_000) };
        Self { kind, after, slowly: random.once_in(4) }
    }
}

#[derive(Default)]
struct State {
    calm: AtomicBool,
    faults: AtomicUsize,
    accepted: AtomicU64,
    came: Notify,
    /// Connections that the server has yet to close.
    ghosts: AtomicUsize,
}

/// One client's way to the server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            let mut seeds = Random::new(seed);
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let mut random = Random::new(seeds.next());
                let state = shared.clone();
                let number = state.accepted.fetch_add(1, Ordering::AcqRel) + 1;
                state.came.notify_waiters();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    let fault = Fault::of(&mut random);
                    carry(near, far, number, fault, &mut random, &state).await;
                });
            }
        });
        Self { address, state }
    }

    /// From now on nothing happens to connections any more.
    pub(crate) fn calm(&self) {
        self.state.calm.store(true, Ordering::Release);
    }

    /// How many connections were broken.
    pub(crate) fn faults(&self) -> usize {
        self.state.faults.load(Ordering::Acquire)
    }

    /// Connections whose client is gone, which the server has yet to close.
    pub(crate) fn ghosts(&self) -> usize {
        self.state.ghosts.load(Ordering::Acquire)
    }
}

/// Carries bytes both ways until an end closes or the fault happens.
async fn carry(mut near: TcpStream, mut far: TcpStream, number: u64, fault: Fault, random: &mut Random, state: &State) {
    let mut carried = 0;
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        let (bytes, to, is_up) = tokio::select! {
            read = near.read(&mut up) => match read { Ok(n @ 1..) => (&up[..n], &mut far, true), _ => return },
            read = far.read(&mut down) => match read { Ok(n @ 1..) => (&down[..n], &mut near, false), _ => return },
        };
        let left = fault.after - carried;
        let whole = state.calm.load(Ordering::Acquire) || (bytes.len() as u64) < left;
        let part = if whole { bytes } else { &bytes[..left as usize] };
        if whole {
            carried = (carried + bytes.len() as u64).min(fault.after.saturating_sub(1));
        }
        // The last part may end anywhere: inside a record, a frame, or a greeting.
        let mut pieces = part;
        while !pieces.is_empty() {
            let size = if fault.slowly { 1 + random.below(700) as usize } else { pieces.len() };
            let (piece, rest) = pieces.split_at(size.min(pieces.len()));
            if to.write_all(piece).await.is_err() {
                return;
            }
            pieces = rest;
            if fault.slowly {
                tokio::task::yield_now().await;
            }
        }
        if !whole {
            let rest = if is_up { bytes[part.len()..].to_vec() } else { Vec::new() };
            state.faults.fetch_add(1, Ordering::AcqRel);
            return happen(fault.kind, (near, far), rest, number, random, state).await;
        }
    }
}

async fn happen(
    kind: Kind,
    (mut near, mut far): (TcpStream, TcpStream),
    mut last_words: Vec<u8>,
    number: u64,
    random: &mut Random,
    state: &State,
) {
    let a_moment = Duration::from_millis(random.below(20));
    match kind {
        Kind::Cut => {}
        Kind::Reset => {
            let _ = (near.set_zero_linger(), far.set_zero_linger());
        }
        Kind::HalfUp => {
            let _ = far.shutdown().await;
            let _ = tokio::io::copy(&mut far, &mut near).await;
        }
        Kind::HalfDown => {
            let _ = near.shutdown().await;
            let _ = tokio::io::copy(&mut near, &mut far).await;
        }
        Kind::Stall => tokio::time::sleep(a_moment).await,
        Kind::Ghost => {
            drop(near);
            haunt(far, state).await;
        }
        Kind::Late => {
            let _ = tokio::time::timeout(a_moment, near.read_to_end(&mut last_words)).await;
            drop(near);
            loop {
                let came = state.came.notified();
                if state.accepted.load(Ordering::Acquire) > number {
                    break;
                }
                came.await;
            }
            tokio::time::sleep(a_moment).await;
            let _ = far.write_all(&last_words).await;
            haunt(far, state).await;
        }
    }
}

/// Stays until the server closes.
async fn haunt(mut far: TcpStream, state: &State) {
    state.ghosts.fetch_add(1, Ordering::AcqRel);
    let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
    state.ghosts.fetch_sub(1, Ordering::AcqRel);
}
