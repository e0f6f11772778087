//! The far side: the device library between two steps of the driver, and what becomes of answers.
//!
//! The device keeps to the rules by itself. What it does to an answer, whether it breaks rules in
//! the rings or at its registers, and when, is said by whoever plays.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use device::{
    engine::{Answer, Chain, QueueKind},
    function::{
        Carrier, Command, Function,
        layout::{COMMON, DOORBELL_BYTES, DOORBELLS},
    },
    options::Options,
};
use virtio_crypto::{
    Device,
    transport::{MsixEntry, QueueAddresses},
};

use crate::{
    machine::{self, kernel::Kernel},
    transport::Registers,
};

/// Where the device's status is in the common configuration (4.1.4.3).
const STATUS: u64 = 20;

/// Fields that are 0 when a reset is over: the device's status, and a queue's.
const RESETS: [u64; 2] = [STATUS, 58];

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is used as it is.
    AsItIs,
    /// It is written and used later.
    Later,
    /// It is never used.
    Never,
    /// The status is another one.
    Status(u8),
    /// So many bytes count as written.
    Length(u32),
    /// The status is not written.
    NoStatus,
    /// Only so many bytes before the status are written.
    Cut(u16),
    /// A bit of what is before the status is another.
    Garbled(u8),
    /// The session gets this id.
    Id(u64),
}

/// Says what becomes of the answer of the request that is served now.
type Decide = dyn Fn(&Request) -> Fate;

thread_local!(static DECIDE: Cell<Option<Box<Decide>>> = const { Cell::new(None) });

/// Has `decide` say what becomes of answers from here on; nobody, and they are used as they are.
pub(crate) fn set_fates(decide: Option<Box<Decide>>) {
    DECIDE.set(decide);
}

/// A request that is served now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) kind: QueueKind,
    pub(crate) opcode: u32,
    /// Bytes that its honest answer counts.
    pub(crate) written_bytes: u32,
    pub(crate) writable_bytes: usize,
    /// What it has, IN_ORDER means that it cannot be answered later.
    pub(crate) is_in_order: bool,
}

impl Request {
    /// Tells whether it ends a session: those opcodes of control requests are odd (5.9.7.2).
    pub(crate) fn is_destroy(&self) -> bool {
        self.kind == QueueKind::Control && self.opcode & 1 == 1
    }

    /// Returns where the status stands in what is writable.
    fn status_at(&self) -> usize {
        match self.kind {
            QueueKind::Control if self.is_destroy() => 0,
            // Behind the id of a session.
            QueueKind::Control => 8,
            QueueKind::Data => self.writable_bytes - 1,
        }
    }
}

/// Where a queue lies, for a device that writes into its ring by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) size: u16,
    pub(crate) addresses: QueueAddresses,
}

/// The bus's part of the device.
#[derive(Debug, Default)]
struct Bus {
    /// Vectors whose message is on its way; two of the same are one.
    pending: AtomicU64,
    is_raised: AtomicBool,
    complaints: Mutex<Vec<String>>,
}

struct BusEnd(Arc<Bus>);

impl Carrier for BusEnd {
    fn message(&self, vector: u16) {
        self.0
            .pending
            .fetch_or(1 << (vector % 64), Ordering::Relaxed);
    }

    fn raise(&self) {
        self.0.is_raised.store(true, Ordering::Relaxed);
    }

    fn report(&self, line: &str) {
        let complaints = self.0.complaints.lock();
        complaints
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.to_owned());
    }
}

/// A device, and what is on its way from it. Data queues come first, the control queue after them.
#[derive(Debug)]
pub(crate) struct FarSide {
    pub(crate) function: Function,
    bus: Arc<Bus>,
    driver: Mutex<Weak<Device<Kernel>>>,
    places: Mutex<Vec<Option<Place>>>,
    /// The next register that is read says something else: exclusive or.
    lie: AtomicU64,
    /// What is in its half of a ring is no more what it has written: until its reset it serves
    /// nothing, since it would go by that.
    is_astray: AtomicBool,
}

