//! The transport on a function made of plain memory: capability lists that lie, and registers
//! that show what was written.

use alloc::{sync::Arc, vec, vec::Vec};
use std::sync::Mutex;

use virtio_drivers::transport::{
    DeviceStatus,
    pci::bus::{ConfigurationAccess, DeviceFunction},
};

use super::{PciTransport, capabilities::walk, function::Function, is_crypto_device};
use crate::{
    fake::{FakePlatform, message, new_registers, times},
    transport::{MsixEntry, QueueAddresses, QueueIndex, Transport, TransportError},
    wire::Features,
};

const AT: DeviceFunction = DeviceFunction {
    bus: 0,
    device: 3,
    function: 0,
};
const BAR_LEN: usize = 0x4000;

/// Where the structures are in the BAR.
const COMMON: u32 = 0x0000;
const ISR: u32 = 0x1000;
const DEVICE: u32 = 0x2000;
const NOTIFY: u32 = 0x3000;
const TABLE: u32 = 0x3800;

/// A function's configuration space, and a BAR in leaked memory.
#[derive(Clone)]
struct Fake {
    space: Arc<Mutex<Vec<u32>>>,
    bar: usize,
    bar_len: usize,
    /// Registers that were told to show which of their bits can be set.
    sized: Arc<Mutex<Vec<u8>>>,
}

impl ConfigurationAccess for Fake {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        assert_eq!((function, offset % 4), (AT, 0));
        self.space.lock().unwrap()[usize::from(offset / 4)]
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, value: u32) {
        assert_eq!((function, offset % 4), (AT, 0));
        let mut space = self.space.lock().unwrap();
        let word = usize::from(offset / 4);
        if value == u32::MAX {
            assert_eq!(space[1] & 0b11, 0, "sized while its addresses are decoded");
            self.sized.lock().unwrap().push(offset);
        }
        // BAR 4 is a 64-bit memory BAR, so is BAR 2 where a test says so, BAR 0 an I/O BAR, the
        // others do not exist. The status register is not written.
        space[word] = match word {
            6 if space[6] != 0 => value & !(BAR_LEN as u32 - 1) | 0b1100,
            7 if space[6] != 0 => value,
            8 => value & !(self.bar_len as u32 - 1) | 0b1100,
            9 => value,
            4 => value & !0x3f | 1,
            5..=7 => 0,
            1 => space[1] & 0xffff_0000 | value & 0xffff,
            _ => value,
        };
    }

    unsafe fn unsafe_clone(&self) -> Self {
        unreachable!("one access is enough")
    }
}

/// Where a capability goes, and its words.
type Capability = (u8, Vec<u32>);

fn structure(kind: u8, bar: u32, offset: u32, len: u32) -> Vec<u32> {
    let cap_len = if kind == 2 { 20 } else { 16 };
    vec![
        0x09 | u32::from(cap_len as u8) << 16 | u32::from(kind) << 24,
        bar,
        offset,
        len,
    ]
}

fn notify(bar: u32, offset: u32, len: u32, multiplier: u32) -> Vec<u32> {
    let mut words = structure(2, bar, offset, len);
    words.push(multiplier);
    words
}

fn msix(entries: u32, table: u32) -> Vec<u32> {
    vec![0x11 | (entries - 1) << 16, table, 0]
}

/// A list as a good device has it.
fn good() -> Vec<Capability> {
    vec![
        (0x40, structure(1, 4, COMMON, 0x38)),
        (0x50, structure(3, 4, ISR, 1)),
        (0x60, structure(4, 4, DEVICE, 0x38)),
        (0x70, notify(4, NOTIFY, 0x100, 4)),
        (0x84, msix(3, TABLE | 4)),
    ]
}

fn fake(list: &[Capability]) -> Fake {
    let fake = fake_at(new_registers(BAR_LEN, BAR_LEN), BAR_LEN, list);
    fake.poke(COMMON + 0x12, 2u16);
    fake
}

