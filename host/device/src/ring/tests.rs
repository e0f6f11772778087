//! Both rings, by a driver that keeps to the rules and by one that does not.

use std::{collections::VecDeque, sync::atomic::Ordering};

use super::*;
use crate::{
    feature::{EVENT_IDX, IN_ORDER, INDIRECT_DESC, NOTIFICATION_DATA, RING_PACKED},
    memory::{Memory, View},
    random::Random,
    times,
};

const BASE: u64 = 0x10_0000;
const LEN_BYTES: usize = 1 << 18;
const DESCRIPTORS: u64 = BASE;
const DRIVER: u64 = BASE + 0x8000;
const DEVICE: u64 = BASE + 0xc000;
const TABLES: u64 = BASE + 0x1_0000;
const BUFFERS: u64 = BASE + 0x2_0000;

/// Readable bytes of one descriptor each, writable ones likewise.
type Buffers = (Vec<u32>, Vec<u32>);

/// What a driver keeps of a ring. It gives descriptors out in their order, so that it may use
/// IN_ORDER, too.
struct Guest {
    view: View,
    ring: Box<dyn Ring>,
    place: Place,
    features: u64,
    /// Descriptors, or places of a packed ring, that were given out since the beginning.
    given: u64,
    available: u16,
    /// Places that were found used since the beginning.
    seen: u64,
    used: u16,
    /// The chains in flight: the id, and how many places they have.
    in_flight: VecDeque<(u16, u16, u32)>,
    ids: u16,
}

impl Guest {
    fn new(size: u16, features: u64) -> Self {
        let view = Memory::within(BASE, LEN_BYTES).unwrap().view();
        let place = Place {
            size,
            descriptors: DESCRIPTORS,
            driver: DRIVER,
            device: DEVICE,
        };
        Self {
            view,
            ring: super::new(place, features, None).unwrap(),
            place,
            features,
            given: 0,
            available: 0,
            seen: 0,
            used: 0,
            in_flight: VecDeque::new(),
            ids: 0,
        }
    }

    fn is_packed(&self) -> bool {
        self.features & RING_PACKED != 0
    }

    fn size(&self) -> u64 {
        self.place.size.into()
    }

    fn offset(&self, position: u64) -> u16 {
        (position % self.size()) as u16
    }

    /// Flags by which a place is available, or used.
    fn marks(&self, position: u64, used: bool) -> u16 {
        let wrap = (position / self.size()).is_multiple_of(2);
        u16::from(wrap) << 7 | u16::from(wrap == used) << 15
    }

    fn store(&self, value: u16, address: u64) {
        self.view.store(value, address, Ordering::SeqCst).unwrap();
    }

    fn load(&self, address: u64) -> u16 {
        self.view.load(address, Ordering::SeqCst).unwrap()
    }

