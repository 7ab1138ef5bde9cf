//! The invite certificate: the owner's word that its bearer was invited.
use zeroize::Zeroizing;

use super::{
    Identity, OwnerChain, SealedError, chain::MAX_LINKS, encoding::length_prefixed, identity::SIGNATURE_BYTES,
};

/// Bytes of a certificate.
pub const CERTIFICATE_BYTES: usize = SIGNED_BYTES + SIGNATURE_BYTES;
const SIGNED_BYTES: usize = 30;
const LABEL: &[u8] = b"subrosa v2 invite";

/// How often an invite may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InviteKind {
    /// By one member, once.
    OneTime,
    /// By anyone who has it, until the room's secret changes.
    Forever,
}

impl InviteKind {
    fn to_byte(self) -> u8 {
        match self {
            Self::OneTime => 1,
            Self::Forever => 2,
        }
    }
}

/// `epoch(4) ‖ id(16) ‖ kind(1) ‖ expiry(8) ‖ links(1) ‖ signature(64)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The epoch in which it was made.
    pub epoch: u32,
    /// Names this invite; a one-time id is spent by its first user.
    pub id: [u8; 16],
    /// How often it may be used.
    pub kind: InviteKind,
    /// When it runs out, in unix seconds by the owner's clock; 0 for never.
    pub expiry: u64,
    /// How many links the chain of owners had, whose last owner signed.
    pub links: u8,
    signature: [u8; SIGNATURE_BYTES],
}

impl Certificate {
    /// Makes one, signed by the last owner of the chain.
    ///
    /// # Errors
    /// [`SealedError::Chain`] if `owner` is not the present one, [`SealedError::Key`] if signing fails.
    pub fn issue(
        owner: &Identity,
        chain: &OwnerChain,
        epoch: u32,
        id: [u8; 16],
        kind: InviteKind,
        expiry: u64,
    ) -> Result<Self, SealedError> {
        if owner.verifying_key() != chain.owner() {
            return Err(SealedError::Chain);
        }
        let links = u8::try_from(chain.links().len()).map_err(|_| SealedError::Chain)?;
        let mut certificate = Self { epoch, id, kind, expiry, links, signature: [0; SIGNATURE_BYTES] };
        certificate.signature = owner.sign(&certificate.statement(chain))?;
        Ok(certificate)
    }

    /// Checks that the owner after its number of links signed it, for this room and history.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn verify(&self, chain: &OwnerChain) -> Result<(), SealedError> {
        let owner = chain.owner_after(self.links.into()).ok_or(SealedError::Signature)?;
        owner.verify(&self.statement(chain), &self.signature)
    }

    fn statement(&self, chain: &OwnerChain) -> Zeroizing<Vec<u8>> {
        let history = chain.hash_of(self.links.into());
        length_prefixed(&[LABEL, chain.root().as_bytes(), &history, &self.head()])
    }

    /// Its 94 bytes.
    pub fn to_bytes(&self) -> [u8; CERTIFICATE_BYTES] {
        let mut out = [0; CERTIFICATE_BYTES];
        out[..SIGNED_BYTES].copy_from_slice(&self.head());
        out[SIGNED_BYTES..].copy_from_slice(&self.signature);
        out
    }

    /// Reads one; the signature is for [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`SealedError::Length`] for other than 94 bytes, [`SealedError::Kind`] for an unknown kind,
    /// [`SealedError::Field`] for more links than a chain can have.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let bytes: &[u8; CERTIFICATE_BYTES] = bytes.try_into().map_err(|_| SealedError::Length)?;
        let (epoch, rest) = bytes.split_first_chunk().ok_or(SealedError::Length)?;
        let (id, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let ([kind], rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let (expiry, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let (&[links], signature) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let kind = match kind {
            1 => InviteKind::OneTime,
            2 => InviteKind::Forever,
            _ => return Err(SealedError::Kind),
        };
        if usize::from(links) > MAX_LINKS {
            return Err(SealedError::Field);
        }
        Ok(Self {
            epoch: u32::from_be_bytes(*epoch),
            id: *id,
            kind,
            expiry: u64::from_be_bytes(*expiry),
            links,
            signature: signature.try_into().map_err(|_| SealedError::Length)?,
        })
    }

    fn head(&self) -> [u8; SIGNED_BYTES] {
        let mut out = [0; SIGNED_BYTES];
        out[..4].copy_from_slice(&self.epoch.to_be_bytes());
        out[4..20].copy_from_slice(&self.id);
        out[20] = self.kind.to_byte();
        out[21..29].copy_from_slice(&self.expiry.to_be_bytes());
        out[29] = self.links;
        out
    }
}

/// Without id and signature, which tell one invite from another.
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}
