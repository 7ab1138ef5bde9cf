//! What a client warns its user of: each way in which a server or a member can be caught is a kind of its own, with a
//! sentence for people.
//!
//! No sentence blames the server for what a member can cause alone.
use std::fmt;

use super::Fingerprint;

/// The member that an alarm is about, as far as known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The id that the server uses.
    pub user_id: String,
    /// Known once the member's card has been opened.
    pub fingerprint: Option<Fingerprint>,
    /// The display name, marked if it looks like another member's.
    pub name: Option<String>,
}

impl Who {
    /// A member of which only the server's id is known.
    pub(crate) fn stranger(user_id: &str) -> Self {
        Self { user_id: user_id.to_owned(), fingerprint: None, name: None }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("someone unknown"))
    }
}

/// A reason for distrust. `Display` gives the sentence to show. Nothing is ever sealed to a user who was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// The member that it is about.
    pub who: Who,
    /// The second member, where two disagree.
    pub other: Option<Who>,
}

impl Alarm {
    /// An alarm about one member.
    pub(crate) fn new(kind: AlarmKind, who: Who) -> Self {
        Self { kind, who, other: None }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.other) {
            (AlarmKind::OwnershipImposed | AlarmKind::TreatedAsGone, _) => f.write_str(self.kind.sentence()),
            (kind, Some(other)) => write!(f, "{} and {other} {}", self.who, kind.sentence()),
            (kind, None) => write!(f, "{} {}", self.who, kind.sentence()),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:literal, $sentence:literal;)*) => {
        /// Every kind of alarm: a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AlarmKind {
            $($(#[$doc])* $kind,)*
        }

        impl AlarmKind {
            /// Every kind, in the order in which the documentation lists them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable identifier that other clients and the scripts in `tests/vectors/room` use.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$kind => $id,)*
                }
            }

            /// The rest of the sentence that begins with the member's name.
            fn sentence(self) -> &'static str {
                match self {
                    $(Self::$kind => $sentence,)*
                }
            }
        }
    };
}

