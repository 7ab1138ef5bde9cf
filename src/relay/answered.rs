//! The sends of one session whose answer may not have arrived.
//!
//! A client that lost its connection before the answer sends again with the same id. The server then repeats the answer and
//! does not deliver the message a second time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::protocol::frame::TextFrame;
use crate::room::FrameState;

/// The answers to sends that the client has not acknowledged, oldest first.
#[derive(Default)]
pub(super) struct Answered {
    sends: VecDeque<AnsweredSend>,
}

struct AnsweredSend {
    /// The number of the answer.
    seq: u64,
    id: Box<str>,
    answer: TextFrame,
    /// The session was resumed since: only now can the same id mean the same send.
    resumed: bool,
}

/// One answer in a form that another process can read.
#[derive(Serialize, Deserialize)]
pub(super) struct AnsweredState {
    seq: u64,
    id: String,
    answer: FrameState,
}

impl Answered {
    /// Remembers the answer number `seq` to the send with this id.
    pub(super) fn add(&mut self, seq: u64, id: &str, answer: TextFrame) {
        self.sends.push_back(AnsweredSend { seq, id: id.into(), answer, resumed: false });
    }

    /// The answer to a send with this id that ran before the session was resumed.
    pub(super) fn again(&self, id: &str) -> Option<TextFrame> {
        self.sends.iter().find(|send| send.resumed && *send.id == *id).map(|send| send.answer.clone())
    }

    /// Forgets the answers up to number `seq`: they have arrived.
    pub(super) fn forget(&mut self, seq: u64) {
        while self.sends.front().is_some_and(|send| send.seq <= seq) {
            self.sends.pop_front();
        }
    }

    /// The session was resumed: from now on a repeated id means the same send.
    pub(super) fn resumed(&mut self) {
        for send in &mut self.sends {
            send.resumed = true;
        }
    }

    /// The answers as a record.
    pub(super) fn state(&self) -> Vec<AnsweredState> {
        let state = |send: &AnsweredSend| AnsweredState {
            seq: send.seq,
            id: send.id.to_string(),
            answer: FrameState::of(&send.answer),
        };
        self.sends.iter().map(state).collect()
    }

    /// The answers of a record.
    pub(super) fn restore(states: Vec<AnsweredState>) -> Self {
        let send = |state: AnsweredState| AnsweredSend {
            seq: state.seq,
            id: state.id.into(),
            answer: state.answer.into_frame(),
            resumed: false,
        };
        Self { sends: states.into_iter().map(send).collect() }
    }
}
