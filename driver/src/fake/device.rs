//! The device: serves requests with real cryptography, and breaks the rules when told to.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Condvar, Mutex, MutexGuard},
};

use virtio_queue::{Queue, QueueT};

use super::{
    heap::unwatched,
    platform::memory,
    ring::{Chain, Ring},
    services::{
        self, ERROR, INVALID_SESSION, NO_SPACE, NOT_SUPPORTED, OK, Request, Session,
        akcipher::Results,
    },
    transport::Setup,
};
use crate::{
    transport::{MsixEntry, MsixMessage},
    wire::Features,
};

/// How the device breaks the rules, at the next request that it completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Uses an id that is no chain.
    Id(u32),
    /// Uses the chain a second time.
    Twice,
    /// Moves the used index forward by so much more.
    IndexJump(u16),
    /// Says that it wrote so much.
    Length(u32),
    /// Does not write the status.
    NoStatus,
    /// Writes the output, but answers with this status.
    Status(u8),
}

/// What the registers of a device read that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Ones, as of one that was pulled out.
    Ones,
    /// Zeros, as QEMU's that ACPI has ejected.
    Zeros,
}

/// What the device did for a chain: for tests that look at the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Create(u64),
    Destroy(u64),
    /// A data request of this session, with this first byte of source.
    Data(u64, u8),
    /// A data request without a session.
    Stateless,
    Refused,
    /// Dropped: it is never answered.
    Dropped,
}

pub(super) struct State {
    /// Those that have been set, by the queue's index.
    pub(super) rings: BTreeMap<usize, Ring>,
    /// The control queue's index: the number of data queues.
    control: usize,
    /// The MSI-X entries of queues.
    pub(super) vectors: BTreeMap<usize, MsixEntry>,
    /// Those that the driver has agreed on.
    pub(super) features: Features,
    sessions: BTreeMap<u64, Session>,
    session_limit: usize,
    fault: Option<Fault>,
    results: Results,
    pub(super) needs_reset: bool,
    log: Vec<Served>,
    kicked: BTreeSet<usize>,
    /// The device takes nothing by itself: tests serve.
    pub(super) manual: bool,
    shuffle: u64,
    stop: bool,
    pub(super) kicks: u64,
    messages: u64,
    /// What each entry of the MSI-X table holds.
    pub(super) table: Vec<Option<MsixMessage>>,
    /// Messages wait instead of being delivered.
    pub(super) hold: bool,
    held: Vec<usize>,
    pub(super) resets: bool,
    /// It has been removed.
    pub(super) gone: Option<Gone>,
    /// Accesses of its registers, reads and writes.
    pub(super) accesses: [u64; 2],
    /// At this access it is removed.
    pub(super) leaves_at: Option<(u64, Gone)>,
    /// It has served before the kick returns.
    eager: bool,
    /// Data queues whose requests it refuses.
    refusing: Vec<usize>,
    /// Queues whose requests it never answers.
    silent: Vec<usize>,
    /// Its function was reset: its status reads 0.
    pub(super) lost: bool,
    /// Its hardware is ready.
    pub(super) ready: bool,
    /// So many requests from now its hardware is lost, and with it what is left to serve.
    pub(super) away_after: Option<u64>,
    /// How often its configuration has changed.
    pub(super) generation: u32,
    /// The ISR register tells of that.
    pub(super) config_interrupt: bool,
    /// It refuses parts of blocks in counter mode, as QEMU does.
    whole_blocks: bool,
    /// It drops a request of which not every field begins a descriptor.
    one_per_field: bool,
    /// It bears a *destroy* of a session that it does not know, or of another service.
    bears_strays: bool,
}

type OnUsed = dyn Fn(usize) + Send + Sync;

/// The device. Data queues come first, the control queue after them.
pub(crate) struct FakeDevice {
    state: Mutex<State>,
    doorbell: Condvar,
    /// Delivers the interrupt of a queue.
    on_used: Mutex<Option<Arc<OnUsed>>>,
    /// What happens on another CPU while the bus looks for the device.
    pub(super) meanwhile: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl core::fmt::Debug for FakeDevice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FakeDevice")
    }
}