/// A function whose BAR claims to be at `bar`, of so many bytes.
fn fake_at(bar: u64, bar_len: usize, list: &[Capability]) -> Fake {
    let bar = bar as usize;
    let mut space = vec![0; 64];
    space[0] = 0x1054_1af4;
    space[1] = 1 << 20;
    space[4] = 0xc001;
    space[8] = bar as u32 | 0b1100;
    space[9] = (bar >> 32) as u32;
    space[13] = list.first().map_or(0, |(at, _)| u32::from(*at));
    for (i, (at, words)) in list.iter().enumerate() {
        let next = list.get(i + 1).map_or(0, |(at, _)| u32::from(*at));
        for (place, word) in space[usize::from(at / 4)..].iter_mut().zip(words) {
            *place = *word;
        }
        space[usize::from(at / 4)] |= next << 8;
    }
    Fake {
        space: Arc::new(Mutex::new(space)),
        bar,
        bar_len,
        sized: Arc::default(),
    }
}

impl Fake {
    #[expect(unsafe_code, reason = "vouches for the fake function")]
    fn open(&self) -> Result<PciTransport<FakePlatform, Fake>, TransportError> {
        // SAFETY: this is the function's only configuration space, and it reaches no memory.
        unsafe { PciTransport::new(self.clone(), AT) }
    }

    /// What asking for the doorbell of queue 1 comes to.
    fn doorbell(&self) -> Result<(), TransportError> {
        self.open().unwrap().doorbell(QueueIndex(1)).map(drop)
    }

    #[expect(unsafe_code, reason = "the fake BAR")]
    fn peek<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: leaked memory of `BAR_LEN` bytes; the tests' offsets lie inside and are aligned.
        unsafe { ((self.bar + offset as usize) as *const T).read_volatile() }
    }

    #[expect(unsafe_code, reason = "the fake BAR")]
    fn poke<T: Copy>(&self, offset: u32, value: T) {
        // SAFETY: as in `peek`.
        unsafe { ((self.bar + offset as usize) as *mut T).write_volatile(value) }
    }

    fn bytes(&self) -> Vec<u8> {
        (0..BAR_LEN as u32)
            .map(|offset| self.peek::<u8>(offset))
            .collect()
    }

    fn word(&self, offset: u8) -> u32 {
        self.read_word(AT, offset)
    }
}

#[expect(unsafe_code, reason = "what the transport only hands on")]
fn addresses(descriptors: u64, available: u64, used: u64) -> QueueAddresses {
    // SAFETY: no device ever looks there.
    unsafe { QueueAddresses::new(descriptors, available, used) }
}

fn with(change: impl FnOnce(&mut Vec<Capability>)) -> Result<(), TransportError> {
    let mut list = good();
    change(&mut list);
    fake(&list).open().map(drop)
}

fn fault(structure: &'static str, reason: &'static str) -> Result<(), TransportError> {
    Err(TransportError::Capability { structure, reason })
}

/// What a list amounts to, by a walk in plain words: the bytes at which capabilities begin, in
/// order.
fn followed(first: u8, next_of: impl Fn(u8) -> u8) -> Result<Vec<u8>, &'static str> {
    let mut met = vec![];
    // The two lowest bits are reserved.
    let mut at = first & !3;
    while at != 0 {
        if met.contains(&at) {
            return Err("does not end");
        }
        if at < 0x40 {
            return Err("points into the header");
        }
        met.push(at);
        at = next_of(at) & !3;
    }
    Ok(met)
}

#[test]
fn every_list_of_three_capabilities_is_walked_to_its_end_or_refused() {
    const PLACES: [u8; 3] = [0x40, 0x58, 0xec];
    // With reserved bits, into the header, and where nothing is.
    const POINTERS: [u8; 6] = [0, 0x43, 0x58, 0xec, 0x3c, 0xfc];
    // Common configuration, notification structure, MSI-X, and what is nobody's business; their
    // words but the pointer.
    let kinds = [
        structure(1, 4, 0, 0x38),
        notify(4, NOTIFY, 4, 4),
        msix(3, TABLE | 4),
        vec![5],
    ];
    let fake = fake_at(0x1000, BAR_LEN, &[]);
    let mut lists = 0;
    let combinations = 0..6 * 6 * 6 * 6 * 4 * 4 * 4usize;
    for combination in combinations.step_by(times(1, 1009)) {
        let mut rest = combination;
        let mut choose = |count: usize| {
            let chosen = rest % count;
            rest /= count;
            chosen
        };
        let first = POINTERS[choose(6)];
        let chosen = PLACES.map(|at| (at, POINTERS[choose(6)], choose(4)));
        let mut space = fake.space.lock().unwrap();
        space[0x34 / 4] = first.into();
        space[0x40 / 4..].fill(0);
        for (at, next, kind) in chosen {
            let place = &mut space[usize::from(at / 4)..];
            place
                .iter_mut()
                .zip(&kinds[kind])
                .for_each(|(word, value)| *word = *value);
            place[0] |= u32::from(next) << 8;
        }
        drop(space);
        let of = |place: u8| chosen.iter().find(|(at, ..)| *at == place);
        let expected = followed(first, |at| of(at).map_or(0, |(_, next, _)| *next));
        let walked = walk(&Function::new(fake.clone(), AT));
        let walked = walked.map(|found| {
            let msix = found.msix.map(|msix| msix.offset);
            (found.common.count(), found.notify.count(), msix)
        });
        let expected = expected.map(|met| {
            let of_kind = |wanted: usize| {
                let met = met.iter().copied();
                met.filter(move |at| of(*at).is_some_and(|(.., kind)| *kind == wanted))
            };
            // The first of several counts.
            (of_kind(0).count(), of_kind(1).count(), of_kind(2).next())
        });
        let expected = expected.map_err(|reason| TransportError::Capability {
            structure: "list",
            reason,
        });
        assert_eq!(
            walked, expected,
            "{first:#x}, (place, next, kind) {chosen:#x?}"
        );
        lists += 1;
    }
    assert_eq!(lists, times(82_944, 83));
}