impl FarSide {
    pub(crate) fn new(options: Options) -> Self {
        let bus = Arc::<Bus>::default();
        let carrier = Box::new(BusEnd(bus.clone()));
        let is_in_order = options.features & device::feature::IN_ORDER != 0;
        let function = Function::new(options, machine::memory(), carrier);
        let change = move |kind, chain: &_, answer| change(kind, chain, answer, is_in_order);
        Self {
            function: function.with_answers_changed(Box::new(change)),
            bus,
            driver: Mutex::default(),
            places: Mutex::default(),
            lie: AtomicU64::new(0),
            is_astray: AtomicBool::new(false),
        }
    }

    /// Interrupts are answered by this driver from here on.
    pub(crate) fn deliver_to(&self, driver: &Arc<Device<Kernel>>) {
        *lock(&self.driver) = Arc::downgrade(driver);
    }

    fn driver(&self) -> Option<Arc<Device<Kernel>>> {
        lock(&self.driver).upgrade()
    }

    /// Returns the number of its queues.
    pub(crate) fn queues(&self) -> u16 {
        self.function.options().data_queues + 1
    }

    /// Serves up to `most` requests of a queue; returns how many.
    pub(crate) fn serve(&self, queue: u16, most: usize) -> usize {
        let mut requests = 0;
        if self.is_astray.load(Ordering::Relaxed) {
            return 0;
        }
        loop {
            let served = self.function.serve(queue, most - requests);
            requests += served.requests;
            if !served.has_more || requests >= most {
                return requests;
            }
        }
    }

    /// Uses one of the chains that were kept.
    pub(crate) fn finish(&self, queue: u16, which: usize) {
        if !self.is_astray.load(Ordering::Relaxed) {
            self.function.finish(queue, which);
        }
    }

    /// Serves nothing until its reset.
    pub(crate) fn go_astray(&self) {
        self.is_astray.store(true, Ordering::Relaxed);
    }

    /// Serves all that there is, what was kept included; returns whether there was anything.
    pub(crate) fn serve_all(&self) -> bool {
        let mut has_served = false;
        for queue in 0..self.queues() {
            has_served |= self.serve(queue, 1 << 10) > 0;
            for kept in (0..self.function.kept(queue)).rev() {
                self.finish(queue, 0);
                has_served |= self.function.kept(queue) == kept;
            }
        }
        has_served
    }

    /// Delivers the interrupts that are on their way, on the CPU of now; returns whether there were
    /// any. Not where a lock may be held.
    pub(crate) fn deliver(&self) -> bool {
        let Some(driver) = self.driver() else {
            return false;
        };
        let Bus {
            pending, is_raised, ..
        } = &*self.bus;
        // One by one: a waker that panics keeps the others where they are.
        let mut has_delivered = false;
        loop {
            let vectors = pending.load(Ordering::Relaxed);
            if vectors == 0 {
                break;
            }
            let vector = vectors.trailing_zeros() as u16;
            pending.fetch_and(!(1 << vector), Ordering::Relaxed);
            machine::in_handler(|| driver.handle_interrupt(MsixEntry(vector)));
            has_delivered = true;
        }
        if is_raised.swap(false, Ordering::Relaxed) {
            machine::in_handler(|| driver.handle_intx());
            driver.clear_intx();
            has_delivered = true;
        }
        has_delivered
    }

