//! A whole device in one process with a driver of a few lines.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::{
    layout::{COMMON, DEVICE, DOORBELLS, INTERRUPT_STATUS},
    *,
};
use crate::{
    feature::{
        EVENT_IDX, NOTIF_CONFIG_DATA, NOTIFICATION_DATA, RING_PACKED, RING_RESET, STATELESS,
        VERSION_1,
    },
    ring::Place,
    times,
};

const BASE: u64 = 0x4000_0000;
const SIZE: u16 = 16;

/// Where the parts of a queue lie.
fn area(queue: u16, part: u64) -> u64 {
    BASE + 0x1_0000 * u64::from(queue) + 0x4000 * part
}

/// A driver that knows the registers and the split ring.
struct Driver {
    function: Arc<Function>,
    messages: Arc<Mutex<Vec<u16>>>,
    available: [u16; 4],
}

impl Driver {
    fn new(words: &str) -> Self {
        Self::of(words, Box::new(|_, _, answer| answer))
    }

    /// One of a device whose answers are changed.
    fn of(words: &str, change: Box<Change>) -> Self {
        let options = Options::parse(words.split_whitespace()).unwrap();
        let messages = Arc::<Mutex<Vec<u16>>>::default();
        let sent = messages.clone();
        let carrier = move |vector| sent.lock().unwrap().push(vector);
        let memory = Memory::within(BASE, 1 << 20).unwrap();
        let function = Function::new(options, memory, Box::new(carrier));
        let function = function.with_answers_changed(change);
        Self {
            function: Arc::new(function),
            messages,
            available: [0; 4],
        }
    }

    /// One that has come as far as DRIVER_OK.
    fn ready(words: &str) -> Self {
        let mut driver = Self::new(words);
        driver.set_up();
        driver
    }

    fn set_up(&mut self) {
        let offered = self.function.options.features;
        self.agree(offered & !(EVENT_IDX | RING_PACKED));
        assert_eq!(self.status(), 11);
        self.write(0x10, &0_u16.to_le_bytes());
        for queue in 0..self.function.options.queue_count() {
            self.enable(queue);
        }
        self.write(0x14, &[4]);
    }

    fn agree(&self, features: u64) {
        self.write(0x14, &[1]);
        self.write(0x14, &[3]);
        for half in [0_u32, 1] {
            self.write(0x08, &half.to_le_bytes());
            let bits = (features >> (32 * half)) as u32;
            self.write(0x0c, &bits.to_le_bytes());
        }
        self.write(0x14, &[11]);
    }

    fn enable(&mut self, queue: u16) {
        self.available[usize::from(queue)] = 0;
        let nothing = vec![0; 0xc000];
        let view = self.function.memory.view();
        view.write(area(queue, 0), &nothing).unwrap();
        self.write(0x16, &queue.to_le_bytes());
        self.write(0x18, &SIZE.to_le_bytes());
        self.write(0x1a, &(queue + 1).to_le_bytes());
        for part in 0..3 {
            let address = area(queue, part);
            self.write(0x20 + 8 * part, &(address as u32).to_le_bytes());
            self.write(0x24 + 8 * part, &((address >> 32) as u32).to_le_bytes());
        }
        self.write(0x1c, &[1, 0]);
    }

    fn write(&self, at: u64, data: &[u8]) {
        self.function.write(u64::from(COMMON.offset) + at, data);
    }

    fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut data = [0; N];
        self.function.read(u64::from(COMMON.offset) + at, &mut data);
        data
    }

    fn status(&self) -> u8 {
        self.read::<1>(0x14)[0]
    }

    fn kick(&self, queue: u16, named: u16) {
        let at = u64::from(DOORBELLS.offset) + 4 * u64::from(queue);
        self.function.write(at, &named.to_le_bytes());
    }

    /// Offers a chain of one readable and one writable descriptor.
    fn offer(&mut self, queue: u16, readable: &[u8], writable: u32) {
        let available = &mut self.available[usize::from(queue)];
        let view = self.function.memory.view();
        let buffer = BASE + 0x8_0000 + 0x1000 * u64::from(queue);
        view.write(buffer, readable).unwrap();
        let descriptors = [
            (buffer, readable.len() as u32, 1_u16),
            (buffer + 0x800, writable, 2),
        ];
        for (index, (address, len, flags)) in descriptors.into_iter().enumerate() {
            let at = area(queue, 0) + 16 * index as u64;
            view.write(at, &address.to_le_bytes()).unwrap();
            view.write(at + 8, &len.to_le_bytes()).unwrap();
            view.write(at + 12, &flags.to_le_bytes()).unwrap();
            view.write(at + 14, &[1, 0]).unwrap();
        }
        let entry = area(queue, 1) + 4 + 2 * u64::from(*available % SIZE);
        view.write(entry, &[0, 0]).unwrap();
        *available = available.wrapping_add(1);
        view.write(area(queue, 1) + 2, &available.to_le_bytes())
            .unwrap();
    }

    fn used(&self, queue: u16) -> u16 {
        let view = self.function.memory.view();
        u16::from_le_bytes(view.read_array(area(queue, 2) + 2).unwrap())
    }

    /// Destroys a session that was never opened: a request that any device answers.
    fn offer_destroy(&mut self, control: u16) {
        let mut request = [0; 72];
        request[..2].copy_from_slice(&0x0003_u16.to_le_bytes());
        self.offer(control, &request, 1);
    }

    fn messages(&self) -> Vec<u16> {
        std::mem::take(&mut *self.messages.lock().unwrap())
    }
}

#[test]
fn features_ok_is_refused_for_what_was_not_offered() {
    let driver = Driver::new("stateless=off revision_1=off");
    for refused in [VERSION_1 | STATELESS, VERSION_1 | 1 << 20, EVENT_IDX] {
        driver.agree(refused);
        assert_eq!(driver.status(), 3, "{refused:#x}");
        driver.write(0x14, &[0]);
        assert_eq!(driver.status(), 0);
    }
    driver.agree(VERSION_1);
    assert_eq!(driver.status(), 11);
    // What was agreed on stays.
    driver.write(0x0c, &[0; 4]);
    assert_eq!(driver.function.agreed_features(), Some(VERSION_1));
}

#[test]
fn features_are_read_by_halves() {
    let driver = Driver::new("packed=on");
    let mut offered = 0;
    for half in [0_u32, 1] {
        driver.write(0, &half.to_le_bytes());
        offered |= u64::from(u32::from_le_bytes(driver.read(4))) << (32 * half);
    }
    assert_eq!(offered, driver.function.options.features);
    driver.write(0, &2_u32.to_le_bytes());
    assert_eq!(driver.read(4), [0; 4]);
}

#[test]
fn a_request_is_answered_at_its_queues_vector() {
    let mut driver = Driver::ready("");
    driver.offer_destroy(1);
    let served = driver.function.serve(1, 10);
    assert_eq!((served.requests, served.has_more), (1, false));
    assert_eq!(driver.used(1), 1);
    assert_eq!(driver.messages(), [2]);
    let mut status = [0; 2];
    let at = u64::from(INTERRUPT_STATUS.offset);
    driver.function.read(at, &mut status[..1]);
    driver.function.read(at, &mut status[1..]);
    assert_eq!(status, [1, 0], "reading clears it");
}

#[test]
fn line_is_raised_until_the_interrupt_status_is_read() {
    let mut driver = Driver::ready("vectors=0");
    // NO_VECTOR, which is all that there is.
    driver.write(0x16, &1_u16.to_le_bytes());
    assert_eq!(driver.read::<2>(0x1a), [0xff; 2]);
    assert!(!driver.function.is_raised());
    driver.offer_destroy(1);
    driver.function.serve(1, 10);
    assert!(driver.function.is_raised() && driver.messages().is_empty());
    let mut status = [0];
    let at = u64::from(INTERRUPT_STATUS.offset);
    driver.function.read(at, &mut status);
    assert!(status == [1] && !driver.function.is_raised());
}

