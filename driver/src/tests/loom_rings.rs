//! Both rings under loom, against a device half of this file's own: what the driver hands over
//! arrives whole, and neither side misses the other.
//!
//! Each model fails without what it is about: the release of what makes a request available, the
//! acquire of what says that it was used, or a full barrier between a store and a load.
//!
//! Run: `./run.sh test loom_ring`.

use alloc::{boxed::Box, sync::Arc};

use loom::{
    model::Builder,
    sync::atomic::{
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
    thread,
};

use crate::{
    fake::{Cells, Payload},
    transport::QueueAddresses,
    virtqueue::{
        Available, AvailableHalf, Chain, Format, Outstanding, Ring, RingLayout, Segment, Tables,
        Used, UsedHalf,
    },
};

const ENTRIES: u16 = 2;
/// The slot of most requests: its number is no field's first value.
const SLOT: u16 = 1;
const TABLES: Tables = Tables {
    first: 0x1000,
    step_bytes: 0x100,
    len_bytes: 16,
};

/// The rings that are modelled.
#[derive(Clone, Copy, Debug)]
struct Case {
    format: Format,
    event_index: bool,
    in_order: bool,
    /// Chains lie in tables.
    has_tables: bool,
}

const fn case(format: Format, event_index: bool) -> Case {
    Case {
        format,
        event_index,
        in_order: false,
        has_tables: true,
    }
}

/// Each way in which the two sides tell when they want to hear from the other.
const NOTIFYING: [Case; 4] = [
    case(Format::Split, true),
    case(Format::Split, false),
    case(Format::Packed, true),
    case(Format::Packed, false),
];

/// The driver's half.
struct Driver {
    available: Box<dyn AvailableHalf + Send>,
    used: Box<dyn UsedHalf + Send>,
    outstanding: Outstanding,
}

impl Driver {
    fn publish(&mut self, slot: u16, chain: Chain<'_>) {
        let id = self.available.publish(slot, chain);
        self.outstanding.push(slot, id, chain.descriptors());
    }

    fn used_index(&mut self) -> u16 {
        self.used.used_index(ENTRIES, &self.outstanding).index
    }
}

/// The device's half. A position counts requests, of one descriptor of the ring each, from the
/// start.
#[derive(Clone, Copy)]
struct Device {
    case: Case,
    memory: Cells,
    addresses: QueueAddresses,
}

/// An empty ring, from both sides.
fn ring(case: Case) -> (Driver, Device) {
    let layout = RingLayout {
        format: case.format,
        entries: ENTRIES,
        slots: if case.has_tables { ENTRIES } else { 1 },
        stride: if case.has_tables { 1 } else { ENTRIES },
        event_index: case.event_index,
        in_order: case.in_order,
        tables: case.has_tables.then_some(TABLES),
    };
    let ring = Ring::<Cells>::new(layout).unwrap();
    let driver = Driver {
        available: match ring.available {
            Available::Split(half) => Box::new(half),
            Available::Packed(half) => Box::new(half),
            Available::SplitInOrder(half) => Box::new(half),
        },
        used: match ring.used {
            Used::Split(half) => Box::new(half),
            Used::Packed(half) => Box::new(half),
            Used::SplitInOrder(half) => Box::new(half),
            Used::PackedInOrder(half) => Box::new(half),
        },
        outstanding: ring.outstanding,
    };
    let device = Device {
        case,
        memory: ring.memory,
        addresses: ring.addresses,
    };
    (driver, device)
}

impl Device {
    fn get(self, area: u64, at: u16, ordering: core::sync::atomic::Ordering) -> u64 {
        self.memory.get(area as usize + usize::from(at), ordering)
    }

    fn put(self, area: u64, at: u16, value: u64, ordering: core::sync::atomic::Ordering) {
        let at = area as usize + usize::from(at);
        self.memory.put(at, value, ordering);
    }

    /// The wrap counter of a position in a packed ring (Virtio 1.3, 2.8.1).
    fn wrap(position: u16) -> bool {
        (position / ENTRIES).is_multiple_of(2)
    }

    /// Offset and wrap counter of a position, as a packed ring's events have them (2.8.14).
    fn event(position: u16) -> u64 {
        u64::from(position % ENTRIES) | u64::from(Self::wrap(position)) << 15
    }

    /// Tells whether the request of a position is available.
    fn is_available(self, position: u16) -> bool {
        match self.case.format {
            Format::Split => self.get(self.addresses.available(), 2, Acquire) > position.into(),
            Format::Packed => {
                let at = 16 * (position % ENTRIES) + 14;
                let flags = self.get(self.addresses.descriptors(), at, Acquire);
                let (available, used) = (flags >> 7 & 1 != 0, flags >> 15 & 1 != 0);
                available == Self::wrap(position) && used != Self::wrap(position)
            }
        }
    }

    /// Reads the id of the first request, and the addresses of the descriptors that it has in the
    /// ring.
    fn read_first(self) -> (u64, [u64; 2]) {
        let (descriptors, available) = (self.addresses.descriptors(), self.addresses.available());
        let id = match self.case.format {
            Format::Split => self.get(available, 4, Relaxed),
            Format::Packed if self.case.has_tables => self.get(descriptors, 12, Relaxed),
            // That of the last one counts (2.8.6).
            Format::Packed => self.get(descriptors, 16 + 12, Relaxed),
        };
        let first = match self.case.format {
            Format::Split => id as u16,
            Format::Packed => 0,
        };
        let address = |index: u16| self.get(descriptors, 16 * (index % ENTRIES), Relaxed);
        (id, [address(first), address(first + 1)])
    }

    /// Uses the request of a position.
    fn use_one(self, position: u16, id: u16, len_bytes: u64) {
        let (at, used) = (position % ENTRIES, self.addresses.used());
        match self.case.format {
            Format::Split => {
                self.put(used, 4 + 8 * at, id.into(), Relaxed);
                self.put(used, 8 + 8 * at, len_bytes, Relaxed);
                self.put(used, 2, u64::from(position) + 1, Release);
            }
            Format::Packed => {
                let descriptors = self.addresses.descriptors();
                self.put(descriptors, 16 * at + 8, len_bytes, Relaxed);
                self.put(descriptors, 16 * at + 12, id.into(), Relaxed);
                let flags = if Self::wrap(position) { 0x8080 } else { 0 };
                self.put(descriptors, 16 * at + 14, flags, Release);
            }
        }
    }

    /// Asks for no kicks.
    fn refuse_kicks(self) {
        let used = self.addresses.used();
        match (self.case.format, self.case.event_index) {
            // An index that is far away.
            (Format::Split, true) => self.put(used, 4 + 8 * ENTRIES, 0x8000, Relaxed),
            (Format::Split, false) => self.put(used, 0, 1, Relaxed),
            (Format::Packed, _) => self.put(used, 2, 1, Relaxed),
        }
    }

    /// Asks for a kick at the request of a position. A full barrier has to follow.
    fn ask_for_kick(self, position: u16) {
        let used = self.addresses.used();
        match (self.case.format, self.case.event_index) {
            (Format::Split, true) => self.put(used, 4 + 8 * ENTRIES, position.into(), Relaxed),
            (Format::Split, false) => self.put(used, 0, 0, Relaxed),
            (Format::Packed, true) => {
                self.put(used, 0, Self::event(position), Relaxed);
                self.put(used, 2, 2, Release);
            }
            (Format::Packed, false) => self.put(used, 2, 0, Release),
        }
    }

    /// Tells whether the driver wants an interrupt for the request of a position, which has been
    /// used. A full barrier has gone before.
    fn is_interrupt_wanted(self, position: u16) -> bool {
        let events = self.addresses.available();
        match (self.case.format, self.case.event_index) {
            (Format::Split, true) => {
                self.get(events, 4 + 2 * ENTRIES, Relaxed) == u64::from(position)
            }
            (Format::Split, false) => self.get(events, 0, Relaxed) & 1 == 0,
            (Format::Packed, _) => match self.get(events, 2, Acquire) & 3 {
                0 => true,
                1 => false,
                _ => self.get(events, 0, Relaxed) == Self::event(position),
            },
        }
    }
}

fn check(case: Case, f: impl Fn(Case) + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || f(case));
}

