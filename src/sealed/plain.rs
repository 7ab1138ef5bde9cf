//! What a member says, before it is signed and sealed: two strict JSON objects, `core` and `extra`.
//!
//! `core` is what is said, fixed for ever for one number. `extra` is made anew each time that the message is sent.
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Body, Fingerprint, SealedError, View,
    body::{RoomSettings, seconds},
    encoding::to_base64,
    json::{Json, MAX_INTEGER, Object},
    said::{SAID_BYTES, SaidHash},
    view::VIEW_BYTES,
};

/// How many messages of others one message names.
pub const MAX_AFTER: usize = 4;
const AFTER_BYTES: usize = 8 + 4 + SAID_BYTES;

/// What is said: `{n, at, type, body, to?, gone?, timer?, marks?, quiet?}`.
#[derive(Debug)]
pub struct Core {
    /// Counts the sender's messages in this conversation, from 1; the last number used, where the type does not count.
    pub n: u32,
    /// When the sender says that it was written, in unix milliseconds.
    pub at: u64,
    /// The type and what belongs to it.
    pub body: Body,
    /// The only recipient, in a private message.
    pub to: Option<Fingerprint>,
    /// After how many seconds it disappears.
    pub gone: Option<u32>,
    /// The room's settings, as the owner repeats them.
    pub settings: Option<RoomSettings>,
    /// Whether a client that does not know the type shows nothing.
    pub quiet: bool,
}

/// What a message that was seen before is called in [`Extra::after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// The first 8 bytes of its author's fingerprint.
    pub author: [u8; 8],
    /// Its number.
    pub n: u32,
    /// What it said.
    pub said: SaidHash,
}

/// What goes with a message each time that it is sent: `{view, after?}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// The members that the sender takes to be in the room.
    pub view: View,
    /// The newest messages of up to four others that the sender has seen.
    pub after: Vec<After>,
}

/// A message as it was read.
#[derive(Debug)]
pub struct Plain {
    /// What is said.
    pub core: Core,
    /// What goes with it.
    pub extra: Extra,
    /// Its name.
    pub said: SaidHash,
    /// The bytes of a `piece`.
    pub bytes: Zeroizing<Vec<u8>>,
}

#[derive(Serialize)]
struct WrittenCore<'a> {
    n: u32,
    at: u64,
    r#type: &'a str,
    body: &'a Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    marks: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    quiet: bool,
}

#[derive(Serialize)]
struct WrittenExtra {
    view: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl Core {
    /// Writes it. The buffer is wiped when dropped.
    ///
    /// # Errors
    /// [`SealedError::Field`] for a number that is out of bounds or a body of unknown type.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let kind = self.body.kind().ok_or(SealedError::Field)?;
        if self.at > MAX_INTEGER || (self.n == 0 && self.body.counts()) {
            return Err(SealedError::Field);
        }
        let written = WrittenCore {
            n: self.n,
            at: self.at,
            r#type: kind,
            body: &self.body,
            to: self.to.map(Fingerprint::to_base64),
            gone: self.gone,
            timer: self.settings.map(|settings| settings.gone),
            marks: self.settings.is_some_and(|settings| settings.marks),
            quiet: self.quiet,
        };
        let mut out = Zeroizing::new(Vec::with_capacity(512 + self.body.size_hint()));
        serde_json::to_writer(&mut *out, &written).map_err(|_| SealedError::Json)?;
        Ok(out)
    }

    fn parse(json: &[u8]) -> Result<Self, SealedError> {
        let object = Object::parse(json)?;
        let n = object.field("n")?.integer(u32::MAX.into())?;
        let at = object.field("at")?.integer(MAX_INTEGER)?;
        let to = object.get("to").map(Json::array).transpose()?.map(Fingerprint::from_bytes);
        let time = |name: &str| object.get(name).map(seconds).transpose();
        let (gone, timer) = (time("gone")?, time("timer")?);
        let flag = |name: &str| object.get(name).map_or(Ok(false), Json::bool);
        let (marks, quiet) = (flag("marks")?, flag("quiet")?);
        let body = Body::parse(object.field("type")?.text()?, to.is_some(), object.get("body"))?;
        let n = u32::try_from(n).map_err(|_| SealedError::Field)?;
        if n == 0 && body.counts() {
            return Err(SealedError::Field);
        }
        let settings = timer.map(|gone| RoomSettings { gone, marks });
        Ok(Self { n, at, body, to, gone, settings, quiet })
    }
}