    fn write_descriptor(&self, address: u64, piece: (u64, u32), third: u16, fourth: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&piece.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&piece.1.to_le_bytes());
        bytes[12..14].copy_from_slice(&third.to_le_bytes());
        bytes[14..].copy_from_slice(&fourth.to_le_bytes());
        self.view.write(address, &bytes).unwrap();
    }

    /// Makes a chain available and returns its id.
    fn offer(&mut self, buffers: &Buffers) -> u16 {
        let mut pieces = Vec::new();
        let mut address = BUFFERS;
        for (lens, flags) in [(&buffers.0, 0), (&buffers.1, chain::WRITE)] {
            for len in lens {
                pieces.push((address, *len, flags));
                address += u64::from(*len);
            }
        }
        let writable = buffers.1.iter().sum();
        if self.features & INDIRECT_DESC != 0 {
            let table = TABLES + 0x100 * (self.given % 64);
            for (index, (address, len, flags)) in pieces.iter().enumerate() {
                let place = table + 16 * index as u64;
                let next = if index + 1 < pieces.len() {
                    chain::NEXT
                } else {
                    0
                };
                if self.is_packed() {
                    self.write_descriptor(place, (*address, *len), 0, *flags);
                } else {
                    let following = index as u16 + 1;
                    self.write_descriptor(place, (*address, *len), flags | next, following);
                }
            }
            pieces = vec![(table, 16 * pieces.len() as u32, chain::INDIRECT)];
        }
        let slots = pieces.len() as u16;
        let id = if self.is_packed() {
            self.offer_packed(&pieces)
        } else {
            self.offer_split(&pieces)
        };
        self.given += u64::from(slots);
        self.in_flight.push_back((id, slots, writable));
        id
    }

    fn offer_split(&mut self, pieces: &[(u64, u32, u16)]) -> u16 {
        for (index, (address, len, flags)) in pieces.iter().enumerate() {
            let position = self.given + index as u64;
            let next = if index + 1 < pieces.len() {
                chain::NEXT
            } else {
                0
            };
            let place = DESCRIPTORS + 16 * u64::from(self.offset(position));
            let following = self.offset(position + 1);
            self.write_descriptor(place, (*address, *len), flags | next, following);
        }
        let head = self.offset(self.given);
        let entry = DRIVER + 4 + 2 * u64::from(self.available % self.place.size);
        self.store(head, entry);
        self.available = self.available.wrapping_add(1);
        self.store(self.available, DRIVER + 2);
        head
    }

    fn offer_packed(&mut self, pieces: &[(u64, u32, u16)]) -> u16 {
        self.ids = self.ids.wrapping_add(1);
        for (index, (address, len, flags)) in pieces.iter().enumerate().rev() {
            let position = self.given + index as u64;
            let next = if index + 1 < pieces.len() {
                chain::NEXT
            } else {
                0
            };
            let place = DESCRIPTORS + 16 * u64::from(self.offset(position));
            let flags = flags | next | self.marks(position, false);
            self.write_descriptor(place, (*address, *len), self.ids, flags);
        }
        self.ids
    }

    /// Returns what one used element says: id and written bytes.
    fn collect(&mut self) -> Option<(u16, u32)> {
        let (id, written) = if self.is_packed() {
            let place = DESCRIPTORS + 16 * u64::from(self.offset(self.seen));
            let marks = self.load(place + 14) & (1 << 7 | 1 << 15);
            if marks != self.marks(self.seen, true) {
                return None;
            }
            let written: u32 = self.view.load(place + 8, Ordering::SeqCst).unwrap();
            (self.load(place + 12), written)
        } else {
            if self.load(DEVICE + 2) == self.used {
                return None;
            }
            let place = DEVICE + 4 + 8 * u64::from(self.used % self.place.size);
            let written: u32 = self.view.load(place + 4, Ordering::SeqCst).unwrap();
            (self.load(place), written)
        };
        let is_it = |chain: &(u16, u16, u32)| chain.0 == id;
        let index = self
            .in_flight
            .iter()
            .position(is_it)
            .expect("an id in flight");
        let passed = match self.features & IN_ORDER {
            0 => index..=index,
            _ => 0..=index,
        };
        for (_, slots, _) in self.in_flight.drain(passed) {
            self.seen += u64::from(slots);
            self.used = self.used.wrapping_add(1);
        }
        Some((id, written))
    }

    fn take(&mut self) -> Taken {
        self.ring.take(&self.view).unwrap().expect("a chain")
    }

    fn put(&mut self, taken: &Taken, written: u32) {
        self.ring.put(&self.view, taken, written).unwrap();
    }

    fn publish(&mut self) {
        self.ring.publish(&self.view).unwrap();
    }

    fn wants_interrupt(&mut self) -> bool {
        self.ring.wants_interrupt(&self.view).unwrap()
    }

    fn serve_one(&mut self, written: u32) -> bool {
        let taken = self.take();
        self.put(&taken, written);
        self.publish();
        self.wants_interrupt()
    }

    fn arm(&mut self) -> bool {
        self.ring.arm(&self.view).unwrap()
    }

    fn fault(&mut self) -> Fault {
        match self.ring.take(&self.view) {
            Err(fault) => fault,
            other => panic!("{other:?}"),
        }
    }
}

