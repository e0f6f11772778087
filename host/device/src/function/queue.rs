//! A queue of the function: its ring while it has one, and what wakes its server.
//!
//! For the function. The one rule: whoever serves a queue holds its half for as long as it does.

use std::{
    fmt,
    sync::{Condvar, Mutex, atomic::AtomicBool},
};

use super::lock::lock;
use crate::{
    random::Random,
    ring::{Announced, Ring, Taken},
};

/// A queue.
#[derive(Debug)]
pub struct Queue {
    pub half: Mutex<Half>,
    pub bell: Bell,
    /// Where the driver said that it was, when it last said so.
    pub announced: Mutex<Option<Announced>>,
    pub is_stalled: AtomicBool,
}

/// What is served.
pub struct Half {
    pub ring: Option<Box<dyn Ring>>,
    /// Chains that are served and not put back yet, with how much was written.
    pub finished: Vec<(Taken, u32)>,
    /// Chains that are answered and used later.
    pub kept: Vec<Kept>,
    /// With IN_ORDER, a chain is kept for ever, and so is everything behind it.
    pub is_blocked: bool,
    pub random: Random,
    /// Where the ring before this one was.
    pub old_index: Option<u16>,
    /// Requests that were served.
    pub requests: u64,
    /// What was used last, in a device that writes after a reset.
    pub used_last: Option<Taken>,
}

/// A chain whose answer is written later.
#[derive(Debug)]
pub struct Kept {
    pub taken: Taken,
    pub writes: Vec<(usize, Vec<u8>)>,
    pub written_bytes: u32,
}

/// Wakes a server, also one that is not asleep yet.
#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

/// What a bell says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    Silent,
    /// There is something to serve.
    Rung,
    /// There is nothing to serve any more.
    Over,
}

impl Queue {
    /// Makes one that has no ring.
    pub fn new(seed: u64) -> Self {
        let half = Half {
            ring: None,
            finished: Vec::new(),
            kept: Vec::new(),
            is_blocked: false,
            random: Random::new(seed),
            old_index: None,
            requests: 0,
            used_last: None,
        };
        Self {
            half: Mutex::new(half),
            bell: Bell::default(),
            announced: Mutex::new(None),
            is_stalled: AtomicBool::new(false),
        }
    }
}

impl Half {
    /// Begins with a ring.
    pub fn begin(&mut self, ring: Box<dyn Ring>) {
        self.ring = Some(ring);
    }

    /// Forgets everything of a ring.
    pub fn clear(&mut self) {
        if let Some(ring) = self.ring.take() {
            self.old_index = Some(ring.index());
        }
        self.finished.clear();
        self.kept.clear();
        self.is_blocked = false;
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half")
            .field("ring", &self.ring)
            .field("finished", &self.finished.len())
            .field("is_blocked", &self.is_blocked)
            .finish_non_exhaustive()
    }
}

impl Bell {
    /// Rings it, unless it is over.
    pub fn ring(&self) {
        let mut state = lock(&self.state);
        if *state == State::Silent {
            *state = State::Rung;
            self.changed.notify_one();
        }
    }

    /// Ends it for good.
    pub fn end(&self) {
        *lock(&self.state) = State::Over;
        self.changed.notify_all();
    }

    /// Waits until it rings or is over.
    pub fn wait(&self) -> State {
        let state = lock(&self.state);
        let waited = self
            .changed
            .wait_while(state, |state| *state == State::Silent);
        let mut state = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        match *state {
            State::Over => State::Over,
            _ => std::mem::take(&mut *state),
        }
    }
}
