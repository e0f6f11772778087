//! Waiting for a slot: first come first served, cancellable, without allocating.
//!
//! The one rule: the turn of a caller does not depend on what another caller in the line does.

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use pin_list::{InitializedNode, Node, NodeData};
use pin_project_lite::pin_project;

use super::{
    Queue,
    guarded::{Guarded, WaiterTypes},
    reserved::Reserved,
    slot::{NONE, State},
};
use crate::{Error, Platform};

pin_project! {
    /// Waits for a slot of a queue.
    ///
    /// The future is itself the node of the queue's list of waiters.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the line; a slot that it was handed already goes to the next
    /// caller. A future that is forgotten, or no longer polled, keeps the slot that it is handed,
    /// and no other.
    #[derive(Debug)]
    pub(crate) struct Reserve<'q, P>
    where
        P: Platform,
    {
        queue: &'q Queue<P>,
        #[pin]
        node: Node<WaiterTypes>,
    }

    impl<P: Platform> PinnedDrop for Reserve<'_, P> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let Some(node) = this.node.initialized_mut() else { return };
            let (removed, waker) = this.queue.with(|guarded| {
                match node.reset(&mut guarded.waiters) {
                    (NodeData::Linked(waker), ()) => (None, waker),
                    (NodeData::Removed(slot), ()) => (slot, None),
                }
            });
            if let Some(slot) = removed {
                this.queue.own(slot);
                this.queue.give_back(slot);
            }
            drop(waker);
        }
    }
}

enum Step {
    /// A slot, which may still have to be emptied, without the lock.
    Slot(u16),
    /// With the waker that has left the list, to be dropped without the lock: it may be the last of
    /// its task.
    Ended(Error, Option<Waker>),
    Waiting,
    /// The caller has to join the line, or to change its waker, and needs a clone made without the
    /// lock.
    WantsWaker,
    /// A slot that must not be used now: the caller gives it back, and goes first in the line.
    PutBack(u16),
}

impl<P: Platform> Queue<P> {
    /// Reserves a slot if one is free and none has to be emptied.
    #[inline(always)]
    pub(crate) fn reserve_fast(&self) -> Option<Reserved<'_, P>> {
        let slot = self.with(|guarded| {
            if guarded.reapable != NONE || guarded.closed.is_some() {
                return None;
            }
            guarded.take_free(&self.shared)
        })?;
        Some(Reserved { queue: self, slot })
    }

    /// Reserves a slot if one is free and nobody has waited longer.
    pub(crate) fn try_reserve(&self) -> Result<Reserved<'_, P>, Error> {
        self.reap();
        let slot = self.with(|guarded| {
            if let Some(error) = guarded.closed {
                return Err(error);
            }
            guarded.take_any(&self.shared).ok_or(Error::QueueFull)
        })?;
        self.own(slot);
        Ok(Reserved { queue: self, slot })
    }

    /// Empties a slot that the caller has got, if its last request has left something in it.
    fn own(&self, slot: u16) {
        if self.shared.words[usize::from(slot)].is(State::Emptying) {
            self.empty(slot);
        }
    }

    /// Reserves a slot, waiting in line for it.
    #[inline]
    pub(crate) fn reserve(&self) -> Reserve<'_, P> {
        Reserve {
            queue: self,
            node: Node::new(),
        }
    }
}

impl<'q, P: Platform> Future for Reserve<'q, P> {
    type Output = Result<Reserved<'q, P>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let queue = *this.queue;
        let mut waker: Option<Waker> = None;
        let mut had_slot = false;
        // While somebody is in the line there is nothing to reap.
        if this.node.is_initial() {
            queue.reap();
        }
        loop {
            // `waker` comes back holding what the list kept before, to be dropped here.
            let step = queue.with(|guarded| {
                if let Some(node) = this.node.as_mut().initialized_mut() {
                    match node.take_removed(&guarded.waiters) {
                        Ok((Some(slot), ())) if guarded.is_not_to_be_filled() => {
                            return Step::PutBack(slot);
                        }
                        Ok((Some(slot), ())) => return Step::Slot(slot),
                        // Turned away: the queue is closed.
                        Ok((None, ())) => {}
                        Err(node) => return guarded.stay(node, &mut waker, context.waker()),
                    }
                }
                if let Some(error) = guarded.refuses_waiters() {
                    return Step::Ended(error, None);
                }
                if !guarded.waits_for_hardware()
                    && let Some(slot) = guarded.take_any(&queue.shared)
                {
                    return Step::Slot(slot);
                }
                if waker.is_none() {
                    return Step::WantsWaker;
                }
                let (waiters, node) = (&mut guarded.waiters, this.node.as_mut());
                if had_slot {
                    waiters.push_front(node, waker.take(), ());
                } else {
                    waiters.push_back(node, waker.take(), ());
                }
                Step::Waiting
            });
            match step {
                Step::Slot(slot) => {
                    queue.own(slot);
                    return Poll::Ready(Ok(Reserved { queue, slot }));
                }
                Step::Ended(error, left) => {
                    drop(left);
                    return Poll::Ready(Err(error));
                }
                Step::Waiting => {
                    queue.notify_before_wait();
                    return Poll::Pending;
                }
                Step::WantsWaker => waker = Some(context.waker().clone()),
                Step::PutBack(slot) => {
                    queue.own(slot);
                    queue.give_back(slot);
                    had_slot = true;
                }
            }
        }
    }
}

impl<P: Platform> Guarded<P> {
    /// Stays in the line, to be woken by `own`. `spare`, if there is one, is a clone of it, and is
    /// swapped with the waker that was kept before. Leaves the line of a queue that is closed.
    fn stay<'n>(
        &mut self,
        mut node: Pin<&'n mut InitializedNode<'n, WaiterTypes>>,
        spare: &mut Option<Waker>,
        own: &Waker,
    ) -> Step {
        if let Some(error) = self.refuses_waiters() {
            let left = match node.reset(&mut self.waiters) {
                (NodeData::Linked(kept), ()) => kept,
                (NodeData::Removed(_), ()) => None,
            };
            return Step::Ended(error, left);
        }
        let Some(kept) = node.as_mut().protected_mut(&mut self.waiters) else {
            return Step::WantsWaker;
        };
        if kept.as_ref().is_some_and(|kept| kept.will_wake(own)) {
            return Step::Waiting;
        }
        if spare.is_none() {
            return Step::WantsWaker;
        }
        core::mem::swap(kept, spare);
        Step::Waiting
    }
}
