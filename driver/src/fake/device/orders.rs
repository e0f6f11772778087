//! What tests ask of the device, and what they tell it.

use alloc::{boxed::Box, vec, vec::Vec};
use std::collections::BTreeSet;

use super::{FakeDevice, Served};
use crate::{
    fake::setup::{Fault, Gone},
    transport::{MsixEntry, MsixMessage},
};

impl FakeDevice {
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

    /// Returns the ids of the chains that it has taken from a queue and not used, in their order.
    pub(crate) fn taken_ids(&self, queue: usize) -> Vec<u16> {
        let state = self.state();
        let ring = state.rings.get(&queue);
        ring.map_or(vec![], |ring| {
            ring.taken.iter().map(|chain| chain.id).collect()
        })
    }

    /// Returns the MSI-X entry of a queue.
    pub(crate) fn vector(&self, queue: usize) -> Option<MsixEntry> {
        self.state().vectors.get(&queue).copied()
    }

    /// Returns what an entry of the MSI-X table holds.
    pub(crate) fn message(&self, entry: usize) -> Option<MsixMessage> {
        self.state().table.get(entry).copied().flatten()
    }

    /// Returns how far the driver has come in a queue, as the last kick said.
    pub(crate) fn position(&self, queue: usize) -> Option<u16> {
        self.state().positions.get(&queue).copied()
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

    /// Returns how often its registers were read and written, and its doorbells rung.
    pub(crate) fn accesses(&self) -> [u64; 3] {
        let state = self.state();
        let [reads, writes] = state.accesses;
        [reads, writes, state.kicks]
    }

    /// Returns the queues whose messages wait.
    pub(crate) fn held(&self) -> Vec<usize> {
        self.state().held.clone()
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    pub(crate) fn limit_sessions(&self, limit: usize) {
        self.state().session_limit = limit;
    }

    /// From here on it bears a *destroy* of a session that it does not know, or of another service.
    pub(crate) fn bear_strays(&self) {
        self.state().bears_strays = true;
    }

    /// From here on it serves everything before a kick returns.
    pub(crate) fn be_eager(&self) {
        self.state().eager = true;
        for queue in self.enabled() {
            self.serve_eagerly(queue);
        }
    }

    pub(crate) fn refuse_resets(&self) {
        self.state().resets = false;
    }

    pub(crate) fn allow_resets(&self) {
        self.state().resets = true;
    }

    /// From here on it takes no vector.
    pub(crate) fn refuse_vectors(&self) {
        self.state().refuses_vectors = true;
    }

    /// From here on every register reads all ones, and nothing is served.
    pub(crate) fn vanish(&self) {
        self.state().leave(Gone::Ones);
    }

    /// It is removed so many accesses of its registers from now.
    pub(crate) fn leave_after(&self, accesses: u64, reads: Gone) {
        let mut state = self.state();
        let now: u64 = state.accesses.iter().sum();
        state.leaves_at = Some((now + accesses, reads));
    }

    /// From here on its registers read like this, and nothing is served.
    pub(crate) fn leave(&self, reads: Gone) {
        self.state().leave(reads);
    }

    /// It is where it was, or another one is.
    pub(crate) fn come_back(&self) {
        let mut state = self.state();
        state.gone = None;
        state.leaves_at = None;
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

    /// Has `f` run before the device's status is read the next time.
    pub(crate) fn set_before_status(&self, f: impl FnOnce() + Send + 'static) {
        *self.before_status.lock().unwrap() = Some(Box::new(f));
    }

    /// Has `f` run before the device is reset the next time.
    pub(crate) fn set_before_reset(&self, f: impl FnOnce() + Send + 'static) {
        *self.before_reset.lock().unwrap() = Some(Box::new(f));
    }

    /// Its bus resets it. Sessions survive, as QEMU's do.
    pub(crate) fn reset_function(&self) {
        self.reset();
        self.state().lost = true;
    }

    /// Asks for a reset as soon as it has been set up again.
    pub(crate) fn need_reset_when_live(&self) {
        self.state().needs_reset_when_live = true;
    }

    pub(crate) fn need_reset(&self) {
        self.state().needs_reset = true;
    }

    /// Completes in an order that looks random.
    pub(crate) fn shuffle(&self, seed: u64) {
        self.state().shuffle = seed;
    }

    /// Says whether its doorbells panic, before it hears of anything.
    pub(crate) fn panic_at_kicks(&self, panics: bool) {
        self.state().panics_at_kicks = panics;
    }

    /// Lets messages wait, and forgets those that waited.
    pub(crate) fn hold_interrupts(&self, hold: bool) {
        let mut state = self.state();
        state.hold = hold;
        state.held.clear();
    }

    /// Delivers the messages that wait, those of a queue as one.
    pub(crate) fn deliver_held(&self) {
        let held = core::mem::take(&mut self.state().held);
        for queue in BTreeSet::from_iter(held) {
            self.interrupt(queue);
        }
    }
}
