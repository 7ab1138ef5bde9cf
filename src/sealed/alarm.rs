//! What a client warns its user of: each way in which a relay or a member can be caught is a case of its own, with a sentence for people.
use std::fmt;

use super::{Fingerprint, SealedError};

/// Whom an alarm is about, as far as known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The id that the relay uses.
    pub user_id: String,
    /// Known once the member's card has been opened.
    pub fingerprint: Option<Fingerprint>,
    /// The display name, marked if another member has the same.
    pub name: Option<String>,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("someone unknown"))
    }
}

/// A reason for distrust. `Display` gives the sentence to show. Nothing is ever sealed to whoever was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// The relay lists a member without a card.
    NoCard(Who),
    /// The relay lists a member with a public key that is none.
    BadPublicKey(Who),
    /// A card of a version that this client does not know.
    CardOfUnknownVersion(Who),
    /// A card that does not open under the room secret, or not with this public key.
    CardDoesNotOpen(Who),
    /// A card that its member did not sign for this room, or with nonsense in it.
    CardForged(Who),
    /// A newcomer's card is of an epoch that is over.
    CardOutdated(Who),
    /// A card without an invite, from someone other than the creator.
    NoInvite(Who),
    /// An invite that no owner of the room signed.
    InviteForged(Who),
    /// A newcomer's invite was signed by someone who no longer owns the room.
    InviteOfFormerOwner(Who),
    /// A newcomer's invite is of an epoch that is over.
    InviteOutdated(Who),
    /// A newcomer's invite ran out more than ten minutes ago.
    InviteExpired(Who),
    /// A one-time invite was used a second time.
    InviteReused(Who),
    /// The same member is listed a second time.
    FingerprintTwice(Who),
    /// A member who left is back with its old keys.
    MemberReturned(Who),
    /// A member who was removed is back.
    RemovedMemberReturned(Who),
    /// Someone whose invite was refused is back.
    RefusedBefore(Who),
    /// The relay gave one user id to two members.
    UserIdTwice(Who),
    /// The relay shows another public key for a member than before.
    KeySwapped(Who),
    /// The relay shows another card for a member than before.
    CardSwapped(Who),
    /// The relay lists a member whose joining it never announced.
    Unannounced(Who),
    /// A message from someone who is not an accepted member.
    MessageFromStranger(Who),
    /// A message that is not sealed.
    MessageUnsealed(Who),
    /// A message of a version that this client does not know.
    MessageOfUnknownVersion(Who),
    /// A message that does not open.
    MessageDoesNotOpen(Who, SealedError),
    /// A message of an epoch that is over.
    MessageOutdated(Who),
    /// A message that the member it is said to be from did not sign.
    MessageForged(Who),
    /// A message whose inside is not as it must be, though its author signed it.
    MessageMalformed(Who, SealedError),
    /// A private message to somebody else that was passed on.
    MessageNotForMe(Who),
    /// A message that was shown before.
    Replayed(Who),
    /// Messages that were sent but did not arrive.
    MessagesMissing {
        /// Whose messages.
        from: Who,
        /// How many.
        count: u64,
        /// Whether they were private ones.
        private: bool,
    },
    /// A member takes others to be in the room than this client does.
    SeesAnotherRoom(Who),
    /// Several members do: the relay shows different rooms.
    RelayShowsDifferentRooms,
    /// A member uses the next room secret, which has not come: it may be withheld, or there is none.
    NewerSecretInUse(Who),
    /// A member uses a room secret that is more than one ahead.
    SecretTooNew(Who),
    /// A member uses a room secret that this client, as the owner, has not issued.
    SecretNeverIssued(Who),
    /// A rekey by someone who does not own the room.
    RekeyByStranger(Who),
    /// A rekey that does not follow the present epoch.
    RekeyOutOfTurn(Who),
    /// Someone who does not own the room, or a chain that does not hold, names an heir.
    SuccessionForged(Who),
    /// The relay named a new owner who has not shown that the room was handed over.
    OwnerUnproven(Who),
    /// The relay names this client the owner, but the owner before did not hand the room over.
    OwnershipImposed,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, what) = match self {
            Self::NoCard(who) => (who, "is listed by the relay without an identity and was refused"),
            Self::BadPublicKey(who) => (who, "is listed by the relay with an unusable key and was refused"),
            Self::CardOfUnknownVersion(who) => (who, "uses a newer version; this client needs an update to see them"),
            Self::CardDoesNotOpen(who) => (who, "does not know this room's secret and was refused: an intruder"),
            Self::CardForged(who) => (who, "has a forged identity and was refused"),
            Self::CardOutdated(who) => (who, "came in with an old room secret and was refused"),
            Self::NoInvite(who) => (who, "has no invite and was refused"),
            Self::InviteForged(who) => (who, "has an invite that no owner signed and was refused"),
            Self::InviteOfFormerOwner(who) => (who, "has an invite of a former owner and was refused"),
            Self::InviteOutdated(who) => (who, "has an invite from before the last rekey and was refused"),
            Self::InviteExpired(who) => (who, "has an invite that has run out and was refused"),
            Self::InviteReused(who) => (who, "came by a one-time invite that was already used and was refused"),
            Self::FingerprintTwice(who) => (who, "is listed twice by the relay; the second was refused"),
            Self::MemberReturned(who) => (who, "had left and was brought back with old keys; refused"),
            Self::RemovedMemberReturned(who) => (who, "was removed and was brought back; refused"),
            Self::RefusedBefore(who) => (who, "was refused before and stays so"),
            Self::UserIdTwice(who) => (who, "shares an id with another member; the relay mixes up members"),
            Self::KeySwapped(who) => (who, "is shown with another key than before: the relay swapped it"),
            Self::CardSwapped(who) => (who, "is shown with another identity than before: the relay swapped it"),
            Self::Unannounced(who) => (who, "is in the relay's list but never joined; refused"),
            Self::MessageFromStranger(who) => (who, "is no member, and the relay delivered a message from them"),
            Self::MessageUnsealed(who) => (who, "sent something that is not encrypted; it was dropped"),
            Self::MessageOfUnknownVersion(who) => {
                (who, "sent something of a newer version; this client needs an update")
            }
            Self::MessageDoesNotOpen(who, _) => (who, "sent something that does not open; it was changed on its way"),
            Self::MessageOutdated(who) => (who, "sent something under an old room secret; it was dropped"),
            Self::MessageForged(who) => (who, "did not write a message that the relay says is theirs"),
            Self::MessageMalformed(who, _) => (who, "sent something malformed; it was dropped"),
            Self::MessageNotForMe(who) => (who, "wrote a private message to somebody else that was passed on here"),
            Self::Replayed(who) => (who, "wrote a message that was delivered a second time; it was dropped"),
            Self::MessagesMissing { from, count, private } => {
                let kind = if *private { "private " } else { "" };
                let plural = if *count == 1 { "" } else { "s" };
                return write!(f, "{count} {kind}message{plural} missing from {from}");
            }
            Self::SeesAnotherRoom(who) => (who, "sees another room than you do"),
            Self::RelayShowsDifferentRooms => {
                return f.write_str("the relay shows different members different rooms");
            }
            Self::NewerSecretInUse(who) => {
                (who, "uses a newer room secret than yours; if messages stay unreadable, ask for a new invite")
            }
            Self::SecretTooNew(who) => {
                (who, "uses a far newer room secret and was ignored; if messages stay unreadable, ask for a new invite")
            }
            Self::SecretNeverIssued(who) => (who, "uses a room secret that you never issued and was ignored"),
            Self::RekeyByStranger(who) => (who, "tried to change the room secret without owning the room"),
            Self::RekeyOutOfTurn(who) => (who, "sent a room secret that does not follow the present one"),
            Self::SuccessionForged(who) => (who, "tried to name an heir without the right to"),
            Self::OwnerUnproven(who) => (who, "was named owner by the relay but shows no proof; not accepted as owner"),
            Self::OwnershipImposed => {
                return f.write_str("the relay names you the owner, but nobody handed the room over to you");
            }
        };
        write!(f, "{who} {what}")
    }
}
