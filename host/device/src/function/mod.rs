//! A whole device: registers, queues and vectors, whatever carries it to a driver.
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

mod attached;
mod broken;
mod command;
mod half;
pub mod layout;
pub mod pci;
mod registers;
mod serving;
mod stats;
#[cfg(test)]
mod tests;
mod workers;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    feature,
    memory::Memory,
    options::Options,
    ring::{self, Announced, Fault, Ring},
    rules::Rule,
};
use half::Queue;
use registers::{Effect, NO_VECTOR, Registers};
use stats::Stats;

pub use command::{COMMANDS, Command};
pub use serving::Served;
pub use workers::Workers;

/// What a device says to whatever carries it.
pub trait Carrier: Send + Sync {
    /// Sends the message of an MSI-X vector.
    fn message(&self, vector: u16);

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

/// Locks what no panic leaves half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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

    fn write_common(&self, offset: u64, data: &[u8]) {
        let change = lock(&self.changes);
        let effect = self.change(|registers| registers.write(offset, data, &self.options));
        match effect {
            Effect::None => {}
            Effect::Reset => {
                drop(change);
                self.reset();
            }
            Effect::AsksForReset => self.needs_reset(format_args!("a broken rule")),
            Effect::Agreed(features) => self.engine.set_features(features),
            Effect::QueueEnabled(index) => self.make_ring(index),
            Effect::QueueReset(index) => {
                if let Some(queue) = self.queues.get(usize::from(index)) {
                    lock(&queue.half).clear();
                }
                self.change(|registers| registers.end_queue_reset(index, &self.options));
            }
        }
    }

    fn make_ring(&self, index: u16) {
        let (place, features) =
            self.look(|registers| (registers.place(index), registers.agreed_features()));
        let Some((place, queue)) = place.zip(self.queues.get(usize::from(index))) else {
            return;
        };
        let Some(features) = features else {
            // 3.1.1: queues are set up behind FEATURES_OK; before it nobody knows their format.
            return self.needs_reset(format_args!("queue {index} enabled before FEATURES_OK"));
        };
        match ring::new(place, features, self.options.broken) {
            Ok(ring) => self.begin(queue, ring),
            Err(fault) => self.needs_reset(format_args!("queue {index}: {fault}")),
        }
    }

    fn begin(&self, queue: &Queue, mut ring: Box<dyn Ring>) {
        let mut half = lock(&queue.half);
        half.clear();
        if self.keeps_indices()
            && let Some(index) = half.old_index
        {
            ring.resume_at(index);
        }
        half.begin(ring);
    }

    /// Takes a notification that came by the doorbell of a queue (4.1.5.2).
    fn notify(&self, doorbell: u64, data: &[u8]) {
        let index = u16::try_from(doorbell).ok();
        let Some((index, queue)) = index.zip(self.queues.get(doorbell as usize)) else {
            return;
        };
        self.stats.count_kick(index);
        let Some(features) = self.agreed_features() else {
            return;
        };
        let (named, announced) = match *data {
            [a, b] => (u16::from_le_bytes([a, b]), None),
            [a, b, c, d] => {
                let place = u16::from_le_bytes([c, d]);
                let announced = Announced {
                    offset: place & 0x7fff,
                    wrap: place & 1 << 15 != 0,
                };
                (u16::from_le_bytes([a, b]), Some(announced))
            }
            _ => return,
        };
        let expected = match features & feature::NOTIF_CONFIG_DATA {
            0 => index,
            _ => layout::notification_value(index),
        };
        if named != expected {
            let fault = Fault::Doorbell { named, expected };
            return self.needs_reset(format_args!("queue {index}: {fault}"));
        }
        if features & feature::NOTIFICATION_DATA != 0 {
            *lock(&queue.announced) = announced;
        }
        queue.bell.ring();
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
        if vector != NO_VECTOR && !self.is_gone.load(Ordering::Relaxed) {
            self.stats.count_message(vector);
            self.carrier.message(vector);
        }
    }
}