/// Every ring: split and packed, with and without tables.
fn rings() -> [u64; 4] {
    [0, INDIRECT_DESC, RING_PACKED, RING_PACKED | INDIRECT_DESC]
}

fn lens(pieces: &[Piece]) -> Vec<u32> {
    pieces.iter().map(|piece| piece.len_bytes).collect()
}

#[test]
fn chains_come_and_go_round_the_ring() {
    let shapes: [Buffers; 3] = [
        (vec![16, 56], vec![12]),
        (vec![1], vec![1, 2, 3]),
        (vec![], vec![4]),
    ];
    // A packed ring may have any size.
    for (features, size) in rings().into_iter().zip([8, 8, 7, 5]) {
        let mut guest = Guest::new(size, features);
        for round in 0..200 {
            let shape = &shapes[round % shapes.len()];
            assert_eq!(guest.ring.take(&guest.view), Ok(None));
            let id = guest.offer(shape);
            let taken = guest.take();
            assert_eq!((lens(&taken.readable), lens(&taken.writable)), *shape);
            assert_eq!(guest.collect(), None);
            guest.put(&taken, 3);
            guest.publish();
            assert_eq!(guest.collect(), Some((id, 3)), "{features:#x} {round}");
        }
    }
}

#[test]
fn indices_wrap() {
    let mut guest = Guest::new(4, 0);
    for round in 0..times(70_000_u32, 300) {
        let id = guest.offer(&(vec![1], vec![1]));
        guest.serve_one(1);
        assert_eq!(guest.collect(), Some((id, 1)), "{round}");
    }
}

#[test]
fn chains_may_be_used_in_any_order() {
    for features in rings() {
        let mut guest = Guest::new(16, features);
        for _ in 0..20 {
            let ids = [1, 2, 3].map(|len| guest.offer(&(vec![len], vec![4])));
            let taken: Vec<_> = (0..3).map(|_| guest.take()).collect();
            for index in [2, 0, 1] {
                guest.put(&taken[index], index as u32);
            }
            guest.publish();
            for index in [2, 0, 1] {
                assert_eq!(guest.collect(), Some((ids[index], index as u32)));
            }
        }
    }
}

#[test]
fn in_order_one_element_stands_for_a_batch() {
    for features in rings() {
        let mut guest = Guest::new(16, features | IN_ORDER);
        for _ in 0..30 {
            let ids: Vec<_> = (0..4).map(|_| guest.offer(&(vec![8], vec![4]))).collect();
            let taken: Vec<_> = (0..4).map(|_| guest.take()).collect();
            // The third is not written completely, so it needs an element of its own.
            for (taken, written) in taken.iter().zip([4, 4, 1, 4]) {
                guest.put(taken, written);
            }
            guest.publish();
            assert_eq!(guest.collect(), Some((ids[2], 1)), "{features:#x}");
            assert_eq!(guest.collect(), Some((ids[3], 4)));
            assert_eq!(guest.collect(), None);
        }
    }
}

#[test]
fn flags_suppress_interrupts() {
    for features in rings() {
        let mut guest = Guest::new(8, features);
        let flags = if guest.is_packed() {
            DRIVER + 2
        } else {
            DRIVER
        };
        for suppressed in [0, 1, 0] {
            guest.store(suppressed, flags);
            guest.offer(&(vec![1], vec![1]));
            assert_eq!(guest.serve_one(1), suppressed == 0);
            assert!(!guest.wants_interrupt(), "nothing new");
        }
    }
}

#[test]
fn an_event_is_the_one_element_that_interrupts() {
    for features in rings() {
        let mut guest = Guest::new(4, features | EVENT_IDX);
        for round in 0_u64..40 {
            // Every third one is asked for.
            if round % 3 == 0 {
                if guest.is_packed() {
                    let event = guest.given;
                    let wrap = u16::from((event / 4).is_multiple_of(2));
                    guest.store(guest.offset(event) | wrap << 15, DRIVER);
                    guest.store(2, DRIVER + 2);
                } else {
                    guest.store(guest.available, DRIVER + 4 + 2 * 4);
                }
            }
            guest.offer(&(vec![1], vec![]));
            let wanted = guest.serve_one(0);
            assert_eq!(wanted, round % 3 == 0, "{features:#x} {round}");
            guest.collect();
        }
    }
}