#[test]
fn a_budget_leaves_the_rest_for_later() {
    let mut driver = Driver::ready("");
    for _ in 0..3 {
        // One chain at a time: this driver has one buffer a queue.
        driver.offer_destroy(1);
        let served = driver.function.serve(1, 0);
        assert_eq!((served.requests, served.has_more), (0, true));
        assert!(!driver.function.serve(1, 1).has_more);
    }
    assert_eq!(driver.used(1), 3);
}

#[test]
fn a_chain_that_is_kept_is_used_later() {
    let change = |_, _: &_, answer| match answer {
        Answer::Used {
            writes,
            written_bytes,
        } => Answer::Kept {
            writes,
            written_bytes,
        },
        answer => answer,
    };
    let mut driver = Driver::of("", Box::new(change));
    driver.set_up();
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
    assert_eq!((driver.used(1), driver.function.kept(1)), (0, 1));
    driver.function.finish(1, 1);
    assert!(driver.messages().is_empty(), "there is no second one");
    driver.function.finish(1, 0);
    assert_eq!((driver.used(1), driver.function.kept(1)), (1, 0));
    assert_eq!(driver.messages(), [2]);
    // One that is kept over a reset is forgotten.
    driver.offer_destroy(1);
    driver.function.serve(1, 10);
    driver.function.reset();
    assert_eq!(driver.function.kept(1), 0);
    driver.function.finish(1, 0);
}

#[test]
fn nothing_is_served_before_driver_ok() {
    let mut driver = Driver::new("");
    driver.agree(VERSION_1);
    driver.enable(0);
    driver.enable(1);
    driver.offer_destroy(1);
    driver.kick(1, 1);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    driver.write(0x14, &[4]);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
}

#[test]
fn vectors_beyond_the_table_are_none() {
    let driver = Driver::new("vectors=3");
    for (written, expected) in [(2_u16, 2_u16), (3, NO_VECTOR), (NO_VECTOR, NO_VECTOR)] {
        for field in [0x10, 0x1a] {
            driver.write(field, &written.to_le_bytes());
            assert_eq!(driver.read(field), expected.to_le_bytes());
        }
    }
}

#[test]
fn a_driver_that_breaks_a_rule_is_asked_for_a_reset() {
    let mut driver = Driver::ready("");
    driver.offer(1, &[1], 0);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    assert_eq!(driver.status(), 15 | 64);
    assert_eq!(driver.messages(), [0], "the configuration's vector");
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    // The bit goes by a reset alone.
    driver.write(0x14, &[15]);
    assert_eq!(driver.status(), 15 | 64);
    driver.write(0x14, &[0]);
    driver.set_up();
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
}

#[test]
fn a_request_beyond_max_size_is_answered_and_not_read() {
    let read_bytes = Arc::new(Mutex::new(0));
    let mut driver = Driver::new("max_size=4096");
    let noted = read_bytes.clone();
    let function = Arc::get_mut(&mut driver.function).unwrap();
    function.change = Some(Box::new(move |_, chain, answer| {
        *noted.lock().unwrap() = chain.readable.iter().map(Vec::len).sum();
        answer
    }));
    driver.set_up();
    // A table that names half of the memory 14 times, and a byte for the status.
    driver.offer(0, &[0; 72], 1);
    let (view, table) = (driver.function.memory.view(), BASE + 0x9_0000);
    for index in 0..15_u64 {
        let (len, flags) = if index < 14 {
            (1_u32 << 19, 1)
        } else {
            (1, 2_u16)
        };
        let at = table + 16 * index;
        view.write(at, &BASE.to_le_bytes()).unwrap();
        view.write(at + 8, &len.to_le_bytes()).unwrap();
        view.write(at + 12, &flags.to_le_bytes()).unwrap();
        view.write(at + 14, &(index as u16 + 1).to_le_bytes())
            .unwrap();
    }
    let first = area(0, 0);
    view.write(first, &table.to_le_bytes()).unwrap();
    view.write(first + 8, &(16 * 15_u32).to_le_bytes()).unwrap();
    view.write(first + 12, &4_u16.to_le_bytes()).unwrap();
    assert_eq!(driver.function.serve(0, 10).requests, 1);
    assert_eq!((driver.used(0), driver.status()), (1, 15));
    assert_ne!(guest(&driver, BASE), [0_u8], "the status");
    let read_bytes = *read_bytes.lock().unwrap();
    assert!((4096..=2 << 20).contains(&read_bytes), "{read_bytes}");
}

