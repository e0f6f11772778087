//! The device's half of a packed virtqueue (Virtio 1.3, 2.8).
//!
//! For whoever serves a queue whose driver accepted RING_PACKED. The one rule: the flags of a
//! descriptor are the last of it that is written, and the first that is read.
//!
//! | order | here | its partner in a driver |
//! |---|---|---|
//! | load acquire of flags | `is_available` | its barrier before it stores the first flags |
//! | store release of flags | `write_used` | the barrier behind its load of these flags |
//! | full fence | `wants_interrupt`: flags, then the driver's event | event, fence, flags again |
//! | full fence | `arm`: the device's event, then flags | flags, fence, then the device's event |

use std::{
    collections::HashSet,
    sync::atomic::{Ordering, fence},
};

use super::{
    Announced, Fault, Place, Ring, Taken,
    batch::{Batch, Batching},
    chain::{DESCRIPTOR_BYTES, INDIRECT, NEXT, Raw, WRITE, table_entries},
};
use crate::{feature, memory::View};

/// The bit of flags that the driver makes equal to its wrap counter (2.8.1).
const AVAILABLE: u16 = 1 << 7;
/// The bit that the device makes equal to its own.
const USED: u16 = 1 << 15;

/// Event suppression flags (2.8.10).
const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const AT_DESCRIPTOR: u16 = 2;

/// A place in the ring, counted on for ever: how often it went round is the wrap counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position(u64);

/// Half of a packed virtqueue.
#[derive(Debug)]
pub struct Packed {
    place: Place,
    features: u64,
    /// Where the next chain becomes available.
    taken: Position,
    /// Where the next used descriptor goes.
    used: Position,
    /// What the driver may see of the used ones.
    published: Position,
    /// Where the driver was last asked whether it wants an interrupt.
    asked_at: Position,
    /// Chains that were taken and not put back, by their buffer id.
    in_flight: HashSet<u16>,
    batching: Batching<Position>,
}

impl Packed {
    /// Makes the half of a ring that nothing was taken from.
    ///
    /// # Errors
    ///
    /// Fails where there can be no such ring.
    pub fn new(place: Place, features: u64) -> Result<Self, Fault> {
        place.check([16, 4, 4])?;
        let start = Position::default();
        Ok(Self {
            place,
            features,
            taken: start,
            used: start,
            published: start,
            asked_at: start,
            in_flight: HashSet::new(),
            batching: Batching::new(features),
        })
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn size(&self) -> u64 {
        self.place.size.into()
    }

    fn after(&self, position: Position, slots: u16) -> Position {
        Position(position.0 + u64::from(slots))
    }

    /// Returns the offset of a position in descriptors.
    fn offset(&self, position: Position) -> u16 {
        // Below the size, which has 16 bits.
        (position.0 % self.size()) as u16
    }

    /// Returns the wrap counter at a position: 1 at first (2.8.1).
    fn wrap(&self, position: Position) -> bool {
        (position.0 / self.size()).is_multiple_of(2)
    }

    fn descriptor(&self, position: Position) -> u64 {
        self.place.descriptors + DESCRIPTOR_BYTES * u64::from(self.offset(position))
    }

    /// Returns the flags at a position if the driver has made it available. Everything in front of
    /// them can be read afterwards.
    fn available_flags(&self, memory: &View, position: Position) -> Result<Option<u16>, Fault> {
        let address = self.descriptor(position) + 14;
        let flags = u16::from_le(memory.load(address, Ordering::Acquire)?);
        let wrap = self.wrap(position);
        let is_available = (flags & AVAILABLE != 0) == wrap && (flags & USED != 0) != wrap;
        Ok(is_available.then_some(flags))
    }

    /// Reads the chain that begins at the next position, whose flags are these.
    fn read_chain(&self, memory: &View, mut flags: u16) -> Result<Taken, Fault> {
        let mut taken = Taken::default();
        loop {
            if taken.slots == self.place.size {
                return Err(Fault::TooManyDescriptors);
            }
            let position = self.after(self.taken, taken.slots);
            let raw = Raw::read(memory, self.descriptor(position))?;
            taken.slots += 1;
            // The id is that of the last descriptor (2.8.8).
            taken.id = raw.third;
            if flags & INDIRECT != 0 {
                self.read_table(memory, raw, flags, &mut taken)?;
                return Ok(taken);
            }
            taken.add(raw, flags)?;
            if flags & NEXT == 0 {
                return Ok(taken);
            }
            taken.shape.is_over_end |= self.offset(self.after(self.taken, taken.slots)) == 0;
            // The driver makes the first one available last, so all of them are by now.
            let next = self.after(self.taken, taken.slots);
            let position = self.offset(next);
            let unfinished = Fault::Unfinished { position };
            flags = self.available_flags(memory, next)?.ok_or(unfinished)?;
        }
    }

    /// Adds what a table names: all its descriptors in a row (2.8.7).
    fn read_table(
        &self,
        memory: &View,
        table: Raw,
        flags: u16,
        taken: &mut Taken,
    ) -> Result<(), Fault> {
        if !self.has(feature::INDIRECT_DESC) {
            return Err(Fault::IndirectUnasked);
        }
        if flags & NEXT != 0 || taken.slots != 1 {
            return Err(Fault::IndirectNested);
        }
        let entries = table_entries(table.len_bytes, self.place.size)?;
        taken.shape.table_entries = entries.into();
        taken.shape.has_write_flag = flags & WRITE != 0;
        for index in 0..entries {
            let address = table
                .address
                .wrapping_add(DESCRIPTOR_BYTES * u64::from(index));
            let raw = Raw::read(memory, address)?;
            if raw.fourth & INDIRECT != 0 {
                return Err(Fault::IndirectNested);
            }
            taken.add(raw, raw.fourth)?;
        }
        Ok(())
    }

    /// Writes the descriptor that says what a batch became.
    fn write_used(&self, memory: &View, batch: Batch<Position>) -> Result<(), Fault> {
        let address = self.descriptor(batch.start);
        memory.write(address + 8, &batch.written_bytes.to_le_bytes())?;
        memory.write(address + 12, &batch.id.to_le_bytes())?;
        let mut flags = match self.wrap(batch.start) {
            true => AVAILABLE | USED,
            false => 0,
        };
        if batch.written_bytes != 0 {
            flags |= WRITE;
        }
        // Release: what was written to the chain, and the rest of this descriptor, come first.
        Ok(memory.store(flags.to_le(), address + 14, Ordering::Release)?)
    }

    /// Tells whether the driver's event lies in front of `published`, and not before `before`.
    fn has_passed(&self, before: Position, offset: u16, wrap: bool) -> bool {
        let laps = before.0 / self.size()..=self.published.0 / self.size();
        laps.map(|lap| Position(lap * self.size() + u64::from(offset)))
            .any(|event| self.wrap(event) == wrap && before <= event && event < self.published)
    }
}

impl Ring for Packed {
    fn take(&mut self, memory: &View) -> Result<Option<Taken>, Fault> {
        let Some(flags) = self.available_flags(memory, self.taken)? else {
            return Ok(None);
        };
        let taken = self.read_chain(memory, flags)?;
        if !self.in_flight.insert(taken.id) {
            return Err(Fault::StillInFlight { id: taken.id });
        }
        self.taken = self.after(self.taken, taken.slots);
        Ok(Some(taken))
    }