#[test]
fn an_event_within_a_batch_interrupts_once() {
    for features in rings() {
        let mut guest = Guest::new(8, features | EVENT_IDX | IN_ORDER);
        for round in 0_u64..20 {
            let event = guest.given + u64::from(guest.features & INDIRECT_DESC == 0) * 2 + 1;
            if guest.is_packed() {
                let wrap = u16::from((event / 8).is_multiple_of(2));
                guest.store(guest.offset(event) | wrap << 15, DRIVER);
                guest.store(2, DRIVER + 2);
            } else {
                guest.store(guest.available.wrapping_add(1), DRIVER + 4 + 2 * 8);
            }
            for _ in 0..3 {
                guest.offer(&(vec![1], vec![1]));
            }
            for _ in 0..3 {
                let taken = guest.take();
                guest.put(&taken, 1);
            }
            guest.publish();
            assert!(guest.wants_interrupt(), "{features:#x} {round}");
            while guest.collect().is_some() {}
        }
    }
}

#[test]
fn what_comes_while_it_arms_is_seen() {
    for features in rings() {
        for features in [features, features | EVENT_IDX] {
            let mut guest = Guest::new(8, features);
            guest.ring.disarm(&guest.view).unwrap();
            assert!(!guest.arm());
            guest.offer(&(vec![1], vec![1]));
            assert!(guest.arm(), "{features:#x}");
            guest.serve_one(1);
            assert!(!guest.arm());
        }
    }
}

#[test]
fn the_driver_is_told_when_to_notify() {
    let mut guest = Guest::new(8, 0);
    guest.ring.disarm(&guest.view).unwrap();
    assert_eq!(guest.load(DEVICE), 1);
    guest.arm();
    assert_eq!(guest.load(DEVICE), 0);

    let mut guest = Guest::new(8, EVENT_IDX);
    guest.offer(&(vec![1], vec![1]));
    guest.serve_one(1);
    guest.ring.disarm(&guest.view).unwrap();
    guest.arm();
    assert_eq!(guest.load(DEVICE), 0, "flags stay 0");
    assert_eq!(guest.load(DEVICE + 4 + 8 * 8), 1);

    let mut guest = Guest::new(3, RING_PACKED | EVENT_IDX | INDIRECT_DESC);
    for _ in 0..4 {
        guest.offer(&(vec![1], vec![1]));
        guest.serve_one(1);
    }
    guest.ring.disarm(&guest.view).unwrap();
    assert_eq!(guest.load(DEVICE + 2), 1);
    guest.arm();
    // At descriptor 1 of the second time round, when the wrap counter is 0.
    assert_eq!((guest.load(DEVICE), guest.load(DEVICE + 2)), (1, 2));
}

#[test]
fn announcements_cannot_be_ahead() {
    let mut guest = Guest::new(8, NOTIFICATION_DATA);
    guest.offer(&(vec![1], vec![1]));
    let said = |offset| Announced {
        offset,
        wrap: false,
    };
    assert_eq!(guest.ring.check(&guest.view, said(1)), Ok(()));
    assert_eq!(guest.ring.check(&guest.view, said(0)), Ok(()), "a late one");
    let ahead = guest.ring.check(&guest.view, said(2));
    assert_eq!(ahead, Err(Fault::Announced { offset: 2 }));
    let guest = Guest::new(8, NOTIFICATION_DATA | RING_PACKED);
    let beyond = guest.ring.check(&guest.view, said(8));
    assert_eq!(beyond, Err(Fault::Announced { offset: 8 }));
}

