//! The device's half of a split virtqueue (Virtio 1.3, 2.7).
//!
//! For whoever serves a queue whose driver did not accept RING_PACKED. The one rule: an index goes
//! out behind all that it stands for.
//!
//! | order | here | its partner in a driver |
//! |---|---|---|
//! | load acquire of `avail.idx` | `available` | the barrier in front of its store of that index |
//! | store release of `used.idx` | `publish` | the barrier behind its load of that index |
//! | full fence | `wants_interrupt`: index, then `used_event` | `used_event`, fence, index again |
//! | full fence | `arm`: `avail_event`, then index | index, fence, then `avail_event` |

use std::{
    collections::HashSet,
    sync::atomic::{Ordering, fence},
};

use super::{
    Announced, Fault, Place, Ring, Taken,
    batch::{Batch, Batching},
    chain::{DESCRIPTOR_BYTES, INDIRECT, NEXT, Raw, WRITE, load_relaxed, table_entries},
};
use crate::{feature, memory::View};

/// The driver wants no interrupt (2.7.6).
const NO_INTERRUPT: u16 = 1;
/// The device wants no notification (2.7.8).
const NO_NOTIFY: u16 = 1;

/// Half of a split virtqueue.
#[derive(Debug)]
pub struct Split {
    place: Place,
    features: u64,
    /// The available index up to which chains were taken.
    taken: u16,
    /// The used index up to which elements were written or left out.
    used: u16,
    /// The used index that the driver has.
    published: u16,
    /// The used index at which the driver was last asked whether it wants an interrupt.
    asked_at: u16,
    /// Chains that were taken and not put back, by their first descriptor.
    in_flight: HashSet<u16>,
    /// With IN_ORDER, the descriptor that comes next.
    next_in_order: u16,
    batching: Batching<u16>,
}

impl Split {
    /// Makes the half of a ring that nothing was taken from.
    ///
    /// # Errors
    ///
    /// Fails where there can be no such ring.
    pub fn new(place: Place, features: u64) -> Result<Self, Fault> {
        place.check([16, 2, 4])?;
        if !place.size.is_power_of_two() {
            return Err(Fault::Size { size: place.size });
        }
        Ok(Self {
            place,
            features,
            taken: 0,
            used: 0,
            published: 0,
            asked_at: 0,
            in_flight: HashSet::new(),
            next_in_order: 0,
            batching: Batching::new(features),
        })
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    /// Loads the driver's index. Everything that it stands for can be read afterwards.
    fn available(&self, memory: &View) -> Result<u16, Fault> {
        let index = u16::from_le(memory.load(self.place.driver + 2, Ordering::Acquire)?);
        if index.wrapping_sub(self.taken) > self.place.size {
            let taken = self.taken;
            return Err(Fault::AvailableIndex { index, taken });
        }
        Ok(index)
    }

    /// Returns where the element of an index lies, `header` and `len` being the ring's.
    fn element(&self, area: u64, index: u16, len_bytes: u64) -> u64 {
        area + 4 + len_bytes * u64::from(index % self.place.size)
    }

    /// Reads the chain that begins at a descriptor.
    fn read_chain(&self, memory: &View, head: u16) -> Result<Taken, Fault> {
        let mut taken = Taken {
            id: head,
            ..Taken::default()
        };
        let size = self.place.size;
        let mut index = head;
        loop {
            if taken.slots == size {
                return Err(Fault::TooManyDescriptors);
            }
            let expected = self.next_in_order.wrapping_add(taken.slots) % size;
            if self.has(feature::IN_ORDER) && index != expected {
                return Err(Fault::NotInOrder { index, expected });
            }
            taken.slots += 1;
            let raw = read_descriptor(memory, self.place.descriptors, size, index)?;
            if raw.third & INDIRECT != 0 {
                self.read_table(memory, raw, &mut taken)?;
                return Ok(taken);
            }
            taken.add(raw, raw.third)?;
            if raw.third & NEXT == 0 {
                return Ok(taken);
            }
            index = raw.fourth;
        }
    }

    /// Adds what a table names. Other descriptors may come in front of it (2.7.5.3.2).
    fn read_table(&self, memory: &View, table: Raw, taken: &mut Taken) -> Result<(), Fault> {
        if !self.has(feature::INDIRECT_DESC) {
            return Err(Fault::IndirectUnasked);
        }
        if table.third & NEXT != 0 {
            return Err(Fault::IndirectNested);
        }
        let entries = table_entries(table.len_bytes, u16::MAX)?;
        let before = taken.pieces();
        taken.shape.has_direct = before > 0;
        taken.shape.has_write_flag = table.third & WRITE != 0;
        let mut index = 0;
        loop {
            if taken.pieces() >= usize::from(self.place.size) {
                return Err(Fault::TooManyDescriptors);
            }
            let raw = read_descriptor(memory, table.address, entries, index)?;
            if raw.third & INDIRECT != 0 {
                return Err(Fault::IndirectNested);
            }
            taken.add(raw, raw.third)?;
            if raw.third & NEXT == 0 {
                taken.shape.table_entries = taken.pieces() - before;
                return Ok(());
            }
            index = raw.fourth;
        }
    }

    fn write_element(&mut self, memory: &View, batch: Batch<u16>) -> Result<(), Fault> {
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(batch.id).to_le_bytes());
        element[4..].copy_from_slice(&batch.written_bytes.to_le_bytes());
        let address = self.element(self.place.device, batch.start, 8);
        Ok(memory.write(address, &element)?)
    }
}

