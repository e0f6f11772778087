//! How the device takes chains from its rings, and uses them: by its thread, eagerly, or by hand.

use std::sync::MutexGuard;

use super::{FakeDevice, State};
use crate::fake::{platform::assert_unmasked, ring::Ring, setup::Fault};

impl FakeDevice {
    pub(in crate::fake) fn kick(&self, queue: usize) {
        assert_unmasked();
        let mut state = self.state();
        state.kicks += 1;
        assert!(!state.panics_at_kicks, "a doorbell, on purpose");
        state.kicked.insert(queue);
        let eager = state.eager;
        drop(state);
        self.doorbell.notify_all();
        if eager {
            self.serve_eagerly(queue);
        }
    }

    /// Takes note of what a kick says.
    pub(in crate::fake) fn note_position(&self, queue: usize, position: u16) {
        self.state().positions.insert(queue, position);
    }

    pub(super) fn serve_eagerly(&self, queue: usize) {
        loop {
            self.serve(queue, usize::MAX);
            let more = self.enabled_ring(queue).is_some_and(|ring| ring.enable());
            if !more {
                return;
            }
        }
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
        let in_order = state.rings.get(&queue).is_some_and(|ring| ring.in_order);
        let which = if state.shuffle == 0 || in_order {
            0
        } else {
            state.shuffle ^= state.shuffle << 13;
            state.shuffle ^= state.shuffle >> 7;
            state.shuffle ^= state.shuffle << 17;
            state.shuffle as usize % count
        };
        let chain = state.rings.get_mut(&queue).unwrap().taken.remove(which);
        let fault = state.fault.take();
        let (served, written) = state.serve(queue, &chain, fault);
        state.log.push(served);
        let batch = state.batch;
        let ring = state.rings.get_mut(&queue).unwrap();
        let id = u32::from(chain.id);
        match fault {
            Some(Fault::Id(id)) => ring.use_chain_as(&chain, id, written, 0),
            Some(Fault::Twice) => {
                ring.use_chain_as(&chain, id, written, 0);
                ring.use_raw(id, written, 0);
            }
            Some(Fault::IndexJump(by)) => ring.use_chain_as(&chain, id, written, by),
            Some(Fault::Length(len)) => ring.use_chain_as(&chain, id, len, 0),
            Some(Fault::NoStatus | Fault::Status(_)) | None if in_order && batch > 1 => {
                if !ring.use_in_batch(chain, written, batch) {
                    return true;
                }
            }
            Some(Fault::NoStatus | Fault::Status(_)) | None => ring.use_chain(&chain, written),
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

    /// Uses the chain with this id, whatever it is, without having served it.
    pub(crate) fn use_unserved(&self, queue: usize, id: u32) {
        let mut state = self.state();
        let ring = state.rings.get_mut(&queue).unwrap();
        ring.use_raw(id, 1 << 10, 0);
        drop(state);
        self.interrupt(queue);
    }

    /// Takes what is available in a packed ring, and marks the next descriptor to be used as used
    /// in another lap than this one.
    pub(crate) fn mark_for_another_lap(&self, queue: usize) {
        let mut state = self.state();
        let ring = state.rings.get_mut(&queue).unwrap();
        ring.take();
        ring.mark_for_another_lap();
    }

    /// The device's thread: serves what is kicked, and relies on the kick as a real one does.
    pub(in crate::fake) fn run(&self) {
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

    pub(in crate::fake) fn stop(&self) {
        self.state().stop = true;
        self.doorbell.notify_all();
    }

    pub(in crate::fake) fn go(&self) {
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
    fn ring(&mut self) -> &mut Ring {
        self.state.rings.get_mut(&self.queue).unwrap()
    }

    fn disable(mut self) {
        self.ring().disable_notification();
    }

    /// `true`: something was made available meanwhile.
    fn enable(mut self) -> bool {
        self.ring().enable_notification()
    }
}
