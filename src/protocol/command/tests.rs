//! Reading frames: what is taken, what is refused and how.

use super::*;
use proptest::prelude::*;

fn read(frame: &str) -> Result<Request<'_>, Box<Refused>> {
    parse(frame, &Limits::default())
}

#[test]
fn borrows_the_payload_and_ignores_what_it_does_not_know() {
    let frame =
        r#"{"x":1,"data":{"content":"a\nb","y":[],"room_id":"r","to_user_id":"u"},"id":"7","cmd":"send-message"}"#;
    let request = read(frame).unwrap();
    assert_eq!(request.id.as_deref(), Some("7"));
    let Command::SendMessage(message) = request.command else { panic!("another command") };
    assert_eq!(message.content.get(), r#""a\nb""#);
    assert!(matches!(message.room_id, Cow::Borrowed("r")));
}

#[test]
fn says_which_field_is_missing_but_never_quotes_the_client() {
    let refused = read(r#"{"cmd":"leave-room","id":"1","data":{}}"#).unwrap_err();
    assert_eq!((refused.command, refused.code), (Some("leave-room"), ErrorCode::BadRequest));
    assert_eq!((refused.field.as_deref(), refused.id.as_deref()), (Some("room_id"), Some("1")));
    let refused = read(r#"{"cmd":"ack","data":{"seq":"missing field `secret`"}}"#).unwrap_err();
    assert_eq!(refused.field, None);
}

#[test]
fn repeats_room_and_id_only_when_well_formed() {
    let room = RoomId::random();
    let refused = parse_refused(&format!(r#"{{"cmd":"revoke-key","id":5,"data":{{"room_id":"{room}"}}}}"#));
    assert_eq!((refused.id, refused.room_id), (None, Some(room)));
    let refused = parse_refused(r#"{"cmd":"revoke-key","id":"5","data":{"room_id":"x"}}"#);
    assert_eq!((refused.id.as_deref(), refused.room_id), (Some("5"), None));
    let refused = parse_refused(&format!(r#"{{"cmd":"ack","id":"{}","data":{{"seq":1}}}}"#, "i".repeat(65)));
    assert_eq!((refused.code, refused.id, refused.field.as_deref()), (ErrorCode::BadRequest, None, Some("id")));
}

#[test]
fn a_recipient_is_an_object_and_null_is_absent() {
    let send =
        |to: &str| format!(r#"{{"cmd":"send-messages","data":{{"room_id":"r","shared":null,"to":[{to}]}},"id":null}}"#);
    assert_eq!(parse_refused(&send(r#"["u","c"]"#)).code, ErrorCode::BadRequest);
    let frame = send(r#"{"to_user_id":"u","content":"c","x":[1]}"#);
    let request = read(&frame).unwrap();
    let Command::SendMessages(packet) = request.command else { panic!("another command") };
    assert!(request.id.is_none() && packet.shared.is_none());
    assert!(matches!((&packet.to[0].to_user_id, packet.to[0].content.unwrap().get()), (Cow::Borrowed("u"), r#""c""#)));
    let frame = r#"{"cmd":"create-room","data":{"name":"","username":"","client_room_id":null,"public_key_string":"","card":null,"owner_leaves":null}}"#;
    assert!(read(frame).is_ok());
    assert!(read(r#"{"cmd":"resume","data":null}"#).is_ok());
}

fn parse_refused(frame: &str) -> Refused {
    *read(frame).unwrap_err()
}

#[test]
fn a_frame_without_a_command_is_plainly_bad() {
    let list = r#"["ack",null,{"seq":1}]"#;
    let twice = r#"{"cmd":"ack","cmd":"ack"}"#;
    for frame in ["", "nonsense", "[]", list, "{}", r#"{"cmd":7}"#, twice, "{\"cmd\":\"ack\"} x"] {
        assert_eq!(parse_refused(frame).code, ErrorCode::BadJson, "{frame}");
    }
    assert_eq!(parse_refused(r#"{"cmd":"dance"}"#).code, ErrorCode::UnknownCommand);
    let deep = format!(r#"{{"cmd":"ack","data":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(parse_refused(&deep).code, ErrorCode::BadRequest);
}

#[test]
fn debug_shows_no_key() {
    let frame = r#"{"cmd":"revoke-key","data":{"room_id":"r","key":"k3y"}}"#;
    assert!(!format!("{:?}", read(frame).unwrap()).contains("k3y"));
}

/// What the two readers make of a frame, in a form that can be compared.
fn shown(read: Result<Request<'_>, Box<Refused>>) -> String {
    match read {
        Ok(Request { id, command: Command::SendMessage(message) }) => {
            format!("{id:?} {} {} {}", message.room_id, message.to_user_id, message.content.get())
        }
        Ok(Request { id, command: Command::SendMessages(messages) }) => {
            let part = |part: &Payload<'_>| format!("{} {}", part.to_user_id, part.content.map_or("", RawString::get));
            let to: Vec<_> = messages.to.iter().map(part).collect();
            let SendMessages { room_id, shared, rest, keep, .. } = messages;
            format!("{id:?} {room_id} {:?} {to:?} {rest:?} {keep:?}", shared.map(RawString::get))
        }
        other => format!("{other:?}"),
    }
}

/// A string, or what could be taken for one.
fn near_text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        Just(r#""r""#.to_owned()),
        Just(r#""""#.to_owned()),
        Just("7".to_owned()),
        Just("07".to_owned()),
        Just("true".to_owned()),
        Just("\"a\u{1}b\"".to_owned()),
        "\"[a-z\\\\\"u0-9é\u{7f}]{0,8}\"",
    ]
}

/// The fields of an object, doubled, left out, reordered.
fn near_fields(names: &'static [&'static str], count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let field = (proptest::sample::select(names), near_text()).prop_map(|(name, text)| format!("\"{name}\":{text}"));
    proptest::collection::vec(field, count).prop_map(|fields| fields.join(","))
}

/// The data of `send-messages`, or nearly so.
fn near_parts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => (near_text(), near_text()).prop_map(|(to, content)| format!(r#"{{"to_user_id":{to},"content":{content}}}"#)),
        1 => near_fields(&["content", "to_user_id", "x"], 0..4).prop_map(|fields| format!("{{{fields}}}")),
    ];
    let list = proptest::collection::vec(part, 0..3).prop_map(|parts| format!("\"to\":[{}]", parts.join(",")));
    let other = near_fields(&["room_id", "shared", "room_id", "x", "rest", "keep"], 1..2);
    let whole =
        prop_oneof![Just(r#""rest":12"#), Just(r#""keep":false"#), Just(r#""rest":1.5"#)].prop_map(str::to_owned);
    let field = prop_oneof![2 => list, 3 => other, 1 => whole];
    proptest::collection::vec(field, 0..5).prop_map(|fields| fields.join(","))
}

/// Frames near the short way: its form with parts doubled, left out, reordered or strange.
fn near_sending() -> impl Strategy<Value = String> {
    let data = prop_oneof![
        near_fields(&["room_id", "to_user_id", "content", "x"], 0..5).prop_map(|data| ("send-message", data)),
        near_parts().prop_map(|data| ("send-messages", data)),
    ];
    let id = proptest::option::of(near_text());
    let end = prop_oneof![4 => Just("}"), 1 => Just("} "), 1 => Just("}x"), 1 => Just("")];
    (id.clone(), data, id, end).prop_map(|(before, (name, data), after, end)| {
        let id = |id: Option<String>| id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        let after = id(after).trim_end_matches(',').to_owned();
        let comma = if after.is_empty() { "" } else { "," };
        format!("{{\"cmd\":\"{name}\",{}\"data\":{{{data}}}{comma}{after}{end}", id(before))
    })
}

#[test]
fn an_id_may_be_as_long_as_the_limit_on_either_way() {
    let limits = Limits { id_bytes: 4, ..Limits::default() };
    let data = format!(r#"{{"room_id":"{}","to_user_id":"{}","content":"x"}}"#, "r".repeat(32), "u".repeat(32));
    // With a space it takes the long way.
    for space in ["", " "] {
        let frame = |id: &str| format!(r#"{{"cmd":"send-message","id":"{id}",{space}"data":{data}}}"#);
        assert_eq!(parse(&frame("1234"), &limits).unwrap().id.as_deref(), Some("1234"));
        let refused = *parse(&frame("12345"), &limits).unwrap_err();
        assert_eq!((refused.code, refused.id, refused.field.as_deref()), (ErrorCode::BadRequest, None, Some("id")));
    }
}

#[test]
fn both_ways_give_the_content_as_it_stands_and_take_no_control_characters() {
    let data = |content: &str| {
        let (room, user) = ("r".repeat(32), "u".repeat(32));
        format!(r#"{{"cmd":"send-message","data":{{"room_id":"{room}","to_user_id":"{user}","content":"{content}"}}}}"#)
    };
    let (good, bad) = (data("as it stands"), data("\u{1}twice\u{1}"));
    let Ok(Request { command: Command::SendMessage(message), .. }) = read(&good) else { panic!("{good}") };
    assert_eq!(message.content.get(), r#""as it stands""#);
    assert!(read(&bad).is_err() && fast::sending(&bad).is_none());
}

#[test]
fn the_short_way_is_taken() {
    for frame in [
        r#"{"cmd":"send-message","data":{"room_id":"r","content":"hé","to_user_id":"u"}}"#,
        r#"{"cmd":"send-message","id":"1","data":{"to_user_id":"u","room_id":"r","content":""}}"#,
        r#"{"cmd":"send-message","data":{"room_id":"r","to_user_id":"u","content":"c"},"id":"1"}"#,
        r#"{"cmd":"send-messages","data":{"room_id":"r","to":[{"to_user_id":"u","content":"c"}]}}"#,
        r#"{"cmd":"send-messages","id":"1","data":{"shared":"s","to":[{"content":"","to_user_id":"u"},{"to_user_id":"v","content":"é"}],"room_id":"r"}}"#,
        r#"{"cmd":"send-messages","data":{"room_id":"r","shared":"s","to":[],"rest":12,"keep":false}}"#,
        r#"{"cmd":"send-messages","data":{"rest":0,"shared":"s","to":[{"to_user_id":"u"}],"room_id":"r"}}"#,
    ] {
        assert!(fast::sending(frame).is_some(), "{frame}");
    }
}

proptest! {
    #[test]
    fn the_short_way_reads_what_the_long_way_reads(frame in near_sending()) {
        if let Some(request) = fast::sending(&frame) {
            prop_assert_eq!(shown(Ok(request)), shown(parse_any(&frame, &Limits::default())));
        }
    }

    #[test]
    fn never_panics(frame in "\\PC*") {
        let _ = read(&frame);
    }

    #[test]
    fn reads_what_a_client_writes(room in "[a-z]{0,40}", key in "\\PC{0,40}", id in proptest::option::of("\\PC{0,16}")) {
        let command = Command::RevokeKey(RevokeKey { room_id: room.as_str().into(), key: key.as_str().into() });
        let frame = command.to_frame(id.as_deref());
        let request = read(&frame).unwrap();
        prop_assert_eq!(request.id.as_deref(), id.as_deref());
        let Command::RevokeKey(read) = request.command else { panic!("another command") };
        prop_assert_eq!((&*read.room_id, &*read.key), (room.as_str(), key.as_str()));
    }
}
