//! Which interrupt vector stands for what, and how many interrupts there were of each kind.
//!
//! For set-up, which climbs down from a vector for each queue to none, and for the handlers, which
//! ask what an entry stands for. The one rule: a vector counts once the device reads it back.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::{
    index::{MsixEntry, QueueIndex},
    stats::InterruptStats,
    transport::{Attached, MsixMessage, Transport},
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
    /// None: each waiting task drains, and so does [`Device::poll`](crate::Device::poll).
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

    /// Returns how many sources share the vector, or the pin, of one of a device's queues: of those
    /// queues and the configuration.
    pub(crate) const fn sharing(self, queues: usize) -> usize {
        match self {
            Self::PerQueue | Self::Polling => 1,
            Self::SharedQueues => queues,
            Self::Shared | Self::Intx => queues + 1,
        }
    }

    /// Returns how many share that of the configuration.
    pub(crate) const fn sharing_config(self, queues: usize) -> usize {
        match self {
            Self::PerQueue | Self::SharedQueues | Self::Polling => 1,
            Self::Shared | Self::Intx => queues + 1,
        }
    }

    /// Returns the entry of the queue at a position, data queues first, control queue last.
    pub(crate) const fn entry_of(self, position: usize) -> MsixEntry {
        MsixEntry(match self {
            Self::PerQueue => 1 + position as u16,
            Self::SharedQueues => 1,
            Self::Shared | Self::Intx | Self::Polling => 0,
        })
    }
}

/// The entry of the configuration.
pub(crate) const CONFIG_ENTRY: MsixEntry = MsixEntry(0);

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
    handled: AtomicU64,
    already_drained: AtomicU64,
    unhandled: AtomicU64,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        Self {
            mode: AtomicU8::new(InterruptMode::Polling as u8),
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

    /// Tells whether every queue has a vector of its own.
    #[inline(always)]
    pub(crate) fn are_per_queue(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == InterruptMode::PerQueue as u8
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

    /// Gives a queue that was reset by itself its vector again; `true` if it reads back.
    pub(crate) fn set_again(
        &self,
        transport: &dyn Transport,
        queue: QueueIndex,
        position: usize,
    ) -> bool {
        match self.mode() {
            InterruptMode::Intx | InterruptMode::Polling => true,
            mode => {
                let entry = Some(mode.entry_of(position));
                transport.set_queue_vector(queue, entry) == entry
            }
        }
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

    /// Counts an interrupt, and returns it.
    #[inline(always)]
    pub(crate) fn count(&self, interrupt: Interrupt) -> Interrupt {
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
