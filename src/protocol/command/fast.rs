//! A short way for the two commands that must be cheap, `send-message` and `send-messages` as programs write them: read
//! in one pass.
//!
//! Whatever is unusual (white space, escapes in ids, unknown fields, errors of any kind) is left to the general reader,
//! which accepts all that this one does and gives the same result; a property test holds the two together.

use std::borrow::Cow;

use memchr::memchr2;

use super::data::{Payload, SendMessage, SendMessages};
use super::raw_string::RawString;
use super::request::{Command, Request};

/// Reads a frame of the form `{"cmd":"send-message(s)",["id":"…",]"data":{…}[,"id":"…"]}` whose data has just the known
/// fields, in any order.
pub(super) fn sending(frame: &str) -> Option<Request<'_>> {
    let rest = frame.strip_prefix(r#"{"cmd":"send-message"#)?;
    let (to_many, mut rest) = match rest.strip_prefix(r#"s","#) {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix(r#"","#)?),
    };
    let mut id = None;
    if let Some(after) = rest.strip_prefix(r#""id":"#) {
        let (text, after) = plain_string(after)?;
        id = Some(text);
        rest = after.strip_prefix(',')?;
    }
    let data = rest.strip_prefix(r#""data":{"#)?;
    let (command, mut rest) = if to_many {
        let (command, rest) = messages(data)?;
        (Command::SendMessages(command), rest)
    } else {
        let (command, rest) = message(data)?;
        (Command::SendMessage(command), rest)
    };
    if let Some(after) = rest.strip_prefix(r#","id":"#) {
        let (text, after) = plain_string(after)?;
        rest = id.replace(text).is_none().then_some(after)?;
    }
    (rest == "}").then_some(Request { id: id.map(Cow::Borrowed), command })
}

/// The data of `send-message`, from its first field on, and what follows it.
#[inline]
fn message(mut rest: &str) -> Option<(SendMessage<'_>, &str)> {
    let (mut room_id, mut to_user_id, mut content) = (None, None, None);
    for last in [false, false, true] {
        rest = if let Some(after) = rest.strip_prefix(r#""room_id":"#) {
            take_plain(after, &mut room_id)?
        } else if let Some(after) = rest.strip_prefix(r#""to_user_id":"#) {
            take_plain(after, &mut to_user_id)?
        } else {
            take_raw(rest.strip_prefix(r#""content":"#)?, &mut content)?
        };
        rest = rest.strip_prefix(if last { '}' } else { ',' })?;
    }
    let command =
        SendMessage { room_id: Cow::Borrowed(room_id?), to_user_id: Cow::Borrowed(to_user_id?), content: content? };
    Some((command, rest))
}

/// The same of `send-messages`.
fn messages(mut rest: &str) -> Option<(SendMessages<'_>, &str)> {
    let (mut room_id, mut shared, mut to, mut version, mut keep) = (None, None, None, None, None);
    loop {
        rest = if let Some(after) = rest.strip_prefix(r#""room_id":"#) {
            take_plain(after, &mut room_id)?
        } else if let Some(after) = rest.strip_prefix(r#""shared":"#) {
            take_raw(after, &mut shared)?
        } else if let Some(after) = rest.strip_prefix(r#""rest":"#) {
            let (number, after) = number(after)?;
            version.replace(number).is_none().then_some(after)?
        } else if let Some(after) = rest.strip_prefix(r#""keep":"#) {
            let (kept, after) = boolean(after)?;
            keep.replace(kept).is_none().then_some(after)?
        } else {
            let (parts, after) = payloads(rest.strip_prefix(r#""to":["#)?)?;
            to.replace(parts).is_none().then_some(after)?
        };
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    let rest = rest.strip_prefix('}')?;
    let command = SendMessages { room_id: Cow::Borrowed(room_id?), shared, to: to?, rest: version, keep };
    Some((command, rest))
}

/// A list of recipients' parts, from its first on, and what follows it.
fn payloads(mut rest: &str) -> Option<(Vec<Payload<'_>>, &str)> {
    let mut parts = Vec::new();
    if let Some(after) = rest.strip_prefix(']') {
        return Some((parts, after));
    }
    loop {
        rest = rest.strip_prefix('{')?;
        let (mut to_user_id, mut content) = (None, None);
        loop {
            rest = match rest.strip_prefix(r#""to_user_id":"#) {
                Some(after) => take_plain(after, &mut to_user_id)?,
                None => take_raw(rest.strip_prefix(r#""content":"#)?, &mut content)?,
            };
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
        parts.push(Payload { to_user_id: Cow::Borrowed(to_user_id?), content });
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some((parts, rest.strip_prefix(']')?)),
        }
    }
}

#[inline]
fn take_plain<'a>(text: &'a str, field: &mut Option<&'a str>) -> Option<&'a str> {
    let (value, rest) = plain_string(text)?;
    field.replace(value).is_none().then_some(rest)
}

/// A string without escapes, and what follows it.
#[inline(always)]
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('"')?;
    let end = memchr2(b'"', b'\\', body.as_bytes())?;
    let (value, rest) = (&body[..end], &body[end..]);
    (!has_controls(value)).then_some((value, rest.strip_prefix('"')?))
}

/// A whole number as programs write it, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    let written = digits == "0" || !digits.starts_with('0');
    Some((digits.parse().ok().filter(|_| written)?, rest))
}

/// `true` or `false`, and what follows it.
fn boolean(text: &str) -> Option<(bool, &str)> {
    let (value, rest) =
        text.strip_prefix("true").map_or((false, text.strip_prefix("false")), |rest| (true, Some(rest)));
    Some((value, rest?))
}

/// A string as it stands, quotes included. Without escapes: those are for the general reader to check.
#[inline]
fn take_raw<'a>(text: &'a str, field: &mut Option<RawString<'a>>) -> Option<&'a str> {
    let (value, rest) = plain_string(text)?;
    field.replace(RawString::plain(&text[..value.len() + 2])).is_none().then_some(rest)
}

/// Whether there are control characters, which JSON strings may not hold as they are (RFC 8259 §7).
fn has_controls(text: &str) -> bool {
    // Without an early end, so that the compiler can look at many bytes at once.
    text.bytes().fold(false, |found, byte| found | (byte < 0x20))
}
