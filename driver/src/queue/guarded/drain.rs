//! Draining the used ring: which completions count, and what becomes of each.
//!
//! # What counts as an answer
//!
//! A device writes a request's status before it uses the request (Virtio 1.3, 2.7.8.2 and 5.9.7),
//! and every request is sent with a status that no device uses. A used element whose request still
//! has that status breaks the device. It gives nothing back, ends no use of a session and frees no
//! slot, whether a caller, an orphan or a *destroy* has the slot. Such elements come from a device
//! that lies. They also come from one that writes old elements into the new ring after a forced
//! reset, of the device or of the queue (QEMU 10 and 11.1 with a throttled backend): the heads in
//! both rings are the same.
//!
//! An old element may also find the status written. Then it comes early, for a request that the
//! device has finished, and the request ends as it would have, but for the length. The device can
//! lie about that anyway, and only the length of a public-key result is taken from it. The
//! request's own element comes second. If the slot is not in flight by then, or its next request is
//! unanswered, the element breaks the device. If that request is answered, too, the element comes
//! early for it.

use super::{Guarded, Shared};
use crate::{
    Platform,
    dma::DmaRegion,
    error::DeviceFault,
    queue::{
        batch::{BATCH, Batch},
        slot::{Content, Purpose, State},
    },
    virtqueue::{Used, UsedElement, UsedHalf},
};

/// What a drain of the used ring found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DrainReport {
    /// Used elements that it took.
    pub(crate) drained: u32,
    /// A credit that it spent.
    pub(crate) spent: bool,
    /// The batch was full before the ring was empty.
    pub(crate) more: bool,
    /// The queue has ended.
    pub(crate) ended: bool,
    /// A fault of the device has just ended it: all waiting tasks are to be told.
    pub(crate) broke: bool,
}

/// What was taken from the ring.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::queue) struct Drained {
    /// How many used elements.
    pub(in crate::queue) count: u32,
    /// See [`DrainReport::more`].
    pub(in crate::queue) more: bool,
}

impl<P: Platform> Guarded<P> {
    /// Takes used elements until the ring is empty or [`BATCH`] are taken. Returns what it took,
    /// and whether the device broke the rules then; if so, the caller ends the queue.
    #[inline(always)]
    pub(in crate::queue) fn drain(
        &mut self,
        used: &mut Used<DmaRegion<P>>,
        shared: &Shared<P>,
        batch: &mut Batch,
    ) -> (Drained, Result<(), DeviceFault>) {
        match used {
            Used::Split(half) => self.drain_half(half, shared, batch),
            Used::Packed(half) => self.drain_otherwise(half, shared, batch),
            Used::SplitInOrder(half) => self.drain_otherwise(half, shared, batch),
            Used::PackedInOrder(half) => self.drain_otherwise(half, shared, batch),
        }
    }

    #[inline(never)]
    fn drain_otherwise(
        &mut self,
        half: &mut impl UsedHalf,
        shared: &Shared<P>,
        batch: &mut Batch,
    ) -> (Drained, Result<(), DeviceFault>) {
        self.drain_half(half, shared, batch)
    }

    #[inline(always)]
    fn drain_half(
        &mut self,
        half: &mut impl UsedHalf,
        shared: &Shared<P>,
        batch: &mut Batch,
    ) -> (Drained, Result<(), DeviceFault>) {
        let mut drained = Drained::default();
        let outcome = self.take_all(half, shared, batch, &mut drained);
        (drained, outcome)
    }

    #[inline(always)]
    fn take_all(
        &mut self,
        half: &mut impl UsedHalf,
        shared: &Shared<P>,
        batch: &mut Batch,
        drained: &mut Drained,
    ) -> Result<(), DeviceFault> {
        debug_assert!(batch.is_empty());
        let mut used_index = self.observe_used_index(half);
        // Each round but the first takes an element, however the device moves its index meanwhile.
        loop {
            let pending = used_index.wrapping_sub(half.taken());
            if pending > self.in_flight {
                return Err(DeviceFault::UsedIndexJump {
                    advance: pending,
                    in_flight: self.in_flight,
                });
            }
            for _ in 0..pending {
                if drained.count == u32::from(BATCH) {
                    drained.more = true;
                    return Ok(());
                }
                self.take_one(half, shared, batch)?;
                drained.count += 1;
            }
            if self.pollers > 0 {
                return Ok(());
            }
            // All of it has been taken.
            self.accounting.arm(used_index);
            half.arm();
            let taken = used_index;
            used_index = self.observe_used_index(half);
            if used_index == taken {
                return Ok(());
            }
        }
    }

    /// Takes note of what the device has used, and takes nothing.
    #[cold]
    #[inline(never)]
    pub(in crate::queue) fn observe(&mut self, used: &mut Used<DmaRegion<P>>) {
        match used {
            Used::Split(half) => self.observe_used_index(half),
            Used::Packed(half) => self.observe_used_index(half),
            Used::SplitInOrder(half) => self.observe_used_index(half),
            Used::PackedInOrder(half) => self.observe_used_index(half),
        };
    }

    /// Reads how much the device has used, and takes note of what that owes.
    #[inline(always)]
    fn observe_used_index(&mut self, half: &mut impl UsedHalf) -> u16 {
        // One more than there can be: that shows, too.
        let limit = self.in_flight.saturating_add(1);
        let used = half.used_index(limit, &self.outstanding);
        self.accounting.observe(used.index);
        if used.passes_event_again {
            self.accounting.observe_again();
        }
        used.index
    }

