//! A short way for the one command that must be cheap: `send-message` as programs write it, read in one pass.
//!
//! Whatever is unusual (white space, escapes in ids, unknown fields, errors of any kind) is left to the general reader, which
//! accepts all that this one does and gives the same result; a property test holds the two together.

use std::borrow::Cow;

use memchr::memchr2;

use super::{Command, RawString, Request, SendMessage};

/// Reads a frame of the form `{"cmd":"send-message",["id":"…",]"data":{…}[,"id":"…"]}` whose data has just the three fields, in any order.
pub(super) fn send_message(frame: &str) -> Option<Request<'_>> {
    let mut rest = frame.strip_prefix(r#"{"cmd":"send-message","#)?;
    let mut id = None;
    if let Some(after) = rest.strip_prefix(r#""id":"#) {
        let (text, after) = plain_string(after)?;
        id = Some(text);
        rest = after.strip_prefix(',')?;
    }
    rest = rest.strip_prefix(r#""data":{"#)?;
    let (mut room_id, mut to_user_id, mut content) = (None, None, None);
    for last in [false, false, true] {
        rest = if let Some(after) = rest.strip_prefix(r#""room_id":"#) {
            take_plain(after, &mut room_id)?
        } else if let Some(after) = rest.strip_prefix(r#""to_user_id":"#) {
            take_plain(after, &mut to_user_id)?
        } else {
            let (raw, after) = raw_string(rest.strip_prefix(r#""content":"#)?)?;
            content.replace(raw).is_none().then_some(after)?
        };
        rest = rest.strip_prefix(if last { '}' } else { ',' })?;
    }
    if let Some(after) = rest.strip_prefix(r#","id":"#) {
        let (text, after) = plain_string(after)?;
        rest = id.replace(text).is_none().then_some(after)?;
    }
    if rest != "}" {
        return None;
    }
    let command =
        SendMessage { room_id: Cow::Borrowed(room_id?), to_user_id: Cow::Borrowed(to_user_id?), content: content? };
    Some(Request { id: id.map(Cow::Borrowed), command: Command::SendMessage(command) })
}

fn take_plain<'a>(text: &'a str, field: &mut Option<&'a str>) -> Option<&'a str> {
    let (value, rest) = plain_string(text)?;
    field.replace(value).is_none().then_some(rest)
}

/// A string without escapes, and what follows it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('"')?;
    let end = memchr2(b'"', b'\\', body.as_bytes())?;
    let (value, rest) = (&body[..end], &body[end..]);
    (!has_controls(value)).then_some((value, rest.strip_prefix('"')?))
}

/// A string as it stands, quotes included, and what follows it. Without escapes: those are for the general reader to check.
fn raw_string(text: &str) -> Option<(RawString<'_>, &str)> {
    let (value, rest) = plain_string(text)?;
    Some((RawString::plain(&text[..value.len() + 2]), rest))
}

/// Whether there are control characters, which JSON strings may not hold as they are (RFC 8259 §7).
fn has_controls(text: &str) -> bool {
    // Without an early end, so that the compiler can look at many bytes at once.
    text.bytes().fold(false, |found, byte| found | (byte < 0x20))
}
