//! One membership in a sealed room, as a state machine without I/O.
//!
//! [`Machine`] has no socket, no thread and no clock: it can be used with any transport and in any runtime. Its user
//! pushes in what happened and pulls out what to do. Every call returns a [`Step`], which holds commands for the server
//! and events for the user:
//!
//! | What happened | Call |
//! | --- | --- |
//! | The server sent an event about this room | [`Machine::handle`] with a [`Fact`] |
//! | The server answered a command | [`Machine::answer`] with the command's [`CommandId`] and an [`Answer`] |
//! | The user wants something | [`Machine::send_text`], [`tell`](Machine::tell), [`invite`](Machine::invite), [`remove`](Machine::remove) … |
//! | The time of [`Machine::next_deadline`] has come | [`Machine::tick`] |
//!
//! The loop around it is always the same:
//!
//! 1. Make the machine with [`Machine::create`] or [`Machine::join`] and send the request that comes with it.
//! 2. Push in [`Fact::Created`] or [`Fact::Joined`] when the server has answered.
//! 3. Send the commands of each step to the server **in order**. Push in one answer for each of them, in the order in which
//!    the server gave the answers and the events.
//! 4. Show the events of each step to the user.
//! 5. After each call, set a timer to [`Machine::next_deadline`].
//! 6. Drop the machine after [`Event::Ended`]. That wipes its keys.
//!
//! `examples/machine.rs` drives two machines over a server in memory, and `subrosa::client` drives one over a
//! connection.
//!
//! ```text
//! create / join → request → Fact::Created / Joined → Event::Entered
//! Fact::UserJoined → admit → Event::MemberJoined | Alarm         nothing is sealed to a user who was not accepted
//! Fact::Message → receive: who? epoch? open, verify, count → Event::Message | Alarm
//! send_text → sending → Command::Send → Answer::Sent → Event::Sent
//! invite → Command::IssueKey → Answer::Key → Event::Invite
//! remove → rekey: RemoveMember, ResetKeys → answers → Send(secret), SetCard → Event::Rekeyed
//! ```
//!
//! Times are unix milliseconds and must not run backwards. Calls that open or seal messages take from 0.1 ms to some 20
//! ms (a full room). The machine is `Send`: run it on a thread of its own where that is too long.

// From the ground up: the state and its parts, then the rules, then the calls.
mod input;
mod output;

mod epochs;
mod healing;
mod heard;
mod held;
mod leaves;
mod listing;
mod members;
mod owner_state;
mod send_queue;
mod views;

mod machine;

mod card_duty;
mod rekey;

mod owner;

mod asking;

mod admit;
mod believe;
mod receive;
mod writing;

mod sending;

mod drive;
mod entry;
mod requests;
mod timers;

pub use entry::NewRoom;
pub use input::{Answer, Fact, LeaveReason, Listed, Now};
pub use machine::{Machine, Settings};
pub use output::{
    Command, CommandId, CreateRequest, Ending, Event, Fit, IntentError, InviteId, JoinRequest, MessageId, NotSent,
    Place, Referred, Step,
};
pub use requests::MemberInfo;
