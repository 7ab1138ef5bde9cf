//! The work that both kinds of benchmark measure: what a frame costs from the bytes that a client masked to the bytes
//! that are encrypted for its recipients, without sockets and TLS; the parts of that; and the end-to-end scheme.

mod relay;
mod sealed;

use std::hint::black_box;

use subrosa::protocol::command;
use subrosa::protocol::frame::{read_client_frame, unmask};
use subrosa::protocol::limits::Limits;

/// Something that is done again and again.
pub(crate) struct Scenario {
    /// Its name in the list of counts.
    pub(crate) name: &'static str,
    /// Prepares it; what comes back does it once.
    pub(crate) prepare: fn() -> Box<dyn FnMut()>,
}

/// Everything that is measured.
pub(crate) const SCENARIOS: &[Scenario] = &[
    // parse → route → frame, by the shapes of `subrosa-bench`.
    Scenario { name: "unicast", prepare: relay::unicast },
    Scenario { name: "unicast_answered", prepare: relay::unicast_answered },
    Scenario { name: "unicast_in_one_of_64_rooms", prepare: relay::unicast_in_one_of_many_rooms },
    Scenario { name: "fanout_to_99", prepare: relay::fanout },
    Scenario { name: "packet_to_99", prepare: relay::packet },
    Scenario { name: "packet_to_299_of_1_kib", prepare: relay::large_packet },
    Scenario { name: "resumable_unicast", prepare: relay::resumable_unicast },
    Scenario { name: "join_and_leave_among_100", prepare: relay::join_and_leave },
    // The codec.
    Scenario { name: "frame_of_64_kib", prepare: frame_of_64_kib },
    Scenario { name: "parse_send_message", prepare: parse_send_message },
    Scenario { name: "parse_send_message_unusual", prepare: parse_send_message_unusual },
    Scenario { name: "parse_send_messages_to_99", prepare: parse_send_messages },
    Scenario { name: "refuse_what_is_no_command", prepare: refuse },
    // The end-to-end scheme.
    Scenario { name: "sealed_sign_and_seal", prepare: sealed::sign_and_seal },
    Scenario { name: "sealed_hand_to_one", prepare: sealed::hand_to_one },
    Scenario { name: "sealed_open_hand", prepare: sealed::open_hand },
    Scenario { name: "sealed_open_and_verify", prepare: sealed::open_and_verify },
    Scenario { name: "sealed_padding_of_16_kib", prepare: sealed::padding },
];

/// A payload of `bytes` bytes as it stands in JSON, without the quotes.
fn payload(bytes: usize) -> String {
    "0123456789abcdef".chars().cycle().take(bytes).collect()
}

fn parse(frame: String) -> Box<dyn FnMut()> {
    let limits = Limits::default();
    Box::new(move || drop(black_box(command::parse(black_box(&frame), &limits))))
}

fn parse_send_message() -> Box<dyn FnMut()> {
    let content = payload(256);
    parse(format!(r#"{{"cmd":"send-message","data":{{"room_id":"r","content":"{content}","to_user_id":"u"}}}}"#))
}

/// With white space and an unknown field, which the short way does not take.
fn parse_send_message_unusual() -> Box<dyn FnMut()> {
    let content = payload(256);
    parse(format!(
        r#"{{ "data": {{"room_id":"r", "x":[1], "content":"{content}", "to_user_id":"u"}}, "cmd":"send-message"}}"#
    ))
}

fn parse_send_messages() -> Box<dyn FnMut()> {
    parse(relay::packet_frame("r", (0..99).map(|user| format!("user{user}")), &payload(256)))
}

fn refuse() -> Box<dyn FnMut()> {
    parse(r#"{"cmd":"send-everything","id":"7","data":{"room_id":"r"}}"#.to_owned())
}

fn frame_of_64_kib() -> Box<dyn FnMut()> {
    let masked = relay::masked(&payload(64 * 1024));
    let mut buffer = masked.clone();
    Box::new(move || {
        buffer.copy_from_slice(&masked);
        if let Ok(Some(frame)) = read_client_frame(black_box(&buffer), 1 << 20) {
            unmask(&mut buffer[frame.payload], frame.mask);
        }
        black_box(&buffer);
    })
}
