//! The far side of registers and rings: the device library, which serves when a test says so.
//!
//! Here is what a test asks of it and tells it; how it spoils answers on purpose is in `spoil`.

mod spoil;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use device::{
    function::{
        Carrier, Command, Function, Workers,
        layout::{DOORBELL_BYTES, DOORBELLS},
    },
    memory::Memory,
};

use self::spoil::Spoiler;
pub(crate) use self::spoil::{Fault, Results, Served};
use super::{memory, setup::Setup, transport::Registers};
use crate::heap::unwatched;

/// Takes the message of a vector.
type OnMessage = dyn Fn(u16) + Send + Sync;

/// How the far side reaches the driver.
#[derive(Default)]
struct Bus {
    on_message: OnceLock<Box<OnMessage>>,
    /// What the device says of the driver.
    complaints: Mutex<Vec<String>>,
}

/// The device's end of the bus.
struct BusEnd(Arc<Bus>);

impl Carrier for BusEnd {
    fn message(&self, vector: u16) {
        if let Some(on_message) = self.0.on_message.get() {
            on_message(vector);
        }
    }

    fn report(&self, line: &str) {
        lock(&self.0.complaints).push(line.to_owned());
    }
}

/// How kicks are answered.
#[derive(Debug, Default)]
struct Kicks {
    count: u64,
    /// Everything is served before a kick returns.
    is_eager: bool,
    /// Queues that were kicked and not served eagerly yet.
    waiting: VecDeque<u16>,
    /// Somebody serves eagerly.
    is_serving: bool,
}

/// The device. Data queues come first, the control queue after them.
pub(crate) struct FarSide {
    pub(super) function: Arc<Function>,
    bus: Arc<Bus>,
    spoiler: Arc<Spoiler>,
    kicks: Mutex<Kicks>,
    workers: Mutex<Option<Workers>>,
}

impl core::fmt::Debug for FarSide {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FarSide")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registers for FarSide {
    fn read(&self, offset: u64, bytes: &mut [u8]) {
        self.function.read(offset, bytes);
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.function.write(offset, bytes);
    }

    fn kick(&self, queue: u16) {
        let doorbell = DOORBELLS.offset + DOORBELL_BYTES * u32::from(queue);
        self.function.write(doorbell.into(), &queue.to_le_bytes());
        let mut kicks = lock(&self.kicks);
        kicks.count += 1;
        if kicks.is_eager {
            kicks.waiting.push_back(queue);
            drop(kicks);
            self.serve_eagerly();
        }
    }

    fn vectors(&self) -> u16 {
        self.function.options().vector_count()
    }
}

impl FarSide {
    pub(super) fn new(setup: &Setup) -> Self {
        let memory = Memory::from(memory::shared().clone());
        let (bus, spoiler) = (Arc::<Bus>::default(), Arc::<Spoiler>::default());
        let function = Function::new(setup.options(), memory, Box::new(BusEnd(bus.clone())));
        let change = spoiler.clone();
        let change = Box::new(move |kind, chain: &_, answer| change.spoil(kind, chain, answer));
        Self {
            function: Arc::new(function.with_answers_changed(change)),
            bus,
            spoiler,
            kicks: Mutex::new(Kicks {
                is_eager: setup.is_eager,
                ..Kicks::default()
            }),
            workers: Mutex::default(),
        }
    }

    pub(super) fn deliver_to(&self, on_message: Box<OnMessage>) {
        let is_first = self.bus.on_message.set(on_message).is_ok();
        assert!(is_first, "one driver at a time");
    }

    /// From here on it serves by itself, with a thread for each queue.
    pub(super) fn go(&self) {
        *lock(&self.workers) = Some(Workers::start(&self.function));
    }

    /// Ends its threads, and returns what it had to say of the driver.
    pub(super) fn stop(&self) -> Vec<String> {
        drop(lock(&self.workers).take());
        core::mem::take(&mut lock(&self.bus.complaints))
    }

    /// Serves all that was kicked; what is kicked meanwhile waits for whoever is at it.
    fn serve_eagerly(&self) {
        let mut kicks = lock(&self.kicks);
        if core::mem::replace(&mut kicks.is_serving, true) {
            return;
        }
        while let Some(queue) = kicks.waiting.pop_front() {
            drop(kicks);
            self.serve(queue, usize::MAX);
            kicks = lock(&self.kicks);
        }
        kicks.is_serving = false;
    }

    /// Serves up to `most` requests of a queue; returns how many.
    pub(crate) fn serve(&self, queue: u16, most: usize) -> usize {
        let mut requests = 0;
        loop {
            // The device's own memory is none of the driver's.
            let served = unwatched(|| self.function.serve(queue, most - requests));
            requests += served.requests;
            if !served.has_more || requests == most {
                return requests;
            }
        }
    }

    /// Returns the control queue's index.
    pub(crate) fn control(&self) -> u16 {
        self.function.options().data_queues
    }

    /// Returns the indices of all queues.
    pub(crate) fn queues(&self) -> impl Iterator<Item = u16> + use<> {
        0..=self.control()
    }

    pub(crate) fn kicks(&self) -> u64 {
        lock(&self.kicks).count
    }

    /// Returns how many sessions it keeps.
    pub(crate) fn sessions(&self) -> usize {
        self.function.engine().sessions()
    }

    pub(crate) fn limit_sessions(&self, most: usize) {
        self.function.engine().limit_sessions(most);
    }

    /// From here on it serves everything before a kick returns.
    pub(crate) fn be_eager(&self) {
        let mut kicks = lock(&self.kicks);
        kicks.is_eager = true;
        kicks.waiting.extend(self.queues());
        drop(kicks);
        self.serve_eagerly();
    }

    pub(crate) fn need_reset(&self) {
        self.function.obey(Command::NeedsReset);
        // It was told so.
        lock(&self.bus.complaints).pop();
    }

    /// Returns what it did.
    pub(crate) fn log(&self) -> Vec<Served> {
        self.spoiler.log()
    }

    /// Returns how many requests it refused.
    pub(crate) fn refused(&self) -> usize {
        self.spoiler.refused()
    }

    /// Breaks the rules at the next request.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.spoiler.set_fault(fault);
    }

    /// Says what becomes of the results of public-key requests.
    pub(crate) fn set_results(&self, results: Results) {
        self.spoiler.set_results(results);
    }

    /// From here on it refuses parts of blocks in counter mode, as QEMU does.
    pub(crate) fn want_whole_blocks(&self) {
        self.spoiler.want_whole_blocks();
    }

    /// From here on what it refuses is taken and never answered.
    pub(crate) fn drop_what_is_refused(&self) {
        self.spoiler.drop_what_is_refused();
    }
}
