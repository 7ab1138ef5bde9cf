//! What must hold between what was said and what was heard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::member::{Member, Seen, Shared};

/// The messages of one member by number, each with its recipients and its answer.
pub(crate) struct Speaker {
    pub(crate) index: usize,
    pub(crate) said: BTreeMap<u64, (BTreeSet<String>, Value)>,
}

impl Speaker {
    pub(crate) fn of(member: &Member) -> Self {
        let said = member.said.iter().map(|(number, said)| {
            let answer = member.answers.get(number).expect("everything said is answered");
            (*number, (said.to.clone(), answer.clone()))
        });
        Self { index: member.index, said: said.collect() }
    }
}

/// What a run was like.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) messages: u64,
    pub(crate) missing: u64,
    pub(crate) absent: u64,
    pub(crate) gaps: u64,
    pub(crate) controls: u64,
    pub(crate) comebacks: u64,
    pub(crate) answered_again: u64,
    pub(crate) reasons: BTreeSet<String>,
}

fn ids(answer: &Value, fate: &str) -> BTreeSet<String> {
    answer[fate].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Checks all members' logs against what everybody said; `witness` has seen every join, leave and change of owner.
pub(crate) fn check(shared: &Shared, members: &[Member], speakers: &[Speaker], witness: &Member) -> Figures {
    let mut figures = Figures::default();
    let stable: BTreeSet<&String> = shared.rooms.iter().flat_map(|(_, ids)| ids).collect();
    for (to, answer) in speakers.iter().flat_map(|speaker| speaker.said.values()) {
        let fates = ["reached", "held", "absent"].map(|fate| ids(answer, fate));
        let all: BTreeSet<_> = fates.iter().flatten().cloned().collect();
        assert_eq!(all, *to, "everybody is reached, held or absent");
        assert_eq!(fates.iter().map(BTreeSet::len).sum::<usize>(), to.len(), "and only one of the three");
        figures.absent += fates[2].iter().filter(|id| stable.contains(id)).count() as u64;
    }
    for member in members.iter().chain([witness]) {
        let own: BTreeSet<&String> = shared.rooms.iter().map(|(_, ids)| &ids[member.index]).collect();
        let meant = |to: &BTreeSet<String>| to.iter().any(|id| own.contains(id));
        // What must have come, by speaker; and what came.
        let mut due: BTreeMap<usize, BTreeMap<u64, bool>> = BTreeMap::new();
        for speaker in speakers.iter().filter(|speaker| speaker.index != member.index) {
            let to_member = speaker.said.iter().filter(|(_, (to, _))| meant(to));
            let absent = |answer: &Value| ids(answer, "absent").iter().any(|id| own.contains(id));
            due.insert(speaker.index, to_member.map(|(number, (_, answer))| (*number, absent(answer))).collect());
        }
        let mut last: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        let (mut heard, mut lost) = (0, 0);
        for seen in &member.log {
            match seen {
                Seen::Message { sender, number } => {
                    let due = due.get(sender).expect("a speaker");
                    let absent = due.get(number).expect("a message for this member");
                    assert!(!absent, "who is told absent gets nothing");
                    let (before, gaps_before) = last.insert(*sender, (*number, figures.gaps)).unwrap_or((0, 0));
                    assert!(*number > before, "member {}: {number} of {sender} after {before}", member.index);
                    let missing = due.range(before + 1..*number).count();
                    assert!(missing == 0 || figures.gaps > gaps_before, "messages are missing without a gap");
                    heard += 1;
                }
                Seen::Members { .. } => {}
                // Of messages of those who are still there nothing is missing.
                Seen::Gap { reason, .. } if reason == "members" => drop(figures.reasons.insert(reason.clone())),
                Seen::Gap { events, reason } => {
                    figures.gaps += 1;
                    figures.reasons.insert(reason.clone());
                    lost += events;
                }
                Seen::Control { .. } => figures.controls += 1,
            }
        }
        let due: u64 = due.values().map(|numbers| numbers.len() as u64).sum();
        let caught_up =
            |room| member.log.iter().any(|seen| matches!(seen, Seen::Members { room: own } if *own == room));
        let counted = heard + lost;
        // A gap in which messages and changes of members are missing counts both.
        let exact = !(0..shared.rooms.len()).any(caught_up);
        assert!(
            due == counted || !exact && due < counted,
            "member {}: every message is heard, or counted in a gap: {due} were due, {heard} heard, {lost} lost",
            member.index
        );
        figures.messages += heard;
        figures.missing += lost;
        figures.comebacks += member.comebacks;
        figures.answered_again += member.answered_again;
        for room in 0..shared.rooms.len() {
            if !caught_up(room) {
                assert_eq!(controls(member, room), controls(witness, room), "joins, leaves and owners of room {room}");
            }
            let everybody = |member: &Member| {
                member.known[room].iter().chain([&shared.rooms[room].1[member.index]]).cloned().collect::<BTreeSet<_>>()
            };
            assert_eq!(everybody(member), everybody(witness), "members of room {room}");
        }
    }
    figures
}

fn controls(member: &Member, room: usize) -> Vec<&str> {
    let mut controls = Vec::new();
    for seen in &member.log {
        match seen {
            Seen::Control { room: of, what } if *of == room => controls.push(what.as_str()),
            _ => {}
        }
    }
    controls
}
