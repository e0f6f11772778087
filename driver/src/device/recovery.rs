//! The end of an epoch, and the next one: shutdown, recovery, drop.
//!
//! The one rule: requests and sessions are given a bounded time to end before the reset, and what
//! the device still has then is given up or vouched for.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use crate::{
    Error, Platform,
    deadline::Deadline,
    device::{
        Device,
        alone::Change,
        setup::{bring_up, reset_live},
    },
    epoch::Epoch,
    error::DeviceFault,
    heap::room_for,
    queue::Queue,
    transport::MsixMessage,
};

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Requests that the device still had at its reset: none after an orderly shutdown.
    pub in_flight: u32,
}

impl<P: Platform> Device<P> {
    /// Shuts the device down: takes no new requests, waits up to `limit_ns` for those in flight,
    /// ends every session on the device that has no request in flight (QEMU keeps sessions across a
    /// reset), and resets it. If `limit_ns` is over by then, the ends of sessions have as long as
    /// the reset itself: [`reset_limit_ns`](crate::Options::reset_limit_ns).
    ///
    /// Afterwards every operation fails with [`Error::ShutDown`]; sessions may be dropped at any
    /// time. What the device still had is wiped, whatever becomes of the futures that wait for it,
    /// and dealt with as [`forced_reset`](crate::Options::forced_reset) says.
    ///
    /// # Errors
    ///
    /// [`Error::ResetTimeout`] when the device did not confirm its reset: whatever it could still
    /// touch is given up for good. [`Error::Resetting`] when another caller is at it.
    pub fn shutdown(&self, limit_ns: u64) -> Result<ShutdownReport, Error> {
        let _alone = self.changing.begin(Change::Reset)?;
        let epoch = self.epoch();
        let outcome = self.take_down(&epoch, limit_ns, self.options.reset_limit_ns);
        let queues = epoch.queues().count();
        drop(epoch);
        self.interrupts.disable(&self.attached, queues);
        self.epochs.sweep();
        outcome
    }

    /// Resets the device and sets it up again, after it broke or for any other reason. Requests in
    /// flight get up to `limit_ns` to end unless the device is broken. Sessions from before end
    /// with [`Error::ShutDown`]: open new ones. On the device they are destroyed, before the reset
    /// or, if it was broken, after; but for those that had a request in flight when it broke, or
    /// when a queue was reset, since such a request may still meet whatever gets its session's id,
    /// unless the device is trusted ([`ForcedReset::Reclaim`](crate::ForcedReset::Reclaim)).
    /// [`sessions_left_behind`](Self::sessions_left_behind) counts these.
    ///
    /// Interrupts from before the reset may arrive after it, so each queue goes on with what was
    /// owed to it, two at most, four where messages travel, and what moves of its vector have left
    /// behind. None of them counts as *unhandled*;
    /// until [`settle`](Self::settle) as many spurious ones may not either.
    ///
    /// # Errors
    ///
    /// Those of [`shutdown`](Self::shutdown) and of [`new`](Self::new); the device then stays shut
    /// down, and this may be called again. [`Error::TooMuchGivenUp`] when too much memory has been
    /// lost to the device by now: it stays shut down for good, then.
    pub fn recover(&self, limit_ns: u64) -> Result<ShutdownReport, Error> {
        let _alone = self.changing.begin(Change::Reset)?;
        self.attached.find_again();
        let outcome = self.start_anew(limit_ns);
        if outcome.is_err() {
            let queues = self.epochs.read(|epoch| epoch.queues().count());
            self.interrupts.disable(&self.attached, queues);
        }
        outcome
    }

    fn start_anew(&self, limit_ns: u64) -> Result<ShutdownReport, Error> {
        let old = self.epoch();
        // Time for the ends of sessions is after the reset, too.
        let drained = self.take_down(&old, limit_ns, 0)?;
        self.check_given_up()?;
        let (messages, room) = (self.messages()?, self.epochs.room()?);
        let epoch = bring_up::<P>(
            &self.attached,
            &self.options,
            &messages,
            &self.interrupts,
            &self.given_up,
            Some(&old),
        )?;
        self.end_strays(&old, &epoch);
        self.wait_for(&epoch, &epoch.control, &mut Deadline::after::<P>(limit_ns));

        epoch.inherit(old.owed());
        drop(old);
        self.is_down.store(false, Ordering::Relaxed);
        self.epochs.replace(epoch, room);
        self.epochs.sweep();
        // Interrupts that came before met the old epoch.
        self.poll();
        Ok(drained)
    }

    /// Checks that not too much memory has been lost to the device.
    pub(super) fn check_given_up(&self) -> Result<(), Error> {
        let (given_up_bytes, limit_bytes) =
            (self.given_up_bytes(), self.options.given_up_limit_bytes);
        if given_up_bytes <= limit_bytes {
            return Ok(());
        }
        Err(Error::TooMuchGivenUp {
            given_up_bytes,
            limit_bytes,
        })
    }

