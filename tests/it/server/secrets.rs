//! Every public type of the relay's side that can be printed, printed: no key, token or message shows.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::json;
use subrosa::protocol::codes::*;
use subrosa::protocol::command::{Command, parse};
use subrosa::protocol::event::Event;
use subrosa::protocol::frame::{ClientFrame, Opcode, TextFrame, read_client_frame};
use subrosa::protocol::ids::{RoomId, UserId};
use subrosa::protocol::limits::Limits;
use subrosa::protocol::public_key::PublicKey;
use subrosa::room::{Bounds, Delivery, KeyLife, RoomOptions};
use subrosa::secret::{TagKey, Token};
use subrosa::server::Options;
use subrosa::server::{DEV_KEY, Identity};

use crate::support::keys::public_key;
use crate::support::test_server::folder;

/// What must never show: in the middle of text, and as bytes.
struct Secrets(Vec<String>);

impl Secrets {
    fn are_not_in(&self, what: &str, value: &dyn Debug) {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            for secret in &self.0 {
                assert!(!text.contains(secret.as_str()), "{what} shows a secret: {text}");
            }
        }
    }
}

/// The bytes as `Debug` of a list writes their beginning.
fn as_list(bytes: &[u8]) -> [String; 2] {
    let some: Vec<_> = bytes.iter().take(6).map(u8::to_string).collect();
    [some.join(", "), some.join(",\n    ")]
}

#[test]
fn no_type_shows_a_secret() {
    let token = Token::random();
    let key = token.expose().to_string();
    let said = "what-was-said".to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &key).unwrap();
    let mut secrets = Secrets(vec![key.clone(), said.clone()]);
    secrets.0.extend(as_list(&bytes));
    secrets.0.extend(as_list(said.as_bytes()));
    let (room, user) = (RoomId::random(), UserId::random());
    let (room_id, pem) = (room.as_str(), public_key(1));

    let commands = [
        json!({"cmd": "create-room", "data": {"name": "", "username": "", "public_key_string": pem}}),
        json!({"cmd": "revoke-key", "data": {"room_id": room_id, "key": key}}),
        json!({"cmd": "join-room-onetime", "data": {"room_id": room_id, "one_time_key": key, "username": "", "public_key": pem}}),
        json!({"cmd": "join-room-forever", "data": {"room_id": room_id, "forever_key": key, "username": "", "public_key": pem}}),
        json!({"cmd": "send-message", "data": {"room_id": room_id, "to_user_id": user, "content": said}}),
        json!({"cmd": "send-messages", "data": {"room_id": room_id, "shared": said, "to": [{"to_user_id": user, "content": said}]}}),
        json!({"cmd": "resume", "data": {"token": key, "last_seq": 1}}),
        json!({"cmd": "ack", "data": {"seq": 1}}),
    ];
    for command in &commands {
        let text = command.to_string();
        let request = parse(&text, &Limits::default()).unwrap();
        secrets.are_not_in(request.command.name(), &request);
        // A whole room of commands shows what its parts show.
        let Command::SendMessages(packet) = &request.command else { continue };
        packet.to.iter().for_each(|payload| secrets.are_not_in("a payload", payload));
    }
    // Refused commands, too, and never in what they are answered.
    for bad in [
        json!({"cmd": "revoke-key", "data": {"key": key}}),
        json!({"cmd": key}),
        json!({"cmd": "resume", "data": {"token": 7, "last_seq": key}}),
    ] {
        let refused = parse(&bad.to_string(), &Limits::default()).unwrap_err();
        secrets.are_not_in("a refusal", &refused);
        assert!(refused.field.is_none_or(|field| field == "room_id"));
    }

    let hello = json!({"protocol": 1, "server": "", "limits": Limits::default(), "ping_interval_s": 1, "notice": "", "resume_token": key});
    let events = [
        json!({"cmd": "hello", "data": hello}),
        json!({"cmd": "room-key-onetime", "data": {"room_id": room_id, "one_time_key": key, "one_time_keys": [key, key]}}),
        json!({"cmd": "room-key-forever", "data": {"room_id": room_id, "forever_join_key": key}}),
        json!({"cmd": "send-message", "data": {"room_id": room_id, "user_id": user, "username": "", "content": said, "shared": said}}),
    ];
    for event in &events {
        let (_, event) = Event::from_json(&event.to_string()).unwrap().unwrap();
        secrets.are_not_in("an event", &event);
    }

    let frame = TextFrame::text(said.as_bytes());
    secrets.are_not_in("a frame", &frame);
    secrets.are_not_in("a delivery", &Delivery::Frame(frame));
    secrets.are_not_in("a token", &token);
    secrets.are_not_in("a tag", &TagKey::random().tag(&token));
    secrets.are_not_in("a tag's key", &TagKey::random());
    secrets.are_not_in("ids", &(room, user));
    let ids = Secrets(vec![room.to_string(), user.to_string()]);
    ids.are_not_in("ids", &(room, user));
    let lines = Secrets(pem.lines().map(str::to_owned).collect());
    lines.are_not_in("a public key", &PublicKey::from_pem(&pem).unwrap());
}

#[test]
fn a_servers_private_key_does_not_show() {
    let folder = folder();
    let identity = Identity::development(&folder).unwrap().identity;
    let pem = std::fs::read(folder.join(DEV_KEY)).unwrap();
    let key = rustls_pemfile::private_key(&mut &pem[..]).unwrap().unwrap();
    let mut secrets = Secrets(String::from_utf8(pem).unwrap().lines().map(str::to_owned).collect());
    // The number itself is in the middle of the DER.
    secrets.0.extend(key.secret_der().windows(8).skip(36).take(16).flat_map(as_list));
    secrets.are_not_in("an identity", &identity);
    secrets.are_not_in("TLS settings", &identity.server_config());
}

/// What holds no secret may print itself, and does without panicking.
#[test]
fn the_rest_prints_itself() {
    let frame: ClientFrame = read_client_frame(&[0x81, 0x80, 0, 0, 0, 0], 10).unwrap().unwrap();
    let all: [&dyn Debug; 12] = [
        &ErrorCode::ALL,
        &CloseReason::ALL,
        &LeaveReason::ALL,
        &RoomClosedReason::ALL,
        &GapReason::ALL,
        &OwnerLeaves::ALL,
        &Limits::default(),
        &Options::default(),
        &(frame, Opcode::Text),
        &KeyLife::Room,
        &Bounds { bytes: 1, events: 1 },
        &(RoomOptions { max_members: 1, expires_at: None, owner_leaves: OwnerLeaves::Close }, Duration::ZERO),
    ];
    assert!(all.iter().all(|value| !format!("{value:#?}").is_empty()));
}
