//! The one event that must be cheap: a delivered message, spliced from what is made once and what came.

use serde::Serialize;

use super::frame;
use crate::protocol::command::RawString;
use crate::protocol::ids::{RoomId, UserId};

/// The start of every `send-message` that one member causes, made once per membership.
pub struct MessageHead(Box<[u8]>);

impl MessageHead {
    /// For the messages of `user_id`, called `username`, in `room_id`.
    pub fn new(room_id: RoomId, user_id: UserId, username: &str) -> Self {
        #[derive(Serialize)]
        struct Head<'a> {
            room_id: RoomId,
            user_id: UserId,
            username: &'a str,
        }
        let mut head = frame("send-message", None, &Head { room_id, user_id, username });
        // `…"username":"…"}}` becomes `…"username":"…","content":`.
        head.truncate(head.len() - 2);
        head.extend_from_slice(br#","content":"#);
        Self(head.into())
    }

    /// The parts of the event's text: written one after the other they are the frame. `content` and `shared` are JSON
    /// strings.
    pub fn parts<'a>(&'a self, content: RawString<'a>, shared: Option<RawString<'a>>) -> [&'a [u8]; 5] {
        let (comma, shared) = match shared {
            Some(shared) => (&br#","shared":"#[..], shared.get().as_bytes()),
            None => (&[][..], &[][..]),
        };
        [&self.0, content.get().as_bytes(), comma, shared, b"}}"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::event::Event;

    fn raw(text: &str) -> RawString<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_spliced_message_is_the_event() {
        let (room, user) = (RoomId::random(), UserId::random());
        let head = MessageHead::new(room, user, "al\"ice");
        for shared in [None, Some(r#""both""#)] {
            let bytes = head.parts(raw(r#""he\nllo""#), shared.map(raw)).concat();
            let (_, event) = Event::from_json(std::str::from_utf8(&bytes).unwrap()).unwrap().unwrap();
            let Event::SendMessage(message) = event else { panic!("another event") };
            assert_eq!((message.room_id, message.user_id), (room, user));
            assert_eq!((message.username.as_str(), message.content.as_str()), ("al\"ice", "he\nllo"));
            assert_eq!(message.shared.as_deref(), shared.map(|_| "both"));
        }
    }
}
