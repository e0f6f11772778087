//! Places for sessions, and sessions that wait for their end.
//!
//! For the control queue, under its lock. The one rule: there is room for every session from the
//! start, so the end of one allocates nothing.

use alloc::{boxed::Box, vec::Vec};
use core::task::Waker;

use super::sessions::SessionIndex;
use crate::{
    Error,
    heap::{boxed, room_for},
};

/// How a session's end is going.
#[derive(Debug)]
enum Closer {
    /// Nobody waits for it.
    None,
    /// A closer waits.
    Waiting(Option<Waker>),
    /// The device has answered, and the closer has not taken the answer yet.
    Answered(Result<(), Error>),
}

/// Free places and sessions that wait for a slot to send their *destroy*; under the control
/// queue's lock.
#[derive(Debug)]
pub(crate) struct Ledger {
    free: Vec<SessionIndex>,
    /// First come first served. Never longer than the table, for which it has room.
    backlog: alloc::collections::VecDeque<SessionIndex>,
    closers: Box<[Closer]>,
}

impl Ledger {
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(sessions: u16) -> Result<Self, Error> {
        let mut free = room_for(sessions.into())?;
        free.extend((0..sessions).rev().map(SessionIndex));
        Ok(Self {
            free,
            backlog: room_for(sessions.into())?.into(),
            closers: boxed((0..sessions).map(|_| Closer::None))?,
        })
    }

    /// Takes a place for a session that is about to be created.
    pub(crate) fn reserve(&mut self) -> Result<SessionIndex, Error> {
        let max = self.closers.len() as u16;
        self.take_place().ok_or(Error::TooManySessions { max })
    }

    /// Takes a place, if there is one.
    #[inline]
    pub(crate) fn take_place(&mut self) -> Option<SessionIndex> {
        self.free.pop()
    }

    /// Gives back the place of a session that the device does not have (any more).
    pub(crate) fn free(&mut self, index: SessionIndex) {
        debug_assert!(
            self.free.len() < self.free.capacity(),
            "the ledger has room for all"
        );
        let closer = &mut self.closers[usize::from(index.0)];
        if !matches!(closer, Closer::None) {
            *closer = Closer::None;
        }
        self.free.push(index);
    }

    /// Returns how many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.closers.len() - self.free.len()
    }

    pub(crate) fn push_backlog(&mut self, index: SessionIndex) {
        debug_assert!(
            self.backlog.len() < self.backlog.capacity(),
            "the ledger has room for all"
        );
        self.backlog.push_back(index);
    }

    #[inline]
    pub(crate) fn pop_backlog(&mut self) -> Option<SessionIndex> {
        self.backlog.pop_front()
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Tells whether the *destroy* of `index` has not been sent.
    pub(crate) fn is_waiting(&self, index: SessionIndex) -> bool {
        self.backlog.contains(&index)
    }

    /// Takes the waker of one closer whose *destroy* has not been sent.
    pub(crate) fn take_waiting(&mut self) -> Option<Waker> {
        let closer = &mut self.closers;
        self.backlog
            .iter()
            .find_map(|index| match &mut closer[usize::from(index.0)] {
                Closer::Waiting(waker) => waker.take(),
                Closer::None | Closer::Answered(_) => None,
            })
    }

    /// Lets a closer wait for the end of `index`.
    pub(crate) fn watch(&mut self, index: SessionIndex, waker: Option<Waker>) {
        self.closers[usize::from(index.0)] = Closer::Waiting(waker);
    }

    /// Takes note that the device has answered a *destroy*; returns the closer to wake.
    pub(crate) fn finish(
        &mut self,
        index: SessionIndex,
        result: Result<(), Error>,
    ) -> Option<Waker> {
        let closer = &mut self.closers[usize::from(index.0)];
        match closer {
            Closer::Waiting(waker) => {
                let waker = waker.take();
                *closer = Closer::Answered(result);
                waker
            }
            Closer::None | Closer::Answered(_) => {
                self.free(index);
                None
            }
        }
    }

    /// Takes the answer for the closer of `index`, if the device has answered. Else keeps `waker`,
    /// and puts the one kept before in its place.
    #[inline]
    pub(crate) fn take_done(
        &mut self,
        index: SessionIndex,
        waker: &mut Option<Waker>,
    ) -> Option<Result<(), Error>> {
        match &mut self.closers[usize::from(index.0)] {
            Closer::Answered(result) => {
                let result = *result;
                self.free(index);
                Some(result)
            }
            Closer::Waiting(kept) => {
                if waker.is_some() {
                    core::mem::swap(kept, waker);
                }
                None
            }
            Closer::None => None,
        }
    }

    /// The closer stops waiting; the end goes on without it. Returns its waker for dropping.
    pub(crate) fn unwatch(&mut self, index: SessionIndex) -> Option<Waker> {
        let closer = &mut self.closers[usize::from(index.0)];
        match core::mem::replace(closer, Closer::None) {
            Closer::Waiting(waker) => waker,
            Closer::Answered(_) => {
                self.free(index);
                None
            }
            Closer::None => None,
        }
    }

    /// Takes the waker of the closer of a place, if one waits; `None` behind the last place.
    pub(crate) fn take_waker(&mut self, place: usize) -> Option<Option<Waker>> {
        let closer = self.closers.get_mut(place)?;
        Some(match closer {
            Closer::Waiting(waker) => waker.take(),
            Closer::None | Closer::Answered(_) => None,
        })
    }
}