#[test]
fn queues_that_cannot_be_ask_for_a_reset() {
    let rules: [fn(&mut Driver); 3] = [
        |driver| driver.enable(0),
        |driver| {
            driver.agree(VERSION_1);
            driver.write(0x20, &8_u32.to_le_bytes());
            driver.write(0x1c, &[1, 0]);
        },
        |driver| {
            driver.agree(VERSION_1);
            driver.write(0x18, &2048_u16.to_le_bytes());
            driver.write(0x1c, &[1, 0]);
        },
    ];
    for violate in rules {
        let mut driver = Driver::new("");
        violate(&mut driver);
        assert_ne!(driver.status() & 64, 0);
        // Nobody is told before DRIVER_OK (2.1.2).
        assert!(driver.messages().is_empty());
    }
}

#[test]
fn a_queue_is_reset_alone() {
    let mut driver = Driver::ready("");
    for _ in 0..2 {
        driver.offer_destroy(1);
        driver.function.serve(1, 10);
    }
    driver.write(0x16, &1_u16.to_le_bytes());
    driver.write(0x3a, &[1, 0]);
    assert_eq!(driver.read::<2>(0x3a), [0, 0], "done");
    assert_eq!(driver.read::<2>(0x1c), [0, 0]);
    assert_eq!(driver.read(0x1a), NO_VECTOR.to_le_bytes());
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    driver.enable(1);
    assert_eq!(
        driver.function.serve(1, 10),
        Served::default(),
        "it is empty"
    );
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
    assert_eq!(driver.status(), 15);

    // Without the feature there is no such register.
    let driver = Driver::ready("ring_reset=off");
    driver.write(0x3a, &[1, 0]);
    assert_eq!(driver.read::<2>(0x1c), [1, 0]);
    assert_eq!(driver.function.options.features & RING_RESET, 0);
}

#[test]
fn notifications_name_their_queue_as_agreed() {
    let mut driver = Driver::ready("notif_config_data=on");
    driver.write(0x16, &1_u16.to_le_bytes());
    let value = u16::from_le_bytes(driver.read(0x38));
    assert_eq!(
        driver.function.options.features & NOTIF_CONFIG_DATA,
        1 << 39
    );
    driver.offer_destroy(1);
    driver.kick(1, value);
    assert_eq!(driver.status(), 15);
    driver.kick(1, 1);
    assert_eq!(driver.status(), 15 | 64);
    let driver = Driver::ready("");
    driver.kick(0, 1);
    assert_eq!(driver.status(), 15 | 64);
}

#[test]
fn notifications_tell_of_what_is_there() {
    let doorbell = u64::from(DOORBELLS.offset) + 4;
    let mut driver = Driver::ready("notification_data=on");
    assert_ne!(driver.function.options.features & NOTIFICATION_DATA, 0);
    driver.offer_destroy(1);
    driver.function.write(doorbell, &[1, 0, 1, 0]);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
    driver.function.write(doorbell, &[1, 0, 2, 0]);
    driver.function.serve(1, 10);
    assert_eq!(driver.status(), 15 | 64);
}

#[test]
fn a_changed_configuration_counts_and_interrupts() {
    let driver = Driver::ready("queues=2");
    let status = || {
        let mut word = [0; 4];
        driver.function.read(DEVICE.offset.into(), &mut word);
        word[0]
    };
    assert_eq!((status(), driver.read(0x15)), (1, [0]));
    assert_eq!(driver.function.obey(Command::Ready(false)), "ok");
    assert_eq!((status(), driver.read(0x15)), (0, [1]));
    assert_eq!(driver.messages(), [0]);
    driver.function.obey(Command::Ready(true));
    assert_eq!((status(), driver.read(0x15)), (1, [2]));
}

