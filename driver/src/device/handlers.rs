//! What an interrupt does: the handlers that the kernel calls, and a vector that moves.
//!
//! Each drains what its interrupt stands for, and tells what the interrupt was. The one rule: that
//! is decided by what the device has published, never by whether the ring is empty now.

use virtio_drivers::transport::InterruptStatus;

use crate::{
    Error, Platform,
    device::{
        Device,
        alone::Change,
        ladder::{CONFIG_ENTRY, Interrupt, InterruptMode},
    },
    epoch::Epoch,
    index::MsixEntry,
    queue::DrainReport,
    sync::run_all,
    transport::MsixMessage,
};

impl<P: Platform> Device<P> {
    /// Answers the interrupt of an MSI-X entry. Bounded, idempotent, on any CPU.
    ///
    /// Calls the wakers of those who wait: they must not allocate, nor take a lock that is held
    /// with interrupts enabled. A waker may be the last reference to its task, which is freed here
    /// then, as is that of [`block_on`](crate::block_on): the heap's lock masks interrupts, or
    /// wakers free nothing. Should one panic, the others are woken all the same while the panic
    /// goes on, here and wherever else wakers are called; a second one that panics meanwhile
    /// aborts.
    #[inline]
    pub fn handle_interrupt(&self, entry: MsixEntry) -> Interrupt {
        let interrupt = match entry.0.checked_sub(1) {
            // First: a queue's own vector, which most interrupts come by.
            Some(position) if self.interrupts.are_per_queue() => self.handle_queue(position.into()),
            _ => self.handle_entry(entry),
        };
        self.interrupts.count(interrupt)
    }

    /// Answers the interrupt of an entry that stands for more than one queue.
    #[inline(never)]
    fn handle_entry(&self, entry: MsixEntry) -> Interrupt {
        match (self.interrupts.mode(), entry.0) {
            (InterruptMode::PerQueue | InterruptMode::SharedQueues, 0) => self.handle(false, true),
            (InterruptMode::SharedQueues, 1) => self.handle(true, false),
            (InterruptMode::Shared, 0) => self.handle(true, true),
            _ => Interrupt::Unhandled,
        }
    }

    /// Moves an interrupt vector, at any time: `entry` of the MSI-X table sends `message` from here
    /// on, to another CPU for instance, also after a [`recover`](Self::recover).
    ///
    /// Nothing is lost: what the device sends meanwhile is sent when the entry is unmasked, and the
    /// rings are drained afterwards. A message that was sent before still arrives where the entry
    /// pointed until now, so the kernel keeps the old vector's handler for a while; up to two such
    /// messages a move are owed, beside those of the new place, until the next
    /// [`settle`](Self::settle). Not from an interrupt handler.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVector`] when the driver does not use that entry ([`InterruptMode`] tells);
    /// [`Error::Resetting`] while another caller changes the device;
    /// [`DeviceFault::Gone`](crate::DeviceFault::Gone) in [`Error::Broken`] when the device is.
    /// Nothing has moved then.
    pub fn move_interrupt(&self, entry: MsixEntry, message: MsixMessage) -> Result<(), Error> {
        let _alone = self.changing.begin(Change::Vector)?;
        let transport = self.attached().confirm()?;
        let mode = self.interrupts.mode();
        let epoch = self.epoch();
        let used = mode.entries(epoch.queues().count());
        let mut messages = self.messages.lock();
        let place = messages[..].iter_mut().take(used).nth(entry.0.into());
        *place.ok_or(Error::NoSuchVector { entry, used })? = message;
        drop(messages);
        // Before the move, so that no message arrives from two CPUs with the credit of one.
        for (position, queue) in epoch.queues().enumerate() {
            if mode.entry_of(position) == entry {
                queue.move_vector();
            }
        }
        if entry == CONFIG_ENTRY {
            self.attached().config_messages().move_vector();
        }
        transport.set_msix_message(entry, Some(message));
        self.poll();
        Ok(())
    }

    /// Answers an interrupt that stands for one queue alone.
    #[inline(always)]
    fn handle_queue(&self, position: usize) -> Interrupt {
        self.epochs
            .read(|epoch| self.handle_queue_of(epoch, position))
    }

