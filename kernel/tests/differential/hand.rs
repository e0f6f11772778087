//! A device by hand: chains of bytes in, what it wrote out, without the driver and its checks.
//!
//! For the comparison, which sends what the driver's safe API cannot say. The one rule: memory that
//! a device has been told of stays its own until the test ends. Rings are polled.

#![expect(
    unsafe_code,
    reason = "vouches for a transport and for memory of the device"
)]

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{Ordering, fence};

use kernel::{bus, crypto, memory::Shared, platform::KernelPlatform, time};
use virtio_crypto::transport::{
    Doorbell, QueueAddresses, QueueIndex, Transport, pci::PciTransport,
};
use virtio_drivers::transport::DeviceStatus;

/// Most requests that are sent together.
pub const MOST_TOGETHER: usize = 16;
/// Most bytes of a request, both ways together.
pub const MOST_BYTES: usize = 40 << 10;
/// Most descriptors of a request.
pub const MOST_PIECES: usize = 16;

/// The configuration field `max_dataqueues`, which is the control queue's index.
const MAX_DATAQUEUES: usize = 4;
const SERVICES: usize = 8;
const VERSION_1: u64 = 1 << 32;
const INDIRECT_DESC: u64 = 1 << 28;

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
const INDIRECT: u16 = 4;
const NO_INTERRUPT: u16 = 1;

const DESCRIPTOR_BYTES: u64 = 16;
const TABLE_BYTES: u64 = MOST_PIECES as u64 * DESCRIPTOR_BYTES;
const ENTRIES: u16 = (MOST_TOGETHER * MOST_PIECES) as u16;
const LIMIT_NS: u64 = 10_000_000_000;
/// What memory holds before the device writes it.
const UNWRITTEN: u8 = 0xee;

/// Which queue takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Control,
    Data,
}

/// A request as a chain of descriptors.
#[derive(Clone, Debug)]
pub struct Chain {
    pub readable: Vec<u8>,
    pub writable_bytes: usize,
    /// Where both are cut into descriptors: offsets within, in order.
    pub cuts: [Vec<usize>; 2],
    /// The descriptors lie in a table of their own.
    pub is_indirect: bool,
}

/// What a device made of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All that was writable, and the length of the used element.
    Used { written: Vec<u8>, used_bytes: u32 },
    /// The device asks for a reset.
    NeedsReset,
}

/// A device.
#[derive(Debug)]
pub struct Hand {
    transport: Box<dyn Transport>,
    number: usize,
    has_indirect: bool,
    control: Ring,
    data: Ring,
}

impl Hand {
    /// Sets up crypto device `number` of the bus.
    pub fn open(number: usize) -> Self {
        let function = *crypto::find_crypto().get(number).expect("another device");
        // SAFETY: the bus's own configuration space; nobody else drives devices in these tests.
        let transport =
            unsafe { PciTransport::<KernelPlatform, _>::new(bus::pci_access(), function) };
        let transport = Box::new(transport.unwrap());
        let mut control = [0; 4];
        transport.read_config(MAX_DATAQUEUES, &mut control).unwrap();
        let control = QueueIndex(u32::from_le_bytes(control).try_into().unwrap());
        let mut hand = Self {
            number,
            has_indirect: transport.read_device_features() & INDIRECT_DESC != 0,
            control: Ring::new(&*transport, control),
            data: Ring::new(&*transport, QueueIndex(0)),
            transport,
        };
        hand.begin();
        hand
    }

    /// Returns the configuration field `crypto_services`.
    pub fn services(&self) -> u32 {
        let mut services = [0; 4];
        self.transport.read_config(SERVICES, &mut services).unwrap();
        u32::from_le_bytes(services)
    }

    /// Resets the device and takes it to DRIVER_OK.
    pub fn begin(&mut self) {
        let transport = &*self.transport;
        transport.write_status(DeviceStatus::empty());
        while !transport.read_status().is_empty() {}
        let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
        transport.write_status(status);
        let features = transport.read_device_features() & (VERSION_1 | INDIRECT_DESC);
        transport.write_driver_features(features);
        status |= DeviceStatus::FEATURES_OK;
        transport.write_status(status);
        assert!(transport.read_status().contains(status), "FEATURES_OK");
        self.control.begin(transport);
        self.data.begin(transport);
        transport.write_status(status | DeviceStatus::DRIVER_OK);
    }

    /// Sends chains together, and waits for their answers. Behind one upon which the device asks
    /// for a reset, none of the others has an answer.
    pub fn exchange(&mut self, lane: Lane, chains: &[Chain]) -> Vec<Answer> {
        let ring = match lane {
            Lane::Control => &mut self.control,
            Lane::Data => &mut self.data,
        };
        for (slot, chain) in chains.iter().enumerate() {
            ring.add(slot, chain, chain.is_indirect && self.has_indirect);
        }
        ring.expose();
        let mut answers: Vec<Option<Answer>> = chains.iter().map(|_| None).collect();
        let end_ns = time::now_ns() + LIMIT_NS;
        let mut left = chains.len();
        while left > 0 {
            if let Some((slot, used_bytes)) = ring.take_used() {
                let chain = chains.get(slot).expect("a slot of this batch");
                let written = ring.written(slot, chain);
                let answer = Answer::Used {
                    written,
                    used_bytes,
                };
                let is_first = answers[slot].replace(answer).is_none();
                assert!(is_first, "device {} used {slot} twice", self.number);
                left -= 1;
                continue;
            }
            let status = self.transport.read_status();
            if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) {
                break;
            }
            assert!(time::now_ns() < end_ns, "device {} is silent", self.number);
        }
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or(Answer::NeedsReset))
            .collect()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.transport.write_status(DeviceStatus::empty());
    }
}

