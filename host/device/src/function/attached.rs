//! For carriers that have the registers themselves and pass on what came of them.
//!
//! vhost-user is one: QEMU negotiates with the guest, and says where the queues are. The one rule:
//! such a carrier goes the way of the registers, so that a queue is served in one way alone.

use super::{Function, lock::lock};
use crate::ring::{self, Place};

impl Function {
    /// Begins anew with features that driver and carrier have agreed on.
    pub fn attach(&self, features: u64) {
        self.reset();
        self.change(|registers| registers.attach(features));
        self.engine.set_features(features);
    }

    /// Begins to serve a queue from an index on; its interrupts go to the vector of its number.
    pub fn start_queue(&self, index: u16, place: Place, from: u16) {
        let Some(queue) = self.queues.get(usize::from(index)) else {
            return;
        };
        let features = self.agreed_features().unwrap_or(0);
        match ring::new(place, features, self.options.broken) {
            Ok(mut ring) => {
                ring.resume_at(from);
                lock(&queue.half).begin(ring);
                self.change(|registers| registers.put_queue(index, Some(place)));
            }
            Err(fault) => self.needs_reset(format_args!("queue {index}: {fault}")),
        }
    }

    /// Serves a queue no more; returns how far it came, if it was served.
    pub fn stop_queue(&self, index: u16) -> Option<u16> {
        let queue = self.queues.get(usize::from(index))?;
        self.change(|registers| registers.put_queue(index, None));
        let mut half = lock(&queue.half);
        let reached = half.ring.as_ref().map(|ring| ring.index());
        half.clear();
        reached
    }
}