#[test]
fn loom_ring_loses_no_kick() {
    for case in NOTIFYING {
        check(case, |case| {
            let (mut driver, device) = ring(case);
            device.refuse_kicks();
            let thread = thread::spawn(move || {
                device.ask_for_kick(0);
                fence(SeqCst);
                device.is_available(0)
            });
            driver.publish(SLOT, Chain::InTable(1));
            let kicks = driver.available.decide_kick();
            let sees = thread.join().unwrap();
            assert!(kicks || sees, "{case:?}: the device sleeps");
        });
    }
}

#[test]
fn loom_ring_loses_no_interrupt() {
    for case in NOTIFYING {
        check(case, |case| {
            let (mut driver, device) = ring(case);
            for slot in [0, 1] {
                driver.publish(slot, Chain::InTable(1));
            }
            // The first one has been used and taken, so a fresh event counts for nothing.
            device.use_one(0, 0, 1);
            assert_eq!(driver.used_index(), 1);
            driver.used.take_used(&mut driver.outstanding);
            driver.used.suppress_interrupts();
            let thread = thread::spawn(move || {
                device.use_one(1, 1, 1);
                fence(SeqCst);
                device.is_interrupt_wanted(1)
            });
            driver.used.allow_interrupts();
            driver.used.arm();
            let sees = driver.used_index() == 2;
            let interrupts = thread.join().unwrap();
            assert!(interrupts || sees, "{case:?}: the driver sleeps");
        });
    }
}

