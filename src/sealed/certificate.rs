//! The invite certificate: the owner's word that whoever shows it was invited.
use super::{Identity, SealedError, VerifyingKey, encoding::length_prefixed, identity::SIGNATURE_BYTES};

/// Bytes of a certificate.
pub const CERTIFICATE_BYTES: usize = SIGNED_BYTES + SIGNATURE_BYTES;
const SIGNED_BYTES: usize = 29;
const LABEL: &[u8] = b"subrosa v1 invite";

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

/// `epoch(4) ‖ id(16) ‖ kind(1) ‖ expiry(8) ‖ signature(64)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The epoch in which it was made.
    pub epoch: u32,
    /// Names this invite; a one-time id is spent by its first user.
    pub id: [u8; 16],
    /// How often it may be used.
    pub kind: InviteKind,
    /// When it runs out, in unix seconds; 0 for never.
    pub expiry: u64,
    signature: [u8; SIGNATURE_BYTES],
}

impl Certificate {
    /// Makes one, signed by the room's present owner.
    ///
    /// # Errors
    /// [`SealedError::Key`] if signing fails.
    pub fn issue(
        owner: &Identity,
        root: &VerifyingKey,
        epoch: u32,
        id: [u8; 16],
        kind: InviteKind,
        expiry: u64,
    ) -> Result<Self, SealedError> {
        let mut certificate = Self { epoch, id, kind, expiry, signature: [0; SIGNATURE_BYTES] };
        certificate.signature = owner.sign(&length_prefixed(&[LABEL, root.as_bytes(), &certificate.head()]))?;
        Ok(certificate)
    }

    /// Checks that `owner` signed it for the room `root`.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn verify(&self, root: &VerifyingKey, owner: &VerifyingKey) -> Result<(), SealedError> {
        owner.verify(&length_prefixed(&[LABEL, root.as_bytes(), &self.head()]), &self.signature)
    }

    /// Its 93 bytes.
    pub fn to_bytes(&self) -> [u8; CERTIFICATE_BYTES] {
        let mut out = [0; CERTIFICATE_BYTES];
        out[..SIGNED_BYTES].copy_from_slice(&self.head());
        out[SIGNED_BYTES..].copy_from_slice(&self.signature);
        out
    }

    /// Reads one; the signature is for [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`SealedError::Length`] for other than 93 bytes, [`SealedError::Kind`] for an unknown kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let bytes: &[u8; CERTIFICATE_BYTES] = bytes.try_into().map_err(|_| SealedError::Length)?;
        let [e0, e1, e2, e3, rest @ ..] = bytes;
        let (id, rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let ([kind], rest) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let (expiry, signature) = rest.split_first_chunk().ok_or(SealedError::Length)?;
        let kind = match kind {
            1 => InviteKind::OneTime,
            2 => InviteKind::Forever,
            _ => return Err(SealedError::Kind),
        };
        Ok(Self {
            epoch: u32::from_be_bytes([*e0, *e1, *e2, *e3]),
            id: *id,
            kind,
            expiry: u64::from_be_bytes(*expiry),
            signature: signature.try_into().map_err(|_| SealedError::Length)?,
        })
    }

    fn head(&self) -> [u8; SIGNED_BYTES] {
        let mut out = [0; SIGNED_BYTES];
        out[..4].copy_from_slice(&self.epoch.to_be_bytes());
        out[4..20].copy_from_slice(&self.id);
        out[20] = self.kind.to_byte();
        out[21..].copy_from_slice(&self.expiry.to_be_bytes());
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
