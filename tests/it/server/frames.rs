//! WebSocket as badly as it can be spoken. Whatever one client does, the others are served.

use serde_json::{Value, json};

use crate::support::frame::{BINARY, CLOSE, PING, PONG, TEXT, frame, header};
use crate::support::raw::Wire;
use crate::support::test_server::TestServer;

/// A greeted connection.
async fn greeted(server: &TestServer) -> Wire {
    let mut wire = server.wire().await;
    wire.expect("hello").await;
    wire
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_the_connection_goes_on() {
    let server = TestServer::start(&[]).await;
    let mut wire = greeted(&server).await;
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for (text, code) in [
        ("", "bad-json"),
        ("nonsense", "bad-json"),
        ("{", "bad-json"),
        ("{}", "bad-json"),
        ("[]", "bad-json"),
        ("null", "bad-json"),
        ("\"cmd\"", "bad-json"),
        (r#"{"cmd":7}"#, "bad-json"),
        (r#"{"cmd":"ack"} {"cmd":"ack"}"#, "bad-json"),
        (r#"{"cmd":"ack","cmd":"ack"}"#, "bad-json"),
        (r#"["ack",null,{"seq":0}]"#, "bad-json"),
        (r#"{"cmd":"dance"}"#, "unknown-command"),
        (r#"{"cmd":""}"#, "unknown-command"),
        (r#"{"cmd":"hello"}"#, "unknown-command"),
        (r#"{"cmd":"create-room-error","data":{}}"#, "unknown-command"),
        (&deep, "bad-json"),
    ] {
        wire.write(&frame(TEXT, text.as_bytes())).await;
        let answer = wire.expect("error").await;
        assert_eq!(answer["data"]["code"], code, "{text:.60}");
        assert!(answer["data"].as_object().unwrap().values().all(Value::is_string));
    }
    wire.write(&frame(BINARY, b"\x00\x01")).await;
    assert_eq!(wire.expect("error").await["data"]["code"], "binary-frame");
    // Fragmented, with a ping between, it is one message (RFC 6455 §5.4).
    wire.write(&[frame(0x02, b"\x00"), frame(PING, b""), frame(0x00, b"\x01"), frame(0x80, b"\x02")].concat()).await;
    assert_eq!(wire.read().await.unwrap().0, PONG);
    assert_eq!(wire.expect("error").await["data"]["code"], "binary-frame");
    // A lone surrogate would make the recipient's JSON reader refuse the whole frame.
    let lone = r#"{"cmd":"send-message","data":{"room_id":"","to_user_id":"","content":"\ud83d"}}"#;
    wire.write(&frame(TEXT, lone.as_bytes())).await;
    assert_eq!(wire.expect("send-message-error").await["data"]["code"], "bad-request");
    server.serves().await;
    drop(wire);
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_pings_between() {
    let server = TestServer::start(&[]).await;
    let mut wire = greeted(&server).await;
    let text = "{\"cmd\":\"ack\",\"id\":\"é\",\"data\":{\"seq\":0}}".as_bytes();
    // The second cut is in the middle of a character.
    let cut = text.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
    wire.write(&frame(0x01, &text[..5])).await;
    wire.write(&frame(PING, b"between")).await;
    wire.write(&frame(0x00, &text[5..cut])).await;
    wire.write(&frame(0x00, b"")).await;
    wire.write(&frame(0x80, &text[cut..])).await;
    assert_eq!(wire.read().await, Some((PONG, b"between".to_vec())));
    assert_eq!(wire.next().await, json!({"cmd": "ack", "id": "é", "data": {"seq": 0}}));
    wire.write(&frame(PONG, b"unasked")).await;
    wire.write(&frame(PING, &[7; 125])).await;
    assert_eq!(wire.read().await, Some((PONG, vec![7; 125])));
    drop(wire);
    server.stop().await;
}

#[tokio::test]
async fn several_frames_in_one_write_and_one_frame_in_many() {
    let server = TestServer::start(&[]).await;
    let mut wire = greeted(&server).await;
    let ack = |n: u64| frame(TEXT, format!("{{\"cmd\":\"ack\",\"id\":\"{n}\",\"data\":{{\"seq\":0}}}}").as_bytes());
    let many: Vec<u8> = (0..500).flat_map(ack).collect();
    wire.write(&many).await;
    for n in 0..500 {
        assert_eq!(wire.next().await["id"], n.to_string());
    }
    for byte in ack(500) {
        wire.write(&[byte]).await;
    }
    assert_eq!(wire.next().await["id"], "500");
    drop(wire);
    server.stop().await;
}

#[tokio::test]
async fn breaches_of_the_protocol_close_with_their_code() {
    let server = TestServer::start(&["first_frame_bytes=1024"]).await;
    let unmasked = [header(TEXT, 2, false), b"{}".to_vec()].concat();
    let long_ping = frame(PING, &[0; 126]);
    let short_form = [vec![TEXT, 0xfe, 0, 5], vec![0; 9]].concat();
    let whole = frame(TEXT, br#"{"cmd":"dance"}"#);
    let open = frame(0x01, b"{");
    let halves = [open.clone(), frame(0x80, b"\xff")].concat();
    let piecemeal = [frame(0x01, &[b' '; 1000]), frame(0x80, &[b' '; 25])].concat();
    let binary_piecemeal = [frame(0x02, &[0; 1000]), frame(0x80, &[0; 25])].concat();
    for (what, bytes, code, errors) in [
        ("unmasked", unmasked, 1002, vec![]),
        ("reserved bit 1", frame(0xc1, b"{}"), 1002, vec![]),
        ("reserved bit 3", frame(0x91, b"{}"), 1002, vec![]),
        ("unknown opcode", frame(0x83, b"{}"), 1002, vec![]),
        ("unknown control opcode", frame(0x8b, b""), 1002, vec![]),
        ("fragmented ping", frame(0x09, b""), 1002, vec![]),
        ("ping of 126 bytes", long_ping, 1002, vec![]),
        ("length not in its shortest form", short_form, 1002, vec![]),
        ("continuation of nothing", frame(0x80, b"{}"), 1002, vec![]),
        ("text in an unfinished message", [open.clone(), whole.clone()].concat(), 1002, vec![]),
        ("binary in an unfinished message", [open, frame(BINARY, b"")].concat(), 1002, vec![]),
        ("text in an unfinished binary message", [frame(0x02, b"a"), whole.clone()].concat(), 1002, vec![]),
        ("too large together, binary", binary_piecemeal, 1009, vec!["too-large"]),
        ("not UTF-8", frame(TEXT, b"\xff\xfe"), 1007, vec![]),
        ("half a character", frame(TEXT, b"\xc3"), 1007, vec![]),
        ("not UTF-8 in fragments", halves, 1007, vec![]),
        ("too large", frame(TEXT, &[b' '; 1025]), 1009, vec!["too-large"]),
        ("only said to be huge", header(TEXT, 1 << 40, true), 1009, vec!["too-large"]),
        ("too large together", piecemeal, 1009, vec!["too-large"]),
        ("a good one before", [whole, frame(0xc1, b"")].concat(), 1002, vec!["unknown-command"]),
        ("close", frame(CLOSE, b"\x03\xe8bye"), 1000, vec![]),
        ("close without a code", frame(CLOSE, b""), 1000, vec![]),
        ("close with half a code", frame(CLOSE, b"\x03"), 1002, vec![]),
        ("close with a forbidden code", frame(CLOSE, b"\x03\xed"), 1002, vec![]),
        ("close with bad text", frame(CLOSE, b"\x03\xe8\xff"), 1002, vec![]),
    ] {
        let mut wire = greeted(&server).await;
        wire.write(&bytes).await;
        // What comes after a breach is thrown away, not carried out.
        let _ = wire.try_write(&frame(TEXT, br#"{"cmd":"dance"}"#)).await;
        let (closed, told) = wire.closed().await;
        assert_eq!((closed, told), (Some(code), errors.into_iter().map(str::to_owned).collect()), "{what}");
    }
    server.serves().await;
    server.empty().await;
    server.stop().await;
}

#[tokio::test]
async fn half_frames_and_broken_connections_leave_nothing() {
    let server = TestServer::start(&[]).await;
    let create = json!({"cmd": "create-room", "data": {"name": "", "username": "", "public_key_string": crate::support::keys::public_key(1)}});
    let create = frame(TEXT, create.to_string().as_bytes());
    for end in [1, 2, 5, 40, create.len() - 1, create.len()] {
        let mut wire = greeted(&server).await;
        wire.write(&create[..end]).await;
        if end == create.len() {
            wire.expect("create-room").await;
            assert_eq!(server.relay.stats().rooms, 1);
        }
        drop(wire);
    }
    // Bytes that are no TLS record in the middle of a session.
    let wire = greeted(&server).await;
    let (mut tcp, _) = wire.stream.into_inner();
    tokio::io::AsyncWriteExt::write_all(&mut tcp, b"not TLS at all").await.unwrap();
    let mut rest = Vec::new();
    let _ =
        crate::support::test_server::soon("the end", tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut rest)).await;
    server.empty().await;
    server.serves().await;
    server.stop().await;
}

#[tokio::test]
async fn a_ping_has_room_beside_a_message_at_its_bound() {
    let server = TestServer::start(&["first_frame_bytes=1024"]).await;
    let mut wire = greeted(&server).await;
    wire.write(&frame(0x01, &[b' '; 1024])).await;
    wire.write(&frame(PING, b"still here")).await;
    assert_eq!(wire.read().await, Some((PONG, b"still here".to_vec())));
    wire.write(&frame(0x80, b"")).await;
    assert_eq!(wire.expect("error").await["data"]["code"], "bad-json");
    drop(wire);
    server.stop().await;
}