impl Extra {
    fn to_json(&self) -> Result<Vec<u8>, SealedError> {
        let after =
            self.after.iter().flat_map(|after| [&after.author[..], &after.n.to_be_bytes(), &after.said.0].concat());
        let after: Vec<u8> = after.collect();
        let after = Some(to_base64(&after)).filter(|after| !after.is_empty());
        serde_json::to_vec(&WrittenExtra { view: to_base64(self.view.as_bytes()), after })
            .map_err(|_| SealedError::Json)
    }

    fn parse(json: &[u8]) -> Result<Self, SealedError> {
        let object = Object::parse(json)?;
        let view = View::from_bytes(object.field("view")?.array::<VIEW_BYTES>()?);
        let bytes = object.get("after").map(Json::bytes).transpose()?.unwrap_or_default();
        let (entries, rest) = bytes.as_chunks::<AFTER_BYTES>();
        if !rest.is_empty() || entries.len() > MAX_AFTER {
            return Err(SealedError::Field);
        }
        let after = entries.iter().map(|entry| {
            let (mut author, mut n, mut said) = ([0; 8], [0; 4], [0; SAID_BYTES]);
            author.copy_from_slice(&entry[..8]);
            n.copy_from_slice(&entry[8..12]);
            said.copy_from_slice(&entry[12..]);
            After { author, n: u32::from_be_bytes(n), said: SaidHash(said) }
        });
        Ok(Self { view, after: after.collect() })
    }
}

/// Puts a message together: `length of core ‖ core ‖ extra [‖ 0x00 ‖ bytes]`.
///
/// # Errors
/// [`SealedError::Json`] or [`SealedError::Length`].
pub fn write(core: &[u8], extra: &Extra, bytes: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let length = u32::try_from(core.len()).map_err(|_| SealedError::Length)?;
    let extra = extra.to_json()?;
    let mut out = Zeroizing::new(Vec::with_capacity(8 + core.len() + extra.len() + bytes.map_or(0, <[u8]>::len)));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(core);
    out.extend_from_slice(&extra);
    if let Some(bytes) = bytes {
        out.push(0);
        out.extend_from_slice(bytes);
    }
    Ok(out)
}

impl Plain {
    /// Reads what a member signed.
    ///
    /// In this order: lengths, `core` (JSON, `n`, `at`, `to`, `gone`, `timer`, `marks`, `quiet`, `type`, `body`),
    /// `extra` (JSON, `view`, `after`), bytes. Unknown fields are ignored; the body of an unknown type too.
    ///
    /// # Errors
    /// [`SealedError::Length`], [`SealedError::Json`], [`SealedError::Field`] or [`SealedError::Name`].
    pub fn parse(author: Fingerprint, plain: &[u8]) -> Result<Self, SealedError> {
        let (length, rest) = plain.split_first_chunk().ok_or(SealedError::Length)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SealedError::Length)?;
        let (json, rest) = rest.split_at_checked(length).ok_or(SealedError::Length)?;
        let core = Core::parse(json)?;
        let (extra, bytes) = match rest.iter().position(|&byte| byte == 0) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let extra = Extra::parse(extra)?;
        if bytes.is_some() != matches!(core.body, Body::Piece { .. }) {
            return Err(SealedError::Field);
        }
        let bytes = Zeroizing::new(bytes.unwrap_or_default().to_vec());
        Ok(Self { said: SaidHash::of(author, json), core, extra, bytes })
    }

    /// Checks that a private message is for `me`, and that a room message is for nobody alone.
    ///
    /// # Errors
    /// [`SealedError::NotForMe`].
    pub fn check_recipient(&self, me: Option<Fingerprint>) -> Result<(), SealedError> {
        if self.core.to == me { Ok(()) } else { Err(SealedError::NotForMe) }
    }
}
