//! Whose commands a session carries out.

use serde_json::json;

use super::world::{World, told};

#[test]
fn commands_of_a_connection_that_lost_its_session_do_nothing() {
    let world = World::new(&[]);
    let (alice, bob) = (world.peer(), world.resumable());
    let (room, alice_id) = alice.create(&json!({}));
    bob.join(&room, &alice.forever_key(&room));
    alice.read();
    let frame = json!({
        "cmd": "send-message", "id": "1", "data": {"room_id": room, "to_user_id": alice_id, "content": "once"}
    });
    let again = world.resume(&bob.token, 1).unwrap();
    // The client repeats on the new connection what it had sent on the old one, where it lies unread.
    again.send(&frame);
    bob.send(&frame);
    bob.say("leave-room", json!({"room_id": room}));
    bob.send_binary();
    assert_eq!(told(&alice.read()), ["once"]);
    assert_eq!(told(&again.read()), ["resumed", "sent"]);
    assert!(again.attached().is_member());
    again.leave();
    alice.drop();
    world.is_empty();
}