/// A device may ask for every kick and go on to ask for one at a position, without looking at the
/// ring again: it has asked for that one all the time.
#[test]
fn loom_ring_kicks_a_device_that_asks_in_another_way() {
    check(case(Format::Packed, true), |case| {
        let (mut driver, device) = ring(case);
        let thread = thread::spawn(move || device.ask_for_kick(0));
        driver.publish(SLOT, Chain::InTable(1));
        assert!(driver.available.decide_kick(), "{case:?}");
        thread.join().unwrap();
    });
}

/// A position says the same again after two laps: with the flags of now it would ask for an
/// interrupt that nobody is owed.
#[test]
fn loom_ring_asks_for_no_interrupt_by_a_position_of_two_laps_before() {
    check(case(Format::Packed, true), |case| {
        let (mut driver, device) = ring(case);
        driver.used.suppress_interrupts();
        for position in 0..2 * ENTRIES {
            driver.publish(0, Chain::InTable(1));
            device.use_one(position, 0, 1);
            assert_eq!(driver.used_index(), position + 1);
            driver.used.take_used(&mut driver.outstanding);
        }
        driver.publish(0, Chain::InTable(1));
        let thread = thread::spawn(move || {
            device.use_one(2 * ENTRIES, 0, 1);
            fence(SeqCst);
            device.is_interrupt_wanted(2 * ENTRIES)
        });
        let is_taken = driver.used_index() == 2 * ENTRIES + 1;
        if is_taken {
            driver.used.take_used(&mut driver.outstanding);
        }
        driver.used.arm();
        let interrupts = thread.join().unwrap();
        assert!(!(is_taken && interrupts), "{case:?}");
    });
}

#[test]
fn loom_ring_hands_a_request_over_whole() {
    let in_order = Case {
        in_order: true,
        ..case(Format::Split, true)
    };
    for case in [
        case(Format::Split, true),
        in_order,
        case(Format::Packed, true),
    ] {
        check(case, |case| {
            let (mut driver, device) = ring(case);
            let payload = Arc::new(Payload::new());
            let thread = thread::spawn({
                let payload = payload.clone();
                move || {
                    if device.is_available(0) {
                        payload.read();
                        let (id, [address, _]) = device.read_first();
                        // In ring order the first descriptor is the first one used.
                        assert_eq!(id, u64::from(if case.in_order { 0 } else { SLOT }));
                        let slot = u64::from(SLOT);
                        assert_eq!(address, TABLES.first + slot * TABLES.step_bytes, "{case:?}");
                    }
                }
            });
            payload.write();
            driver.publish(SLOT, Chain::InTable(1));
            thread.join().unwrap();
        });
    }
}

#[test]
fn loom_ring_hands_a_chain_over_whole() {
    for format in [Format::Split, Format::Packed] {
        let case = Case {
            has_tables: false,
            ..case(format, true)
        };
        check(case, |case| {
            let (mut driver, device) = ring(case);
            let thread = thread::spawn(move || {
                if device.is_available(0) {
                    let (_, addresses) = device.read_first();
                    assert_eq!(addresses, [0x2000, 0x3000], "{case:?}");
                    // In a packed ring the whole chain is available when its first one is (2.8.6).
                    assert!(case.format == Format::Split || device.is_available(1));
                }
            });
            let segments = [(0x2000, false), (0x3000, true)];
            let segments = segments.map(|(bus_address, writable)| Segment {
                bus_address,
                len_bytes: 8,
                writable,
            });
            driver.publish(0, Chain::Direct(&segments));
            thread.join().unwrap();
        });
    }
}

#[test]
fn loom_ring_takes_a_used_request_whole() {
    let in_order = |format| Case {
        in_order: true,
        ..case(format, true)
    };
    for case in [
        case(Format::Split, true),
        case(Format::Packed, true),
        in_order(Format::Split),
        in_order(Format::Packed),
    ] {
        check(case, |case| {
            let (mut driver, device) = ring(case);
            driver.publish(SLOT, Chain::InTable(1));
            let (id, _) = device.read_first();
            let payload = Arc::new(Payload::new());
            let thread = thread::spawn({
                let payload = payload.clone();
                move || {
                    payload.write();
                    device.use_one(0, id as u16, 7);
                }
            });
            if driver.used_index() == 1 {
                let used = driver.used.take_used(&mut driver.outstanding);
                payload.read();
                assert_eq!((used.slot, used.len_bytes), (SLOT.into(), 7), "{case:?}");
            }
            thread.join().unwrap();
        });
    }
}
