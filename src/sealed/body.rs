//! The types of messages and what belongs to each: bounds, and where a type may stand.
use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use zeroize::Zeroizing;

use super::{
    Fingerprint, RoomSecret, SealedError,
    encoding::to_base64,
    identity::SIGNATURE_BYTES,
    json::{Json, Object},
    name::check_file_name,
    said::{SAID_BYTES, SaidHash},
};

/// The longest text, in bytes.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// The longest reaction, in bytes.
pub const MAX_REACTION_BYTES: usize = 32;
/// The longest time after which messages disappear, in seconds: a year.
pub const MAX_GONE_S: u32 = 31_536_000;
/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u32 = 16 << 20;
/// Bytes of each piece of a file but the last.
pub const PIECE_BYTES: u32 = 48_000;
/// How many pieces one `want` names.
pub const MAX_WANTED: usize = 64;
/// How many members a roster names.
pub const MAX_ROSTER: usize = 4_096;
const MAX_TYPE_BYTES: usize = 64;

/// Names a message in the same conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Its author.
    pub of: Fingerprint,
    /// Its number.
    pub n: u32,
    /// What it said.
    pub said: SaidHash,
}

/// What the owner sets for the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomSettings {
    /// After how many seconds messages disappear; 0 for never.
    pub gone: u32,
    /// Whether `typing` and `read` are allowed.
    pub marks: bool,
}

/// A file that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOffer {
    /// Names it in its pieces.
    pub id: [u8; 16],
    /// Its name, without a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u32,
    /// Its media type, by the sender's word; may be empty.
    pub media_type: String,
    /// SHA-256 of the whole.
    pub hash: [u8; 32],
}

impl FileOffer {
    /// How many pieces it has.
    pub fn pieces(&self) -> u32 {
        self.size.div_ceil(PIECE_BYTES)
    }
}

/// The body of a `secret`: a room secret, the members by the owner's word, and the owner's proof of both.
#[derive(Debug)]
pub struct NewSecret {
    /// The room secret, with its epoch.
    pub secret: RoomSecret,
    /// All members that the owner accepts, in bytewise order: the roster.
    pub members: Vec<Fingerprint>,
    /// The chain of owners, as bytes.
    pub chain: Vec<u8>,
    /// The last owner's proof.
    pub proof: [u8; SIGNATURE_BYTES],
}

/// The types of messages.
pub enum Body {
    /// `text`: something for people to read, perhaps in reply.
    Text {
        /// What.
        text: Zeroizing<String>,
        /// The message that it replies to.
        re: Option<Reference>,
    },
    /// `edit`: another text for a message of one's own.
    Edit {
        /// Which.
        n: u32,
        /// The text from now on.
        text: Zeroizing<String>,
    },
    /// `delete`: takes a message of one's own back.
    Delete {
        /// Which.
        n: u32,
    },
    /// `react`: a sign under a message; an empty one takes it back.
    React {
        /// Which message.
        re: Reference,
        /// The sign.
        text: Zeroizing<String>,
    },
    /// `timer`: the owner's settings for the room.
    Timer(RoomSettings),
    /// `file`: a file is offered.
    File(FileOffer),
    /// `piece`: a part of a file; its bytes stand behind the JSON.
    Piece {
        /// The file.
        id: [u8; 16],
        /// Which part.
        index: u32,
    },
    /// `want`: asks for pieces that were lost.
    Want {
        /// The file.
        id: [u8; 16],
        /// Which.
        pieces: Vec<u32>,
    },
    /// `typing`: whether the sender is writing.
    Typing {
        /// Whether.
        on: bool,
    },
    /// `read`: how far the sender has read.
    Read {
        /// Whose messages.
        of: Fingerprint,
        /// Up to which.
        n: u32,
    },
    /// `void`: says nothing, but carries a view and what was seen.
    Void,
    /// `secret`: a room secret.
    Secret(NewSecret),
    /// `succession`: the owner names the recipient the next owner.
    Succession {
        /// The chain of owners with the recipient at its end, as bytes.
        chain: Vec<u8>,
        /// Whether the room goes to an heir when its owner leaves, so that a new owner needs heirs in turn.
        transfer: bool,
    },
    /// A type that this client does not know; its name, cut to 32 characters.
    Unknown(String),
}

/// Without what is said.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().unwrap_or("unknown"))
    }
}

