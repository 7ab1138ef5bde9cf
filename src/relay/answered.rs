//! The sends of one session whose answer may not have arrived.
//!
//! A client that lost its connection before the answer sends again with the same id. The server then repeats the answer
//! and does not deliver the message a second time.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::protocol::frame::TextFrame;
use crate::room::FrameState;

/// The answers to sends that the client has not acknowledged, oldest first.
#[derive(Default)]
pub(super) struct Answered {
    sends: VecDeque<AnsweredSend>,
    /// The sends that ran before the session was resumed: the number of each one's answer. Only now can the same id
    /// mean the same send.
    resumed: HashMap<Box<str>, u64, RandomState>,
}

struct AnsweredSend {
    /// The number of the answer.
    seq: u64,
    id: Box<str>,
    answer: TextFrame,
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
        self.sends.push_back(AnsweredSend { seq, id: id.into(), answer });
    }

    /// The answer to a send with this id that ran before the session was resumed.
    pub(super) fn again(&self, id: &str) -> Option<TextFrame> {
        let seq = *self.resumed.get(id)?;
        let at = self.sends.binary_search_by_key(&seq, |send| send.seq).ok()?;
        self.sends.get(at).map(|send| send.answer.clone())
    }

    /// Forgets the answers up to number `seq`: they have arrived.
    pub(super) fn forget(&mut self, seq: u64) {
        while self.sends.front().is_some_and(|send| send.seq <= seq) {
            let Some(send) = self.sends.pop_front() else { return };
            if self.resumed.get(&send.id) == Some(&send.seq) {
                self.resumed.remove(&send.id);
            }
        }
        if self.sends.is_empty() {
            // What was removed is not cleared: the memory goes back to the allocator, which wipes it.
            self.resumed = HashMap::default();
        }
    }

    /// The session was resumed: from now on a repeated id means the same send.
    pub(super) fn resumed(&mut self) {
        for send in &self.sends {
            // The first of two sends with the same id, as the client numbered them.
            self.resumed.entry(send.id.clone()).or_insert(send.seq);
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
        };
        Self { sends: states.into_iter().map(send).collect(), resumed: HashMap::default() }
    }
}
