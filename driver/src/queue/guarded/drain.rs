//! Taking what the device has used.
//!
//! # What counts as an answer
//!
//! A device writes a request's status before it uses the request (Virtio 1.3, 2.7.8.2 and 5.9.7),
//! and every request is sent with a status that no device means. A used element whose request still
//! has that status is a fault of the device: it gives nothing back, ends no use of a session and
//! makes no slot free, whether a caller, an orphan or a *destroy* has the slot. Such elements come
//! from a device that lies. They also come from one that, after a forced reset, writes into the
//! ring what it had before (QEMU 10 and 11.1 with a throttled backend): the heads of both lives are
//! the same.
//!
//! An element from before that finds the status written comes early for a request that the device
//! has done. The request ends as it would have, except for the length. With that the device can lie
//! anyway, and only the length of a public-key result is taken from it. The request's own element
//! then comes second. It names a slot that is not in flight, or one whose next request is
//! unanswered, and breaks the device. If the next request is answered, too, the element comes early
//! for that one.

use super::{Guarded, Shared};
use crate::{
    Platform,
    error::DeviceFault,
    queue::{
        batch::{BATCH, Batch},
        slot::{Content, Purpose, State},
    },
    virtqueue::UsedElement,
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
    /// It has ended just now, by a breakage: everybody who waits is to be told.
    pub(crate) broke: bool,
}

impl<P: Platform> Guarded<P> {
    /// Takes used elements until the ring is empty or [`BATCH`] are taken.
    ///
    /// # Errors
    ///
    /// The way in which the device broke the rules. The caller ends the queue.
    #[inline(always)]
    pub(in crate::queue) fn drain(
        &mut self,
        shared: &Shared<P>,
        batch: &mut Batch,
        report: &mut DrainReport,
    ) -> Result<(), DeviceFault> {
        debug_assert!(batch.is_empty());
        debug_assert_eq!(report.drained, 0);
        let mut used_index = self.ring.used_index();
        // Each round but the first takes something, whatever the device makes of its index
        // meanwhile.
        loop {
            self.accounting.observe(used_index);
            let pending = used_index.wrapping_sub(self.ring.next_used());
            if pending > self.in_flight {
                return Err(DeviceFault::UsedIndexJump {
                    advance: pending,
                    in_flight: self.in_flight,
                });
            }
            for _ in 0..pending {
                if report.drained == u32::from(BATCH) {
                    report.more = true;
                    return Ok(());
                }
                self.take_one(shared, batch)?;
                report.drained += 1;
            }
            if self.pollers > 0 {
                return Ok(());
            }
            // All of it has been taken.
            self.accounting.arm(used_index);
            let taken = used_index;
            used_index = self.ring.arm();
            if used_index == taken {
                return Ok(());
            }
        }
    }

    #[inline(always)]
    fn take_one(&mut self, shared: &Shared<P>, batch: &mut Batch) -> Result<(), DeviceFault> {
        let used = self.ring.take_used();
        let (slot, rest) = match u32::from(self.stride) {
            1 => (used.id, 0),
            stride => (used.id / stride, used.id % stride),
        };
        let word = usize::try_from(slot)
            .ok()
            .and_then(|slot| shared.words.get(slot));
        let bad = DeviceFault::BadUsedId { id: used.id };
        // The whole id counts: its upper bits, and that it names a head.
        let (Some(word), 0) = (word, rest) else {
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
            self.take_unheld(shared, index, state, used, batch)?;
        }
        self.in_flight -= 1;
        self.stats.completed += 1;
        Ok(())
    }

    /// The device has used a slot that no caller holds.
    #[inline(never)]
    fn take_unheld(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        state: u8,
        used: UsedElement,
        batch: &mut Batch,
    ) -> Result<(), DeviceFault> {
        let UsedElement { id, len_bytes } = used;
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

    /// The device has answered a request whose caller is gone, in flight or completed.
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
                    // The session that nobody wants ends in the slot of its own beginning.
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