impl State {
    pub(super) fn leave(&mut self, reads: Gone) {
        self.gone = Some(reads);
        self.rings.clear();
    }

    fn create(&mut self, request: Request<'_>) -> Result<u64, u8> {
        let session = services::create(request)?;
        if self.sessions.len() >= self.session_limit {
            // Without REVISION_1 there is no status for it.
            let exact = self.features.contains(Features::REVISION_1);
            return Err(if exact { NO_SPACE } else { ERROR });
        }
        // The lowest free id, at once, as QEMU does: an id that comes back too early is seen.
        let id = (0..).find(|id| !self.sessions.contains_key(id)).unwrap();
        self.sessions.insert(id, session);
        Ok(id)
    }

    fn destroy(&mut self, request: Request<'_>) -> u64 {
        let id = request.u64(16);
        // What is still in a data queue for it would meet the id's next owner.
        let data = self.rings.range(..self.control);
        for other in data.flat_map(|(_, ring)| &ring.taken) {
            let bytes = other.read();
            let other = Request {
                bytes: &bytes,
                writable_bytes: 0,
                features: self.features,
            };
            let uses = !other.is_stateless() && other.u64(8) == id;
            assert!(!uses, "destroyed with a request queued");
        }
        let session = self.sessions.remove(&id);
        let session = session.expect("a session was destroyed that is not there");
        assert_eq!(session.destroy_opcode(), request.opcode());
        id
    }

    /// Tells whether each field of a request begins a descriptor.
    fn begins_fields(&self, queue: usize, chain: &Chain) -> bool {
        let bytes = chain.read();
        let request = Request {
            bytes: &bytes,
            writable_bytes: chain.writable() as usize,
            features: self.features,
        };
        chain.begins(&request.fields(queue == self.control))
    }

    /// Does what a chain asks for, and returns what to log and how much was written.
    fn serve(&mut self, queue: usize, chain: &Chain, fault: Option<Fault>) -> (Served, u32) {
        chain.check_live();
        let bytes = chain.read();
        let request = Request {
            bytes: &bytes,
            writable_bytes: chain.writable() as usize,
            features: self.features,
        };
        let status_as = |status: u8| match fault {
            Some(Fault::Status(status)) => status,
            _ => status,
        };
        let silent = fault == Some(Fault::NoStatus);
        if queue == self.control {
            // Destroys have odd opcodes.
            if request.opcode() & 1 == 1 {
                let named = self.sessions.get(&request.u64(16));
                let is_own = named.is_some_and(|own| own.destroy_opcode() == request.opcode());
                if self.bears_strays && !is_own {
                    chain.write(0, &[INVALID_SESSION]);
                    return (Served::Refused, 1);
                }
                let id = self.destroy(request);
                if !silent {
                    chain.write(0, &[status_as(OK)]);
                }
                return (Served::Destroy(id), 1);
            }
            let created = self.create(request);
            let mut answer = created.unwrap_or(0).to_le_bytes().to_vec();
            answer.extend(u32::from(status_as(created.err().unwrap_or(OK))).to_le_bytes());
            if !silent {
                chain.write(0, &answer);
            }
            return (created.map_or(Served::Refused, Served::Create), 12);
        }
        let id = request.u64(8);
        let (served, outcome) = if self.refusing.contains(&queue) {
            (Served::Refused, Err(NOT_SUPPORTED))
        } else if request.is_stateless() {
            (Served::Stateless, services::serve_stateless(request))
        } else {
            let served = Served::Data(id, services::first_source_byte(request));
            let outcome = match self.sessions.get(&id) {
                Some(session) if self.whole_blocks && session.ends_in_a_block(request) => {
                    Err(ERROR)
                }
                Some(session) => session.serve(request),
                None => Err(INVALID_SESSION),
            };
            (served, outcome)
        };
        let outcome = outcome.map(|output| self.results.shorten(request, output));
        let last = request.writable_bytes - 1;
        let written = match &outcome {
            Ok(output) => {
                chain.write(0, output);
                // QEMU counts all that is writable where it writes nothing.
                match output.len() {
                    0 => request.writable_bytes as u32,
                    len => len as u32 + 1,
                }
            }
            Err(_) => request.writable_bytes as u32,
        };
        if !silent {
            chain.write(last, &[status_as(outcome.err().unwrap_or(OK))]);
        }
        (served, written)
    }
}

