//! The state of one membership, in groups, and the few things that every rule needs.
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{
    epochs::Epochs,
    healing::Healing,
    heard::{Confirmations, Heard},
    held::Held,
    input::Fact,
    leaves::Leaves,
    listing::Listing,
    members::MemberTable,
    output::{Command, CommandId, Ending, Event, Step},
    owner_state::{OwnerState, Wanted},
    send_queue::{Proved, SendQueue, Sent},
    views::Views,
};
use crate::sealed::{
    alarm::{Alarm, AlarmKind, Who},
    body::RoomSettings,
    certificate::Certificate,
    chain::OwnerChain,
    error::SealedError,
    fingerprint::Fingerprint,
    identity::Identity,
    leaf::Leaf,
    link::Server,
    plain::Plain,
    random::Random,
    said::SaidHash,
    secret::RoomSecret,
    view::View,
};

/// A member that spoke so lately will soon hand its chain on again, in milliseconds of connected time.
const SPEAKER_MS: u64 = 600_000;

/// What the server published about itself in `hello`, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The longest frame that the server takes, in bytes.
    pub frame_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Entering,
    Inside,
    Over,
}

/// This member.
pub(super) struct Me {
    pub(super) identity: Identity,
    pub(super) name: String,
    /// The invite by which it came; the creator has none.
    pub(super) invite: Option<Certificate>,
}

/// The room, as a link describes it.
pub(super) struct About {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) server: Server,
}

/// What only the server says.
#[derive(Default)]
pub(super) struct Claimed {
    /// The id of this membership.
    pub(super) user_id: String,
    /// The id of the owner.
    pub(super) owner_id: String,
    /// The room's version after the newest event that was handled.
    pub(super) version: u64,
}

/// What keys and signatures have proved.
pub(super) struct Trusted {
    pub(super) chain: OwnerChain,
    pub(super) epochs: Epochs,
    pub(super) members: MemberTable,
    pub(super) views: Views,
    /// What proves the present epoch.
    pub(super) proved: Option<Proved>,
    /// The room's settings, by the owner's word.
    pub(super) settings: RoomSettings,
    /// What the view held now was made of: the state of the member table, the epoch and the owner.
    viewed: Option<(u64, u32, Fingerprint)>,
}

/// The owner, as it was heard.
#[derive(Default)]
pub(super) struct OwnerHeard {
    /// When something of it last came, in connected time.
    pub(super) last: Option<u64>,
    /// How far its clock is from connected time, at least; it may be behind it.
    pub(super) ahead: Option<i64>,
    /// Whether the user was told that it is silent.
    pub(super) silent: bool,
}

/// A message that waits for what its author had seen.
pub(super) struct Early {
    pub(super) member: Fingerprint,
    pub(super) plain: Plain,
    pub(super) until: u64,
    pub(super) needs: Vec<Need>,
}

/// A message of somebody else that an author had seen.
#[derive(Clone, Copy)]
pub(super) struct Need {
    pub(super) author: Fingerprint,
    pub(super) n: u32,
    pub(super) said: SaidHash,
}

/// What cannot be judged or shown yet.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) held: Held,
    /// What was held and can be judged now.
    pub(super) replay: VecDeque<Fact>,
    pub(super) early: Vec<Early>,
    pub(super) listing: Listing,
}

/// What was said, and what the user was told of it.
#[derive(Default)]
pub(super) struct Talk {
    pub(super) heard: Heard,
    pub(super) confirmations: Confirmations,
    /// When this member confirms by a `void` what it heard.
    pub(super) confirm_due: Option<u64>,
    pub(super) confirmed_at: Option<u64>,
    pub(super) owner: OwnerHeard,
    /// Members of which the user was told in this epoch that they lack the secret.
    pub(super) behind: BTreeSet<Fingerprint>,
    /// Since when nothing of a member opens; and whether the user was told.
    pub(super) failing: BTreeMap<Fingerprint, (u64, bool)>,
}

/// This member's card at the server.
#[derive(Default)]
pub(super) struct CardState {
    pub(super) asked: bool,
    /// When it is given to the server again, after a failure.
    pub(super) due: Option<u64>,
}

/// The clocks. All waits are in connected time: milliseconds in which there was a connection and the replay was over.
pub(super) struct Clock {
    pub(super) time: u64,
    pub(super) mono: Option<u64>,
    /// Unix milliseconds by the wall.
    pub(super) wall: u64,
    pub(super) connected: bool,
    /// After a gap, until the list of members came.
    pub(super) resyncing: bool,
}

/// What the answer to a command is for.
pub(super) enum Awaited {
    /// A packet of the message under way.
    Packet(Sent),
    /// A rekey waits for this.
    Rekey(RekeyStep),
    /// The card with this leaf, of this epoch.
    Card { leaf: u32, epoch: u32 },
    /// The list of members.
    Listing,
    /// The key for an invite.
    Invite(Wanted),
    /// The room goes to this member.
    HandOver(Fingerprint),
}

/// What the server has to do before a new room secret goes out.
#[derive(Clone)]
pub(super) enum RekeyStep {
    Remove { user_id: String },
    ResetKeys,
}

