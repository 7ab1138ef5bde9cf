//! The invite link: everything that a newcomer needs, behind the `#` that no browser sends to a server.
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{
    Certificate, OwnerChain, RoomSecret, SealedError, VerifyingKey,
    encoding::{VERSION, from_base64, length_prefixed, split_length_prefixed, to_base64},
    name::check_room_name,
};
use crate::protocol::{authority::Authority, pin::Pin};

/// The longest link that is looked at, in bytes.
pub const MAX_LINK_BYTES: usize = 64 * 1024;
const MAX_ID_BYTES: usize = 64;

/// Where a server is and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its host and port.
    pub authority: Authority,
    /// Its pin, where its certificate is not publicly trusted.
    pub pin: Option<Pin>,
}

/// An invite link, opened and checked: its chain leads from `root` to the owner who signed its certificate.
pub struct Link {
    /// The server.
    pub server: Server,
    /// The room's id on it.
    pub room_id: String,
    /// The relay's join key, of the kind that the certificate names.
    pub join_key: SecretString,
    /// The room secret, with its epoch.
    pub secret: RoomSecret,
    /// The room's name, which the server does not know; may be empty.
    pub room_name: String,
    /// The invite.
    pub certificate: Certificate,
    /// The owners up to the one who invites.
    pub chain: OwnerChain,
}

impl std::str::FromStr for Link {
    type Err = SealedError;

    /// As [`Link::parse`].
    fn from_str(url: &str) -> Result<Self, SealedError> {
        Self::parse(url)
    }
}

impl Link {
    /// The room's root, the creator's key.
    pub fn root(&self) -> &VerifyingKey {
        self.chain.root()
    }

    /// Writes `https://HOST:PORT/#BASE64`. It holds the room's secret: show it only to the guest.
    pub fn to_url(&self) -> SecretString {
        let secret = Zeroizing::new([&self.secret.epoch().to_be_bytes()[..], self.secret.expose()].concat());
        let parts = length_prefixed(&[
            self.room_id.as_bytes(),
            self.join_key.expose_secret().as_bytes(),
            &secret,
            self.root().as_bytes(),
            &self.certificate.to_bytes(),
            self.room_name.as_bytes(),
            self.server.pin.as_ref().map_or(&[][..], |pin| pin.as_bytes()),
            &self.chain.to_bytes(),
        ]);
        let fragment = Zeroizing::new(to_base64(&Zeroizing::new([&[VERSION][..], &parts].concat())));
        SecretString::from(format!("https://{}/#{}", self.server.authority, *fragment))
    }

    /// Reads a link and checks what it says about itself. Spends nothing.
    ///
    /// In this order: the URL, base64, version, parts and their lengths, names and ids, the chain, the certificate.
    ///
    /// # Errors
    /// [`SealedError::Link`], [`Base64`](SealedError::Base64), [`Version`](SealedError::Version),
    /// [`Length`](SealedError::Length), [`Field`](SealedError::Field), [`Name`](SealedError::Name),
    /// [`Kind`](SealedError::Kind), [`Key`](SealedError::Key), [`Chain`](SealedError::Chain) or
    /// [`Certificate`](SealedError::Certificate).
    pub fn parse(url: &str) -> Result<Self, SealedError> {
        let url = url.trim();
        if url.len() > MAX_LINK_BYTES {
            return Err(SealedError::Link);
        }
        let (authority, fragment) =
            url.strip_prefix("https://").and_then(|rest| rest.split_once("/#")).ok_or(SealedError::Link)?;
        let authority = authority.parse().map_err(|_| SealedError::Link)?;
        let bytes = Zeroizing::new(from_base64(fragment)?);
        let parts = match bytes.split_first() {
            None => return Err(SealedError::Length),
            Some((&VERSION, parts)) => parts,
            Some(_) => return Err(SealedError::Version),
        };
        let [room_id, join_key, secret, root, certificate, room_name, pin, chain] = split_length_prefixed(parts)?;
        let (epoch, secret) = secret.split_first_chunk().ok_or(SealedError::Length)?;
        let secret = RoomSecret::from_slice(u32::from_be_bytes(*epoch), secret)?;
        let root = VerifyingKey::from_bytes(root.try_into().map_err(|_| SealedError::Length)?)?;
        let certificate = Certificate::from_bytes(certificate)?;
        let pin = if pin.is_empty() { None } else { Some(Pin::new(pin.try_into().map_err(|_| SealedError::Length)?)) };
        let (room_id, join_key) = (id(room_id)?, id(join_key)?);
        let room_name = std::str::from_utf8(room_name).map_err(|_| SealedError::Name)?;
        check_room_name(room_name)?;
        let chain = OwnerChain::from_bytes(root, chain)?;
        if certificate.epoch != secret.epoch()
            || usize::from(certificate.links) != chain.links().len()
            || certificate.verify(&chain).is_err()
        {
            return Err(SealedError::Certificate);
        }
        Ok(Self {
            server: Server { authority, pin },
            room_id: room_id.to_owned(),
            join_key: SecretString::from(join_key),
            secret,
            room_name: room_name.to_owned(),
            certificate,
            chain,
        })
    }
}

/// Only where it leads; a link in a log would be an open door.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Ids and keys of the relay: 1 to 64 characters of the URL-safe alphabet.
fn id(bytes: &[u8]) -> Result<&str, SealedError> {
    let fits = (1..=MAX_ID_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits { std::str::from_utf8(bytes).map_err(|_| SealedError::Field) } else { Err(SealedError::Field) }
}
