//! The device: serves requests with real cryptography, and breaks the rules when told to.
//!
//! Here is what it is at any time; what it does for a chain is in `service`, when it does so in
//! `serving`, and what tests say to it in `orders`.

mod orders;
mod service;
mod serving;

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Condvar, Mutex, MutexGuard},
};

use crate::{
    fake::{
        ring::Ring,
        services::Session,
        setup::{Fault, Gone, Setup},
    },
    transport::{MsixEntry, MsixMessage},
    wire::Features,
};

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
}

pub(in crate::fake) struct State {
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
    pub(super) needs_reset: bool,
    /// It needs a reset from the next DRIVER_OK on.
    pub(super) needs_reset_when_live: bool,
    log: Vec<Served>,
    kicked: BTreeSet<usize>,
    /// How far the driver has come in each queue, as the last kick said.
    positions: BTreeMap<usize, u16>,
    /// The device takes nothing by itself: tests serve.
    pub(super) manual: bool,
    shuffle: u64,
    stop: bool,
    pub(super) kicks: u64,
    /// Its doorbells panic.
    pub(super) panics_at_kicks: bool,
    messages: u64,
    /// What each entry of the MSI-X table holds.
    pub(super) table: Vec<Option<MsixMessage>>,
    /// Messages wait instead of being delivered.
    pub(super) hold: bool,
    held: Vec<usize>,
    pub(super) resets: bool,
    /// Every vector reads back as none.
    pub(super) refuses_vectors: bool,
    /// It has been removed.
    pub(super) gone: Option<Gone>,
    /// Accesses of its registers, reads and writes.
    pub(super) accesses: [u64; 2],
    /// At this access it is removed.
    pub(super) leaves_at: Option<(u64, Gone)>,
    /// It has served before the kick returns.
    eager: bool,
    /// How many requests it tells of by one used element at most, where it uses them in order.
    batch: usize,
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
    /// What happens once, before the device's status is read the next time.
    pub(super) before_status: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// The same before its reset.
    pub(super) before_reset: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl core::fmt::Debug for FakeDevice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FakeDevice")
    }
}

impl State {
    pub(in crate::fake) fn leave(&mut self, reads: Gone) {
        self.gone = Some(reads);
        self.rings.clear();
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
            needs_reset: false,
            needs_reset_when_live: false,
            log: vec![],
            kicked: BTreeSet::new(),
            positions: BTreeMap::new(),
            manual: true,
            shuffle: 0,
            stop: false,
            kicks: 0,
            panics_at_kicks: false,
            messages: 0,
            table: Vec::new(),
            hold: false,
            held: vec![],
            resets: true,
            refuses_vectors: false,
            gone: None,
            accesses: [0; 2],
            leaves_at: None,
            eager: setup.eager,
            batch: setup.batch,
            refusing: setup.refusing.clone(),
            silent: setup.silent.clone(),
            lost: false,
            ready: true,
            away_after: setup.away_after,
            generation: 0,
            config_interrupt: false,
            bears_strays: false,
        };
        Self {
            state: Mutex::new(state),
            doorbell: Condvar::new(),
            on_used: Mutex::new(None),
            meanwhile: Mutex::new(None),
            before_status: Mutex::new(None),
            before_reset: Mutex::new(None),
        }
    }

    pub(in crate::fake) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Sessions survive, as QEMU's do.
    pub(in crate::fake) fn reset(&self) {
        let mut state = self.state();
        state.rings.clear();
        state.vectors.clear();
        state.needs_reset = false;
        state.kicked.clear();
    }

    /// A queue that was silent is so no more, unless its reset never ends.
    pub(in crate::fake) fn reset_queue(&self, queue: usize) {
        let mut state = self.state();
        if !state.resets {
            return;
        }
        state.rings.remove(&queue);
        state.vectors.remove(&queue);
        state.kicked.remove(&queue);
        state.silent.retain(|silent| *silent != queue);
    }

    pub(in crate::fake) fn deliver_to(&self, on_used: Arc<OnUsed>) {
        *self.on_used.lock().unwrap() = Some(on_used);
    }

    /// Sends the interrupt of a queue, owed or not.
    pub(crate) fn interrupt(&self, queue: usize) {
        let on_used = self.on_used.lock().unwrap().clone();
        if let Some(on_used) = on_used {
            on_used(queue);
        }
    }
}