#[test]
fn a_stalled_queue_goes_on_later() {
    let mut driver = Driver::ready("stall=1");
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    driver.function.obey(Command::Go(1));
    assert_eq!(driver.function.serve(1, 10).requests, 1);
}

#[test]
fn what_is_gone_reads_as_ones() {
    let mut driver = Driver::ready("");
    driver.offer_destroy(1);
    driver.function.obey(Command::Gone);
    assert_eq!(driver.status(), 0xff);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    driver.write(0x14, &[0]);
    assert_eq!(driver.status(), 0xff);
    assert!(driver.messages().is_empty());
}

#[test]
fn workers_serve_and_end() {
    let mut driver = Driver::ready("");
    let workers = Workers::start(&driver.function);
    for number in 1..100 {
        driver.offer_destroy(1);
        driver.kick(1, 1);
        let start = Instant::now();
        while driver.used(1) != number {
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::yield_now();
        }
    }
    drop(workers);
    assert_eq!(Arc::strong_count(&driver.function), 1);
    let stats = driver.function.stats();
    assert!(
        stats.starts_with("device: requests=0,99 kicks=0,99"),
        "{stats}"
    );
}

#[test]
fn writes_of_any_kind_leave_a_device_that_can_be_reset() {
    let mut driver = Driver::new("queues=2 packed=on");
    let mut random = crate::random::Random::new(7);
    for _ in 0..times(20_000, 100) {
        let at = random.below(0x4000) as u64 & !u64::from(random.below(2) == 0);
        let len = random.below(9);
        let data = random.number().to_le_bytes();
        driver.function.write(at, &data[..len]);
        let mut read = [0; 8];
        driver.function.read(at, &mut read[..len]);
        driver.function.serve(random.below(4) as u16, 2);
    }
    driver.write(0x14, &[0]);
    driver.set_up();
    driver.offer_destroy(2);
    assert_eq!(driver.function.serve(2, 10).requests, 1);
}

#[test]
fn capabilities_lead_to_every_structure() {
    let driver = Driver::new("");
    let mut space = pci::Space::new(3);
    let read = |space: &pci::Space, at: u8| {
        let mut word = [0; 4];
        space.read(at.into(), &mut word, &driver.function);
        word
    };
    assert_eq!(read(&space, 0), [0xf4, 0x1a, 0x54, 0x10]);
    let (mut at, mut found) = (read(&space, 0x34)[0], Vec::new());
    while at != 0 {
        let [id, next, len, kind] = read(&space, at);
        match id {
            9 => found.push((kind, u32::from_le_bytes(read(&space, at + 8)), len)),
            _ => assert_eq!((id, [len, kind]), (0x11, [2, 0])),
        }
        at = next;
    }
    let expected = [
        (1, 0, 16),
        (2, 0x3000, 20),
        (3, 0x1000, 16),
        (4, 0x2000, 16),
        (5, 0, 20),
    ];
    assert_eq!(found, expected);
    // By the last of them the rest is reached: here the number of queues (4.1.4.9).
    let access = 0x40 + 16 + 20 + 16 + 16;
    space.write(access + 8, &0x12_u32.to_le_bytes(), &driver.function);
    space.write(access + 12, &2_u32.to_le_bytes(), &driver.function);
    let mut queues = [0; 4];
    space.read(access + 16, &mut queues, &driver.function);
    assert_eq!(queues, [2, 0, 0, 0]);
}

#[test]
fn only_what_pci_allows_is_written() {
    let driver = Driver::new("");
    let mut space = pci::Space::new(3);
    space.write(0, &[0; 64], &driver.function);
    let mut bytes = [0; 6];
    space.read(0, &mut bytes, &driver.function);
    assert_eq!(bytes, [0xf4, 0x1a, 0x54, 0x10, 0, 0]);
    space.write(4, &[0xff, 0xff], &driver.function);
    space.read(4, &mut bytes[..2], &driver.function);
    assert_eq!(bytes[..2], [6, 4]);
}

