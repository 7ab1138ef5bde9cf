//! Runs the scripts in tests/vectors/room, which other clients run as well: what each member does and what the relay does, and what comes of it.
use std::{fs, path::PathBuf};

use serde_json::Value;
use subrosa::sealed::{
    InviteKind,
    body::RoomSettings,
    room::{Answer, Fact, IntentError, LeaveReason, Machine, Now, Step},
};

use super::world::{Rule, World, without_id};

fn text<'a>(step: &'a Value, field: &str) -> &'a str {
    step[field].as_str().unwrap_or_else(|| panic!("{field} in {step}"))
}

fn optional(step: &Value, field: &str) -> Option<String> {
    step[field].as_str().map(str::to_owned)
}

fn number(step: &Value, field: &str) -> u64 {
    step[field].as_u64().unwrap_or_else(|| panic!("{field} in {step}"))
}

fn small(step: &Value, field: &str) -> u32 {
    u32::try_from(number(step, field)).unwrap()
}

fn lines(step: &Value, field: &str) -> Vec<String> {
    let lines = step[field].as_array().unwrap_or_else(|| panic!("{field} in {step}"));
    lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

fn error_id(error: IntentError) -> &'static str {
    match error {
        IntentError::NotInside => "not-inside",
        IntentError::NotOwner => "not-owner",
        IntentError::Alone => "alone",
        IntentError::NoSuchMember => "no-such-member",
        IntentError::NoSuchMessage => "no-such-message",
        IntentError::TooLong => "too-long",
        IntentError::Busy => "busy",
    }
}

/// Carries out what a member wants; false if the step is something else.
fn intent(world: &mut World, step: &Value) -> bool {
    let Some(who) = optional(step, "who") else { return false };
    let to = optional(step, "to").map(|to| world.print(&to));
    let member = optional(step, "member").map(|member| world.print(&member));
    let of = optional(step, "of").map(|of| world.print(&of));
    type Act<'a> = Box<dyn FnOnce(&mut Machine, Now) -> Result<Step, IntentError> + 'a>;
    let act: Act<'_> = match text(step, "do") {
        "say" => Box::new(|room, now| room.send_text(text(step, "text"), now).map(without_id)),
        "tell" => Box::new(|room, now| room.tell(to.unwrap(), text(step, "text"), now).map(without_id)),
        "reply" => {
            Box::new(|room, now| room.reply(of.unwrap(), small(step, "n"), text(step, "text"), to, now).map(without_id))
        }
        "edit" => Box::new(|room, now| room.edit(small(step, "n"), text(step, "text"), to, now).map(without_id)),
        "delete" => Box::new(|room, now| room.delete(small(step, "n"), to, now).map(without_id)),
        "react" => {
            Box::new(|room, now| room.react(of.unwrap(), small(step, "n"), text(step, "text"), to, now).map(without_id))
        }
        "settings" => Box::new(|room, now| {
            let settings = RoomSettings { gone: small(step, "gone"), marks: step["marks"] == true };
            room.set_room_settings(settings, now)
        }),
        "typing" => Box::new(|room, now| room.typing(step["on"] == true, now)),
        "read" => Box::new(|room, now| room.read(of.unwrap(), small(step, "n"), now)),
        "remove" => Box::new(|room, now| room.remove(member.unwrap(), now)),
        "rekey" => Box::new(|room, now| room.rekey(now)),
        "hand-over" => Box::new(|room, now| room.hand_over(to.unwrap(), now)),
        "take-office" => Box::new(|room, now| room.take_office(now)),
        "verify" => Box::new(|room, _| room.set_verified(member.unwrap(), true).map(|()| Step::default())),
        "leave" => Box::new(|room, now| Ok(room.leave(now))),
        "close" => Box::new(|room, now| room.close(now)),
        _ => return false,
    };
    let done = world.act(&who, act);
    let failed = done.err().map(error_id);
    assert_eq!(failed, step["fails"].as_str(), "{step}");
    true
}

fn join(world: &mut World, step: &Value) {
    let (who, by) = (text(step, "who"), step["by"].as_str().unwrap_or("alice"));
    let link = match step["with"].as_str() {
        Some(kept) => world.links[kept].clone(),
        None => world.link(by, kind_of(step), step["expires_in_s"].as_u64()),
    };
    let name = step["name"].as_str().unwrap_or(who);
    if step["stolen"] == true {
        world.break_in(who, name, &link);
    } else {
        assert!(world.join(who, name, &link), "{step}");
    }
}

fn kind_of(step: &Value) -> InviteKind {
    if step["kind"] == "forever" { InviteKind::Forever } else { InviteKind::OneTime }
}