/// One membership in a sealed room, without I/O. [How to drive it](super) is described with the module.
pub struct Machine {
    pub(super) phase: Phase,
    pub(super) settings: Settings,
    pub(super) random: Box<dyn Random + Send>,
    pub(super) clock: Clock,
    pub(super) me: Me,
    pub(super) room: About,
    pub(super) claimed: Claimed,
    pub(super) trusted: Trusted,
    pub(super) leaves: Leaves,
    /// How much later than usual a used leaf is changed, of 65,535.
    pub(super) leaf_spread: u16,
    pub(super) talk: Talk,
    pub(super) waiting: Waiting,
    pub(super) healing: Healing,
    pub(super) sending: SendQueue,
    pub(super) owner_state: OwnerState,
    pub(super) card: CardState,
    /// Commands without an answer, and what the answer is for. An answer that nobody waits for is not in it.
    pub(super) awaited: HashMap<CommandId, Awaited>,
    pub(super) step: Step,
    pub(super) last_id: u64,
}

impl Machine {
    /// A membership before the server has answered the request for entry.
    ///
    /// # Errors
    /// [`SealedError::Key`] if the cryptographic library fails.
    pub(super) fn new(
        me: Me,
        room: About,
        chain: OwnerChain,
        secret: RoomSecret,
        leaf: Leaf,
        settings: Settings,
        mut random: Box<dyn Random + Send>,
    ) -> Result<Self, SealedError> {
        let members = MemberTable::new(me.identity.fingerprint(), &me.name);
        Ok(Self {
            phase: Phase::Entering,
            settings,
            leaf_spread: u16::from_be_bytes(crate::sealed::random::array(&mut *random)),
            random,
            clock: Clock { time: 0, mono: None, wall: 0, connected: true, resyncing: false },
            me,
            room,
            claimed: Claimed { version: 1, ..Claimed::default() },
            trusted: Trusted {
                chain,
                epochs: Epochs::new(secret)?,
                members,
                views: Views::default(),
                proved: None,
                settings: RoomSettings::default(),
                viewed: None,
            },
            leaves: Leaves::new(leaf),
            talk: Talk::default(),
            waiting: Waiting::default(),
            healing: Healing::default(),
            sending: SendQueue::default(),
            owner_state: OwnerState::default(),
            card: CardState::default(),
            awaited: HashMap::new(),
            step: Step::default(),
            last_id: 0,
        })
    }

    /// Connected time.
    pub(super) fn time(&self) -> u64 {
        self.clock.time
    }

    /// This member's fingerprint.
    pub(super) fn myself(&self) -> Fingerprint {
        self.me.identity.fingerprint()
    }

    /// The owner by the chain.
    pub(super) fn owner_print(&self) -> Fingerprint {
        self.trusted.chain.owner().fingerprint()
    }

    /// All accepted members and oneself, in bytewise order.
    pub(super) fn everyone(&self) -> Vec<Fingerprint> {
        let mut all: Vec<_> = self.trusted.members.prints().chain([self.myself()]).collect();
        all.sort_unstable();
        all
    }

    /// Makes the view anew if the membership, the epoch or the owner has changed.
    pub(super) fn update_view(&mut self) {
        let owner = self.owner_print();
        let of = (self.trusted.members.version, self.trusted.epochs.number(), owner);
        if self.trusted.viewed != Some(of) {
            self.trusted.viewed = Some(of);
            let view = View::of(owner, self.trusted.epochs.present(), self.everyone());
            self.trusted.views.change(view, self.clock.time);
        }
    }

    /// This member, for an alarm.
    pub(super) fn who_am_i(&self) -> Who {
        Who {
            user_id: self.claimed.user_id.clone(),
            fingerprint: Some(self.myself()),
            name: Some(self.me.name.clone()),
        }
    }

    /// Raises an alarm about somebody.
    pub(super) fn alarm_about(&mut self, kind: AlarmKind, who: Who) {
        self.alarm(Alarm::new(kind, who));
    }

    /// Whether this member owns the room by the chain, and has not handed it over.
    pub(super) fn is_owner_by_chain(&self) -> bool {
        self.owner_print() == self.myself() && self.owner_state.handed_to.is_none()
    }

    /// Whether this client can invite, remove and so on.
    pub(super) fn governs(&self) -> bool {
        self.is_owner_by_chain() && !self.is_handing_over()
    }

    /// Whether messages may go out.
    pub(super) fn may_send(&self) -> bool {
        self.clock.connected && !self.clock.resyncing
    }

    /// Whether one will soon hand one's chain on again.
    pub(super) fn spoke_lately(&self) -> bool {
        self.sending.chain.is_some() && self.time() - self.sending.spoke_at < SPEAKER_MS
    }

    /// Whether the room is being handed over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.owner_state.handing.is_some() || self.sending.holds_hand_over()
    }

    /// Whether a change of the room secret is under way.
    pub(super) fn is_rekeying(&self) -> bool {
        self.owner_state.rekey.is_some() || self.sending.holds_rekey()
    }

    /// A number that no command, message or invite of this membership had before.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A command whose answer changes nothing.
    pub(super) fn command(&mut self, command: Command) -> CommandId {
        let id = CommandId(self.next_id());
        self.step.commands.push((id, command));
        id
    }

    /// A command whose answer is for something.
    pub(super) fn ask(&mut self, command: Command, awaited: Awaited) {
        let id = self.command(command);
        self.awaited.insert(id, awaited);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.step.events.push(event);
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.event(Event::Alarm(alarm));
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.phase = Phase::Over;
        self.waiting.replay.clear();
        self.awaited.clear();
        self.sending = SendQueue::default();
        self.event(Event::Ended(ending));
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("me", &self.me.identity.fingerprint()).finish_non_exhaustive()
    }
}
