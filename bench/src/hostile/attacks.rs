//! The attacks, each from one address: what it sets up, and what it does again and again.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::Failure;
use crate::client::{Client, PUBLIC_KEY, connect_tcp};
use crate::generator::Destination;

/// The attacker's address: another than that of the room that is measured.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 1);
/// Bytes of a full card.
const CARD: usize = 4_000;
/// Time between two steps of an attack that waits for the server.
const PAUSE: Duration = Duration::from_millis(10);

/// What a hostile client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attack {
    /// Asks for the member list of a full room, in bursts, and does not read.
    ListMembers,
    /// The same on every connection, so that the answers fill the server's memory.
    Memory,
    /// Holds full windows in connected sessions that never acknowledge.
    Windows,
    /// Takes rooms, goes away, and takes more.
    Rooms,
    /// Takes rooms with a thousand keys each.
    Keys,
    /// Makes keys and resets them, as fast as the server lets it.
    KeyChurn,
    /// Uses up the server's descriptors, and asks at its take-over socket.
    Descriptors,
    /// Sends large messages to a member that reads slowly.
    Greedy,
    /// Fills windows with small answers.
    SmallEvents,
    /// Sends behind many answers that a resumed session has not acknowledged.
    ResumedSends,
}

/// Does a little of the attack. An error means that the server cut it off.
pub(super) type Step = Box<dyn FnMut() -> Result<(), Failure>>;

impl Attack {
    /// Sets the attack up.
    pub(super) fn begin(self, to: &Destination, takeover: Option<PathBuf>) -> Result<Step, Failure> {
        let to = to.clone();
        match self {
            Self::ListMembers => lists(to, 200, 36, 180),
            Self::Memory => lists(to, 10, 240, 7),
            Self::Windows => windows(to),
            Self::Rooms => Ok(Box::new(move || take_rooms(&to, 0))),
            Self::Keys => Ok(Box::new(move || take_rooms(&to, 10))),
            Self::KeyChurn => key_churn(to),
            Self::Descriptors => descriptors(to, takeover),
            Self::Greedy => greedy(to),
            Self::SmallEvents => small_events(to),
            Self::ResumedSends => resumed_sends(to),
        }
    }
}

fn command(cmd: &str, data: &serde_json::Value) -> String {
    json!({"cmd": cmd, "data": data}).to_string()
}

/// A room of `members` with full cards.
fn full_room(to: &Destination, members: usize) -> Result<(Vec<Client>, String, String), Failure> {
    let mut owner = Client::connect(to, SOURCE)?;
    let room = owner.create()?;
    let key = owner.forever_key(&room)?;
    let card = json!({"room_id": room, "card": "c".repeat(CARD)});
    owner.ask("set-card", card.clone())?;
    let mut all = vec![owner];
    for _ in 1..members {
        let mut member = Client::connect(to, SOURCE)?;
        member.join(&room, &key)?;
        member.ask("set-card", card.clone())?;
        for other in &mut all {
            other.drain(usize::MAX)?;
        }
        all.push(member);
    }
    Ok((all, room, key))
}

/// `hands` members ask for the list, `burst` times in one go, and never read; the others of the room read on.
fn lists(to: Destination, members: usize, hands: usize, burst: usize) -> Result<Step, Failure> {
    let (mut crowd, room, key) = full_room(&to, members)?;
    let line = command("list-members", &json!({"room_id": room}));
    let mut idle = VecDeque::new();
    let mut busy: VecDeque<Client> = VecDeque::new();
    Ok(Box::new(move || {
        for member in &mut crowd {
            member.drain(usize::MAX)?;
        }
        if idle.len() + busy.len() < hands {
            let mut hand = Client::connect(&to, SOURCE)?;
            hand.join(&room, &key)?;
            idle.push_back(hand);
            return Ok(());
        }
        if let Some(mut hand) = idle.pop_front().or_else(|| busy.pop_front()) {
            // A hand that the server closed is replaced in the next step.
            if (0..burst).try_for_each(|_| hand.say(&line)).is_ok() {
                busy.push_back(hand);
            }
        }
        Ok(())
    }))
}