#[test]
fn good_device_is_found_and_its_registers_left_as_they_were() {
    let fake = fake(&good());
    let bars = [fake.word(0x10), fake.word(0x20), fake.word(0x24)];
    let transport = fake.open().unwrap();
    assert_eq!(
        [fake.word(0x10), fake.word(0x20), fake.word(0x24)],
        bars,
        "after sizing"
    );
    assert_eq!(
        fake.word(4) & 0b110,
        0b110,
        "memory access and bus mastering"
    );
    assert_eq!(transport.msix_entries(), 3);
}

#[test]
fn bar_is_sized_while_nothing_is_decoded() {
    let fake = fake(&good());
    // What firmware has left: memory and ports are decoded, and other bits are set.
    let command = 0b1_0100_0011;
    fake.space.lock().unwrap()[1] |= command;
    fake.open().unwrap();
    assert!(!fake.sized.lock().unwrap().is_empty());
    assert_eq!(fake.word(4) & 0xffff, command | 0b110);
}

#[test]
fn other_devices_are_named() {
    let fake = fake(&good());
    fake.space.lock().unwrap()[0] = 0x1041_1af4;
    let error = fake.open().unwrap_err();
    assert_eq!(
        error,
        TransportError::WrongDevice {
            vendor: 0x1af4,
            device: 0x1041
        }
    );
    assert!(is_crypto_device(0x1af4, 0x1054));
    assert!(!is_crypto_device(0x1af4, 0x1014) && !is_crypto_device(0x1af5, 0x1054));
}

#[test]
fn list_in_a_circle_ends() {
    let circle = fake(&good());
    // The last one leads back to the second.
    circle.space.lock().unwrap()[0x84 / 4] |= 0x50 << 8;
    assert_eq!(circle.open().map(drop), fault("list", "does not end"));
}

#[test]
fn list_into_the_header_is_refused() {
    let header = fake(&good());
    header.space.lock().unwrap()[0x60 / 4] = 0x09 | 0x10 << 8 | 16 << 16 | 4 << 24;
    assert_eq!(
        header.open().map(drop),
        fault("list", "points into the header")
    );
}

#[test]
fn capability_cut_off_by_the_end_is_passed_over() {
    assert_eq!(
        with(|list| list.push((0xf8, structure(5, 4, 0, 16)))),
        Ok(())
    );
    let cut = with(|list| list[3] = (0xf0, notify(4, NOTIFY, 0x100, 4)));
    assert_eq!(cut, fault("notify", "has no multiplier"));
}

#[test]
fn function_without_a_list_has_no_structures() {
    let fake = fake(&good());
    fake.space.lock().unwrap()[1] = 0;
    assert_eq!(
        fake.open().map(drop),
        fault("common configuration", "is missing")
    );
}

#[test]
fn missing_structures_are_named() {
    for (which, name) in [(0, "common configuration"), (1, "ISR"), (3, "notify")] {
        let missing = with(|list| drop(list.remove(which)));
        assert_eq!(missing, fault(name, "is missing"));
    }
    assert_eq!(with(|list| drop(list.remove(4))), Ok(()), "without MSI-X");
}