    #[inline(always)]
    fn take_one(
        &mut self,
        half: &mut impl UsedHalf,
        shared: &Shared<P>,
        batch: &mut Batch,
    ) -> Result<(), DeviceFault> {
        let used = half.take_used(&mut self.outstanding);
        let slot = used.slot;
        let word = usize::try_from(slot)
            .ok()
            .and_then(|slot| shared.words.get(slot));
        let bad = DeviceFault::BadUsedId { id: used.id };
        let Some(word) = word else {
            return Err(bad);
        };
        let index = slot as u16;
        let entry = &mut self.slots[usize::from(index)];

        let state = word.state();
        if state == State::Submitted as u8 {
            // Behind the acquire of the used index, which the device moved after it wrote the
            // status.
            if !shared.blocks.block(index).is_answered(entry.status_at) {
                return Err(DeviceFault::Unanswered { id: used.id });
            }
            word.complete(used.len_bytes);
            batch.wake(entry.waker.take());
            if let Purpose::Data(session) = entry.purpose
                && shared.sessions.release_use(session)
            {
                batch.end_session(session);
            }
        } else {
            self.take_unattended(shared, index, state, used, batch)?;
        }
        self.in_flight -= 1;
        self.stats.completed += 1;
        Ok(())
    }

    /// Takes a used element whose slot no caller holds.
    #[inline(never)]
    fn take_unattended(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        state: u8,
        used: UsedElement,
        batch: &mut Batch,
    ) -> Result<(), DeviceFault> {
        let UsedElement { id, len_bytes, .. } = used;
        let is_detached = state == State::Detached as u8;
        if !is_detached && state != State::Orphaned as u8 {
            return Err(DeviceFault::BadUsedId { id });
        }
        let entry = &self.slots[usize::from(slot)];
        if !shared.blocks.block(slot).is_answered(entry.status_at) {
            return Err(DeviceFault::Unanswered { id });
        }
        if is_detached {
            let purpose = entry.purpose;
            self.finish_destroy(shared, slot, purpose, len_bytes, batch);
            self.pass_on(shared, slot, Content::Wiped, batch);
        } else {
            self.settle_orphan(shared, slot, len_bytes, batch);
        }
        Ok(())
    }

    /// Settles a request whose caller has gone: when it completes, or when the caller goes if it
    /// has completed by then.
    pub(in crate::queue) fn settle_orphan(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        written_bytes: u32,
        batch: &mut Batch,
    ) {
        let purpose = self.slots[usize::from(slot)].purpose;
        match purpose {
            Purpose::Create(session) => {
                let created = shared.blocks.block(slot).session_id(written_bytes);
                if let Some(id) = created {
                    shared.sessions.record(session, id);
                    // Nobody wants the session: its *destroy* takes the slot of its *create*.
                    if self.sends {
                        batch.kick |= self.send_destroy(shared, slot, session, State::Orphaned);
                        return;
                    }
                }
                if let Some(ledger) = &mut self.ledger {
                    match created {
                        // It waits for the hardware, or for a recovery to end it.
                        Some(_) => ledger.push_backlog(session),
                        None => ledger.free(session),
                    }
                }
            }
            Purpose::Data(session) => {
                if shared.sessions.release_use(session) {
                    batch.end_session(session);
                }
            }
            Purpose::Destroy(_) => {
                self.finish_destroy(shared, slot, purpose, written_bytes, batch);
            }
            Purpose::Nothing => {}
        }
        self.pass_on(shared, slot, Content::Left, batch);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        Direction,
        fake::{FakePlatform, Rig, poll_once, request},
        queue::{Locked, Queue},
        virtqueue::{Outstanding, UsedIndex},
    };

    /// A half of a ring whose device does something just before it is asked for an interrupt.
    struct Before<'h, H, F> {
        half: &'h mut H,
        first: Option<F>,
    }

    impl<H: UsedHalf, F: FnOnce()> UsedHalf for Before<'_, H, F> {
        fn used_index(&mut self, limit: u16, outstanding: &Outstanding) -> UsedIndex {
            self.half.used_index(limit, outstanding)
        }

        fn taken(&self) -> u16 {
            self.half.taken()
        }

        fn take_used(&mut self, outstanding: &mut Outstanding) -> UsedElement {
            self.half.take_used(outstanding)
        }

        fn arm(&mut self) {
            if let Some(first) = self.first.take() {
                first();
            }
            self.half.arm();
        }

        fn suppress_interrupts(&mut self) {
            self.half.suppress_interrupts();
        }

        fn allow_interrupts(&mut self) {
            self.half.allow_interrupts();
        }
    }

    fn drain(
        queue: &Queue<FakePlatform>,
        half: &mut impl UsedHalf,
        guarded: &mut Guarded<FakePlatform>,
        first: impl FnOnce(),
    ) -> (Drained, Batch) {
        let (mut batch, first) = (Batch::default(), Some(first));
        let mut half = Before { half, first };
        let (drained, outcome) = guarded.drain_half(&mut half, &queue.shared, &mut batch);
        assert_eq!(outcome, Ok(()));
        (drained, batch)
    }

    #[test]
    fn what_comes_before_an_interrupt_is_asked_for_is_taken() {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        let mut requests = [request(&session), request(&session)];
        // Its messages would drain as well.
        rig.fake.hold_interrupts(true);
        let serve = || assert_eq!(rig.fake.serve(0, 1), 1);
        serve();
        let queue = &rig.device.epoch().data[0];
        let (drained, _) = queue.locked.with(|Locked { used, guarded }| match used {
            Used::Split(half) => drain(queue, half, guarded, serve),
            Used::Packed(half) => drain(queue, half, guarded, serve),
            Used::SplitInOrder(_) | Used::PackedInOrder(_) => panic!("no such ring here"),
        });
        assert_eq!((drained.count, drained.more), (2, false));
        assert!(
            requests
                .iter_mut()
                .all(|it| poll_once(it.as_mut()).is_ready())
        );
    }
}
