//! Waiting for things to happen in a room.

use std::time::Duration;

use secrecy::ExposeSecret;
use subrosa::client::{Person, RoomEnd, RoomEvent, RoomEvents, SealedRoom};
use subrosa::sealed::alarm::Alarm;
use subrosa::sealed::{InviteKind, Link};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next event that `pick` takes. Alarms and the end fail the test unless picked.
pub(crate) async fn until<T>(events: &mut RoomEvents, mut pick: impl FnMut(&RoomEvent) -> Option<T>) -> T {
    let mut before = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        let event = next.unwrap_or_else(|_| panic!("nothing more after {before:?}")).expect("the room goes on");
        if let Some(found) = pick(&event) {
            return found;
        }
        assert!(!matches!(event, RoomEvent::Alarm(_) | RoomEvent::Ended(_)), "{event:?} after {before:?}");
        before.push(event);
    }
}

/// The next message: its sender, its text, and whether it is private.
pub(crate) async fn message(events: &mut RoomEvents) -> (String, String, bool) {
    until(events, |event| match event {
        RoomEvent::Message { from, text, private, .. } => Some((from.name.clone(), text.to_string(), *private)),
        _ => None,
    })
    .await
}

/// The next member that is accepted.
pub(crate) async fn came(events: &mut RoomEvents) -> Person {
    until(events, |event| if let RoomEvent::Joined { who, .. } = event { Some(who.clone()) } else { None }).await
}

/// Why it is over.
pub(crate) async fn ended(events: &mut RoomEvents) -> RoomEnd {
    until(events, |event| if let RoomEvent::Ended(end) = event { Some(end.clone()) } else { None }).await
}

/// The next alarm.
pub(crate) async fn alarm(events: &mut RoomEvents) -> Alarm {
    until(events, |event| if let RoomEvent::Alarm(alarm) = event { Some(alarm.clone()) } else { None }).await
}

/// A link for one person.
pub(crate) async fn one(room: &SealedRoom) -> Link {
    room.invite(InviteKind::OneTime, None).await.unwrap()
}

/// The same link once more.
pub(crate) fn again(link: &Link) -> Link {
    Link::parse(link.to_url().expose_secret()).unwrap()
}
