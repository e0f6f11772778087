//! A whole device: registers, queues and interrupts, whatever carries it to a driver.
//!
//! For the program, which serves one to a virtual machine, and for tests that have a driver in the
//! same process. It is read and written like the memory range of a PCI function (`layout`); its
//! queues are served by a thread each ([`Workers`]), or by hand ([`Function::serve`]).
//!
//! The one rule: no queue is touched unless driver and device have agreed and DRIVER_OK is set, and
//! a reset is over when everything of the time before it is.
//!
//! Locks are taken in this order: `changes`, one queue's half, `registers`. Nothing is computed
//! under `registers`.

mod access;
mod attached;
mod broken;
mod command;
pub mod layout;
mod lock;
mod negotiation;
pub mod pci;
mod queue;
mod registers;
mod serving;
mod stats;
#[cfg(test)]
mod tests;
mod workers;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    memory::Memory,
    options::Options,
    rules::Rule,
};
use lock::lock;
use queue::Queue;
use registers::{NO_VECTOR, Registers};
use stats::Stats;

pub use command::{COMMANDS, Command};
pub use serving::Served;
pub use workers::Workers;

/// What a device says to whatever carries it.
pub trait Carrier: Send + Sync {
    /// Sends the message of an MSI-X vector.
    fn message(&self, vector: u16);

    /// Raises the function's interrupt line. It stays so until the interrupt status is read.
    fn raise(&self) {}

    /// Says a line about what happened, for a person.
    fn report(&self, _line: &str) {}
}

impl<F: Fn(u16) + Send + Sync> Carrier for F {
    fn message(&self, vector: u16) {
        self(vector);
    }
}

/// Changes an answer on its way to the driver.
pub type Change = dyn Fn(QueueKind, &Chain, Answer) -> Answer + Send + Sync;

/// A whole device.
pub struct Function {
    options: Arc<Options>,
    engine: Engine,
    change: Option<Box<Change>>,
    memory: Memory,
    carrier: Box<dyn Carrier>,
    /// Held by whoever changes registers, so that one change follows the other.
    changes: Mutex<()>,
    registers: RwLock<Registers>,
    queues: Vec<Queue>,
    interrupt_status: AtomicU8,
    is_ready: AtomicBool,
    generation: AtomicU8,
    is_gone: AtomicBool,
    stats: Stats,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("registers", &self.registers)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// The interrupt status of a queue (4.1.4.5).
const ISR_QUEUE: u8 = 1;
/// That of a changed configuration.
const ISR_CONFIGURATION: u8 = 2;

impl Function {
    /// Makes a device that nobody has touched yet.
    pub fn new(options: Options, memory: Memory, carrier: Box<dyn Carrier>) -> Self {
        let options = Arc::new(options);
        let count = options.queue_count();
        Self {
            engine: Engine::new(options.clone()),
            change: None,
            memory,
            carrier,
            changes: Mutex::new(()),
            registers: RwLock::new(Registers::new(&options)),
            queues: (0..count).map(|_| Queue::new(options.seed)).collect(),
            interrupt_status: AtomicU8::new(0),
            is_ready: AtomicBool::new(true),
            generation: AtomicU8::new(0),
            is_gone: AtomicBool::new(false),
            stats: Stats::new(count, options.vector_count()),
            options,
        }
        .with_stalled_queues()
    }

    fn with_stalled_queues(self) -> Self {
        for queue in &self.options.stalled {
            self.set_stalled(*queue, true);
        }
        self
    }

    /// Has each answer changed on its way: for tests of a driver whose device breaks a rule at one
    /// request of many.
    #[must_use]
    pub fn with_answers_changed(mut self, change: Box<Change>) -> Self {
        self.change = Some(change);
        self
    }

    /// Returns what keeps its sessions.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns what the driver lets it reach.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns what it is.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Waits until no queue holds memory that was taken away.
    pub fn quiesce(&self) {
        for queue in &self.queues {
            drop(lock(&queue.half));
        }
    }

    /// Resets it, as the driver does by status 0 (2.4). When this returns, nothing of the time
    /// before is under way any more.
    pub fn reset(&self) {
        let _change = lock(&self.changes);
        self.change(|registers| registers.begin_reset());
        for queue in &self.queues {
            lock(&queue.half).clear();
        }
        self.engine.reset();
        self.interrupt_status.store(0, Ordering::Relaxed);
        self.change(|registers| registers.end_reset(&self.options));
        if self.breaks(Rule::SilentAfterReset) {
            self.write_later();
        }
    }

    /// Returns the agreed features of a driver that has come so far.
    pub fn agreed_features(&self) -> Option<u64> {
        self.look(Registers::agreed_features)
    }

    fn look<T>(&self, look: impl FnOnce(&Registers) -> T) -> T {
        look(
            &self
                .registers
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut Registers) -> T) -> T {
        change(
            &mut self
                .registers
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Asks the driver for a reset (2.1.2).
    fn needs_reset(&self, why: fmt::Arguments) {
        self.carrier.report(&format!("needs a reset: {why}"));
        self.stats.count_needs_reset();
        let must_tell = self.change(Registers::ask_for_reset);
        if must_tell {
            self.tell_of_configuration();
        }
    }

    /// Sends the configuration's interrupt.
    fn tell_of_configuration(&self) {
        let vector = self.look(|registers| registers.config_vector);
        self.interrupt(ISR_CONFIGURATION, vector);
    }

    fn interrupt(&self, cause: u8, vector: u16) {
        self.interrupt_status.fetch_or(cause, Ordering::Relaxed);
        let Some(vector) = self.broken_vector(cause, vector) else {
            return;
        };
        if self.is_gone.load(Ordering::Relaxed) {
            return;
        }
        if vector == NO_VECTOR {
            return self.carrier.raise();
        }
        self.stats.count_message(vector);
        self.carrier.message(vector);
    }

    /// Tells whether its interrupt line is to be raised: whether the interrupt status has not been
    /// read since the last interrupt.
    pub fn is_raised(&self) -> bool {
        self.interrupt_status.load(Ordering::Relaxed) != 0
    }
}