/// One split virtqueue (Virtio 1.3, 2.7), with a place for each request that may be in flight.
#[derive(Debug)]
struct Ring {
    index: QueueIndex,
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    /// An indirect table for each slot.
    tables: Shared,
    /// The bytes of each slot's request.
    bytes: Shared,
    doorbell: Doorbell,
    added: u16,
    taken: u16,
}

impl Ring {
    fn new(transport: &dyn Transport, index: QueueIndex) -> Self {
        let size = transport.read_max_queue_size(index).min(ENTRIES);
        assert_eq!(size, ENTRIES, "room for all slots");
        let (entries, slots) = (u64::from(size), MOST_TOGETHER as u64);
        Self {
            index,
            size,
            descriptors: take(DESCRIPTOR_BYTES * entries),
            available: take(6 + 2 * entries),
            used: take(6 + 8 * entries),
            tables: take(TABLE_BYTES * slots),
            bytes: take(MOST_BYTES as u64 * slots),
            doorbell: transport.doorbell(index).unwrap(),
            added: 0,
            taken: 0,
        }
    }

    /// Tells the device of it, after a reset.
    fn begin(&mut self, transport: &dyn Transport) {
        (self.added, self.taken) = (0, 0);
        self.available.write(0, NO_INTERRUPT);
        self.available.write(2, 0u16);
        self.used.write(2, 0u16);
        // SAFETY: frames that are kept for good, as long as the size calls for; descriptors lead
        // into such frames alone.
        let addresses = unsafe {
            QueueAddresses::new(
                self.descriptors.address(),
                self.available.address(),
                self.used.address(),
            )
        };
        transport.set_queue(self.index, self.size, addresses);
        transport.enable_queue(self.index);
    }

    /// Makes a chain of a slot, which the device does not see yet.
    fn add(&mut self, slot: usize, chain: &Chain, is_indirect: bool) {
        let place = self.place(slot);
        let len = chain.readable.len() + chain.writable_bytes;
        assert!(len <= MOST_BYTES, "{len} bytes");
        for (at, byte) in (0..).zip(&chain.readable) {
            place.write(at, *byte);
        }
        for at in chain.readable.len()..len {
            place.write(at as u64, UNWRITTEN);
        }
        let readable = pieces(chain.readable.len(), &chain.cuts[0]);
        let readable = readable.map(|(at, len)| (at, len, 0));
        let writable = pieces(chain.writable_bytes, &chain.cuts[1]);
        let writable = writable.map(|(at, len)| (chain.readable.len() + at, len, WRITABLE));
        let pieces: Vec<_> = readable.chain(writable).collect();
        assert!((1..=MOST_PIECES).contains(&pieces.len()));
        let head = (slot * MOST_PIECES) as u64;
        let table = self.tables.part(slot as u64 * TABLE_BYTES, TABLE_BYTES);
        let (descriptors, first) = match is_indirect {
            true => (table, 0),
            false => (self.descriptors, head),
        };
        for (number, (at, len, flags)) in (first..).zip(&pieces) {
            let is_last = number + 1 == first + pieces.len() as u64;
            let next = if is_last { 0 } else { NEXT };
            let address = place.address() + *at as u64;
            descriptors.write_descriptor(number, address, *len as u64, flags | next, number + 1);
        }
        if is_indirect {
            let len = pieces.len() as u64 * DESCRIPTOR_BYTES;
            self.descriptors
                .write_descriptor(head, table.address(), len, INDIRECT, 0);
        }
        let entry = u64::from(self.added % self.size);
        self.available.write(4 + 2 * entry, head as u16);
        self.added = self.added.wrapping_add(1);
    }

    /// Lets the device see what was added, and kicks.
    fn expose(&mut self) {
        // Release: the chains before the index that publishes them, to the device.
        fence(Ordering::Release);
        self.available.write(2, self.added);
        fence(Ordering::SeqCst);
        self.doorbell.ring(|| 0);
    }

    /// Takes the next used element, if there is one: its slot and its length.
    fn take_used(&mut self) -> Option<(usize, u32)> {
        if self.used.read::<u16>(2) == self.taken {
            return None;
        }
        // Acquire: the element after the index that publishes it, by the device.
        fence(Ordering::Acquire);
        let entry = u64::from(self.taken % self.size);
        self.taken = self.taken.wrapping_add(1);
        let head = self.used.read::<u32>(4 + 8 * entry) as usize;
        assert_eq!(head % MOST_PIECES, 0, "no head has this id: {head}");
        Some((head / MOST_PIECES, self.used.read(8 + 8 * entry)))
    }

    fn written(&self, slot: usize, chain: &Chain) -> Vec<u8> {
        let place = self.place(slot);
        for (at, byte) in (0..).zip(&chain.readable) {
            assert_eq!(
                place.read::<u8>(at),
                *byte,
                "what is readable has changed at {at}"
            );
        }
        let first = chain.readable.len() as u64;
        let writable = first..first + chain.writable_bytes as u64;
        writable.map(|at| place.read(at)).collect()
    }

    fn place(&self, slot: usize) -> Shared {
        self.bytes
            .part((slot * MOST_BYTES) as u64, MOST_BYTES as u64)
    }
}

/// Returns offsets and lengths of what cuts make of so many bytes.
fn pieces(len: usize, cuts: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([len]);
    starts
        .zip(ends)
        .map(|(start, end)| (start, end - start))
        .filter(|(_, len)| *len > 0)
}

fn take(len_bytes: u64) -> Shared {
    Shared::allocate(len_bytes).expect("memory for rings")
}
