//! What becomes of reads and writes of the function's memory range (Virtio 1.3, 4.1.4).
//!
//! For whatever carries it. The one rule: whatever is read or written, of any length at any place,
//! has an answer.

use std::sync::atomic::Ordering;

use super::{
    Function,
    layout::{COMMON, DEVICE, DOORBELL_BYTES, DOORBELLS, INTERRUPT_STATUS, notification_value},
    lock::lock,
    queue::Queue,
    registers::Effect,
};
use crate::{
    feature,
    ring::{self, Announced, Fault, Ring},
    rules::Rule,
};

impl Function {
    /// Reads from the range.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        if self.is_gone.load(Ordering::Relaxed) {
            return data.fill(0xff);
        }
        data.fill(0);
        if let Some(at) = COMMON.within(offset) {
            let generation = self.generation.load(Ordering::Acquire);
            let image = self.look(|registers| registers.image(generation, &self.options));
            copy(&image, at, data);
        } else if let Some(at) = DEVICE.within(offset) {
            if self.breaks(Rule::ConfigBeforeFeaturesOk) && self.agreed_features().is_none() {
                return;
            }
            let is_ready = self.is_ready.load(Ordering::Relaxed);
            copy(&self.engine.config(is_ready), at, data);
        } else if INTERRUPT_STATUS.within(offset).is_some() {
            // Reading clears it (4.1.4.5).
            let status = self.interrupt_status.swap(0, Ordering::Relaxed);
            copy(&[status], 0, data);
        }
    }

    /// Writes to the range.
    pub fn write(&self, offset: u64, data: &[u8]) {
        if self.is_gone.load(Ordering::Relaxed) {
            return;
        }
        if let Some(at) = COMMON.within(offset) {
            self.write_common(at, data);
        } else if let Some(at) = DOORBELLS.within(offset) {
            self.notify(at / u64::from(DOORBELL_BYTES), data);
        }
        // The device's own configuration is read only (5.9.4), and so is everything else.
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
            _ => notification_value(index),
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
}

fn copy(from: &[u8], at: u64, to: &mut [u8]) {
    let rest = usize::try_from(at).ok().and_then(|at| from.get(at..));
    for (to, byte) in to.iter_mut().zip(rest.unwrap_or(&[])) {
        *to = *byte;
    }
}