#[test]
fn rings_are_where_they_may_be() {
    let place = Place {
        size: 8,
        descriptors: 0x1000,
        driver: 0x2002,
        device: 0x3004,
    };
    assert!(super::new(place, 0, None).is_ok());
    let misaligned = |place, features| match super::new(place, features, None) {
        Err(Fault::Misaligned { address, .. }) => address,
        other => panic!("{other:?}"),
    };
    assert_eq!(misaligned(place, RING_PACKED), 0x2002);
    for (descriptors, driver, device) in [(8, 0, 0), (0, 1, 0), (0, 0, 2)] {
        let place = Place {
            size: 8,
            descriptors,
            driver,
            device,
        };
        assert_eq!(misaligned(place, 0), descriptors + driver + device);
    }
    for size in [0, 3, 1 << 15 | 1] {
        let place = Place { size, ..place };
        assert_eq!(
            super::new(place, 0, None).unwrap_err(),
            Fault::Size { size }
        );
    }
    let place = Place {
        descriptors: u64::MAX - 15,
        ..place
    };
    assert!(matches!(
        super::new(place, 0, None),
        Err(Fault::Unmapped(_))
    ));
}

/// Breaks one rule after a chain was offered.
type Break = fn(&mut Guest);

fn head(guest: &Guest) -> u64 {
    DESCRIPTORS + 16 * u64::from(guest.offset(guest.given - 1))
}

#[test]
fn what_a_split_driver_may_not_do_is_a_fault() {
    let cases: [(u64, Break, Fault); 12] = [
        (
            0,
            |guest| guest.store(9, DRIVER + 2),
            Fault::AvailableIndex { index: 9, taken: 0 },
        ),
        (
            0,
            |guest| guest.store(8, DRIVER + 4),
            Fault::Descriptor { index: 8, size: 8 },
        ),
        (
            0,
            |guest| guest.write_descriptor(DESCRIPTORS, (BUFFERS, 0), 0, 0),
            Fault::Empty,
        ),
        (
            0,
            |guest| guest.write_descriptor(DESCRIPTORS, (BUFFERS, 1), chain::NEXT, 0),
            Fault::TooManyDescriptors,
        ),
        (
            0,
            |guest| {
                guest.write_descriptor(DESCRIPTORS, (BUFFERS, 1), chain::WRITE | chain::NEXT, 1);
                guest.write_descriptor(DESCRIPTORS + 16, (BUFFERS, 1), 0, 0);
            },
            Fault::ReadableAfterWritable,
        ),
        (
            0,
            |guest| guest.write_descriptor(DESCRIPTORS, (TABLES, 16), chain::INDIRECT, 0),
            Fault::IndirectUnasked,
        ),
        (
            0,
            |guest| guest.write_descriptor(DESCRIPTORS, (BUFFERS, u32::MAX), 0, 0),
            Fault::TooManyBytes,
        ),
        (
            INDIRECT_DESC,
            |guest| {
                let flags = chain::INDIRECT | chain::NEXT;
                guest.write_descriptor(DESCRIPTORS, (TABLES, 16), flags, 1);
            },
            Fault::IndirectNested,
        ),
        (
            INDIRECT_DESC,
            |guest| guest.write_descriptor(TABLES, (TABLES, 16), chain::INDIRECT, 0),
            Fault::IndirectNested,
        ),
        (
            INDIRECT_DESC,
            |guest| guest.write_descriptor(DESCRIPTORS, (TABLES, 24), chain::INDIRECT, 0),
            Fault::IndirectLength { len_bytes: 24 },
        ),
        (
            INDIRECT_DESC,
            |guest| guest.write_descriptor(TABLES, (BUFFERS, 1), chain::NEXT, 1),
            Fault::Descriptor { index: 1, size: 1 },
        ),
        (
            IN_ORDER,
            |guest| guest.store(3, DRIVER + 4),
            Fault::NotInOrder {
                index: 3,
                expected: 0,
            },
        ),
    ];
    for (features, violate, expected) in cases {
        let mut guest = Guest::new(8, features);
        guest.offer(&(vec![1], vec![]));
        violate(&mut guest);
        assert_eq!(guest.fault(), expected);
    }
}

