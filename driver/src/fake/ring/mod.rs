//! The device's half of a ring of either format.

mod chain;
mod packed;
mod split;

use alloc::{vec, vec::Vec};

pub(super) use self::chain::Chain;
use self::{packed::PackedHalf, split::SplitHalf};
use crate::{transport::QueueAddresses, wire::Features};

pub(super) struct Ring {
    half: Half,
    /// It uses chains in the order in which they came.
    pub(super) in_order: bool,
    /// Chains that are done, with what was written, and that it has not told of.
    done: Vec<(Chain, u32)>,
    pub(super) taken: Vec<Chain>,
    pub(super) enabled: bool,
}

enum Half {
    Split(SplitHalf),
    Packed(PackedHalf),
}

impl Ring {
    pub(super) fn new(size: u16, addresses: QueueAddresses, features: Features) -> Self {
        let event_index = features.contains(Features::EVENT_IDX);
        let in_order = features.contains(Features::IN_ORDER);
        let half = match features.contains(Features::RING_PACKED) {
            false => Half::Split(SplitHalf::new(size, addresses, event_index, in_order)),
            true => Half::Packed(PackedHalf::new(size, addresses, event_index)),
        };
        Self {
            half,
            in_order,
            done: vec![],
            taken: vec![],
            enabled: false,
        }
    }

    pub(super) fn enable(&mut self) {
        match &mut self.half {
            Half::Split(half) => half.enable(),
            Half::Packed(half) => half.enable(),
        }
        self.enabled = true;
    }

    /// Takes every available chain.
    pub(super) fn take(&mut self) {
        if !self.enabled {
            return;
        }
        while let Some(chain) = match &mut self.half {
            Half::Split(half) => half.take_one(),
            Half::Packed(half) => half.take_one(),
        } {
            self.taken.push(chain);
        }
    }

    /// Uses a chain that was taken, together with those that come before it in a batch of at most
    /// `most`; `false` where others come behind it.
    pub(super) fn use_in_batch(&mut self, chain: Chain, written: u32, most: usize) -> bool {
        self.done.push((chain, written));
        if self.done.len() < most && !self.taken.is_empty() {
            return false;
        }
        let batch = core::mem::take(&mut self.done);
        let descriptors = batch.iter().map(|(chain, _)| chain.descriptors).sum();
        if let Some((last, written)) = batch.last() {
            match &mut self.half {
                Half::Split(half) => half.use_raw(last.id.into(), *written, batch.len() as u16),
                Half::Packed(half) => half.use_raw(last.id.into(), (*written, descriptors), 0),
            }
        }
        true
    }

    /// Uses a chain that was taken.
    pub(super) fn use_chain(&mut self, chain: &Chain, written: u32) {
        match &mut self.half {
            Half::Split(half) => half.use_chain(chain.id, written),
            Half::Packed(half) => half.use_chain(chain, written),
        }
    }

    /// Says that it used a request, whatever `id` it has, and `more` behind it.
    pub(super) fn use_raw(&mut self, id: u32, written: u32, more: u16) {
        self.use_falsely(id, (written, 1), more);
    }

    /// Says of a chain that was taken what is not so: its id, its length, or that it used `more`
    /// behind it.
    pub(super) fn use_chain_as(&mut self, chain: &Chain, id: u32, written: u32, more: u16) {
        self.use_falsely(id, (written, chain.descriptors), more);
    }

    fn use_falsely(&mut self, id: u32, (written, descriptors): (u32, u16), more: u16) {
        match &mut self.half {
            Half::Split(half) => half.use_raw(id, written, 1 + more),
            Half::Packed(half) => half.use_raw(id, (written, descriptors), more),
        }
    }

    /// Tells whether the driver wants to hear of what has just been used.
    pub(super) fn needs_notification(&mut self) -> bool {
        match &mut self.half {
            Half::Split(half) => half.needs_notification(),
            Half::Packed(half) => half.needs_notification(),
        }
    }

    /// Asks for no kicks.
    pub(super) fn disable_notification(&mut self) {
        match &mut self.half {
            Half::Split(half) => half.disable_notification(),
            Half::Packed(half) => half.disable_notification(),
        }
    }

    /// Asks for kicks. `true`: something was made available meanwhile.
    pub(super) fn enable_notification(&mut self) -> bool {
        match &mut self.half {
            Half::Split(half) => half.enable_notification(),
            Half::Packed(half) => half.enable_notification(),
        }
    }

    /// Marks the next descriptor of a packed ring as used in another lap than this one.
    pub(super) fn mark_for_another_lap(&self) {
        if let Half::Packed(half) = &self.half {
            half.mark_for_another_lap();
        }
    }

    /// Judges events as QEMU does in a packed ring: by offsets, so that one of the lap before has
    /// always just been passed.
    pub(super) fn judge_by_offsets(&mut self) {
        if let Half::Packed(half) = &mut self.half {
            half.judges_by_offsets = true;
        }
    }
}