    /// Returns a copy of the vectors' messages.
    fn messages(&self) -> Result<Vec<MsixMessage>, Error> {
        let mut messages = room_for(self.messages.lock().len())?;
        messages.extend_from_slice(&self.messages.lock());
        Ok(messages)
    }

    /// Ends sessions of the epoch before that the device has kept. Nobody has the new epoch yet, so
    /// no new session can get an id that is ended here. A device that forgot its sessions refuses,
    /// which is as good.
    fn end_strays(&self, old: &Epoch<P>, new: &Epoch<P>) {
        let taken = old.control.sessions_taken() as u64;
        // In the order in which a session moves on meanwhile: a caller takes an answered one, and
        // drops one that it holds.
        let answered = old.control.take_answered_creates();
        let idle = answered.chain(old.sessions.take_idle());
        let strays = idle.chain(old.control.take_backlog());
        let mut ended = 0;
        let mut end = |session| {
            let (id, destroy_opcode) = old.sessions.id_and_opcode(session);
            ended += u64::from(new.control.destroy_stray(id, destroy_opcode).is_ok());
        };
        strays.for_each(&mut end);
        if self.options.forced_reset.is_trusted() {
            // It has let go of what was in flight.
            let unanswered = old.control.take_unanswered_destroys();
            old.sessions.take_all().chain(unanswered).for_each(end);
        }
        let left = taken.saturating_sub(ended);
        self.left_behind.fetch_add(left, Ordering::Relaxed);
    }

    /// Drains until `queue` has nothing to do, has ended, or the time is up.
    pub(super) fn wait_for(&self, epoch: &Epoch<P>, queue: &Queue<P>, deadline: &mut Deadline) {
        while queue.ended().is_none() && queue.is_busy() && !deadline.is_over::<P>() {
            epoch.drain();
            epoch.check_presence();
            core::hint::spin_loop();
        }
    }

    /// Takes the device down. The requests and the ends of sessions together have `limit_ns`, the
    /// ends of sessions `ends_ns` at least.
    fn take_down(
        &self,
        epoch: &Epoch<P>,
        limit_ns: u64,
        ends_ns: u64,
    ) -> Result<ShutdownReport, Error> {
        let mut deadline = Deadline::after::<P>(limit_ns);
        for queue in epoch.queues() {
            queue.close(Error::ShutDown);
        }
        for queue in epoch.queues() {
            self.wait_for(epoch, queue, &mut deadline);
        }
        // A *destroy* that meets the reset half way could end another's session after it: with no
        // time for an answer the sessions stay, for `recover` to end afterwards.
        deadline.extend(ends_ns);
        if !deadline.is_over::<P>() && epoch.control.ended().is_none() && epoch.control.is_ready() {
            let answered = epoch.control.take_answered_creates();
            // One with a request in flight stays, as it would meet the reset with it.
            let ends = answered.chain(epoch.sessions.take_idle());
            if ends.map(|session| epoch.control.destroy(session)).count() > 0 {
                self.wait_for(epoch, &epoch.control, &mut deadline);
            }
        }
        // A session that another caller drops meanwhile sends its *destroy* by itself.
        while !epoch.control.end_if_idle(Error::ShutDown)
            && epoch.control.is_ready()
            && !deadline.is_over::<P>()
        {
            self.wait_for(epoch, &epoch.control, &mut deadline);
        }
        // First the end, then the count: what ends somewhere else sends nothing between.
        epoch.end(Error::ShutDown);
        let in_flight = epoch.in_flight();

        let reset = reset_live::<P>(&self.attached, self.options.reset_limit_ns);
        if reset.is_ok() {
            // Messages of what it has used until now may come.
            epoch.drain();
            epoch.take_back(self.options.forced_reset);
            if self.options.forced_reset.is_trusted() {
                epoch.control.find_unanswered_creates();
            }
        }
        epoch.queues().for_each(Queue::clear);
        self.is_down.store(true, Ordering::Relaxed);
        reset?;
        Ok(ShutdownReport { in_flight })
    }
}

impl<P: Platform> Drop for Device<P> {
    fn drop(&mut self) {
        // A waker may have cut a shutdown short by its panic, and a future that was changing
        // something may have been forgotten: nobody is in there any more.
        self.changing.forget();
        if *self.is_down.get_mut() {
            return;
        }
        match self.shutdown(self.options.reset_limit_ns) {
            // Of one that has gone there is nothing left to do.
            Ok(_) | Err(Error::Broken(DeviceFault::Gone)) => {}
            Err(error) => log::error!("virtio-crypto: shutdown at drop: {error}"),
        }
    }
}