impl Body {
    /// The name of the type; none for an unknown one, which nobody can write.
    pub fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Text { .. } => "text",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Timer(_) => "timer",
            Self::File(_) => "file",
            Self::Piece { .. } => "piece",
            Self::Want { .. } => "want",
            Self::Typing { .. } => "typing",
            Self::Read { .. } => "read",
            Self::Void => "void",
            Self::Secret(_) => "secret",
            Self::Succession { .. } => "succession",
            Self::Unknown(_) => return None,
        })
    }

    /// Whether messages of the type have numbers of their own, so that their loss shows.
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Piece { .. } | Self::Typing { .. } | Self::Read { .. })
    }

    /// Whether a message of the type asks the others to confirm that they have it.
    pub fn asks_for_confirmation(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Edit { .. } | Self::Delete { .. } | Self::File(_))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`SealedError::Field`], also for a type that may not stand in this conversation; [`SealedError::Name`] for a
    /// file's.
    pub(super) fn parse(kind: &str, private: bool, body: Option<&Json>) -> Result<Self, SealedError> {
        let fits = match kind {
            "timer" | "typing" | "read" => !private,
            "want" | "succession" => private,
            _ => true,
        };
        if !fits {
            return Err(SealedError::Field);
        }
        let object = || body.ok_or(SealedError::Field)?.object();
        Ok(match kind {
            "text" => Self::Text { text: text(object()?, 1, MAX_TEXT_BYTES)?, re: reference(object()?)? },
            "edit" => Self::Edit { n: number(object()?, "n")?, text: text(object()?, 1, MAX_TEXT_BYTES)? },
            "delete" => Self::Delete { n: number(object()?, "n")? },
            "react" => {
                let re = reference(object()?)?.ok_or(SealedError::Field)?;
                Self::React { re, text: text(object()?, 0, MAX_REACTION_BYTES)? }
            }
            "timer" => {
                let object = object()?;
                Self::Timer(RoomSettings {
                    gone: seconds(object.field("gone")?)?,
                    marks: object.field("marks")?.bool()?,
                })
            }
            "file" => Self::File(FileOffer::parse(object()?)?),
            "piece" => {
                let object = object()?;
                Self::Piece { id: object.field("id")?.array()?, index: piece(object.field("index")?)? }
            }
            "want" => {
                let object = object()?;
                let pieces = object.field("pieces")?.list()?;
                if pieces.is_empty() || pieces.len() > MAX_WANTED {
                    return Err(SealedError::Field);
                }
                let pieces = pieces.iter().map(piece).collect::<Result<_, _>>()?;
                Self::Want { id: object.field("id")?.array()?, pieces }
            }
            "typing" => Self::Typing { on: object()?.field("on")?.bool()? },
            "read" => {
                let of = Fingerprint::from_bytes(object()?.field("of")?.array()?);
                Self::Read { of, n: number(object()?, "n")? }
            }
            "void" => {
                object()?;
                Self::Void
            }
            "secret" => Self::Secret(NewSecret::parse(object()?)?),
            "succession" => {
                let object = object()?;
                Self::Succession {
                    chain: object.field("chain")?.bytes()?.to_vec(),
                    transfer: object.field("transfer")?.bool()?,
                }
            }
            unknown => Self::Unknown(unknown.chars().filter(char::is_ascii_graphic).take(32).collect()),
        })
    }

    pub(super) fn size_hint(&self) -> usize {
        match self {
            Self::Text { text, .. } | Self::Edit { text, .. } => text.len() + text.len() / 8,
            Self::Secret(new) => new.members.len() * 43 + new.chain.len() * 4 / 3,
            Self::Succession { chain, .. } => chain.len() * 4 / 3,
            _ => 0,
        }
    }
}

fn text(object: &Object, least: usize, most: usize) -> Result<Zeroizing<String>, SealedError> {
    let text = object.field("text")?.text()?;
    if (least..=most).contains(&text.len()) { Ok(Zeroizing::new(text.to_owned())) } else { Err(SealedError::Field) }
}

/// A message's number, from 1.
fn number(object: &Object, name: &str) -> Result<u32, SealedError> {
    let n = object.field(name)?.integer(u32::MAX.into())?;
    u32::try_from(n).ok().filter(|&n| n > 0).ok_or(SealedError::Field)
}

/// A time after which messages disappear, in seconds.
pub(super) fn seconds(value: &Json) -> Result<u32, SealedError> {
    u32::try_from(value.integer(MAX_GONE_S.into())?).map_err(|_| SealedError::Field)
}

/// The number of a piece.
fn piece(value: &Json) -> Result<u32, SealedError> {
    let last = MAX_FILE_BYTES.div_ceil(PIECE_BYTES) - 1;
    u32::try_from(value.integer(last.into())?).map_err(|_| SealedError::Field)
}

