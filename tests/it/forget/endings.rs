//! Every way in which a room ends.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::forget::scan::{Canaries, Scanner};
use crate::forget::stage::{Play, Stage, play, program, strangers};

/// The server may take this long to notice that somebody is gone, and to let a closed connection read its last words.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that must be there is found, or the scan is worth nothing.
fn found_while_open(stage: &Stage, canaries: &Canaries, scanner: &Scanner) -> usize {
    let open = scanner.scan(stage.server.id());
    assert_eq!(open.missing(canaries), Vec::<String>::new(), "not found while the room is open");
    open.count()
}

/// Scans until nothing is found, or the time is up.
fn found_after(stage: &Stage, scanner: &Scanner) -> crate::forget::scan::Found {
    let by = Instant::now() + PATIENCE;
    loop {
        let found = scanner.scan(stage.server.id());
        if found.count() == 0 || Instant::now() > by {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn nothing_after(how: &str, stage: &Stage, canaries: &Canaries, scanner: &Scanner, open: usize) {
    let after = found_after(stage, scanner);
    eprintln!(
        "{how}: {} canaries, {open} hits while open, {} hits after, {} MiB scanned",
        canaries.len(),
        after.count(),
        after.bytes >> 20
    );
    assert_eq!(after.count(), 0, "{how}:\n{}", after.report(canaries));
}

/// A bystander's room goes on through all of it.
async fn opened(stage: &Stage, options: serde_json::Value) -> (Canaries, Play, Play) {
    let bystanders = play(stage, &mut Canaries::default(), json!({})).await;
    let mut canaries = Canaries::default();
    strangers(stage, &mut canaries).await;
    let play = play(stage, &mut canaries, options).await;
    (canaries, play, bystanders)
}

#[tokio::test]
async fn closed_by_its_owner() {
    let stage = Stage::start(&[]);
    let (canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    let scanner = canaries.scanner();
    let open = found_while_open(&stage, &canaries, &scanner);
    play.owner.ask("close-room", json!({"room_id": play.room}), "close-room").await;
    play.all_read("room-closed").await;
    nothing_after("closed by its owner", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn left_by_all() {
    let stage = Stage::start(&[]);
    let (canaries, mut play, _bystanders) = opened(&stage, json!({"owner_leaves": "transfer"})).await;
    let scanner = canaries.scanner();
    let open = found_while_open(&stage, &canaries, &scanner);
    for talker in [&mut play.owner, &mut play.holder, &mut play.guest] {
        talker.ask("leave-room", json!({"room_id": play.room}), "leave-room").await;
        talker.acknowledge().await;
    }
    nothing_after("left by all", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn its_members_removed() {
    let stage = Stage::start(&[]);
    let (canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    let scanner = canaries.scanner();
    let open = found_while_open(&stage, &canaries, &scanner);
    for id in [&play.holder_id, &play.guest_id] {
        play.owner.ask("remove-member", json!({"room_id": play.room, "user_id": id}), "remove-member").await;
    }
    play.owner.ask("leave-room", json!({"room_id": play.room}), "leave-room").await;
    play.all_read("user-left").await;
    nothing_after("its members removed", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn its_time_up() {
    let stage = Stage::start(&[]);
    let (canaries, mut play, _bystanders) = opened(&stage, json!({"expires_in_s": 10})).await;
    let scanner = canaries.scanner();
    let open = found_while_open(&stage, &canaries, &scanner);
    play.all_read("room-closed").await;
    nothing_after("its time up", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn its_connections_lost_and_the_resume_window_over() {
    let stage = Stage::start(&["--limit", "resume_window_s=10"]);
    let (canaries, play, _bystanders) = opened(&stage, json!({})).await;
    let scanner = canaries.scanner();
    // Without a goodbye: the guest is gone at once, the others can come back.
    let Play { owner, holder, guest, .. } = play;
    drop((owner, holder));
    let open = found_while_open(&stage, &canaries, &scanner);
    drop(guest);
    nothing_after("its connections lost, the resume window over", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn resumed_and_then_closed() {
    let stage = Stage::start(&[]);
    let (mut canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    for talker in [&mut play.owner, &mut play.holder] {
        let (token, last_seq) = (talker.token.clone(), talker.last_seq());
        let before = std::mem::replace(talker, stage.connect().await);
        canaries.token("a second resume token", false, &talker.token);
        drop(before);
        talker.ask("resume", json!({"token": token, "last_seq": last_seq}), "resumed").await;
        talker.ask("list-members", json!({"room_id": play.room}), "list-members").await;
    }
    let scanner = canaries.scanner();
    // What the owners had read is acknowledged by the return.
    let open = scanner.scan(stage.server.id()).count();
    assert!(open > 50, "{open} hits while open");
    play.owner.ask("close-room", json!({"room_id": play.room}), "close-room").await;
    play.all_read("room-closed").await;
    nothing_after("resumed and then closed", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn handed_over_and_then_closed() {
    let more = ["--takeover", "next.sock"];
    let mut stage = Stage::start(&more);
    let (mut canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    // A guest that was not resumable does not come along; the room goes on without it.
    play.guest.ask("leave-room", json!({"room_id": play.room}), "leave-room").await;
    let seqs = [play.owner.last_seq(), play.holder.last_seq()];
    let Play { room, mut owner, mut holder, guest, .. } = play;
    drop(guest);
    stage.hand_over(&more);
    for (talker, last_seq) in [(&mut owner, seqs[0]), (&mut holder, 0)] {
        let token = talker.token.clone();
        *talker = stage.connect().await;
        canaries.token("a second resume token", false, &talker.token);
        talker.ask("resume", json!({"token": token, "last_seq": last_seq}), "resumed").await;
    }
    let scanner = canaries.scanner();
    let open = scanner.scan(stage.server.id()).count();
    assert!(open > 50, "{open} hits while open");
    owner.ask("close-room", json!({"room_id": room}), "close-room").await;
    holder.until("room-closed").await;
    owner.acknowledge().await;
    holder.acknowledge().await;
    nothing_after("handed over and then closed", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn its_slow_reader_thrown_out() {
    let stage =
        Stage::start(&["--limit", "queue_events=64", "--limit", "window_events=256", "--limit", "resume_window_s=3"]);
    let (mut canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    // The holder reads nothing any more; what it is sent fills the socket, then the queue, then the window.
    let content = canaries.passing("a message to a slow reader", 60_000);
    loop {
        let data = json!({"room_id": play.room, "to_user_id": play.holder_id, "content": content});
        let sent = play.guest.ask("send-message", data, "sent").await;
        if sent["data"]["reached"].as_array().unwrap().is_empty() {
            break;
        }
    }
    let scanner = canaries.scanner();
    let open = scanner.scan(stage.server.id()).count();
    assert!(open > 50, "{open} hits while open");
    play.owner.ask("close-room", json!({"room_id": play.room}), "close-room").await;
    play.owner.acknowledge().await;
    play.guest.until("room-closed").await;
    drop(play.holder);
    nothing_after("its slow reader thrown out", &stage, &canaries, &scanner, open);
}

#[tokio::test]
async fn the_scan_finds_what_is_not_wiped() {
    let stage = Stage::start_program(&program("examples/unwiped"), &[]);
    let (canaries, mut play, _bystanders) = opened(&stage, json!({})).await;
    let scanner = canaries.scanner();
    found_while_open(&stage, &canaries, &scanner);
    play.owner.ask("close-room", json!({"room_id": play.room}), "close-room").await;
    play.all_read("room-closed").await;
    let after = scanner.scan(stage.server.id());
    eprintln!(
        "without wiping: {} hits in {} of {} canaries after the end",
        after.count(),
        after.canaries(),
        canaries.len()
    );
    assert!(after.canaries() > 10, "a scan that finds nothing where nothing is wiped proves nothing");
}
