//! What a member says, before it is signed and sealed: the JSON inside a message.
use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Fingerprint, RoomSecret, SealedError, View,
    encoding::to_base64,
    json::{Json, MAX_INTEGER, Object},
    view::VIEW_BYTES,
};

/// One message's content: `{n, at, type, body, view, to?}`.
#[derive(Debug)]
pub struct Plain {
    /// Counts the sender's messages in this direction, from 1.
    pub n: u64,
    /// When the sender says that it was written, in unix milliseconds.
    pub at: u64,
    /// The type and what belongs to it.
    pub body: Body,
    /// Whom the sender takes to be in the room.
    pub view: View,
    /// The only recipient, in a private message.
    pub to: Option<Fingerprint>,
}

/// The types of messages.
pub enum Body {
    /// `text`: something for people to read.
    Text(Zeroizing<String>),
    /// `secret`: the owner's rekey.
    Secret(NewSecret),
    /// `succession`: the present owner names the recipient its heir.
    Succession {
        /// The chain of owners with the recipient at its end, as bytes.
        chain: Vec<u8>,
        /// Whether the room goes to an heir when its owner leaves, so that a new owner needs heirs in turn.
        transfer: bool,
    },
    /// `void`: takes the number of a message that could not be sent.
    Void,
    /// A type that this client does not know; its name, cut to 32 characters.
    Unknown(String),
}

/// The body of a `secret` message.
#[derive(Debug)]
pub struct NewSecret {
    /// The next room secret, with the next epoch.
    pub secret: RoomSecret,
    /// Members who are out of the room from here on.
    pub removed: Vec<Fingerprint>,
    /// The chain of owners to the sender, as bytes.
    pub chain: Vec<u8>,
}

/// Without what is said.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Secret(_) => "Secret",
            Self::Succession { .. } => "Succession",
            Self::Void => "Void",
            Self::Unknown(_) => "Unknown",
        })
    }
}

#[derive(Serialize)]
struct Written<'a> {
    n: u64,
    at: u64,
    r#type: &'a str,
    body: WrittenBody<'a>,
    view: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenBody<'a> {
    Text(&'a str),
    Secret { epoch: u32, secret: &'a str, removed: Vec<String>, chain: String },
    Succession { chain: String, transfer: bool },
}

impl Plain {
    /// Writes the JSON that is signed. The buffer is wiped when dropped.
    ///
    /// # Errors
    /// [`SealedError::Field`] for a number beyond 2⁵³−1 or a body of unknown type, which nobody can write.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        if self.n == 0 || self.n > MAX_INTEGER || self.at > MAX_INTEGER {
            return Err(SealedError::Field);
        }
        let secret;
        let (kind, body) = match &self.body {
            Body::Text(text) => ("text", WrittenBody::Text(text)),
            Body::Secret(new) => {
                secret = Zeroizing::new(to_base64(new.secret.expose()));
                let body = WrittenBody::Secret {
                    epoch: new.secret.epoch(),
                    secret: &secret,
                    removed: new.removed.iter().map(|member| member.to_base64()).collect(),
                    chain: to_base64(&new.chain),
                };
                ("secret", body)
            }
            Body::Succession { chain, transfer } => {
                ("succession", WrittenBody::Succession { chain: to_base64(chain), transfer: *transfer })
            }
            Body::Void => ("void", WrittenBody::Text("")),
            Body::Unknown(_) => return Err(SealedError::Field),
        };
        let written = Written {
            n: self.n,
            at: self.at,
            r#type: kind,
            body,
            view: self.view.to_base64(),
            to: self.to.map(Fingerprint::to_base64),
        };
        let mut out = Zeroizing::new(Vec::with_capacity(512 + self.body.size_hint()));
        serde_json::to_writer(&mut *out, &written).map_err(|_| SealedError::Json)?;
        Ok(out)
    }

    /// Reads what a member signed.
    ///
    /// In this order: JSON, `n`, `at`, `view`, `to`, `type`, `body`. Unknown fields are ignored; the body of an unknown type too.
    ///
    /// # Errors
    /// [`SealedError::Json`] or [`SealedError::Field`].
    pub fn parse(json: &[u8]) -> Result<Self, SealedError> {
        let object = Object::parse(json)?;
        let n = object.field("n")?.integer(MAX_INTEGER)?;
        if n == 0 {
            return Err(SealedError::Field);
        }
        Ok(Self {
            n,
            at: object.field("at")?.integer(MAX_INTEGER)?,
            view: View::from_bytes(object.field("view")?.array::<VIEW_BYTES>()?),
            to: object.get("to").map(Json::array).transpose()?.map(Fingerprint::from_bytes),
            body: Body::parse(object.field("type")?.text()?, object.get("body"))?,
        })
    }

    /// Checks that a private message is for `me`; a room message is for everyone.
    ///
    /// # Errors
    /// [`SealedError::NotForMe`].
    pub fn check_recipient(&self, me: Fingerprint) -> Result<(), SealedError> {
        if self.to.is_none_or(|to| to == me) { Ok(()) } else { Err(SealedError::NotForMe) }
    }
}

impl Body {
    fn parse(kind: &str, body: Option<&Json>) -> Result<Self, SealedError> {
        let body = || body.ok_or(SealedError::Field);
        Ok(match kind {
            "text" => Self::Text(Zeroizing::new(body()?.text()?.to_owned())),
            "secret" => Self::Secret(NewSecret::parse(body()?.object()?)?),
            "succession" => {
                let body = body()?.object()?;
                let transfer = match body.get("transfer") {
                    None => false,
                    Some(Json::Bool(transfer)) => *transfer,
                    Some(_) => return Err(SealedError::Field),
                };
                Self::Succession { chain: body.field("chain")?.bytes()?.to_vec(), transfer }
            }
            "void" => Self::Void,
            unknown => Self::Unknown(unknown.chars().filter(|c| c.is_ascii_graphic()).take(32).collect()),
        })
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + text.len() / 8,
            Self::Secret(new) => new.removed.len() * 46 + new.chain.len() * 4 / 3,
            Self::Succession { chain, .. } => chain.len() * 4 / 3,
            Self::Void | Self::Unknown(_) => 0,
        }
    }
}

impl NewSecret {
    fn parse(body: &Object) -> Result<Self, SealedError> {
        let epoch = body.field("epoch")?.integer(u64::from(u32::MAX))?;
        let secret = body.field("secret")?.bytes()?;
        let removed = body.field("removed")?.list()?.iter();
        Ok(Self {
            secret: RoomSecret::from_slice(u32::try_from(epoch).map_err(|_| SealedError::Field)?, &secret)
                .map_err(|_| SealedError::Field)?,
            removed: removed.map(|member| member.array().map(Fingerprint::from_bytes)).collect::<Result<_, _>>()?,
            chain: body.field("chain")?.bytes()?.to_vec(),
        })
    }
}
