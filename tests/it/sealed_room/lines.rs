//! Events and commands as lines of text, in which members go by the names that tests use. tests/vectors/README.md describes the form.
use subrosa::sealed::{
    Fingerprint, InviteKind,
    chain::Right,
    room::{Command, Ending, Event, Fit, LeaveReason, NotSent, Place, Referred},
};

use super::world::World;

fn names(world: &World, members: &[Fingerprint]) -> String {
    let mut names: Vec<_> = members.iter().map(|member| world.id_of(member)).collect();
    names.sort();
    names.join(", ")
}

fn fit(fit: Fit) -> &'static str {
    match fit {
        Fit::Same => "same",
        Fit::Unknown => "unknown",
        Fit::Differs => "differs",
    }
}

fn referred(world: &World, re: &Referred) -> String {
    format!("{} {} {}", world.id_of(&re.of), re.n, fit(re.fit))
}

fn private(private: bool) -> &'static str {
    if private { " (private)" } else { "" }
}

/// An event; none for invites.
pub(crate) fn event(world: &World, event: &Event) -> Option<String> {
    let id = |member: &Fingerprint| world.id_of(member);
    let who = |place: &Place| format!("{}{}", world.id_of(&place.from), private(place.private));
    Some(match event {
        Event::Entered => "entered".into(),
        Event::MemberJoined { member, live, .. } => {
            format!("joined {}{}", id(member), if *live { "" } else { " before" })
        }
        Event::NotHereYet { user_id } => format!("not here yet {user_id}"),
        Event::MemberLeft { member, reason, .. } => {
            let reason = match reason {
                LeaveReason::Left => "left",
                LeaveReason::Removed => "removed",
                LeaveReason::Lost => "lost",
            };
            format!("left {} {reason}", id(member))
        }
        Event::Message { place, text, early, re, gone, .. } => {
            let early = if *early { " [early]" } else { "" };
            let re = re.as_ref().map_or_else(String::new, |re| format!(" [re {}]", referred(world, re)));
            let gone = gone.map_or_else(String::new, |gone| format!(" [gone {gone}]"));
            format!("{}: {}{early}{re}{gone}", who(place), text.as_str())
        }
        Event::Edited { place, text } => format!("{} edited {}: {}", who(place), place.n, text.as_str()),
        Event::Deleted { place } => format!("{} deleted {}", who(place), place.n),
        Event::Reacted { place, re, text } => {
            format!("{} reacted to {}: {}", who(place), referred(world, re), text.as_str())
        }
        Event::Typing { from, on } => format!("{} typing {}", id(from), if *on { "on" } else { "off" }),
        Event::Read { from, of, n } => format!("{} read {} {n}", id(from), id(of)),
        Event::Settings(settings) => {
            format!("settings {} {}", settings.gone, if settings.marks { "marks" } else { "no-marks" })
        }
        Event::Unsupported { from, kind, .. } => format!("{} unsupported {kind}", id(from)),
        Event::Missing { from, count, private, .. } => {
            format!("missing {count} of {}{}", id(from), if *private { " private" } else { "" })
        }
        Event::Sent { .. } => "sent".into(),
        Event::NotSent(_, reason) => {
            let reason = match reason {
                NotSent::Alone => "alone",
                NotSent::RecipientGone => "recipient-gone",
                NotSent::Refused => "refused",
            };
            format!("not sent {reason}")
        }
        Event::Unconfirmed { members } => format!("unconfirmed {}", names(world, members)),
        Event::Behind { member } => format!("behind {}", id(member)),
        Event::OwnerChanged { owner, right } => {
            let right = match right {
                Right::HandOver => "hand-over",
                Right::Heir => "heir",
            };
            format!("owner {} {right}", id(owner))
        }
        Event::OwnerGone { heir, soon, .. } => {
            let heir = heir.as_ref().map_or_else(|| "nobody".into(), id);
            format!("owner gone, heir {heir}{}", if *soon { " soon" } else { "" })
        }
        Event::OwnerSilent { minutes } => format!("owner silent {minutes}"),
        Event::HandOverFailed { to } => format!("hand-over failed {}", id(to)),
        Event::Rekeyed { epoch } => format!("rekeyed {epoch}"),
        Event::RekeyUndelivered { members } => format!("rekey undelivered {}", names(world, members)),
        Event::Gap => "gap".into(),
        Event::Alarm(alarm) => {
            let who = |who: &subrosa::sealed::alarm::Who| who.fingerprint.as_ref().map_or(who.user_id.clone(), id);
            let other = alarm.other.as_ref().map_or_else(String::new, |other| format!(" and {}", who(other)));
            format!("alarm {} {}{other}", alarm.kind.id(), who(&alarm.who))
        }
        Event::Ended(ending) => {
            let ending = match ending {
                Ending::Left => "left",
                Ending::Removed => "removed",
                Ending::Lost => "lost",
                Ending::Closed => "closed",
            };
            format!("ended {ending}")
        }
        Event::Invite { .. } | Event::InviteFailed { .. } => return None,
        other => panic!("no line for {other:?}"),
    })
}

/// A command, and its name on the wire.
pub(crate) fn command(command: &Command) -> (String, &'static str) {
    match command {
        Command::Send { to, rest, keep, .. } => {
            let mut named: Vec<_> = to
                .iter()
                .map(|(user_id, content)| format!(" {user_id}{}", if content.is_some() { "+" } else { "" }))
                .collect();
            named.sort();
            let rest = if rest.is_some() { " rest" } else { "" };
            let keep = if *keep { "" } else { " no-keep" };
            (format!("send{}{rest}{keep}", named.concat()), "send-messages")
        }
        Command::SetCard { .. } => ("set-card".into(), "set-card"),
        Command::ListMembers => ("list-members".into(), "list-members"),
        Command::IssueKey { kind: InviteKind::OneTime, .. } => ("room-key-onetime".into(), "room-key-onetime"),
        Command::IssueKey { kind: InviteKind::Forever, .. } => ("room-key-forever".into(), "room-key-forever"),
        Command::ResetKeys => ("reset-room-keys".into(), "reset-room-keys"),
        Command::RemoveMember { user_id } => (format!("remove-member {user_id}"), "remove-member"),
        Command::HandOver { user_id } => (format!("transfer-owner {user_id}"), "transfer-owner"),
        Command::Leave => ("leave-room".into(), "leave-room"),
        Command::Close => ("close-room".into(), "close-room"),
    }
}
