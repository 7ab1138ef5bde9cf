//! What is fuzzed: functions of bytes that must return, whatever the bytes.
//!
//! `fuzz_targets/` hands them to libFuzzer; `tests/it/fuzz.rs` of the main package runs them over the corpora and over
//! some thousand mutations in every check. Each asserts what holds for all input, so that a fault shows even where
//! nothing panics by itself.

pub mod relay;
mod room;
mod sealed;

use subrosa::protocol::command;
use subrosa::protocol::event::Event;
use subrosa::protocol::limits::Limits;
use subrosa::protocol::public_key::PublicKey;

/// A target: its name, which is also that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("command", command),
    ("event", event),
    ("frames", relay::frames),
    ("session", relay::session),
    ("takeover", relay::takeover),
    ("room", room::room),
    ("public_key", public_key),
    ("link", sealed::link),
    ("card", sealed::card),
    ("message", sealed::message),
    ("json", sealed::json),
    ("parts", sealed::parts),
];

/// One target by its name.
pub fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|(own, _)| *own == name).unwrap_or_else(|| panic!("no target {name}")).1
}

/// A command reads the same again once it is written.
fn command(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let limits = Limits::default();
    match command::parse(text, &limits) {
        Ok(request) => {
            let written = request.command.to_frame(request.id.as_deref());
            let again = command::parse(&written, &limits).expect("what is written can be read");
            assert_eq!(again.id, request.id);
            assert_eq!(again.command.to_frame(again.id.as_deref()), written);
        }
        Err(refused) => {
            // A refusal repeats no more than is well formed.
            assert!(refused.id.is_none_or(|id| id.len() as u64 <= limits.id_bytes));
            assert!(refused.field.is_none_or(|field| field.len() < 64 && field.is_ascii()));
        }
    }
}

/// An event reads the same again once it is written.
fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Some((id, event))) = Event::from_json(text) {
        let written = String::from_utf8(event.to_json(id.as_deref())).expect("JSON is UTF-8");
        let (again, event) = Event::from_json(&written).expect("JSON").expect("a known event");
        assert_eq!(again, id);
        assert_eq!(event.to_json(again.as_deref()), written.into_bytes());
    }
}

/// A key has one form, whatever form it came in.
fn public_key(data: &[u8]) {
    let text = std::str::from_utf8(data).ok().and_then(|text| PublicKey::from_pem(text).ok());
    for key in text.into_iter().chain(PublicKey::from_pkcs1_der(data)).chain(PublicKey::from_spki_der(data)) {
        assert_eq!(PublicKey::from_pem(&key.pkcs1_pem()).as_ref(), Ok(&key));
        assert_eq!(PublicKey::from_spki_der(&key.spki_der()).as_ref(), Ok(&key));
    }
}