#[test]
fn reserved_bars_are_passed_over_and_others_checked() {
    for bar in [6, 7, 255] {
        let reserved = with(|list| list[0].1[1] = bar);
        assert_eq!(reserved, fault("common configuration", "is missing"));
        let first = structure(1, bar, 0, 0x38);
        assert_eq!(
            with(|list| list.insert(0, (0xa0, first))),
            Ok(()),
            "the next one counts"
        );
    }
    for bar in [0, 1, 5] {
        let refused = with(|list| list[0].1[1] = bar);
        assert_eq!(
            refused,
            fault("common configuration", "is not in a memory BAR")
        );
    }
    let table = with(|list| list[4].1[1] = TABLE | 7);
    assert_eq!(
        table,
        fault("MSI-X table", "names a BAR that no function has")
    );
}

/// Places for more capabilities behind the good ones.
const ROOM: [u8; 5] = [0xa0, 0xb4, 0xc8, 0xdc, 0xf0];

/// Structures that no driver can use, each for a reason of its own: registers that are reached by
/// ports, a BAR that is not there, one that is shorter, an odd address.
fn useless(kind: u8, len: u32) -> Vec<(Vec<u32>, &'static str)> {
    let list = |bar, offset, len| match kind {
        2 => notify(bar, offset, len, 8),
        _ => structure(kind, bar, offset, len),
    };
    let mut useless = vec![
        (list(0, 0, len), "is not in a memory BAR"),
        (list(1, 0, len), "is not in a memory BAR"),
        (
            list(4, BAR_LEN as u32 - 4, len + 4),
            "reaches beyond its BAR",
        ),
        (list(4, 0, 0), "is too short"),
    ];
    if kind != 3 {
        useless.push((list(4, 1, len), "is not aligned"));
    }
    useless
}

#[test]
fn first_structure_that_can_be_used_counts() {
    for (position, kind) in [1, 3, 4, 2].into_iter().enumerate() {
        let len = good()[position].1[3];
        let mut list = good();
        // All of them before the one that is good.
        for (at, (words, _)) in ROOM.into_iter().zip(useless(kind, len)) {
            list.insert(position, (at, words));
        }
        let fake = fake(&list);
        let transport = fake.open().unwrap();
        transport.write_status(DeviceStatus::DRIVER);
        assert_eq!(fake.peek::<u8>(COMMON + 0x14), 2);
        fake.poke(DEVICE + 4, 7u32);
        let mut queues = [0; 4];
        transport.read_config(4, &mut queues).unwrap();
        assert_eq!(queues, [7, 0, 0, 0]);
        fake.poke(ISR, 3u8);
        assert_eq!(transport.read_interrupt_status().bits(), 3);
        fake.poke(COMMON + 0x1e, 2u16);
        transport.doorbell(QueueIndex(1)).unwrap().ring(|| 0);
        assert_eq!(fake.peek::<u16>(NOTIFY + 2 * 4), 1, "another multiplier");
    }
}

#[test]
fn favourite_is_what_is_told_of_where_none_can_be_used() {
    for (position, kind) in [1, 3, 4, 2].into_iter().enumerate() {
        let (mut list, all) = (good(), useless(kind, good()[position].1[3]));
        let name = match kind {
            1 => "common configuration",
            2 => "notify",
            3 => "ISR",
            _ => "device configuration",
        };
        list.remove(position);
        for (at, (words, _)) in ROOM.into_iter().zip(&all) {
            list.push((at, words.clone()));
        }
        assert_eq!(fake(&list).open().map(drop), fault(name, all[0].1));
        list.swap_remove(4);
        assert_eq!(
            fake(&list).open().map(drop),
            fault(name, all.last().unwrap().1)
        );
    }
}

#[test]
fn bar_is_sized_once_and_one_of_no_use_never() {
    let mut list = good();
    list.insert(0, (0xa0, structure(1, 0, 0, 0x38)));
    list.insert(1, (0xb0, structure(1, 4, 2, 0x38)));
    let fake = fake(&list);
    fake.open().unwrap();
    assert_eq!(
        *fake.sized.lock().unwrap(),
        [0x20, 0x24],
        "BAR 4, both halves"
    );
}