#[test]
fn lines_that_mean_nothing_are_answered() {
    assert_eq!("ready 1".parse(), Ok(Command::Ready(true)));
    assert_eq!(" stall  3\n".parse(), Ok(Command::Stall(3)));
    for line in ["", "ready", "ready 2", "stall x", "go 70000", "stats now"] {
        assert!(line.parse::<Command>().is_err(), "{line}");
    }
}

#[test]
fn a_queue_that_a_carrier_stops_goes_on_where_it_was() {
    let mut driver = Driver::new("");
    driver.function.attach(VERSION_1);
    let place = Place {
        size: SIZE,
        descriptors: area(1, 0),
        driver: area(1, 1),
        device: area(1, 2),
    };
    driver.function.start_queue(1, place, 0);
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
    assert_eq!(driver.messages(), [1], "the vector of its number");
    assert_eq!(driver.function.stop_queue(1), Some(1));
    driver.offer_destroy(1);
    assert_eq!(driver.function.serve(1, 10), Served::default());
    driver.function.start_queue(1, place, 1);
    assert_eq!(driver.function.serve(1, 10).requests, 1);
    assert_eq!(driver.used(1), 2);
    // What is attached anew has no queues.
    driver.function.attach(VERSION_1);
    assert_eq!(driver.function.stop_queue(1), None);
}

