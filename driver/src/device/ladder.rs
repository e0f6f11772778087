//! Which vector stands for what, and what each interrupt was.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use virtio_drivers::transport::InterruptStatus;

use crate::{
    Error, Platform,
    device::{Device, recovery::Change},
    epoch::Epoch,
    queue::Answer,
    stats::InterruptStats,
    transport::{Attached, MsixEntry, MsixMessage, QueueIndex, Transport},
};

/// How interrupts come, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum InterruptMode {
    /// Entry 0 for the configuration, one for each data queue from 1 on, the next for the control
    /// queue.
    PerQueue = 0,
    /// Entry 0 for the configuration, 1 for all queues.
    SharedQueues = 1,
    /// Entry 0 for everything.
    Shared = 2,
    /// The INTx pin, with the ISR register.
    Intx = 3,
    /// None: whoever waits drains, and [`Device::poll`] does.
    Polling = 4,
}

impl InterruptMode {
    const MSIX_LADDER: [Self; 3] = [Self::PerQueue, Self::SharedQueues, Self::Shared];

    /// Returns how many MSI-X entries it takes for so many queues.
    pub(crate) const fn entries(self, queues: usize) -> usize {
        match self {
            Self::PerQueue => 1 + queues,
            Self::SharedQueues => 2,
            Self::Shared => 1,
            Self::Intx | Self::Polling => 0,
        }
    }

    /// Returns the entry of the queue at a position, data queues first, control queue last.
    const fn entry_of(self, position: usize) -> MsixEntry {
        MsixEntry(match self {
            Self::PerQueue => 1 + position as u16,
            Self::SharedQueues => 1,
            Self::Shared | Self::Intx | Self::Polling => 0,
        })
    }
}

/// The entry of the configuration.
const CONFIG_ENTRY: MsixEntry = MsixEntry(0);

/// What an interrupt was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupt {
    /// It found something to do, which is done.
    Handled,
    /// Somebody else had drained what it was sent for.
    AlreadyDrained,
    /// Nothing that the device published accounts for it. Only counted: drivers have to accept
    /// spurious notifications (Virtio 1.3, 2.7.7).
    Unhandled,
}