    fn put(&mut self, memory: &View, taken: &Taken, written_bytes: u32) -> Result<(), Fault> {
        self.in_flight.remove(&taken.id);
        let batch = self.batching.add(self.used, taken, written_bytes);
        self.used = self.after(self.used, taken.slots);
        match batch {
            Some(batch) => self.write_used(memory, batch),
            None => Ok(()),
        }
    }

    fn publish(&mut self, memory: &View) -> Result<(), Fault> {
        if let Some(batch) = self.batching.close() {
            self.write_used(memory, batch)?;
        }
        self.published = self.used;
        Ok(())
    }

    fn wants_interrupt(&mut self, memory: &View) -> Result<bool, Fault> {
        let before = std::mem::replace(&mut self.asked_at, self.published);
        // A driver stores its event, fences and looks at the flags again; without a fence between
        // the two here both could miss each other.
        fence(Ordering::SeqCst);
        // Both halves at once, since they belong together.
        let event = u32::from_le(memory.load(self.place.driver, Ordering::Relaxed)?);
        let (place, flags) = (event as u16, (event >> 16) as u16);
        match flags {
            DISABLE => Ok(false),
            ENABLE => Ok(before != self.published),
            AT_DESCRIPTOR if self.has(feature::EVENT_IDX) => {
                let offset = place & 0x7fff;
                if offset >= self.place.size {
                    return Err(Fault::EventOffset { offset });
                }
                Ok(self.has_passed(before, offset, place & 1 << 15 != 0))
            }
            _ => Err(Fault::EventFlags { flags }),
        }
    }

    fn disarm(&mut self, memory: &View) -> Result<(), Fault> {
        let flags = self.place.device + 2;
        Ok(memory.store(DISABLE.to_le(), flags, Ordering::Relaxed)?)
    }

    fn arm(&mut self, memory: &View) -> Result<bool, Fault> {
        let (mut place, mut flags) = (0, ENABLE);
        if self.has(feature::EVENT_IDX) {
            place = self.offset(self.taken) | u16::from(self.wrap(self.taken)) << 15;
            flags = AT_DESCRIPTOR;
        }
        let event = u32::from(place) | u32::from(flags) << 16;
        memory.store(event.to_le(), self.place.device, Ordering::Relaxed)?;
        fence(Ordering::SeqCst);
        Ok(self.available_flags(memory, self.taken)?.is_some())
    }

    fn check(&self, _: &View, announced: Announced) -> Result<(), Fault> {
        // Where it is cannot be seen from the ring once it has been served.
        if announced.offset >= self.place.size {
            let offset = announced.offset;
            return Err(Fault::Announced { offset });
        }
        Ok(())
    }

    fn index(&self) -> u16 {
        self.offset(self.taken) | u16::from(self.wrap(self.taken)) << 15
    }

    fn resume_at(&mut self, index: u16) {
        let lap = if index & 1 << 15 != 0 { 0 } else { self.size() };
        let position = Position(lap + u64::from(index & 0x7fff));
        (self.taken, self.used) = (position, position);
        (self.published, self.asked_at) = (position, position);
    }
}