/// A device may be given memory's addresses in one BAR only.
#[test]
fn structure_in_memory_is_passed_over() {
    let memory = vec![0u128; 2 * BAR_LEN / 16];
    let address = (memory.as_ptr() as u64).next_multiple_of(BAR_LEN as u64);
    let mut list = good();
    list.insert(0, (0xa0, structure(1, 2, COMMON, 0x38)));
    list.insert(4, (0xb0, notify(2, NOTIFY, 0x100, 4)));
    let fake = fake(&list);
    fake.space.lock().unwrap()[6] = address as u32 | 0b1100;
    fake.space.lock().unwrap()[7] = (address >> 32) as u32;
    let transport = fake.open().unwrap();
    transport.write_status(DeviceStatus::DRIVER);
    transport.doorbell(QueueIndex(1)).unwrap().ring(|| 0);
    assert!(memory.iter().all(|bytes| *bytes == 0), "memory was written");
    assert_eq!(fake.peek::<u16>(NOTIFY), 1);
}

#[test]
fn bar_without_an_address_is_refused() {
    let fake = fake(&good());
    fake.space.lock().unwrap()[8] = 0b1100;
    fake.space.lock().unwrap()[9] = 0;
    let refused = fault("common configuration", "is in a BAR without an address");
    assert_eq!(fake.open().map(drop), refused);
}

#[test]
fn structures_have_to_lie_inside_their_bar() {
    let len = BAR_LEN as u32;
    for (offset, size) in [
        (len, 0x38),
        (len - 0x34, 0x38),
        (0, len + 1),
        (u32::MAX - 3, 0x38),
    ] {
        let beyond = with(|list| list[0].1 = structure(1, 4, offset, size));
        assert_eq!(
            beyond,
            fault("common configuration", "reaches beyond its BAR")
        );
    }
    let huge = with(|list| list[0].1 = structure(1, 4, u32::MAX - 3, u32::MAX));
    assert_eq!(
        huge,
        fault("common configuration", "reaches beyond its BAR")
    );
    for (which, name) in [(0, "common configuration"), (1, "ISR"), (3, "notify")] {
        let empty = with(|list| list[which].1[3] = 0);
        assert_eq!(empty, fault(name, "is too short"));
    }
    let odd = with(|list| list[0].1[2] = 2);
    assert_eq!(odd, fault("common configuration", "is not aligned"));
    let table = with(|list| list[4].1 = msix(2048, TABLE | 4));
    assert_eq!(table, fault("MSI-X table", "reaches beyond its BAR"));
}

#[test]
fn doorbells_have_to_lie_inside_the_notify_structure() {
    let outside = fake(&good());
    outside.poke(COMMON + 0x1e, 0x40u16);
    assert_eq!(
        outside.doorbell(),
        fault("notify", "is too short for the device's queues")
    );
    let odd = fake(&[&good()[..3], &[(0x70, notify(4, NOTIFY, 0x100, 1))]].concat());
    odd.poke(COMMON + 0x1e, 3u16);
    assert_eq!(
        odd.doorbell(),
        fault("notify", "gives a queue an odd address")
    );
}

#[test]
fn kick_is_one_write_of_the_queue_number() {
    let fake = fake(&good());
    fake.poke(COMMON + 0x1e, 5u16);
    let transport = fake.open().unwrap();
    let doorbell = transport.doorbell(QueueIndex(1)).unwrap();
    // A device that moves its registers later moves nothing.
    fake.poke(COMMON + 0x1e, 0xffffu16);
    drop(transport);
    let mut expected = fake.bytes();
    doorbell.ring(|| unreachable!("nobody wants to hear of it"));
    expected[NOTIFY as usize + 5 * 4] = 1;
    assert!(fake.bytes() == expected, "something else was written");
}

#[test]
fn kick_says_what_the_device_wants_to_hear() {
    let (named, told) = (Features::NOTIF_CONFIG_DATA, Features::NOTIFICATION_DATA);
    for (features, len_bytes, written) in [
        (Features::empty(), 2, 1u32),
        (named, 2, 0x1234),
        (told, 4, 0x8765_0001),
        (named | told, 4, 0x8765_1234),
    ] {
        let mut list = good();
        list[0].1 = structure(1, 4, COMMON, 0x3a);
        let fake = fake(&list);
        fake.poke(COMMON + 0x1e, 5u16);
        fake.poke(COMMON + 0x38, 0x1234u16);
        let transport = fake.open().unwrap();
        assert_eq!(transport.notification_features(), (named | told).bits());
        transport.write_driver_features(features.bits());
        let doorbell = transport.doorbell(QueueIndex(1)).unwrap();
        let mut expected = fake.bytes();
        doorbell.ring(|| 0x8765);
        let at = NOTIFY as usize + 5 * 4;
        expected[at..at + len_bytes].copy_from_slice(&written.to_le_bytes()[..len_bytes]);
        assert!(fake.bytes() == expected, "{features:?}");
    }
}

