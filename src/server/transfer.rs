//! A relay's records on their way to another process: most of them while this process serves, and the difference while
//! it stands still.
//!
//! ```text
//! old, serving         D print length record …    two rounds: everything, and what changed during the first round
//! old, standing still  P                          from here on the records count, in order
//!                      N length record            a record that changed since, or is new
//!                      K print                    a record that is there already
//! ```
//!
//! Both sides keep the **prints** of what was sent. The old process writes its whole state down once more while it
//! stands still, and sends a print in place of each record that did not change. The state is therefore exact whatever
//! happened before. A print is an authentication code under a random key that stays in the old process, so that no
//! client can make two records of one print.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use foldhash::fast::RandomState;
use postcard::ser_flavors::Flavor;
use zeroize::Zeroizing;

use super::takeover_error::TakeoverError;
use crate::relay::{Record, Relay, RestoreError};
use crate::secret::wipe;

const AHEAD: u8 = b'D';
const PAUSE: u8 = b'P';
const NEW: u8 = b'N';
const KNOWN: u8 = b'K';
/// Rounds that are sent while the process serves.
const ROUNDS: usize = 2;
/// Largest record in bytes: a session with a full window.
const MAX_RECORD: usize = 1 << 30;

type Print = [u8; 16];

/// The old process's side.
pub(super) struct Sender {
    key: LessSafeKey,
    sent: HashSet<Print, RandomState>,
    /// The record that is being written, as bytes.
    bytes: Zeroizing<Vec<u8>>,
}

impl Sender {
    pub(super) fn new() -> io::Result<Self> {
        let key = Zeroizing::new(rand::random::<[u8; 32]>());
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(io::Error::other)?;
        Ok(Self { key: LessSafeKey::new(key), sent: HashSet::default(), bytes: Zeroizing::default() })
    }

    /// Sends the state while the relay is served, as long as `go_on` says so.
    pub(super) fn send_ahead(
        &mut self,
        to: &mut impl Write,
        relay: &Relay,
        go_on: impl Fn() -> bool,
    ) -> io::Result<()> {
        for _ in 0..ROUNDS {
            relay.save(|record| -> io::Result<()> {
                if !go_on() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                // The first and the last differ each time.
                if matches!(record, Record::Start { .. } | Record::End { .. }) {
                    return Ok(());
                }
                let print = self.write_down(record)?;
                if self.sent.insert(print) {
                    to.write_all(&[AHEAD])?;
                    to.write_all(&print)?;
                    self.write_bytes(to)?;
                }
                Ok(())
            })?;
        }
        to.write_all(&[PAUSE])?;
        to.flush()
    }

    /// Sends the state exactly. Nothing may change in the relay meanwhile.
    pub(super) fn send(&mut self, to: &mut impl Write, relay: &Relay) -> io::Result<()> {
        relay.save(|record| -> io::Result<()> {
            let print = self.write_down(record)?;
            // Of two equal records the other process keeps one.
            if self.sent.remove(&print) {
                to.write_all(&[KNOWN])?;
                to.write_all(&print)
            } else {
                to.write_all(&[NEW])?;
                self.write_bytes(to)
            }
        })?;
        to.flush()
    }

    fn write_down(&mut self, record: &Record) -> io::Result<Print> {
        wipe::empty(&mut self.bytes);
        postcard::serialize_with_flavor(record, Bytes(&mut self.bytes)).map_err(io::Error::other)?;
        // The code of the bytes alone: nothing is encrypted, so the nonce does not matter.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&self.bytes[..]), &mut []);
        tag.map_err(io::Error::other)?.as_ref().try_into().map_err(io::Error::other)
    }

    fn write_bytes(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(&self.bytes)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        wipe::empty(&mut self.bytes);
    }
}

/// Writes a record behind what is there, a slice at a time.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Flavor for Bytes<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The new process's side. Records that came ahead are read at once, so that only their order is left to learn in the
/// pause.
#[derive(Default)]
pub(super) struct Receiver(HashMap<Print, Record, RandomState>);

impl Receiver {
    /// Reads what the old process sends while it serves, up to the pause.
    pub(super) fn read_ahead(&mut self, from: &mut impl Read) -> Result<(), TakeoverError> {
        loop {
            match read_array(from)? {
                [PAUSE] => return Ok(()),
                [AHEAD] => {
                    let print = read_array(from)?;
                    self.0.insert(print, read_record(from)?);
                }
                _ => return Err(RestoreError::Broken.into()),
            }
        }
    }

    /// Reads the next record of the exact state.
    pub(super) fn read(&mut self, from: &mut impl Read) -> Result<Record, TakeoverError> {
        match read_array(from)? {
            [NEW] => read_record(from),
            [KNOWN] => Ok(self.0.remove(&read_array(from)?).ok_or(RestoreError::Broken)?),
            _ => Err(RestoreError::Broken.into()),
        }
    }
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut read = [0; N];
    from.read_exact(&mut read)?;
    Ok(read)
}

fn read_record(from: &mut impl Read) -> Result<Record, TakeoverError> {
    let length = u32::from_le_bytes(read_array(from)?) as usize;
    if length > MAX_RECORD {
        return Err(RestoreError::Broken.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut bytes)?;
    Ok(postcard::from_bytes(&bytes).map_err(|_| RestoreError::Broken)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::limits::Limits;

    fn relay() -> std::sync::Arc<Relay> {
        Relay::new(Limits::default(), String::new())
    }

    #[test]
    fn what_changed_is_sent_and_the_rest_is_named() {
        let (relay, mut sender) = (relay(), Sender::new().unwrap());
        let mut wire = Vec::new();
        sender.send_ahead(&mut wire, &relay, || true).unwrap();
        assert_eq!(wire, [PAUSE], "an empty relay has nothing to send ahead");
        let record = Record::End { sessions: 3, rooms: 4 };
        let print = sender.write_down(&record).unwrap();
        assert_eq!(sender.write_down(&record).unwrap(), print);
        assert_ne!(sender.write_down(&Record::End { sessions: 3, rooms: 5 }).unwrap(), print);
        assert_ne!(Sender::new().unwrap().write_down(&record).unwrap(), print, "prints of another takeover");

        sender.write_down(&record).unwrap();
        let mut wire = vec![AHEAD];
        wire.extend(print);
        sender.write_bytes(&mut wire).unwrap();
        wire.extend([PAUSE, KNOWN]);
        wire.extend(print);
        wire.push(KNOWN);
        wire.extend(print);
        let (mut receiver, mut from) = (Receiver::default(), &wire[..]);
        receiver.read_ahead(&mut from).unwrap();
        assert!(matches!(receiver.read(&mut from), Ok(Record::End { sessions: 3, rooms: 4 })));
        // It was there once.
        assert!(matches!(receiver.read(&mut from), Err(TakeoverError::State(RestoreError::Broken))));
    }

    #[test]
    fn a_state_that_is_cut_or_wrong_is_refused() {
        let read = |bytes: &[u8]| Receiver::default().read_ahead(&mut &bytes[..]).is_ok();
        assert!(read(&[PAUSE]));
        for wrong in [&[][..], &[NEW], &[AHEAD], &[AHEAD, 0, 0], b"x"] {
            assert!(!read(wrong), "{wrong:?}");
        }
        let mut large = vec![AHEAD; 17];
        large.extend(u32::MAX.to_le_bytes());
        assert!(!read(&large));
    }

    #[test]
    fn sending_ahead_ends_when_the_server_stops() {
        let sent = Sender::new().unwrap().send_ahead(&mut Vec::new(), &relay(), || false);
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
