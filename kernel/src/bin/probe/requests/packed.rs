//! One packed virtqueue, filled by hand (Virtio 1.3, 2.8).

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use kernel::memory::Shared;
use virtio_crypto::transport::{Doorbell, QueueAddresses, QueueIndex, Transport};

use crate::requests::{
    chain::{Chain, Piece, shared},
    layout::{Interrupts, Layout},
};

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAILABLE: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// Most entries that a queue gets: no power of 2, which a packed ring need not be.
const MOST_ENTRIES: u16 = 250;

/// `RING_EVENT_FLAGS_ENABLE`, `_DISABLE` and `_DESC`.
const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const DESC: u16 = 2;

/// A place in the ring, with the wrap counter there.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: u16,
    wrap: bool,
}

impl Place {
    const START: Self = Self {
        slot: 0,
        wrap: true,
    };

    fn behind(self, count: u16, size: u16) -> Self {
        let slot = self.slot + count;
        if slot < size {
            return Self { slot, ..self };
        }
        Self {
            slot: slot - size,
            wrap: !self.wrap,
        }
    }

    /// The flags of a descriptor that is available.
    fn flags(self) -> u16 {
        if self.wrap { AVAILABLE } else { USED }
    }
}

/// One packed virtqueue.
#[derive(Debug)]
pub struct Packed {
    size: u16,
    descriptors: Shared,
    driver_events: Shared,
    doorbell: Doorbell,
    next: Place,
    used: Place,
    /// Flags of the first descriptor that the device has not been shown.
    hidden: Option<(u16, u16)>,
    /// Chains in flight: id, descriptors.
    in_flight: Vec<(u16, u16)>,
}

impl Packed {
    /// Sets a queue up; `None` where the device has none of this number.
    pub fn new(transport: &dyn Transport, index: QueueIndex) -> Option<Self> {
        let size = transport.read_max_queue_size(index).min(MOST_ENTRIES);
        if size == 0 {
            return None;
        }
        let ring = Self {
            size,
            descriptors: shared(16 * u64::from(size)),
            driver_events: shared(4),
            doorbell: transport.doorbell(index).ok()?,
            next: Place::START,
            used: Place::START,
            hidden: None,
            in_flight: Vec::new(),
        };
        // SAFETY: frames that are kept for good, as long as the size calls for; descriptors lead
        // into such frames alone.
        let addresses = unsafe {
            QueueAddresses::new(
                ring.descriptors.address(),
                ring.driver_events.address(),
                shared(4).address(),
            )
        };
        transport.set_queue(index, size, addresses);
        transport.enable_queue(index);
        Some(ring)
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    pub fn add(&mut self, id: u16, chain: &Chain, layout: Layout) {
        let pieces = chain.pieces();
        let count = match layout {
            Layout::Direct => pieces.len() as u16,
            _ => 1,
        };
        self.in_flight.push((id, count));
        if layout != Layout::Direct {
            let table = shared(16 * pieces.len() as u64);
            for (number, piece) in (0..).zip(pieces) {
                write(table, number, Element::of(piece), id);
                table.write(16 * number + 14, writable(piece));
            }
            let flags = match layout {
                Layout::WritableIndirect => INDIRECT | WRITABLE,
                _ => INDIRECT,
            };
            let element = Element {
                address: table.address(),
                len: 16 * pieces.len() as u32,
            };
            return self.place(element, id, flags);
        }
        for (number, piece) in (1..).zip(pieces) {
            let next = if number < count { NEXT } else { 0 };
            self.place(Element::of(piece), id, next | writable(piece));
        }
    }

    /// Writes the next descriptor.
    fn place(&mut self, element: Element, id: u16, flags: u16) {
        let Place { slot, .. } = self.next;
        let flags = flags | self.next.flags();
        write(self.descriptors, slot.into(), element, id);
        // The device walks the ring: it sees none behind one that it does not see.
        if self.hidden.is_none() {
            self.hidden = Some((slot, flags));
        } else {
            self.write_flags(slot, flags);
        }
        self.next = self.next.behind(1, self.size);
    }

    fn write_flags(&self, slot: u16, flags: u16) {
        // Release: the descriptor before its flags, to the device.
        fence(Ordering::Release);
        self.descriptors.write(16 * u64::from(slot) + 14, flags);
    }

    pub fn expose(&mut self) {
        if let Some((slot, flags)) = self.hidden.take() {
            self.write_flags(slot, flags);
        }
        fence(Ordering::SeqCst);
    }

    pub fn kick(&self) {
        self.doorbell.ring(|| 0);
    }

    pub fn take_used(&mut self) -> Option<(u32, u32)> {
        let at = 16 * u64::from(self.used.slot);
        let flags: u16 = self.descriptors.read(at + 14);
        let is_used = [AVAILABLE, USED].map(|bit| flags & bit != 0) == [self.used.wrap; 2];
        if self.in_flight.is_empty() || !is_used {
            return None;
        }
        // Acquire: the descriptor after its flags, by the device.
        fence(Ordering::Acquire);
        let (len, id): (u32, u16) = (
            self.descriptors.read(at + 8),
            self.descriptors.read(at + 12),
        );
        let chain = self.in_flight.iter().position(|(own, _)| *own == id);
        let count = chain.map_or(1, |at| self.in_flight.remove(at).1);
        self.used = self.used.behind(count, self.size);
        Some((id.into(), len))
    }

    pub fn ask_for(&mut self, interrupts: Interrupts) {
        let (flags, after) = match interrupts {
            Interrupts::Each => (ENABLE, 0),
            Interrupts::None => (DISABLE, 0),
            Interrupts::After(count) => (DESC, count),
        };
        // One descriptor a chain is assumed.
        let event = self.used.behind(after, self.size);
        let wrap = u16::from(event.wrap) << 15;
        self.driver_events.write(0, event.slot | wrap);
        self.driver_events.write(2, flags);
        fence(Ordering::SeqCst);
    }
}

/// What a descriptor leads to.
#[derive(Clone, Copy)]
struct Element {
    address: u64,
    len: u32,
}

impl Element {
    fn of(piece: &Piece) -> Self {
        Self {
            address: piece.address(),
            len: piece.len_bytes(),
        }
    }
}

fn writable(piece: &Piece) -> u16 {
    if piece.is_writable() { WRITABLE } else { 0 }
}

/// Writes a descriptor but for its flags.
fn write(table: Shared, number: u64, element: Element, id: u16) {
    let at = 16 * number;
    table.write(at, element.address);
    table.write(at + 8, element.len);
    table.write(at + 12, id);
}
