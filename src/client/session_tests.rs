use super::*;
use crate::protocol::command::{Command, InRoom};
use crate::protocol::ids::RoomId;

/// Frames that the session wants written, as JSON.
fn sent(out: &mut Vec<Out>) -> Vec<serde_json::Value> {
    let mut frames = Vec::new();
    out.retain(|what| match what {
        Out::Send(frame) => {
            frames.push(serde_json::from_str(frame).unwrap());
            false
        }
        _ => true,
    });
    frames
}

fn delivered(out: &mut Vec<Out>) -> Vec<Incoming> {
    out.drain(..).filter_map(|what| if let Out::Deliver(incoming, _) = what { Some(*incoming) } else { None }).collect()
}

fn token() -> (Token, String) {
    let token = Token::random();
    let text = token.expose().to_string();
    (token, text)
}

/// A session that the server keeps, its first connection's token, and nothing left to do.
fn resumable() -> (SessionState, String, Vec<Out>) {
    let mut out = Vec::new();
    let (token, text) = token();
    let mut session = SessionState::new(token, &Limits::default(), None, &mut out);
    assert_eq!(sent(&mut out)[0]["cmd"], "resume");
    session.receive(r#"{"cmd":"resumed","id":"resume-1","data":{"seq":0}}"#, &mut out).unwrap();
    assert!(session.resumable() && out.is_empty());
    (session, text, out)
}

fn command(id: u64, repeats: bool) -> Pending {
    let room = RoomId::random();
    let frame = Command::ListMembers(InRoom { room_id: room.as_str().into() }).to_frame(Some(&id.to_string()));
    Pending { id: RequestId::new(id), frame: frame.into(), reply: Reply::Stream, repeats }
}

fn left(session: &mut SessionState, out: &mut Vec<Out>) {
    let (room, user) = (RoomId::random(), RoomId::random());
    let text = format!(
        r#"{{"cmd":"user-left","data":{{"room_id":"{room}","user_id":"{user}","reason":"left","version":3}}}}"#
    );
    session.receive(&text, out).unwrap();
}

fn receive(session: &mut SessionState, out: &mut Vec<Out>, text: &str) {
    session.receive(text, out).unwrap();
}

#[test]
fn acknowledges_every_64_events_or_when_asked() {
    let (mut session, _, mut out) = resumable();
    assert!(session.ack(true).is_none() && !session.owes_ack());
    for _ in 0..63 {
        left(&mut session, &mut out);
    }
    assert!(session.ack(false).is_none() && session.owes_ack());
    receive(&mut session, &mut out, r#"{"cmd":"of-a-newer-server","data":{}}"#);
    assert_eq!(session.ack(false).unwrap().as_str(), r#"{"cmd":"ack","data":{"seq":64}}"#);
    assert!(session.ack(true).is_none());
    left(&mut session, &mut out);
    assert_eq!(session.ack(true).unwrap().as_str(), r#"{"cmd":"ack","data":{"seq":65}}"#);
}

#[test]
fn acknowledges_early_when_events_are_large() {
    let (mut session, _, mut out) = resumable();
    let large = format!(r#"{{"cmd":"of-a-newer-server","data":{{"x":"{}"}}}}"#, "x".repeat(ACK_BYTES as usize));
    receive(&mut session, &mut out, &large);
    assert!(session.ack(false).is_some());
}

#[test]
fn acknowledges_each_quarter_of_a_small_window() {
    let mut out = Vec::new();
    let limits = Limits { window_events: 20, window_bytes: 4_000, ..Limits::default() };
    let mut session = SessionState::new(token().0, &limits, None, &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","id":"resume-1","data":{"seq":0}}"#);
    for seq in [5, 10] {
        for _ in 0..4 {
            left(&mut session, &mut out);
        }
        assert!(session.ack(false).is_none());
        left(&mut session, &mut out);
        assert_eq!(session.ack(false).unwrap().as_str(), format!(r#"{{"cmd":"ack","data":{{"seq":{seq}}}}}"#));
    }
    let large = format!(r#"{{"cmd":"of-a-newer-server","data":{{"x":"{}"}}}}"#, "x".repeat(1_000));
    receive(&mut session, &mut out, &large);
    assert!(session.ack(false).is_some());
    // The next connection may be to a server with another window.
    session.reconnected(token().0, &Limits { window_events: 4, ..limits }, &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":11}}"#);
    left(&mut session, &mut out);
    assert!(session.ack(false).is_some());
}

#[test]
fn every_resume_says_how_long_and_a_refused_token_why() {
    let mut out = Vec::new();
    let mut session = SessionState::new(token().0, &Limits::default(), Some(600), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","id":"resume-1","data":{"seq":0,"for_s":600}}"#);
    session.reconnected(token().0, &Limits::default(), &mut out);
    for frame in sent(&mut out) {
        assert_eq!((&frame["data"]["for_s"], &frame["data"]["keeps"]), (&600.into(), &true.into()));
    }
    // An older token is only unknown; that does not hide the reason.
    session.reconnected(token().0, &Limits::default(), &mut out);
    let refused = |id: &str, more: &str| {
        format!(r#"{{"cmd":"resume-error","id":"{id}","data":{{"code":"denied","msg":""{more}}}}}"#)
    };
    receive(&mut session, &mut out, &refused("resume-3", r#","reason":"removed""#));
    receive(&mut session, &mut out, &refused("resume-4", r#","reason":"of-a-newer-server""#));
    receive(&mut session, &mut out, &refused("resume-5", ""));
    receive(&mut session, &mut out, &refused("resume-6", ""));
    assert!(matches!(out.last(), Some(Out::Lost(Some(GoneReason::Removed)))));
}

#[test]
fn answered_commands_make_room_for_others() {
    let (mut session, _, mut out) = resumable();
    // Five times as much as may wait at once, and each kind of answer gives the place back.
    for id in 0..80 {
        assert!(session.takes_commands(), "{id}");
        let pending = command(id, true);
        session.submit(Pending { frame: "x".repeat(1024 * 1024).into(), ..pending }, &mut out);
        receive(&mut session, &mut out, &format!(r#"{{"cmd":"ack","id":"{id}","data":{{"seq":0}}}}"#));
        out.clear();
    }
    // So does a loss: what is neither repeated nor known to be done is given up.
    for id in 80..96 {
        assert!(session.takes_commands(), "{id}");
        let pending = command(id, false);
        session.submit(Pending { frame: "x".repeat(1024 * 1024).into(), ..pending }, &mut out);
    }
    assert!(!session.takes_commands());
    out.clear();
    session.reconnected(token().0, &Limits::default(), &mut out);
    out.clear();
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":900}}"#);
    let sync = sent(&mut out)[0]["id"].clone();
    receive(&mut session, &mut out, &format!(r#"{{"cmd":"ack","id":{sync},"data":{{"seq":900}}}}"#));
    assert!(session.takes_commands());
}

#[test]
fn a_server_cannot_announce_a_restart_without_end() {
    let (mut session, _, mut out) = resumable();
    receive(&mut session, &mut out, &format!(r#"{{"cmd":"restarting","data":{{"reconnect_in_ms":{}}}}}"#, u64::MAX));
    assert!(matches!(out[0], Out::Restarting(wait) if wait == Duration::from_secs(300)));
}

#[test]
fn counts_all_but_the_four_that_have_no_number() {
    let (mut session, _, mut out) = resumable();
    receive(&mut session, &mut out, r#"{"cmd":"restarting","data":{"reconnect_in_ms":5}}"#);
    receive(&mut session, &mut out, r#"{"cmd":"error","data":{"code":"bad-json","msg":""}}"#);
    receive(&mut session, &mut out, r#"{"cmd":"gap","data":{"from":2,"to":9,"reason":"window"}}"#);
    left(&mut session, &mut out);
    assert_eq!(session.ack(true).unwrap().as_str(), r#"{"cmd":"ack","data":{"seq":10}}"#);
    assert!(matches!(out[0], Out::Restarting(wait) if wait == Duration::from_millis(5)));
}

#[test]
fn takes_the_session_up_and_repeats_what_stayed_unanswered() {
    let (mut session, first, mut out) = resumable();
    session.submit(command(1, true), &mut out);
    session.submit(command(2, true), &mut out);
    assert_eq!(sent(&mut out).len(), 2);
    left(&mut session, &mut out);
    out.clear();

    session.reconnected(token().0, &Limits::default(), &mut out);
    let frames = sent(&mut out);
    assert_eq!((&frames[0]["data"]["token"], &frames[0]["data"]["last_seq"]), (&first.into(), &1.into()));
    // What is asked meanwhile waits.
    session.submit(command(3, true), &mut out);
    assert!(sent(&mut out).is_empty());
    receive(&mut session, &mut out, r#"{"cmd":"resumed","id":"resume-2","data":{"seq":1}}"#);
    let sync = sent(&mut out);
    assert_eq!((sync.len(), &sync[0]["cmd"], &sync[0]["data"]["seq"]), (1, &"ack".into(), &1.into()));
    // The replay has one of the answers.
    receive(&mut session, &mut out, r#"{"cmd":"list-members-error","id":"1","data":{"code":"denied","msg":"no"}}"#);
    assert!(!session.is_live() && sent(&mut out).is_empty());
    receive(&mut session, &mut out, &format!(r#"{{"cmd":"ack","id":{},"data":{{"seq":1}}}}"#, sync[0]["id"]));
    assert!(session.is_live());
    let again: Vec<_> = sent(&mut out).iter().map(|frame| frame["id"].clone()).collect();
    assert_eq!(again, ["2", "3"]);
    let told = delivered(&mut out);
    assert!(matches!(told[0], Incoming::Answer { answer: Err(RequestError::Refused(_)), .. }));
    assert!(matches!(told[1], Incoming::Resumed));
}

#[test]
fn an_answer_to_an_older_sync_ends_no_replay() {
    let (mut session, _, mut out) = resumable();
    session.reconnected(token().0, &Limits::default(), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":0}}"#);
    let older = sent(&mut out)[1]["id"].clone();
    session.reconnected(token().0, &Limits::default(), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":0}}"#);
    receive(&mut session, &mut out, &format!(r#"{{"cmd":"ack","id":{older},"data":{{"seq":0}}}}"#));
    assert!(!session.is_live());
}

#[test]
fn tries_the_newest_token_first_and_then_the_older() {
    let (mut session, first, mut out) = resumable();
    let (second, second_text) = token();
    session.reconnected(second, &Limits::default(), &mut out);
    assert_eq!(sent(&mut out)[0]["data"]["token"], first.as_str());
    // No answer came before this connection broke as well.
    session.reconnected(token().0, &Limits::default(), &mut out);
    assert_eq!(sent(&mut out)[0]["data"]["token"], second_text.as_str());
    receive(&mut session, &mut out, r#"{"cmd":"resume-error","id":"resume-3","data":{"code":"denied","msg":""}}"#);
    assert_eq!(sent(&mut out)[0]["data"]["token"], first.as_str());
    // The unanswered resume may have been carried out just between the two: then the newest token is good by now.
    receive(&mut session, &mut out, r#"{"cmd":"resume-error","id":"resume-4","data":{"code":"denied","msg":""}}"#);
    assert_eq!(sent(&mut out)[0]["data"]["token"], second_text.as_str());
    receive(&mut session, &mut out, r#"{"cmd":"resume-error","id":"resume-5","data":{"code":"denied","msg":""}}"#);
    assert_eq!(sent(&mut out)[0]["data"]["token"], first.as_str());
    receive(&mut session, &mut out, r#"{"cmd":"resume-error","id":"resume-6","data":{"code":"denied","msg":""}}"#);
    assert!(matches!(out[..], [Out::Lost(None)]));
}

#[test]
fn the_first_token_outlives_any_number_of_unanswered_attempts() {
    let (mut session, first, mut out) = resumable();
    for _ in 0..40 {
        out.clear();
        session.reconnected(token().0, &Limits::default(), &mut out);
    }
    let mut asked = vec![sent(&mut out).remove(0)];
    for _ in 0..MAX_TOKENS - 2 {
        let id = asked.last().unwrap()["id"].clone();
        let refused = format!(r#"{{"cmd":"resume-error","id":{id},"data":{{"code":"denied","msg":""}}}}"#);
        receive(&mut session, &mut out, &refused);
        asked.push(sent(&mut out).remove(0));
    }
    assert_eq!(asked.last().unwrap()["data"]["token"], first.as_str());
}

#[test]
fn after_success_only_the_newest_token_counts() {
    let (mut session, _, mut out) = resumable();
    let (second, second_text) = token();
    session.reconnected(second, &Limits::default(), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":0}}"#);
    out.clear();
    session.reconnected(token().0, &Limits::default(), &mut out);
    assert_eq!(sent(&mut out)[0]["data"]["token"], second_text.as_str());
    receive(&mut session, &mut out, r#"{"cmd":"resume-error","id":"resume-4","data":{"code":"denied","msg":""}}"#);
    assert!(matches!(out[..], [Out::Lost(None)]));
}

#[test]
fn a_loss_is_told_and_nothing_comes_twice() {
    let (mut session, _, mut out) = resumable();
    for _ in 0..3 {
        left(&mut session, &mut out);
    }
    session.reconnected(token().0, &Limits::default(), &mut out);
    out.clear();
    // The server repeats event 3, has lost 4 to 6, and goes on.
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":2}}"#);
    left(&mut session, &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"gap","data":{"from":4,"to":6,"reason":"window"}}"#);
    left(&mut session, &mut out);
    let told = delivered(&mut out);
    assert!(matches!(told[..], [Incoming::Gap(Gap { from: 4, to: 6, .. }), Incoming::Event(_)]), "{told:?}");
    // A server that leaves events out without a word is found out.
    session.reconnected(token().0, &Limits::default(), &mut out);
    out.clear();
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":9}}"#);
    assert!(matches!(delivered(&mut out)[..], [Incoming::Gap(Gap { from: 8, to: 9, .. })]));
}

#[test]
fn what_must_not_happen_twice_is_not_repeated_after_a_loss() {
    let (mut session, _, mut out) = resumable();
    session.submit(command(1, false), &mut out);
    session.reconnected(token().0, &Limits::default(), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"resumed","data":{"seq":0}}"#);
    session.submit(command(2, false), &mut out);
    receive(&mut session, &mut out, r#"{"cmd":"gap","data":{"from":1,"to":4,"reason":"memory"}}"#);
    out.retain(|what| matches!(what, Out::Send(_)));
    let sync = sent(&mut out).pop().unwrap();
    receive(&mut session, &mut out, &format!(r#"{{"cmd":"ack","id":{},"data":{{"seq":0}}}}"#, sync["id"]));
    assert_eq!(sent(&mut out)[0]["id"], "2");
    let told = delivered(&mut out);
    assert!(
        matches!(told[1], Incoming::Answer { id, answer: Err(RequestError::Uncertain) } if id == RequestId::new(1))
    );
}

#[test]
fn refuses_what_is_not_of_the_protocol() {
    let (mut session, _, mut out) = resumable();
    for bad in
        ["", "[]", r#"{"cmd":"user-left","data":{}}"#, r#"{"cmd":"gap","data":{"from":3,"to":2,"reason":"window"}}"#]
    {
        assert!(session.receive(bad, &mut out).is_err(), "{bad}");
    }
    assert!(out.is_empty());
}

#[test]
fn takes_no_more_commands_than_it_can_keep() {
    let (mut session, _, mut out) = resumable();
    for id in 0..MAX_PENDING as u64 {
        assert!(session.takes_commands());
        session.submit(command(id, true), &mut out);
    }
    assert!(!session.takes_commands());
    receive(&mut session, &mut out, r#"{"cmd":"list-members-error","id":"5","data":{"code":"denied","msg":""}}"#);
    assert!(session.takes_commands());
}