fn windows(to: Destination) -> Result<Step, Failure> {
    let (mut crowd, room, key) = full_room(&to, 2)?;
    let line = command("list-members", &json!({"room_id": room}));
    for _ in 0..36 {
        let mut session = Client::connect(&to, SOURCE)?;
        session.ask("resume", json!({}))?;
        session.join(&room, &key)?;
        crowd.push(session);
    }
    Ok(Box::new(move || {
        for session in &mut crowd {
            session.say(&line)?;
            session.drain(usize::MAX)?;
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }))
}

/// One session takes all the rooms that it may have, with a hundred keys as often as told, and goes away.
fn take_rooms(to: &Destination, hundreds_of_keys: usize) -> Result<(), Failure> {
    let mut session = Client::connect(to, SOURCE)?;
    session.ask("resume", json!({}))?;
    for _ in 0..64 {
        let room = session.create()?;
        for _ in 0..hundreds_of_keys {
            session.say(&command("room-key-onetime", &json!({"room_id": room, "count": 100})))?;
        }
        session.drain(usize::MAX)?;
    }
    Ok(())
}

fn key_churn(to: Destination) -> Result<Step, Failure> {
    let mut sessions = Vec::new();
    for _ in 0..64 {
        let mut session = Client::connect(&to, SOURCE)?;
        let room = session.create()?;
        sessions.push((session, room));
    }
    Ok(Box::new(move || {
        for (session, room) in &mut sessions {
            for _ in 0..10 {
                session.say(&command("room-key-onetime", &json!({"room_id": room, "count": 100})))?;
            }
            session.say(&command("reset-room-keys", &json!({"room_id": room})))?;
            session.drain(usize::MAX)?;
        }
        Ok(())
    }))
}

fn descriptors(to: Destination, takeover: Option<PathBuf>) -> Result<Step, Failure> {
    let socket = takeover.ok_or("this attack needs a server that is started for it")?;
    let asking = UnixStream::connect(socket)?;
    let mut held: VecDeque<TcpStream> = VecDeque::new();
    Ok(Box::new(move || {
        // The socket stays open, and unaccepted.
        let _ = &asking;
        held.push_back(connect_tcp(&to, SOURCE)?);
        if held.len() > 200 {
            held.pop_front();
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }))
}

fn greedy(to: Destination) -> Result<Step, Failure> {
    let mut owner = Client::connect(&to, SOURCE)?;
    let room = owner.create()?;
    let key = owner.forever_key(&room)?;
    let mut member = Client::connect(&to, SOURCE)?;
    let me = member.join(&room, &key)?;
    let members = member.ask("list-members", json!({"room_id": room}))?;
    let victim = members["data"]["owner_id"].as_str().unwrap_or(&me).to_owned();
    let content = "x".repeat(900_000);
    let line = command("send-message", &json!({"room_id": room, "to_user_id": victim, "content": content}));
    Ok(Box::new(move || {
        member.say(&line)?;
        member.drain(usize::MAX)?;
        owner.drain(1)?;
        std::thread::sleep(PAUSE);
        Ok(())
    }))
}

fn small_events(to: Destination) -> Result<Step, Failure> {
    let mut sessions = Vec::new();
    for _ in 0..128 {
        let mut session = Client::connect(&to, SOURCE)?;
        session.ask("resume", json!({}))?;
        let room = session.create()?;
        sessions.push((session, command("set-card", &json!({"room_id": room, "card": "c"}))));
    }
    Ok(Box::new(move || {
        for (session, line) in &mut sessions {
            for _ in 0..100 {
                session.say(line)?;
            }
            session.drain(usize::MAX)?;
        }
        Ok(())
    }))
}

fn resumed_sends(to: Destination) -> Result<Step, Failure> {
    const BEFORE: usize = 45_000;
    let mut partner = Client::connect(&to, SOURCE)?;
    let room = partner.create()?;
    let key = partner.forever_key(&room)?;
    let mut session = Client::connect(&to, SOURCE)?;
    session.ask("resume", json!({}))?;
    let joined = session.ask(
        "join-room-forever",
        json!({"room_id": room, "forever_key": key, "username": "", "public_key": PUBLIC_KEY}),
    )?;
    let owner = joined["data"]["owner_id"].clone();
    let line = move |number: usize| {
        let data = json!({"room_id": room, "to_user_id": owner, "content": ""});
        json!({"cmd": "send-message", "id": format!("s{number}"), "data": data}).to_string()
    };
    for number in 0..BEFORE {
        session.say(&line(number))?;
        if number % 100 == 0 {
            session.drain(usize::MAX)?;
            partner.drain(usize::MAX)?;
        }
    }
    // The answer to it follows all others.
    session.ask("list-members", json!({"room_id": ""}))?;
    let token = std::mem::take(&mut session.token);
    drop(session);
    let mut session = Client::connect(&to, SOURCE)?;
    session.ask("resume", json!({"token": token, "last_seq": 0}))?;
    let mut number = BEFORE;
    Ok(Box::new(move || {
        for _ in 0..100 {
            session.say(&line(number))?;
            number += 1;
        }
        session.drain(usize::MAX)?;
        partner.drain(usize::MAX)?;
        Ok(())
    }))
}