fn read_descriptor(memory: &View, table: u64, size: u16, index: u16) -> Result<Raw, Fault> {
    if index >= size {
        return Err(Fault::Descriptor { index, size });
    }
    let address = table.wrapping_add(DESCRIPTOR_BYTES * u64::from(index));
    Ok(Raw::read(memory, address)?)
}

impl Ring for Split {
    fn take(&mut self, memory: &View) -> Result<Option<Taken>, Fault> {
        if self.available(memory)? == self.taken {
            return Ok(None);
        }
        let place = self.element(self.place.driver, self.taken, 2);
        let head = load_relaxed(memory, place)?;
        let taken = self.read_chain(memory, head)?;
        if !self.in_flight.insert(head) {
            return Err(Fault::StillInFlight { id: head });
        }
        self.taken = self.taken.wrapping_add(1);
        self.next_in_order = self.next_in_order.wrapping_add(taken.slots) % self.place.size;
        Ok(Some(taken))
    }

    fn put(&mut self, memory: &View, taken: &Taken, written_bytes: u32) -> Result<(), Fault> {
        self.in_flight.remove(&taken.id);
        let batch = self.batching.add(self.used, taken, written_bytes);
        self.used = self.used.wrapping_add(1);
        match batch {
            Some(batch) => self.write_element(memory, batch),
            None => Ok(()),
        }
    }

    fn publish(&mut self, memory: &View) -> Result<(), Fault> {
        if let Some(batch) = self.batching.close() {
            self.write_element(memory, batch)?;
        }
        // Release: what was written to the chains, and their elements, come first.
        memory.store(self.used.to_le(), self.place.device + 2, Ordering::Release)?;
        self.published = self.used;
        Ok(())
    }

    fn wants_interrupt(&mut self, memory: &View) -> Result<bool, Fault> {
        let before = std::mem::replace(&mut self.asked_at, self.published);
        let moved = self.published.wrapping_sub(before);
        // A driver stores its event, fences and looks at the index again; without a fence between
        // the two here both could miss each other.
        fence(Ordering::SeqCst);
        if self.has(feature::EVENT_IDX) {
            // Behind the ring, where an index of its size would be.
            let behind = 2 * u64::from(self.place.size);
            let event = load_relaxed(memory, self.place.driver + 4 + behind)?;
            // 2.7.7.2: when the element at that index was used.
            return Ok(event.wrapping_sub(before) < moved);
        }
        let flags = load_relaxed(memory, self.place.driver)?;
        Ok(moved != 0 && flags & NO_INTERRUPT == 0)
    }

    fn disarm(&mut self, memory: &View) -> Result<(), Fault> {
        // With EVENT_IDX the flags stay 0, and an event that has passed asks for nothing (2.7.10).
        if !self.has(feature::EVENT_IDX) {
            memory.store(NO_NOTIFY.to_le(), self.place.device, Ordering::Relaxed)?;
        }
        Ok(())
    }

    fn arm(&mut self, memory: &View) -> Result<bool, Fault> {
        if self.has(feature::EVENT_IDX) {
            let behind = 8 * u64::from(self.place.size);
            let address = self.place.device + 4 + behind;
            memory.store(self.taken.to_le(), address, Ordering::Relaxed)?;
        } else {
            memory.store(0_u16, self.place.device, Ordering::Relaxed)?;
        }
        fence(Ordering::SeqCst);
        Ok(self.available(memory)? != self.taken)
    }

    fn check(&self, memory: &View, announced: Announced) -> Result<(), Fault> {
        let said = announced.offset & 0x7fff | u16::from(announced.wrap) << 15;
        // The index may have moved on since; it cannot have been ahead of itself.
        let index = self.available(memory)?;
        if index.wrapping_sub(said) > 1 << 15 {
            return Err(Fault::Announced { offset: said });
        }
        Ok(())
    }

    fn index(&self) -> u16 {
        self.taken
    }

    fn resume_at(&mut self, index: u16) {
        (self.taken, self.used) = (index, index);
        (self.published, self.asked_at) = (index, index);
    }
}