#[test]
fn what_a_device_has_no_room_for_is_not_agreed_to() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    let features = Features::from_bits_retain(transport.notification_features());
    assert!(!features.contains(Features::NOTIF_CONFIG_DATA));
    // Four bytes do not fit behind the last register of two.
    fake.poke(COMMON + 0x1e, 0x3fu16);
    assert!(transport.doorbell(QueueIndex(1)).is_ok());
    let list = [&good()[..3], &[(0x70, notify(4, NOTIFY, 0xfe, 2))]].concat();
    let short = super::tests::fake(&list);
    short.poke(COMMON + 0x1e, 0x7eu16);
    let transport = short.open().unwrap();
    assert!(transport.doorbell(QueueIndex(1)).is_ok());
    transport.write_driver_features(Features::NOTIFICATION_DATA.bits());
    let refused = transport.doorbell(QueueIndex(1)).map(drop);
    assert_eq!(
        refused,
        fault("notify", "is too short for the device's queues")
    );
}

/// Ordinary memory, from which a device has a BAR begin so that a driver writes there.
#[test]
fn bar_in_memory_is_refused_and_nothing_written() {
    let memory = vec![0u128; 2 * BAR_LEN / 16];
    let address = (memory.as_ptr() as u64).next_multiple_of(BAR_LEN as u64);
    let refused = |structure, offset: u32, len_bytes| {
        Err(TransportError::NotRegisters {
            structure,
            address: address + u64::from(offset),
            len_bytes,
        })
    };
    let common = fake_at(address, BAR_LEN, &good()).open().map(drop);
    assert_eq!(common, refused("common configuration", COMMON, 0x38));
    assert!(memory.iter().all(|bytes| *bytes == 0), "memory was written");
}

/// A device may claim more than it has.
#[test]
fn no_more_of_a_structure_is_mapped_than_is_used() {
    // The rest of the BAR, and of what it is said to hold, is nobody's.
    let len = 4 * BAR_LEN;
    let to_the_end = |offset| len as u32 - offset;
    let device = BAR_LEN as u32 - 0x40;
    let table = device - 48;
    let list = [
        (0x40, structure(1, 4, COMMON, to_the_end(COMMON))),
        (0x50, structure(3, 4, ISR, to_the_end(ISR))),
        (0x60, structure(4, 4, device, to_the_end(device))),
        (0x70, notify(4, NOTIFY, to_the_end(NOTIFY), 4)),
        (0x84, msix(2048, table | 4)),
    ];
    let fake = fake_at(new_registers(BAR_LEN, len), len, &list);
    fake.poke(COMMON + 0x12, 2u16);
    let transport = fake.open().unwrap();
    assert_eq!(
        transport.msix_entries(),
        3,
        "one a queue, and the configuration's"
    );
    assert!(transport.doorbell(QueueIndex(1)).is_ok());
    assert_eq!(transport.read_config(0, &mut [0; 56]), Ok(()));
}

#[test]
fn queue_whose_notify_register_moved_away_has_no_doorbell() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    fake.poke(COMMON + 0x1e, 0xffffu16);
    assert_eq!(
        transport.doorbell(QueueIndex(1)).map(drop),
        fault("notify", "is too short for the device's queues")
    );
}