/// A rule, and whether a driver sees that it does not hold.
type Broken = (&'static str, fn(&mut Driver) -> bool);

fn destroy(driver: &mut Driver) -> usize {
    driver.set_up();
    driver.offer_destroy(1);
    driver.function.serve(1, 10).requests
}

fn offered(driver: &Driver, half: u32) -> u32 {
    driver.write(0, &half.to_le_bytes());
    u32::from_le_bytes(driver.read(4))
}

fn vector(driver: &Driver, before: u16, number: u16) -> u16 {
    driver.write(0x10, &before.to_le_bytes());
    driver.write(0x10, &number.to_le_bytes());
    u16::from_le_bytes(driver.read(0x10))
}

fn size(driver: &Driver, queue: u16) -> u16 {
    driver.write(0x16, &queue.to_le_bytes());
    u16::from_le_bytes(driver.read(0x18))
}

fn guest<const N: usize>(driver: &Driver, address: u64) -> [u8; N] {
    driver.function.memory.view().read_array(address).unwrap()
}

const BROKEN: &[Broken] = &[
    ("reset-reads-0", |driver| {
        driver.agree(VERSION_1 | EVENT_IDX);
        driver.write(0x14, &[0]);
        driver.status() != 0
    }),
    ("reset-empties-queues", |driver| {
        destroy(driver);
        driver.write(0x14, &[0]);
        destroy(driver) == 0
    }),
    ("queue-reset-empties", |driver| {
        destroy(driver);
        driver.write(0x16, &[1, 0]);
        driver.write(0x3a, &[1, 0]);
        driver.enable(1);
        driver.offer_destroy(1);
        driver.function.serve(1, 10).requests == 0
    }),
    ("offers-version-1", |driver| offered(driver, 1) & 1 == 0),
    ("undefined-features-clear", |driver| {
        offered(driver, 0) & 1 << 20 != 0
    }),
    ("features-stable", |driver| {
        let reads: Vec<_> = (0..4).map(|_| offered(driver, 0)).collect();
        reads.iter().any(|read| *read != reads[0])
    }),
    ("offers-what-features-need", |driver| {
        offered(driver, 0) & 1 == 0
    }),
    ("accepts-a-subset", |driver| {
        driver.agree(VERSION_1);
        driver.status() != 11
    }),
    ("silent-after-reset", |driver| {
        destroy(driver);
        driver.write(0x14, &[0]);
        let answer = guest::<1>(driver, BASE + 0x8_1800);
        thread::sleep(Duration::from_millis(100));
        guest(driver, BASE + 0x8_1800) != answer
    }),
    ("negotiates-again", |driver| {
        driver.agree(VERSION_1);
        driver.write(0x14, &[0]);
        driver.agree(VERSION_1);
        driver.status() != 11
    }),
    ("features-ok-refuses-unoffered", |driver| {
        driver.agree(VERSION_1 | 1 << 20);
        driver.status() == 11
    }),
    ("features-ok-refuses-dependents", |driver| {
        driver.agree(VERSION_1 | STATELESS);
        driver.status() == 11
    }),
    ("config-before-features-ok", |driver| {
        let mut word = [0; 4];
        driver
            .function
            .read(u64::from(DEVICE.offset) + 4, &mut word);
        word == [0; 4]
    }),
    ("live-after-driver-ok", |driver| {
        driver.set_up();
        driver.status() & 64 != 0
    }),
    ("no-work-before-driver-ok", |driver| {
        driver.agree(VERSION_1);
        driver.enable(1);
        driver.offer_destroy(1);
        driver.function.serve(1, 10).requests == 1
    }),
    ("no-reset-asked-for", |driver| {
        destroy(driver);
        for _ in 0..49 {
            driver.offer_destroy(1);
            driver.function.serve(1, 10);
        }
        driver.status() & 64 != 0
    }),
    ("queue-sizes-powers-of-2", |driver| {
        !size(driver, 0).is_power_of_two()
    }),
    ("control-queue-follows", |driver| size(driver, 1) == 0),
    ("vectors-read-back", |driver| vector(driver, 0, 1) != 1),
    ("no-vector-reads-back", |driver| {
        vector(driver, 1, NO_VECTOR) != NO_VECTOR
    }),
    ("vector-beyond-table-refused", |driver| {
        vector(driver, 1, 500) == 500
    }),
    ("interrupt-when-done", |driver| {
        destroy(driver);
        driver.messages().is_empty()
    }),
    ("interrupt-at-its-vector", |driver| {
        destroy(driver);
        driver.messages() == [0]
    }),
    ("no-interrupt-without-vector", |driver| {
        driver.set_up();
        driver.write(0x16, &[1, 0]);
        driver.write(0x1a, &NO_VECTOR.to_le_bytes());
        driver.offer_destroy(1);
        driver.function.serve(1, 10);
        !driver.messages().is_empty()
    }),
    ("interrupt-suppressed", |driver| {
        driver.set_up();
        let view = driver.function.memory.view();
        view.write(area(1, 1), &[1, 0]).unwrap();
        driver.offer_destroy(1);
        driver.function.serve(1, 10);
        !driver.messages().is_empty()
    }),
    ("used-ids-in-flight", |driver| {
        destroy(driver);
        for _ in 0..49 {
            driver.offer_destroy(1);
            driver.function.serve(1, 10);
        }
        let last = area(1, 2) + 4 + 8 * (49 % u64::from(SIZE));
        guest(driver, last) != [0_u8; 4]
    }),
    ("used-length-within-writable", |driver| {
        destroy(driver);
        guest(driver, area(1, 2) + 8) != [1, 0, 0, 0]
    }),
    ("used-flags-defined", |driver| {
        destroy(driver);
        guest(driver, area(1, 2)) == [2, 0]
    }),
    ("readable-untouched", |driver| {
        destroy(driver);
        guest(driver, BASE + 0x8_1000) != [3]
    }),
    ("several-in-flight", |driver| {
        destroy(driver);
        driver.offer_destroy(1);
        driver.offer_destroy(1);
        driver.function.serve(1, 10).requests == 1
    }),
    ("spurious-kick-ignored", |driver| {
        driver.set_up();
        driver.function.serve(1, 10);
        driver.status() & 64 != 0
    }),
    ("data-queues-serve", |driver| {
        driver.set_up();
        driver.offer(0, &[0; 72], 1);
        driver.function.serve(0, 10).requests == 0
    }),
];

#[test]
fn a_broken_rule_shows_and_only_then() {
    for (rule, is_seen) in BROKEN {
        let mut honest = Driver::new("");
        assert!(!is_seen(&mut honest), "{rule}: not broken");
        let mut broken = Driver::new(&format!("broken={rule}"));
        assert!(is_seen(&mut broken), "{rule}: broken");
    }
}