    /// Raises an interrupt that means nothing.
    pub(crate) fn raise_for_nothing(&self, vector: u16) {
        self.bus
            .pending
            .fetch_or(1 << (vector % 64), Ordering::Relaxed);
        if vector > 60 {
            self.bus.is_raised.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn obey(&self, command: Command) {
        self.function.obey(command);
    }

    /// Lies at the next register that is read.
    pub(crate) fn lie(&self, difference: u64) {
        self.lie.store(difference, Ordering::Relaxed);
    }

    pub(crate) fn place(&self, queue: u16) -> Option<Place> {
        lock(&self.places)
            .get(usize::from(queue))
            .copied()
            .flatten()
    }

    /// Returns what the device had to say of the driver.
    pub(crate) fn complaints(&self) -> Vec<String> {
        core::mem::take(&mut *lock(&self.bus.complaints))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registers for FarSide {
    fn read(&self, offset: u64, bytes: &mut [u8]) {
        machine::step();
        self.function.read(offset, bytes);
        let lie = self.lie.swap(0, Ordering::Relaxed).to_le_bytes();
        let truth = bytes.to_vec();
        for (byte, lie) in bytes.iter_mut().zip(lie.into_iter().cycle()) {
            *byte ^= lie;
        }
        // No transport says that a reset is over before it is.
        let tells_of_reset = RESETS
            .iter()
            .any(|field| offset == u64::from(COMMON.offset) + field);
        if tells_of_reset && bytes.iter().all(|byte| *byte == 0) {
            bytes.copy_from_slice(&truth);
        }
        machine::step();
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        machine::step();
        if offset == u64::from(COMMON.offset) + STATUS && *bytes == [0] {
            self.is_astray.store(false, Ordering::Relaxed);
        }
        self.function.write(offset, bytes);
        machine::step();
    }

    fn kick(&self, queue: u16) {
        let doorbell = DOORBELLS.offset + DOORBELL_BYTES * u32::from(queue);
        self.write(doorbell.into(), &queue.to_le_bytes());
    }

    fn vectors(&self) -> u16 {
        self.function.options().vector_count()
    }

    fn place(&self, queue: u16, size: u16, addresses: QueueAddresses) {
        let mut places = lock(&self.places);
        let count = places.len().max(usize::from(queue) + 1);
        places.resize(count, None);
        places[usize::from(queue)] = Some(Place { size, addresses });
    }
}

/// Changes an answer as somebody wants it.
fn change(kind: QueueKind, chain: &Chain, answer: Answer, is_in_order: bool) -> Answer {
    let Answer::Used {
        mut writes,
        mut written_bytes,
    } = answer
    else {
        return answer;
    };
    let opcode = chain.readable.iter().flatten().take(4);
    let opcode = opcode
        .enumerate()
        .map(|(at, byte)| u32::from(*byte) << (8 * at));
    let request = Request {
        kind,
        opcode: opcode.sum(),
        written_bytes,
        writable_bytes: chain.writable.iter().sum(),
        is_in_order,
    };
    let status_at = request.status_at();
    let decide = DECIDE.take();
    let fate = decide
        .as_ref()
        .map_or(Fate::AsItIs, |decide| decide(&request));
    DECIDE.set(decide);
    match fate {
        Fate::AsItIs => {}
        Fate::Later => {
            return Answer::Kept {
                writes,
                written_bytes,
            };
        }
        Fate::Never => return Answer::Withheld,
        Fate::Status(status) => writes.push((status_at, vec![status])),
        Fate::Length(len_bytes) => written_bytes = len_bytes,
        Fate::NoStatus => cut(&mut writes, status_at),
        Fate::Cut(most) => {
            let status = status_of(&writes, status_at);
            cut(&mut writes, status_at.min(usize::from(most)));
            writes.push((status_at, vec![status]));
        }
        Fate::Garbled(bits) => {
            if let Some(byte) = writes[0].1.first_mut() {
                *byte ^= bits;
            }
        }
        Fate::Id(id) if kind == QueueKind::Control && !request.is_destroy() => {
            writes.push((0, id.to_le_bytes().to_vec()));
        }
        Fate::Id(_) => {}
    }
    Answer::Used {
        writes,
        written_bytes,
    }
}

/// Leaves out what would be written from an offset on.
fn cut(writes: &mut [(usize, Vec<u8>)], from: usize) {
    for (offset, bytes) in writes {
        bytes.truncate(from.saturating_sub(*offset));
    }
}

/// Returns the status of an answer.
fn status_of(writes: &[(usize, Vec<u8>)], status_at: usize) -> u8 {
    let mut writes = writes.iter().rev();
    let status = writes.find_map(|(offset, bytes)| bytes.get(status_at.checked_sub(*offset)?));
    status.copied().unwrap_or_default()
}