#[test]
fn queue_is_described_before_it_is_enabled() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    fake.poke(COMMON + 0x18, 1024u16);
    assert_eq!(transport.read_max_queue_size(QueueIndex(1)), 1024);
    assert_eq!(
        transport.read_max_queue_size(QueueIndex(2)),
        0,
        "a queue that is not there"
    );
    let addresses = addresses(0x1_2345_6000, 0x2_3456_7000, 0x3_4567_8000);
    transport.set_queue(QueueIndex(1), 64, addresses);
    assert_eq!(fake.peek::<u16>(COMMON + 0x16), 1);
    assert_eq!(fake.peek::<u16>(COMMON + 0x18), 64);
    assert_eq!(fake.peek::<u64>(COMMON + 0x20), addresses.descriptors());
    assert_eq!(fake.peek::<u64>(COMMON + 0x28), addresses.available());
    assert_eq!(fake.peek::<u64>(COMMON + 0x30), addresses.used());
    assert_eq!(fake.peek::<u16>(COMMON + 0x1c), 0);
    transport.enable_queue(QueueIndex(1));
    assert_eq!(fake.peek::<u16>(COMMON + 0x1c), 1);
    transport.write_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    assert_eq!(fake.peek::<u8>(COMMON + 0x14), 3);
    assert_eq!(
        transport.read_status(),
        DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER
    );
}

#[test]
fn queue_is_reset_once_it_reads_as_neither_enabled_nor_resetting() {
    let mut list = good();
    list[0].1[3] = 0x3c;
    let fake = fake(&list);
    let transport = fake.open().unwrap();
    transport.reset_queue(QueueIndex(1));
    assert_eq!(
        (fake.peek::<u16>(COMMON + 0x16), fake.peek(COMMON + 0x3a)),
        (1, 1u16)
    );
    for (enabled, resetting) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
        fake.poke::<u16>(COMMON + 0x1c, enabled);
        fake.poke::<u16>(COMMON + 0x3a, resetting);
        let is_reset = transport.is_queue_reset(QueueIndex(1));
        assert_eq!(is_reset, enabled == 0 && resetting == 0);
    }
}

#[test]
fn vectors_are_what_reads_back() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    let entry = Some(MsixEntry(2));
    assert_eq!(transport.set_queue_vector(QueueIndex(0), entry), entry);
    assert_eq!(
        transport.set_config_vector(Some(MsixEntry(1))),
        Some(MsixEntry(1))
    );
    assert_eq!(transport.set_queue_vector(QueueIndex(0), None), None);
    assert_eq!(fake.peek::<u16>(COMMON + 0x1a), 0xffff);
}

#[test]
fn message_is_written_masked_and_left_unmasked() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    let message = message(0xfee0_1000, 0x4041);
    transport.set_msix_message(MsixEntry(2), Some(message));
    let entry = TABLE + 32;
    assert_eq!(fake.peek::<u64>(entry), message.address());
    assert_eq!(fake.peek::<u32>(entry + 8), message.data());
    assert_eq!(fake.peek::<u32>(entry + 12), 0);
    transport.set_msix_message(MsixEntry(2), None);
    assert_eq!(fake.peek::<u32>(entry + 12), 1, "not masked");
    let before = fake.bytes();
    transport.set_msix_message(MsixEntry(3), Some(message));
    assert!(
        fake.bytes() == before,
        "an entry that is not there was written"
    );
}

#[test]
fn msix_and_intx_are_never_both_on() {
    const INTX_DISABLED: u32 = 1 << 10;
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    // An owner before may have left the function masked.
    fake.space.lock().unwrap()[0x84 / 4] |= 1 << 30;
    for _ in 0..2 {
        transport.set_msix_enabled(true);
        assert_eq!(
            (fake.word(0x84) >> 30, fake.word(4) & INTX_DISABLED),
            (0b10, INTX_DISABLED)
        );
        transport.set_msix_enabled(false);
        assert_eq!(
            (fake.word(0x84) >> 30, fake.word(4) & INTX_DISABLED),
            (0, 0)
        );
    }
    assert_eq!(
        fake.word(4) & 0b110,
        0b110,
        "memory access and bus mastering stay on"
    );
}

#[test]
fn configuration_is_read_inside_its_bounds() {
    let fake = fake(&good());
    let transport = fake.open().unwrap();
    for offset in 0..56 {
        fake.poke(DEVICE + offset, offset as u8);
    }
    let mut bytes = [0; 56];
    transport.read_config(0, &mut bytes).unwrap();
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(i, byte)| usize::from(*byte) == i)
    );
    let mut some = [0; 6];
    transport.read_config(8, &mut some).unwrap();
    assert_eq!(some, [8, 9, 10, 11, 12, 13]);
    for (offset, len) in [(0, 57), (56, 1), (52, 8), (usize::MAX, 1), (2, 4)] {
        let error = transport
            .read_config(offset, &mut vec![0; len])
            .unwrap_err();
        assert_eq!(error, TransportError::ConfigTooShort { offset, len });
    }
}
