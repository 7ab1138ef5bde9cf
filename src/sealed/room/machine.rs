//! The state of one membership, in groups, and the few things that every rule needs.
use std::collections::{HashMap, VecDeque};

use super::{
    epochs::Epochs,
    held::Held,
    input::Fact,
    listing::Listing,
    members::MemberTable,
    output::{Command, CommandId, Ending, Event, Step},
    owner_state::{OwnerState, Wanted},
    send_queue::SendQueue,
    views::Views,
};
use crate::sealed::{
    alarm::Alarm, certificate::Certificate, chain::OwnerChain, fingerprint::Fingerprint, identity::Identity,
    link::Server, random::Random, secret::RoomSecret, view::View,
};

/// What the server published about itself in `hello`, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a dropped member may take to return, in milliseconds.
    pub resume_window_ms: u64,
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
}

/// What keys and signatures have proved.
pub(super) struct Trusted {
    pub(super) chain: OwnerChain,
    pub(super) epochs: Epochs,
    pub(super) members: MemberTable,
    pub(super) views: Views,
}

/// What cannot be judged yet.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) held: Held,
    /// What was held and can be judged now.
    pub(super) replay: VecDeque<Fact>,
    pub(super) listing: Listing,
}

/// What the answer to a command is for.
pub(super) enum Awaited {
    /// A packet of the message under way went to these members.
    Packet(Vec<(String, Fingerprint)>),
    /// A rekey waits for this.
    Rekey(RekeyStep),
    /// The card of this epoch.
    Card { epoch: u32 },
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
    pub(super) me: Me,
    pub(super) room: About,
    pub(super) claimed: Claimed,
    pub(super) trusted: Trusted,
    pub(super) waiting: Waiting,
    pub(super) sending: SendQueue,
    pub(super) owner_state: OwnerState,
    /// When this member's card is given to the server again, after a failure.
    pub(super) card_due: Option<u64>,
    /// Commands without an answer, and what the answer is for. An answer that nobody waits for is not in it.
    pub(super) awaited: HashMap<CommandId, Awaited>,
    pub(super) step: Step,
    pub(super) last_id: u64,
}

impl Machine {
    /// A membership before the server has answered the request for entry.
    pub(super) fn new(
        me: Me,
        room: About,
        chain: OwnerChain,
        secret: RoomSecret,
        settings: Settings,
        random: Box<dyn Random + Send>,
    ) -> Self {
        let view = View::of(chain.owner().fingerprint(), [me.identity.fingerprint()]);
        Self {
            phase: Phase::Entering,
            settings,
            random,
            me,
            room,
            claimed: Claimed::default(),
            trusted: Trusted {
                chain,
                epochs: Epochs::new(secret),
                members: MemberTable::default(),
                views: Views::new(view),
            },
            waiting: Waiting::default(),
            sending: SendQueue::default(),
            owner_state: OwnerState::default(),
            card_due: None,
            awaited: HashMap::new(),
            step: Step::default(),
            last_id: 0,
        }
    }

    /// Who is in the room, by what this client has accepted.
    pub(super) fn view(&self) -> View {
        let others = self.trusted.members.iter().map(|member| member.fingerprint);
        View::of(self.trusted.chain.owner().fingerprint(), others.chain([self.me.identity.fingerprint()]))
    }

    /// Whether this client owns the room, by the chain and by the server's word.
    pub(super) fn governs(&self) -> bool {
        self.trusted.chain.owner() == self.me.identity.verifying_key() && self.claimed.owner_id == self.claimed.user_id
    }

    /// Whether the room is being handed over.
    pub(super) fn is_handing_over(&self) -> bool {
        self.awaits(|awaited| matches!(awaited, Awaited::HandOver(_))) || self.sending.is_handing_over()
    }

    /// Whether a change of the room secret is under way.
    pub(super) fn is_rekeying(&self) -> bool {
        self.owner_state.rekey.is_some() || self.sending.rekey_is_queued()
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

    /// Whether an answer of this kind is awaited.
    pub(super) fn awaits(&self, kind: impl Fn(&Awaited) -> bool) -> bool {
        self.awaited.values().any(kind)
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