impl FakeDevice {
    pub(crate) fn new(setup: &Setup) -> Self {
        let state = State {
            rings: BTreeMap::new(),
            control: setup.data_queues as usize,
            vectors: BTreeMap::new(),
            features: Features::empty(),
            sessions: BTreeMap::new(),
            session_limit: 256,
            fault: setup.fault,
            results: Results::Whole,
            needs_reset: false,
            log: vec![],
            kicked: BTreeSet::new(),
            manual: true,
            shuffle: 0,
            stop: false,
            kicks: 0,
            messages: 0,
            table: Vec::new(),
            hold: false,
            held: vec![],
            resets: true,
            gone: None,
            accesses: [0; 2],
            leaves_at: None,
            eager: setup.eager,
            refusing: setup.refusing.clone(),
            silent: setup.silent.clone(),
            lost: false,
            ready: true,
            away_after: setup.away_after,
            generation: 0,
            config_interrupt: false,
            whole_blocks: false,
            one_per_field: false,
            bears_strays: false,
        };
        Self {
            state: Mutex::new(state),
            doorbell: Condvar::new(),
            on_used: Mutex::new(None),
            meanwhile: Mutex::new(None),
        }
    }

    /// Returns the control queue's index.
    pub(crate) fn control(&self) -> usize {
        self.state().control
    }

    /// Returns the indices of the queues that the driver has enabled.
    pub(crate) fn enabled(&self) -> Vec<usize> {
        let state = self.state();
        let enabled = state.rings.iter().filter(|(_, ring)| ring.enabled);
        enabled.map(|(queue, _)| *queue).collect()
    }

    /// Returns the MSI-X entry of a queue.
    pub(crate) fn vector(&self, queue: usize) -> Option<MsixEntry> {
        self.state().vectors.get(&queue).copied()
    }

    /// Returns what an entry of the MSI-X table holds.
    pub(crate) fn message(&self, entry: usize) -> Option<MsixMessage> {
        self.state().table.get(entry).copied().flatten()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Sessions survive, as QEMU's do.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.rings.clear();
        state.vectors.clear();
        state.needs_reset = false;
        state.kicked.clear();
    }

    pub(super) fn deliver_to(&self, on_used: Arc<OnUsed>) {
        *self.on_used.lock().unwrap() = Some(on_used);
    }

    pub(super) fn kick(&self, queue: usize) {
        let mut state = self.state();
        state.kicks += 1;
        state.kicked.insert(queue);
        let eager = state.eager;
        drop(state);
        self.doorbell.notify_all();
        if eager {
            self.serve_eagerly(queue);
        }
    }

    pub(crate) fn kicks(&self) -> u64 {
        self.state().kicks
    }

    /// Returns how many interrupts the device has sent.
    pub(crate) fn messages(&self) -> u64 {
        self.state().messages
    }

    pub(crate) fn sessions(&self) -> usize {
        self.state().sessions.len()
    }

