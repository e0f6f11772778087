//! Lets as many sectors to the crypto device at once as its queue has slots.
//!
//! More would wait in the queue's line, where each slot that comes free is somebody else's: pieces
//! would get in one sector at a time, and each sector would cost a kick. Measured with 64 slots and
//! 16 calls of 64 KiB at once: 7 sectors a kick instead of 64, and half as many bytes a second.
//!
//! The one rule: first come, first served.

use alloc::collections::VecDeque;
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use spin::Mutex;

struct State {
    free: usize,
    tickets: u64,
    line: VecDeque<Place>,
}

/// Somebody's place in the line.
struct Place {
    ticket: u64,
    waker: Waker,
}

/// So many may pass.
pub struct Gate(Mutex<State>);

/// Waits to pass. If it is dropped, nothing has passed, and whoever is next takes the place.
pub struct Passing<'g> {
    gate: &'g Gate,
    count: usize,
    ticket: Option<u64>,
}

/// What has passed, until it is dropped.
pub struct Passed<'g> {
    gate: &'g Gate,
    count: usize,
}

impl Gate {
    /// Lets `count` pass.
    pub fn new(count: usize) -> Self {
        Self(Mutex::new(State {
            free: count,
            tickets: 0,
            line: VecDeque::new(),
        }))
    }

    /// Waits until `count` may pass together; the gate lets as many.
    pub fn pass(&self, count: usize) -> Passing<'_> {
        Passing {
            gate: self,
            count,
            ticket: None,
        }
    }

    /// Changes something, then wakes whoever is first in the line. Without the lock, which wakers
    /// do not know of.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (changed, first) = {
            let mut state = self.0.lock();
            let changed = change(&mut state);
            (changed, state.line.front().map(|place| place.waker.clone()))
        };
        if let Some(first) = first {
            first.wake();
        }
        changed
    }
}

impl State {
    fn remove(&mut self, ticket: u64) -> Option<Place> {
        let at = self.line.iter().position(|place| place.ticket == ticket)?;
        self.line.remove(at)
    }
}

impl<'g> Future for Passing<'g> {
    type Output = Passed<'g>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Passed<'g>> {
        let (gate, count, waker) = (self.gate, self.count, context.waker());
        let mut state = gate.0.lock();
        let ticket = *self.ticket.get_or_insert_with(|| {
            state.tickets += 1;
            let ticket = state.tickets;
            let waker = waker.clone();
            state.line.push_back(Place { ticket, waker });
            ticket
        });
        let is_first = state
            .line
            .front()
            .is_some_and(|first| first.ticket == ticket);
        if is_first && state.free >= count {
            state.free -= count;
            let own = state.line.pop_front();
            drop(state);
            drop(own);
            // There may be room for the next one, too.
            gate.change(|_| ());
            self.ticket = None;
            return Poll::Ready(Passed { gate, count });
        }
        let mut places = state.line.iter_mut();
        if let Some(place) = places.find(|place| place.ticket == ticket) {
            place.waker.clone_from(waker);
        }
        Poll::Pending
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let place = self.gate.change(|state| state.remove(ticket));
            drop(place);
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        self.gate.change(|state| state.free += self.count);
    }
}
