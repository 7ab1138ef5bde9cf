//! Why a sealed object was refused: one closed list, with identifiers that every client and the test vectors share.

/// The reason why a sealed object was refused. None of them repeats anything of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealedError {
    /// Not URL-safe base64 without padding (RFC 4648, section 5), or with stray bits at its end.
    #[error("not base64 of the right kind")]
    Base64,
    /// The first byte is not a version that this client knows.
    #[error("made by another version of the end-to-end scheme; the older side needs an update")]
    Version,
    /// Too short, too long, or with bytes left over.
    #[error("of the wrong length")]
    Length,
    /// Sealed in another epoch than the room secret at hand.
    #[error("sealed under another room secret")]
    Epoch,
    /// The chain key or message key was not sealed to this leaf, by this sender, in this epoch.
    #[error("not sealed to this member")]
    Hand,
    /// The authenticated encryption does not open: another room secret, or something was changed.
    #[error("does not open under this room's secret")]
    DoesNotOpen,
    /// The padding is not 0x80 and zeros up to a bucket.
    #[error("badly padded")]
    Padding,
    /// The signature does not hold.
    #[error("not signed by its author")]
    Signature,
    /// Not strict JSON: not UTF-8, a name twice, a lone surrogate, or not JSON.
    #[error("not well-formed JSON")]
    Json,
    /// A field is missing, of the wrong type, or out of its range.
    #[error("a field is missing or out of range")]
    Field,
    /// A name is empty, too long, not NFC, or has characters that cannot be seen or that move others.
    #[error("the name is not allowed")]
    Name,
    /// A certificate, an owner link, a message or its content of a kind that does not exist.
    #[error("of an unknown kind")]
    Kind,
    /// An owner chain that does not lead on from the root.
    #[error("the chain of owners does not hold")]
    Chain,
    /// A private message that is meant for another member.
    #[error("meant for another member")]
    NotForMe,
    /// Not a link of the form `https://HOST:PORT/#…`.
    #[error("not an invite link")]
    Link,
    /// The invite in a link is not signed by the room's owner, or is of another epoch than the link.
    #[error("the invite is not the owner's")]
    Certificate,
    /// A key that cannot be used, such as an Ed25519 key of small order, or an operation that the cryptographic library
    /// refused.
    #[error("the key cannot be used")]
    Key,
}

impl SealedError {
    /// Every reason, in the order in which the documentation lists them.
    pub const ALL: [Self; 17] = [
        Self::Base64,
        Self::Version,
        Self::Length,
        Self::Epoch,
        Self::Hand,
        Self::DoesNotOpen,
        Self::Padding,
        Self::Signature,
        Self::Json,
        Self::Field,
        Self::Name,
        Self::Kind,
        Self::Chain,
        Self::NotForMe,
        Self::Link,
        Self::Certificate,
        Self::Key,
    ];

    /// The stable identifier that the test vectors and other clients use.
    pub fn id(self) -> &'static str {
        match self {
            Self::Base64 => "bad-base64",
            Self::Version => "unknown-version",
            Self::Length => "bad-length",
            Self::Epoch => "wrong-epoch",
            Self::Hand => "hand-does-not-open",
            Self::DoesNotOpen => "does-not-open",
            Self::Padding => "bad-padding",
            Self::Signature => "bad-signature",
            Self::Json => "bad-json",
            Self::Field => "bad-field",
            Self::Name => "bad-name",
            Self::Kind => "bad-kind",
            Self::Chain => "bad-chain",
            Self::NotForMe => "not-for-me",
            Self::Link => "bad-link",
            Self::Certificate => "bad-certificate",
            Self::Key => "bad-key",
        }
    }
}