    pub(crate) fn log(&self) -> Vec<Served> {
        self.state().log.clone()
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Says what becomes of the results of public-key requests.
    pub(crate) fn set_results(&self, results: Results) {
        self.state().results = results;
    }

    /// Lets messages wait, and forgets those that waited.
    pub(crate) fn hold_interrupts(&self, hold: bool) {
        let mut state = self.state();
        state.hold = hold;
        state.held.clear();
    }

    /// Returns the queues whose messages wait.
    pub(crate) fn held(&self) -> Vec<usize> {
        self.state().held.clone()
    }

    /// Delivers the messages that wait, those of a queue as one.
    pub(crate) fn deliver_held(&self) {
        let held = core::mem::take(&mut self.state().held);
        for queue in BTreeSet::from_iter(held) {
            self.interrupt(queue);
        }
    }

    pub(crate) fn limit_sessions(&self, limit: usize) {
        self.state().session_limit = limit;
    }

    /// From here on it bears a *destroy* of a session that it does not know, or of another service.
    pub(crate) fn bear_strays(&self) {
        self.state().bears_strays = true;
    }

    /// From here on it refuses parts of blocks in counter mode, as QEMU does.
    pub(crate) fn want_whole_blocks(&self) {
        self.state().whole_blocks = true;
    }

    /// From here on it drops a request of which not every field begins a descriptor: takes it, and
    /// never answers.
    pub(crate) fn want_one_per_field(&self) {
        self.state().one_per_field = true;
    }

    /// From here on it serves everything before a kick returns.
    pub(crate) fn be_eager(&self) {
        self.state().eager = true;
        for queue in self.enabled() {
            self.serve_eagerly(queue);
        }
    }

    fn serve_eagerly(&self, queue: usize) {
        loop {
            self.serve(queue, usize::MAX);
            let more = self.enabled_ring(queue).is_some_and(|ring| ring.enable());
            if !more {
                return;
            }
        }
    }

    pub(crate) fn refuse_resets(&self) {
        self.state().resets = false;
    }

    /// From here on every register reads all ones, and nothing is served.
    pub(crate) fn vanish(&self) {
        self.state().leave(Gone::Ones);
    }

    /// From here on its registers read like this, and nothing is served.
    pub(crate) fn leave(&self, reads: Gone) {
        self.state().leave(reads);
    }

    /// It is removed so many accesses of its registers from now.
    pub(crate) fn leave_after(&self, accesses: u64, reads: Gone) {
        let mut state = self.state();
        let now: u64 = state.accesses.iter().sum();
        state.leaves_at = Some((now + accesses, reads));
    }

    /// It is where it was, or another one is.
    pub(crate) fn come_back(&self) {
        let mut state = self.state();
        state.gone = None;
        state.leaves_at = None;
    }

    /// Returns how often its registers were read and written, and its doorbells rung.
    pub(crate) fn accesses(&self) -> [u64; 3] {
        let state = self.state();
        let [reads, writes] = state.accesses;
        [reads, writes, state.kicks]
    }

    /// Says that its hardware is ready, or not, without an interrupt.
    pub(crate) fn set_ready(&self, ready: bool) {
        let mut state = self.state();
        state.ready = ready;
        state.away_after = None;
        state.generation += 1;
        state.config_interrupt = true;
    }

    /// Has `f` run on another CPU whenever the bus is asked for the device.
    pub(crate) fn set_meanwhile(&self, f: impl Fn() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(f));
    }

    /// Its bus resets it. Sessions survive, as QEMU's do.
    pub(crate) fn reset_function(&self) {
        self.reset();
        self.state().lost = true;
    }

    pub(crate) fn need_reset(&self) {
        self.state().needs_reset = true;
    }

    /// Completes in an order that looks random.
    pub(crate) fn shuffle(&self, seed: u64) {
        self.state().shuffle = seed;
    }

    /// Takes what is available in a queue, and completes up to `most`; returns how many.
    pub(crate) fn serve(&self, queue: usize, most: usize) -> usize {
        let mut completed = 0;
        while completed < most && self.serve_one(queue) {
            completed += 1;
        }
        completed
    }

    /// Takes what is available and completes nothing.
    pub(crate) fn take(&self, queue: usize) -> usize {
        let mut state = self.state();
        let Some(ring) = state.rings.get_mut(&queue) else {
            return 0;
        };
        ring.take();
        ring.taken.len()
    }