kinds! {
    /// The server lists a member without a card.
    NoCard, "no-card", "is listed by the server without an identity and was refused";
    /// A card of a version that this client does not know.
    CardOfUnknownVersion, "card-of-unknown-version", "uses another version of the encryption; the older client needs an update";
    /// A card that does not open under the room secret.
    CardDoesNotOpen, "card-does-not-open", "does not know this room's secret and was refused";
    /// A card that its member did not sign for this room.
    CardForged, "card-forged", "has a forged identity and was refused";
    /// A card without an invite, of a member that is not the creator.
    NoInvite, "no-invite", "has no invite and was refused";
    /// An invite that no owner of the room signed.
    InviteForged, "invite-forged", "has an invite that no owner signed and was refused";
    /// A newcomer's invite was signed by a former owner.
    InviteOfFormerOwner, "invite-of-former-owner", "has an invite of a former owner and was refused";
    /// A newcomer's invite is of an epoch that is over.
    InviteOutdated, "invite-outdated", "has an invite from before the last change of the secret and was refused";
    /// A newcomer's invite ran out more than ten minutes ago by the owner's clock.
    InviteExpired, "invite-expired", "has an invite that has run out and was refused";
    /// A one-time invite was used a second time.
    InviteReused, "invite-reused", "came by a one-time invite that was already used and was refused";
    /// A listed member that the owner does not name as a member.
    NotInRoster, "not-in-roster", "is not among the members that the owner names and was refused";
    /// The same member is listed a second time.
    FingerprintTwice, "fingerprint-twice", "is listed twice by the server; the second was refused";
    /// A member that left is back with its old keys.
    MemberReturned, "member-returned", "had left and was brought back with old keys; refused";
    /// A member that was removed is back.
    RemovedMemberReturned, "removed-member-returned", "was removed and was brought back; refused";
    /// A member whose invite was refused is back.
    RefusedBefore, "refused-before", "was refused before and stays so";
    /// The server gave one user id to two members.
    UserIdTwice, "user-id-twice", "shares an id with another member; the server mixes up members";
    /// The server shows another identity for a member than before.
    IdentitySwapped, "identity-swapped", "is shown with another identity than before; the first one stays";
    /// A member shows two leaves of one generation.
    LeafSwapped, "leaf-swapped", "shows two different keys under one number";
    /// The server lists a member whose joining it never announced.
    Unannounced, "unannounced", "is in the server's list but never joined; refused";
    /// A message of a user that is not an accepted member.
    MessageFromStranger, "message-from-stranger", "is no member, and the server delivered a message from them";
    /// A message that is not sealed.
    MessageUnsealed, "message-unsealed", "sent something that is not encrypted; it was dropped";
    /// A message of a version that this client does not know.
    MessageOfUnknownVersion, "message-of-unknown-version", "sent something of another version; the older client needs an update";
    /// A message that does not open.
    MessageDoesNotOpen, "message-does-not-open", "sent something that does not open; it was changed on its way or badly made";
    /// A message that the member it is said to be from did not sign.
    MessageForged, "message-forged", "did not write a message that is said to be theirs";
    /// A message whose inside is not as it must be, though its author signed it.
    MessageMalformed, "message-malformed", "sent something malformed; it was dropped";
    /// A private message for another member that was passed on.
    MessageNotForMe, "message-not-for-me", "wrote a private message to somebody else that was passed on here";
    /// A message that came twice or in the wrong order.
    OutOfOrder, "out-of-order", "wrote a message that came twice or in the wrong order; it was dropped";
    /// A message with a lower number than the one before.
    CountsBackwards, "counts-backwards", "numbers their messages backwards; one was dropped";
    /// Two messages of one number.
    SaysTwoThings, "says-two-things", "said two different things under one number; the second was dropped";
    /// Another beginning of a member's numbers than it told first.
    BeginningChanged, "beginning-changed", "changes the number that their messages to you begin with";
    /// Two members name one message differently: either may lie.
    Disagree, "disagree", "disagree about what one of them said";
    /// A member takes others to be in the room than this client does.
    SeesAnotherRoom, "sees-another-room", "sees other members in the room than you do";
    /// What a member seals in the present epoch does not open.
    DifferentSecrets, "different-secrets", "and you hold different secrets: the owner gave out two, or their client is broken";
    /// A member uses a newer room secret, which has not come.
    NewerSecretInUse, "newer-secret-in-use", "uses a newer room secret than you; nobody has given it to you";
    /// A member uses a room secret that this client, as the owner, has not issued.
    SecretNeverIssued, "secret-never-issued", "uses a room secret that you never issued";
    /// A room secret that the owner did not prove.
    SecretForged, "secret-forged", "brought a room secret that the owner did not sign; it was dropped";
    /// A member claims the office of an owner that is here.
    ClaimsOffice, "claims-office", "claims to own the room, but the owner has not given it away; not believed";
    /// A member that does not own the room names an heir.
    SuccessionForged, "succession-forged", "tried to give away a room that is not theirs";
    /// The server named a new owner that has not shown that the room was handed over.
    OwnerUnproven, "owner-unproven", "is named as the owner by the server but has not proved it";
    /// The server names this client the owner, though nobody handed the room over.
    OwnershipImposed, "ownership-imposed", "The server names you the owner, but nobody handed the room to you; it changes nothing";
    /// The server treats this client, which owns the room, as gone.
    TreatedAsGone, "treated-as-gone", "The server treats you, the owner, as gone; others may be told so";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_id_and_a_sentence_of_its_own() {
        let ids: std::collections::BTreeSet<_> = AlarmKind::ALL.iter().map(|kind| kind.id()).collect();
        let sentences: std::collections::BTreeSet<_> = AlarmKind::ALL.iter().map(|kind| kind.sentence()).collect();
        assert_eq!((ids.len(), sentences.len()), (AlarmKind::ALL.len(), AlarmKind::ALL.len()));
        let who = Who { user_id: "1".into(), fingerprint: None, name: Some("bob".into()) };
        let alarm = Alarm { other: Some(Who::stranger("2")), ..Alarm::new(AlarmKind::Disagree, who.clone()) };
        assert_eq!(alarm.to_string(), "bob and someone unknown disagree about what one of them said");
        assert!(Alarm::new(AlarmKind::TreatedAsGone, who).to_string().starts_with("The server"));
    }
}