fn reference(object: &Object) -> Result<Option<Reference>, SealedError> {
    let Some(re) = object.get("re") else {
        return Ok(None);
    };
    let re = re.object()?;
    let of = Fingerprint::from_bytes(re.field("of")?.array()?);
    let said = SaidHash(re.field("said")?.array::<SAID_BYTES>()?);
    Ok(Some(Reference { of, n: number(re, "n")?, said }))
}

impl FileOffer {
    fn parse(object: &Object) -> Result<Self, SealedError> {
        let name = object.field("name")?.text()?;
        check_file_name(name)?;
        let size = object.field("size")?.integer(MAX_FILE_BYTES.into())?;
        let media_type = object.field("type")?.text()?;
        let printable = media_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let offer = Self {
            id: object.field("id")?.array()?,
            name: name.to_owned(),
            size: u32::try_from(size).map_err(|_| SealedError::Field)?,
            media_type: media_type.to_owned(),
            hash: object.field("hash")?.array()?,
        };
        let pieces = object.field("pieces")?.integer(u32::MAX.into())?;
        let fits = offer.size > 0 && pieces == u64::from(offer.pieces());
        if fits && printable && media_type.len() <= MAX_TYPE_BYTES { Ok(offer) } else { Err(SealedError::Field) }
    }
}

impl NewSecret {
    fn parse(object: &Object) -> Result<Self, SealedError> {
        let epoch = object.field("epoch")?.integer(u32::MAX.into())?;
        let secret = object.field("secret")?.bytes()?;
        let members = object.field("members")?.bytes()?;
        let (members, rest) = members.as_chunks::<32>();
        if !rest.is_empty() || members.len() > MAX_ROSTER || !members.is_sorted_by(|a, b| a < b) {
            return Err(SealedError::Field);
        }
        let epoch = u32::try_from(epoch).map_err(|_| SealedError::Field)?;
        Ok(Self {
            secret: RoomSecret::from_slice(epoch, &secret).map_err(|_| SealedError::Field)?,
            members: members.iter().copied().map(Fingerprint::from_bytes).collect(),
            chain: object.field("chain")?.bytes()?.to_vec(),
            proof: object.field("proof")?.array()?,
        })
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("of", &self.of.to_base64())?;
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("said", &to_base64(&self.said.0))?;
        map.end()
    }
}

/// The body alone; the type stands beside it.
impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Text { text, re } => {
                map.serialize_entry("text", text.as_str())?;
                if let Some(re) = re {
                    map.serialize_entry("re", re)?;
                }
            }
            Self::Edit { n, text } => {
                map.serialize_entry("n", n)?;
                map.serialize_entry("text", text.as_str())?;
            }
            Self::Delete { n } => map.serialize_entry("n", n)?,
            Self::React { re, text } => {
                map.serialize_entry("re", re)?;
                map.serialize_entry("text", text.as_str())?;
            }
            Self::Timer(settings) => {
                map.serialize_entry("gone", &settings.gone)?;
                map.serialize_entry("marks", &settings.marks)?;
            }
            Self::File(file) => {
                map.serialize_entry("id", &to_base64(&file.id))?;
                map.serialize_entry("name", &file.name)?;
                map.serialize_entry("size", &file.size)?;
                map.serialize_entry("type", &file.media_type)?;
                map.serialize_entry("pieces", &file.pieces())?;
                map.serialize_entry("hash", &to_base64(&file.hash))?;
            }
            Self::Piece { id, index } => {
                map.serialize_entry("id", &to_base64(id))?;
                map.serialize_entry("index", index)?;
            }
            Self::Want { id, pieces } => {
                map.serialize_entry("id", &to_base64(id))?;
                map.serialize_entry("pieces", pieces)?;
            }
            Self::Typing { on } => map.serialize_entry("on", on)?,
            Self::Read { of, n } => {
                map.serialize_entry("of", &of.to_base64())?;
                map.serialize_entry("n", n)?;
            }
            Self::Void | Self::Unknown(_) => {}
            Self::Secret(new) => {
                let secret = Zeroizing::new(to_base64(new.secret.expose()));
                let members: Vec<u8> = new.members.iter().flat_map(Fingerprint::as_bytes).copied().collect();
                map.serialize_entry("epoch", &new.secret.epoch())?;
                map.serialize_entry("secret", secret.as_str())?;
                map.serialize_entry("members", &to_base64(&members))?;
                map.serialize_entry("chain", &to_base64(&new.chain))?;
                map.serialize_entry("proof", &to_base64(&new.proof))?;
            }
            Self::Succession { chain, transfer } => {
                map.serialize_entry("chain", &to_base64(chain))?;
                map.serialize_entry("transfer", transfer)?;
            }
        }
        map.end()
    }
}