/// The interrupts of a device.
#[derive(Debug)]
pub(crate) struct Interrupts {
    mode: AtomicU8,
    /// The configuration generation as last seen.
    generation: AtomicU32,
    handled: AtomicU64,
    already_drained: AtomicU64,
    unhandled: AtomicU64,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self {
            mode: AtomicU8::new(InterruptMode::Polling as u8),
            generation: AtomicU32::new(0),
            handled: AtomicU64::new(0),
            already_drained: AtomicU64::new(0),
            unhandled: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn mode(&self) -> InterruptMode {
        match self.mode.load(Ordering::Relaxed) {
            0 => InterruptMode::PerQueue,
            1 => InterruptMode::SharedQueues,
            2 => InterruptMode::Shared,
            3 => InterruptMode::Intx,
            _ => InterruptMode::Polling,
        }
    }

    /// Sets vectors, from one for each source down to none, until the device takes them all.
    pub(crate) fn set_up(
        &self,
        transport: &dyn Transport,
        messages: &[MsixMessage],
        intx: bool,
        queues: &[QueueIndex],
    ) -> InterruptMode {
        let available = messages.len().min(usize::from(transport.msix_entries()));
        let taken = InterruptMode::MSIX_LADDER
            .into_iter()
            .filter(|mode| mode.entries(queues.len()) <= available)
            .find(|mode| {
                let messages = &messages[..mode.entries(queues.len())];
                try_msix(transport, messages, *mode, queues)
            });
        let mode = taken.unwrap_or_else(|| {
            clear_msix(transport, queues);
            if intx {
                InterruptMode::Intx
            } else {
                InterruptMode::Polling
            }
        });
        self.mode.store(mode as u8, Ordering::Relaxed);
        mode
    }

    /// The device, with so many queues, is shut down: nothing comes any more.
    pub(crate) fn disable(&self, attached: &Attached, queues: usize) {
        let Ok(transport) = attached.transport() else {
            return;
        };
        for entry in 0..self.mode().entries(queues) as u16 {
            transport.set_msix_message(MsixEntry(entry), None);
        }
    }

    /// Remembers the configuration's generation, so that only a later one is news.
    pub(crate) fn note_generation(&self, transport: &dyn Transport) {
        self.generation
            .store(transport.read_config_generation(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn count(&self, interrupt: Interrupt) -> Interrupt {
        let counter = match interrupt {
            Interrupt::Handled => &self.handled,
            Interrupt::AlreadyDrained => &self.already_drained,
            Interrupt::Unhandled => &self.unhandled,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        interrupt
    }

    pub(crate) fn stats(&self) -> InterruptStats {
        InterruptStats {
            handled: self.handled.load(Ordering::Relaxed),
            already_drained: self.already_drained.load(Ordering::Relaxed),
            unhandled: self.unhandled.load(Ordering::Relaxed),
        }
    }
}

/// Sets the vectors of one rung; `true` if every one of them reads back as it was written.
fn try_msix(
    transport: &dyn Transport,
    messages: &[MsixMessage],
    mode: InterruptMode,
    queues: &[QueueIndex],
) -> bool {
    transport.set_msix_enabled(true);
    for (entry, message) in messages.iter().enumerate() {
        transport.set_msix_message(MsixEntry(entry as u16), Some(*message));
    }
    let mut taken = transport.set_config_vector(Some(CONFIG_ENTRY)) == Some(CONFIG_ENTRY);
    for (position, queue) in queues.iter().enumerate() {
        let entry = mode.entry_of(position);
        taken = taken && transport.set_queue_vector(*queue, Some(entry)) == Some(entry);
    }
    taken
}

fn clear_msix(transport: &dyn Transport, queues: &[QueueIndex]) {
    if transport.msix_entries() == 0 {
        return;
    }
    transport.set_config_vector(None);
    for queue in queues {
        transport.set_queue_vector(*queue, None);
    }
    transport.set_msix_enabled(false);
}

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
        let interrupt = match (self.interrupts.mode(), entry.0) {
            // First: a queue's own vector, which most interrupts come by.
            (InterruptMode::PerQueue, 1..) => self.answer_queue(usize::from(entry.0) - 1),
            (InterruptMode::PerQueue | InterruptMode::SharedQueues, 0) => self.answer(false, true),
            (InterruptMode::SharedQueues, 1) => self.answer(true, false),
            (InterruptMode::Shared, 0) => self.answer(true, true),
            _ => Interrupt::Unhandled,
        };
        self.interrupts.count(interrupt)
    }

    /// Moves an interrupt vector, at any time: `entry` of the MSI-X table sends `message` from here
    /// on, to another CPU for instance, also after a [`recover`](Self::recover).
    ///
    /// Nothing is lost: what the device sends meanwhile is sent when the entry is unmasked, and the
    /// rings are looked at afterwards. A message that was sent before still arrives where the entry
    /// pointed until now, so the kernel keeps the old vector's handler for a while; up to two such
    /// messages a move are owed, beside those of the new place, until the next
    /// [`settle`](Self::settle). Not from an interrupt handler.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchVector`] when the driver does not use that entry ([`InterruptMode`] tells);
    /// [`Error::Resetting`] while another caller changes the device;
    /// [`DeviceFault::Gone`](crate::DeviceFault::Gone) in [`Error::Broken`] when the device is. Nothing
    /// has moved then.
    pub fn move_interrupt(&self, entry: MsixEntry, message: MsixMessage) -> Result<(), Error> {
        self.alone(Change::Vector, || {
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
            transport.set_msix_message(entry, Some(message));
            self.poll();
            Ok(())
        })
    }

    /// Answers an interrupt that stands for one queue alone.
    #[inline(always)]
    fn answer_queue(&self, position: usize) -> Interrupt {
        self.epochs.read(|epoch| {
            let Some(queue) = epoch.queue_at(position) else {
                let spent = epoch.spend_for_left_out(position);
                let answer = Answer {
                    spent,
                    ..Answer::default()
                };
                return self.judge(answer, false);
            };
            match epoch.interrupt_in_place(queue) {
                Ok((1.., _)) => Interrupt::Handled,
                Ok((0, spent)) => {
                    let answer = Answer {
                        spent,
                        ..Answer::default()
                    };
                    self.judge(answer, false)
                }
                Err(answer) => self.judge(answer, false),
            }
        })
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
        let mut interrupt = self.answer(queues, config);
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
    fn answer(&self, queues: bool, config: bool) -> Interrupt {
        let total = self.epochs.read(|epoch| {
            let mut total = Answer::default();
            for queue in epoch.queues().filter(|_| queues) {
                let answer = epoch.interrupt(queue, !total.spent);
                total.drained += answer.drained;
                total.spent |= answer.spent;
            }
            total
        });
        // A change of status or generation is the credit of a configuration message.
        let news = config && (self.epochs.read(Epoch::check_status) | self.generation_changed());
        self.judge(total, news)
    }

    /// Tells what an interrupt was by what it found.
    #[inline(always)]
    fn judge(&self, answer: Answer, news: bool) -> Interrupt {
        if answer.drained > 0 || news {
            Interrupt::Handled
        } else if answer.spent || self.is_resetting() {
            // Around a reset, messages of the life before and of the one to come may arrive while
            // neither is the current one; no credit can tell them apart.
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
        self.interrupts.generation.swap(now, Ordering::Relaxed) != now
    }
}