/// What happens to connections, and what the relay does.
fn world_step(world: &mut World, step: &Value) {
    let who = || text(step, "who").to_owned();
    match text(step, "do") {
        "join" => join(world, step),
        "invite" => {
            let by = step["by"].as_str().unwrap_or("alice");
            let link = world.link(by, kind_of(step), step["expires_in_s"].as_u64());
            world.links.insert(text(step, "as").to_owned(), link);
        }
        "pass" => world.pass(number(step, "ms")),
        "away" => world.go_away(&who()),
        "gap" => world.gap(&who()),
        "live" => world.live(&who()),
        "lost" => {
            world.leave(&who(), LeaveReason::Lost);
            world.work();
        }
        "name-owner" => {
            world.name_owner(&who());
            world.work();
        }
        "drop" | "keep" => {
            let keep = step["do"] == "keep";
            let what = if keep { "messages".to_owned() } else { text(step, "what").to_owned() };
            world.rules.push(Rule { what, from: optional(step, "from"), to: optional(step, "to"), keep });
        }
        "honest" => {
            world.rules.clear();
            world.swallowed.clear();
            world.shown.clear();
        }
        "deliver" => {
            for index in step["indexes"].as_array().expect("indexes") {
                let kept = world.pile[usize::try_from(index.as_u64().unwrap()).unwrap()].clone();
                world.deliver(kept);
            }
        }
        "swallow" => drop(world.swallowed.insert(text(step, "command").to_owned())),
        "card" => {
            let at = usize::try_from(number(step, "at")).unwrap();
            world.shown.insert(text(step, "of").to_owned(), at);
        }
        "answer" => {
            for _ in 0..number(step, "next") {
                world.refusals.push_back(match text(step, "with") {
                    "lost" => Answer::Lost,
                    "later" => Answer::Refused { retry_after_ms: Some(1_000) },
                    "never" => Answer::Refused { retry_after_ms: None },
                    other => panic!("no answer {other}"),
                });
            }
        }
        "lose-answers" => world.lose_answers = small(step, "next"),
        "fact" => {
            let (to, fact) = (text(step, "to"), &step["fact"]);
            let version = world.version;
            let fact = match text(fact, "type") {
                "user-left" => {
                    let reason = match text(fact, "reason") {
                        "left" => LeaveReason::Left,
                        "removed" => LeaveReason::Removed,
                        _ => LeaveReason::Lost,
                    };
                    Fact::UserLeft { user_id: text(fact, "user").into(), reason, version }
                }
                "user-joined" => Fact::UserJoined { user: world.listed(text(fact, "user")), version },
                "owner-changed" => Fact::OwnerChanged { owner_id: text(fact, "owner").into(), version },
                other => panic!("no fact {other}"),
            };
            world.fact(to, fact);
        }
        other => panic!("no step {other}"),
    }
}

fn expect(world: &mut World, step: &Value) {
    let who = text(step, "expect");
    if step.get("commands").is_some() {
        let commands = std::mem::take(&mut world.clients.get_mut(who).unwrap().commands);
        assert_eq!(commands, lines(step, "commands"), "{step}");
    }
    if step.get("events").is_some() {
        assert_eq!(world.lines(who), lines(step, "events"), "{step}");
    }
    if step.get("alarms").is_some() {
        assert_eq!(world.alarms(who), lines(step, "alarms"), "{step}");
    }
    let state = &step["state"];
    let room = world.room(who);
    if let Some(epoch) = state["epoch"].as_u64() {
        assert_eq!(u64::from(room.epoch()), epoch, "{step}");
    }
    if let Some(governs) = state["governs"].as_bool() {
        assert_eq!(room.is_owner(), governs, "{step}");
    }
    if let Some(owner) = state["owner"].as_str() {
        let is = room.owner();
        assert_eq!(world.id_of(&is), owner, "{step}");
    }
    if state.get("members").is_some() {
        assert_eq!(world.sees(who), lines(state, "members"), "{step}");
    }
}

fn run(script: &Value) {
    let frames = script["frame_bytes"].as_u64().unwrap_or(1 << 20);
    let mut world = World::create(script["transfer"] == true, usize::try_from(frames).unwrap());
    for step in script["steps"].as_array().expect("steps") {
        if step.get("do").is_some() {
            if !intent(&mut world, step) {
                world_step(&mut world, step);
            }
        } else if step.get("expect").is_some() {
            expect(&mut world, step);
        } else if step["calm"] == true {
            world.assert_calm();
            world.clear();
        } else {
            assert_eq!(step["clear"], true, "{step}");
            world.clear();
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/room")
}

#[test]
fn every_script_comes_out_as_written() {
    let mut files: Vec<_> = fs::read_dir(folder()).expect("scripts").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "{} scripts", files.len());
    let wanted = std::env::var("SCRIPT").ok();
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if wanted.as_ref().is_some_and(|wanted| *wanted != name) {
            continue;
        }
        let script: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).expect("JSON");
        assert!(script["about"].as_str().is_some_and(|about| about.len() > 10), "{name} says what it shows");
        if std::panic::catch_unwind(|| run(&script)).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
