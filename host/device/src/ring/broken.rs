//! A ring that breaks one rule on purpose.
//!
//! For a device whose option says so. The one rule: whatever it does wrong is said here, so that
//! the rings themselves are right.

use std::sync::atomic::Ordering;

use super::{Announced, Fault, Place, Ring, Taken, chain::DESCRIPTOR_BYTES};
use crate::{feature, memory::View, rules::Rule};

/// A used flag that has no meaning (2.7.8).
const UNDEFINED_FLAG: u16 = 2;
/// The bits of a packed descriptor's flags that hold wrap counters (2.8.1).
const WRAP_COUNTERS: u16 = 1 << 7 | 1 << 15;
/// Chains after which one is used wrongly.
const EVERY: u64 = 50;

/// A ring around another.
#[derive(Debug)]
pub struct Broken {
    ring: Box<dyn Ring>,
    rule: Rule,
    place: Place,
    features: u64,
    /// Chains that were put, and their places in the descriptor area.
    chains: u64,
    slots: u64,
    /// Something was put since the driver was last asked about interrupts.
    has_news: bool,
}

impl Broken {
    /// Breaks a rule of this ring.
    pub fn new(ring: Box<dyn Ring>, rule: Rule, place: Place, features: u64) -> Self {
        Self {
            ring,
            rule,
            place,
            features,
            chains: 0,
            slots: 0,
            has_news: false,
        }
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn is_packed(&self) -> bool {
        self.has(feature::RING_PACKED)
    }

    /// Turns over the wrap counters of the used descriptor that was written last.
    fn turn_over(&self, memory: &View) -> Result<(), Fault> {
        let offset = self.slots % u64::from(self.place.size);
        let address = self.place.descriptors + DESCRIPTOR_BYTES * offset + 14;
        let flags = u16::from_le(memory.load(address, Ordering::Acquire)?);
        let turned = flags ^ WRAP_COUNTERS;
        Ok(memory.store(turned.to_le(), address, Ordering::Release)?)
    }
}

impl Ring for Broken {
    fn take(&mut self, memory: &View) -> Result<Option<Taken>, Fault> {
        self.ring.take(memory)
    }

    fn put(&mut self, memory: &View, taken: &Taken, written_bytes: u32) -> Result<(), Fault> {
        self.chains += 1;
        self.has_news = true;
        let is_last = self.chains.is_multiple_of(EVERY);
        let has_wrapped = self.slots >= self.place.size.into();
        match self.rule {
            // What it is called is not what it was taken by.
            Rule::UsedIdsInFlight if is_last => {
                let other = Taken {
                    id: u16::MAX,
                    ..taken.clone()
                };
                self.ring.put(memory, &other, written_bytes)?;
            }
            Rule::UsedLengthWithinWritable => {
                let all = u32::try_from(taken.writable_bytes()).unwrap_or(u32::MAX);
                self.ring.put(memory, taken, all.saturating_add(1))?;
            }
            Rule::IndexWraps if self.chains > u64::from(u16::MAX) => {}
            _ => self.ring.put(memory, taken, written_bytes)?,
        }
        let turns =
            self.rule == Rule::PackedServes || self.rule == Rule::PackedWraps && has_wrapped;
        if self.is_packed() && turns {
            self.turn_over(memory)?;
        }
        self.slots += u64::from(taken.slots);
        Ok(())
    }

    fn publish(&mut self, memory: &View) -> Result<(), Fault> {
        self.ring.publish(memory)
    }

    fn wants_interrupt(&mut self, memory: &View) -> Result<bool, Fault> {
        let is_wanted = self.ring.wants_interrupt(memory)?;
        let has_news = std::mem::take(&mut self.has_news);
        let (is_packed, has_event) = (self.is_packed(), self.has(feature::EVENT_IDX));
        Ok(match self.rule {
            Rule::InterruptSuppressed if !is_packed && !has_event => has_news,
            Rule::NoInterruptBeforeEvent if !is_packed && has_event => has_news,
            Rule::InterruptAtEvent if !is_packed && has_event => false,
            Rule::PackedInterruptSuppressed if is_packed => has_news,
            Rule::PackedInterruptAtEvent if is_packed => false,
            _ => is_wanted,
        })
    }

    fn disarm(&mut self, memory: &View) -> Result<(), Fault> {
        self.ring.disarm(memory)
    }

    fn arm(&mut self, memory: &View) -> Result<bool, Fault> {
        let has_more = self.ring.arm(memory)?;
        if self.rule == Rule::UsedFlagsDefined && !self.is_packed() {
            memory.store(UNDEFINED_FLAG.to_le(), self.place.device, Ordering::Relaxed)?;
        }
        Ok(has_more)
    }

    fn check(&self, memory: &View, announced: Announced) -> Result<(), Fault> {
        self.ring.check(memory, announced)
    }

    fn index(&self) -> u16 {
        self.ring.index()
    }

    fn resume_at(&mut self, index: u16) {
        self.ring.resume_at(index);
    }
}