    fn serve_one(&self, queue: usize) -> bool {
        let mut state = self.state();
        state.rings.values_mut().for_each(Ring::take);
        let count = state.rings.get(&queue).map_or(0, |ring| ring.taken.len());
        if count == 0 || state.silent.contains(&queue) {
            return false;
        }
        match &mut state.away_after {
            Some(0) => {
                state.ready = false;
                return false;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let which = if state.shuffle == 0 {
            0
        } else {
            state.shuffle ^= state.shuffle << 13;
            state.shuffle ^= state.shuffle >> 7;
            state.shuffle ^= state.shuffle << 17;
            state.shuffle as usize % count
        };
        let chain = state.rings.get_mut(&queue).unwrap().taken.remove(which);
        if state.one_per_field && !unwatched(|| state.begins_fields(queue, &chain)) {
            state.log.push(Served::Dropped);
            return true;
        }
        let fault = state.fault.take();
        // The device's own memory is none of the driver's.
        let (served, written) = unwatched(|| state.serve(queue, &chain, fault));
        state.log.push(served);
        let ring = state.rings.get_mut(&queue).unwrap();
        let head = u32::from(chain.head);
        match fault {
            Some(Fault::Id(id)) => ring.use_raw(id, written, 1),
            Some(Fault::Twice) => {
                ring.use_raw(head, written, 1);
                ring.use_raw(head, written, 1);
            }
            Some(Fault::IndexJump(by)) => ring.use_raw(head, written, 1 + by),
            Some(Fault::Length(len)) => ring.use_raw(head, len, 1),
            Some(Fault::NoStatus | Fault::Status(_)) | None => {
                ring.queue.add_used(memory(), chain.head, written).unwrap();
            }
        }
        let raw = !matches!(fault, Some(Fault::NoStatus | Fault::Status(_)) | None);
        let interrupt = raw || ring.needs_notification();
        state.messages += u64::from(interrupt);
        let deliver = interrupt && !state.hold;
        if interrupt && state.hold {
            state.held.push(queue);
        }
        drop(state);
        if deliver {
            self.interrupt(queue);
        }
        true
    }

    /// Uses the chain with this head, whatever it is, without having served it.
    pub(crate) fn use_unserved(&self, queue: usize, head: u32) {
        let mut state = self.state();
        let ring = state.rings.get_mut(&queue).unwrap();
        ring.use_raw(head, 1 << 10, 1);
        drop(state);
        self.interrupt(queue);
    }

    /// Sends the interrupt of a queue, owed or not.
    pub(crate) fn interrupt(&self, queue: usize) {
        let on_used = self.on_used.lock().unwrap().clone();
        if let Some(on_used) = on_used {
            on_used(queue);
        }
    }

    /// The device's thread: serves what is kicked, and relies on the kick as a real one does.
    pub(super) fn run(&self) {
        loop {
            let mut state = self.state();
            while !state.stop && (state.manual || state.kicked.is_empty()) {
                state = self.doorbell.wait(state).unwrap();
            }
            if state.stop {
                return;
            }
            let kicked = core::mem::take(&mut state.kicked);
            drop(state);
            for queue in kicked.into_iter().rev() {
                loop {
                    if let Some(ring) = self.enabled_ring(queue) {
                        ring.disable();
                    }
                    while self.serve_one(queue) {}
                    let Some(ring) = self.enabled_ring(queue) else {
                        break;
                    };
                    if !ring.enable() {
                        break;
                    }
                }
            }
        }
    }

    fn enabled_ring(&self, queue: usize) -> Option<Suppression<'_>> {
        let state = self.state();
        let enabled = state.rings.get(&queue).is_some_and(|ring| ring.enabled);
        enabled.then_some(Suppression { state, queue })
    }

    pub(super) fn stop(&self) {
        self.state().stop = true;
        self.doorbell.notify_all();
    }

    pub(super) fn go(&self) {
        self.state().manual = false;
        self.doorbell.notify_all();
    }
}

/// The device's wish for kicks.
struct Suppression<'a> {
    state: MutexGuard<'a, State>,
    queue: usize,
}

impl Suppression<'_> {
    fn ring(&mut self) -> &mut Queue {
        &mut self.state.rings.get_mut(&self.queue).unwrap().queue
    }

    fn disable(mut self) {
        self.ring().disable_notification(memory()).unwrap();
    }

    /// `true`: something was made available meanwhile.
    fn enable(mut self) -> bool {
        self.ring().enable_notification(memory()).unwrap()
    }
}