    /// Answers it as one of an epoch's, which may be replaced meanwhile.
    #[inline(always)]
    pub(crate) fn handle_queue_of(&self, epoch: &Epoch<P>, position: usize) -> Interrupt {
        let Some(queue) = epoch.queue_at(position) else {
            let spent = epoch.spend_for_left_out(position);
            let report = DrainReport {
                spent,
                ..DrainReport::default()
            };
            return self.classify_of(epoch, report);
        };
        match epoch.drain_queue_fast(queue) {
            Ok(()) => Interrupt::Handled,
            Err(report) => self.classify_of(epoch, report),
        }
    }

    /// Answers an interrupt of the INTx pin, which other devices may share: the kernel asks each.
    /// Reading the ISR register lowers the pin; 0 means that the interrupt is another device's,
    /// which is [`Interrupt::Unhandled`] and not counted, because it is none of this device's.
    pub fn handle_intx(&self) -> Interrupt {
        let status = match self.attached().transport() {
            Ok(transport) => transport.read_interrupt_status(),
            Err(_) => InterruptStatus::empty(),
        };
        if status.is_empty() {
            return Interrupt::Unhandled;
        }
        let queues = status.contains(InterruptStatus::QUEUE_INTERRUPT);
        let config = status.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT);
        let mut interrupt = self.handle(queues, config);
        // The device says that it was its own, whatever is left to do; one that is gone says so of
        // everybody's.
        if (queues || config) && interrupt == Interrupt::Unhandled && !self.attached().is_gone() {
            interrupt = Interrupt::AlreadyDrained;
        }
        self.interrupts.count(interrupt)
    }

    /// Reads the ISR register, which lowers the INTx pin, and answers nothing: for the kernel to
    /// call before it unmasks the pin. What it was raised for is drained.
    pub fn clear_intx(&self) {
        if let Ok(transport) = self.attached().transport() {
            let _ = transport.read_interrupt_status();
        }
        self.poll();
    }

    /// Looks after all that one interrupt stands for. It spends one credit at most.
    fn handle(&self, queues: bool, config: bool) -> Interrupt {
        let mut total = DrainReport::default();
        let mut news = false;
        // Each of them, whatever a waker does by its panic: nothing else tells of the others.
        let mut steps = 0..2;
        run_all(|| {
            match steps.next() {
                Some(0) if queues => total = self.epochs.read(|epoch| self.drain_for(epoch)),
                Some(1) if config => {
                    news = self.epochs.read(Epoch::check_status) | self.generation_changed();
                }
                step => return step.is_some(),
            }
            true
        });
        // What is news here may be what another message tells of, which is still to come.
        let total = DrainReport {
            spent: total.spent || (config && self.attached().config_messages().spend()),
            ..total
        };
        self.classify(total, news)
    }

    /// Drains all queues of an epoch, which may be replaced meanwhile.
    pub(crate) fn drain_for(&self, epoch: &Epoch<P>) -> DrainReport {
        let report = epoch.drain_for_interrupt();
        DrainReport {
            spent: report.spent || self.may_be_of_another(epoch),
            ..report
        }
    }

    /// Tells what an interrupt was by what it found in an epoch.
    #[cold]
    #[inline(never)]
    fn classify_of(&self, epoch: &Epoch<P>, report: DrainReport) -> Interrupt {
        let spent = report.spent || self.may_be_of_another(epoch);
        self.classify(DrainReport { spent, ..report }, false)
    }

    /// Tells whether a message that `epoch` does not account for may be of another one. Around a
    /// reset, messages of the epoch before and of the one to come may arrive while neither is the
    /// current one; no credit can tell them apart.
    fn may_be_of_another(&self, epoch: &Epoch<P>) -> bool {
        // In this order: a reset that is over by now has put another epoch in its place.
        self.is_resetting() || !self.epochs.is_now(epoch)
    }

    /// Tells what an interrupt was by what it found.
    #[inline(always)]
    fn classify(&self, report: DrainReport, news: bool) -> Interrupt {
        if report.drained > 0 || news {
            Interrupt::Handled
        } else if report.spent || self.is_resetting() {
            Interrupt::AlreadyDrained
        } else {
            Interrupt::Unhandled
        }
    }

    fn generation_changed(&self) -> bool {
        let Ok(transport) = self.attached().transport() else {
            return false;
        };
        let now = transport.read_config_generation();
        self.attached().config_messages().see_generation(now)
    }
}