#[test]
fn what_a_packed_driver_may_not_do_is_a_fault() {
    let available = 1 << 7;
    let cases: [(u64, u16, u32, Fault); 6] = [
        (0, available, 0, Fault::Empty),
        (
            0,
            available | chain::NEXT,
            1,
            Fault::Unfinished { position: 1 },
        ),
        (0, available | chain::INDIRECT, 16, Fault::IndirectUnasked),
        (
            INDIRECT_DESC,
            available | chain::INDIRECT | chain::NEXT,
            16,
            Fault::IndirectNested,
        ),
        (
            INDIRECT_DESC,
            available | chain::INDIRECT,
            24,
            Fault::IndirectLength { len_bytes: 24 },
        ),
        (
            INDIRECT_DESC,
            available | chain::INDIRECT,
            16 * 9,
            Fault::TooManyDescriptors,
        ),
    ];
    for (features, flags, len, expected) in cases {
        let mut guest = Guest::new(8, RING_PACKED | features);
        guest.write_descriptor(DESCRIPTORS, (TABLES, len), 5, flags);
        assert_eq!(guest.fault(), expected);
    }
    let mut guest = Guest::new(8, RING_PACKED | EVENT_IDX);
    for (word, expected) in [
        (3, Fault::EventFlags { flags: 3 }),
        (2, Fault::EventOffset { offset: 8 }),
    ] {
        guest.store(8, DRIVER);
        guest.store(word, DRIVER + 2);
        assert_eq!(guest.ring.wants_interrupt(&guest.view), Err(expected));
    }
}

#[test]
fn a_chain_in_flight_cannot_be_offered_again() {
    let mut guest = Guest::new(8, 0);
    guest.offer(&(vec![1], vec![]));
    guest.take();
    guest.store(0, DRIVER + 4 + 2);
    guest.store(2, DRIVER + 2);
    assert_eq!(guest.fault(), Fault::StillInFlight { id: 0 });

    let mut guest = Guest::new(8, RING_PACKED);
    let id = guest.offer(&(vec![1], vec![]));
    guest.take();
    guest.offer(&(vec![1], vec![]));
    let place = head(&guest);
    guest.store(id, place + 12);
    assert_eq!(guest.fault(), Fault::StillInFlight { id });
}

#[test]
fn what_is_not_mapped_is_a_fault() {
    let place = Place {
        size: 8,
        ..Place::default()
    };
    let view = Memory::within(BASE, 0x1000).unwrap().view();
    for features in [0, RING_PACKED] {
        let mut ring = super::new(place, features, None).unwrap();
        assert!(matches!(ring.take(&view), Err(Fault::Unmapped(_))));
        assert!(matches!(ring.arm(&view), Err(Fault::Unmapped(_))));
        assert!(matches!(
            ring.wants_interrupt(&view),
            Err(Fault::Unmapped(_))
        ));
    }
}

#[test]
fn memory_of_any_content_ends_in_chains_or_faults() {
    let mut random = Random::new(1);
    for round in 0..times(3000, 20) {
        let features = rings()[round % 4] | [0, EVENT_IDX][round / 4 % 2];
        let mut guest = Guest::new(8, features);
        for area in [DESCRIPTORS, DRIVER, TABLES] {
            for at in (0..0x100).step_by(8) {
                // Small numbers find more than large ones, which are no index and no address.
                let word = match random.below(4) {
                    0 => random.number(),
                    1 => TABLES + 16 * random.below(8) as u64,
                    2 => random.below(1 << 24) as u64,
                    _ => (random.below(0x100) as u64) << 32 | random.below(0x40) as u64,
                };
                guest.view.write(area + at, &word.to_le_bytes()).unwrap();
            }
        }
        for _ in 0..20 {
            match guest.ring.take(&guest.view) {
                Ok(Some(taken)) => guest.put(&taken, 1),
                Ok(None) | Err(_) => break,
            }
            guest.publish();
            let _ = guest.ring.wants_interrupt(&guest.view);
        }
    }
}
