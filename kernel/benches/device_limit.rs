//! What the device gives at most: a ring filled by hand, with requests prepared once and published
//! again as soon as they are used, at a fixed depth. No driver, no checks, no sessions to look
//! after; the figures beside the driver's say how near it comes.
//!
//! The control queue is flooded with *create* and *destroy* in turn (so one session exists at a
//! time), the data queue with AES-128-CBC. With `wait=spin` the CPU looks at the used ring all the
//! time, with `wait=sleep` it halts until an interrupt: which is better depends on whether it has a
//! core to itself. `gap_ns=` lets so long pass between a look that found something and the next
//! publication: a kick right behind an answer finds QEMU's global lock still held by the device's
//! thread, and then both sleep and are woken. `device=0,1` floods several devices of the bus, one
//! after the other, so that they can be compared within a run.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use kernel::{
    bench::measure::{self, Ratio},
    bus, command_line, crypto,
    exit::{self, ExitCode, exit},
    interrupts::vectors,
    memory::{self, FRAME_LEN, Shared},
    platform::{self, KernelPlatform},
    println, time,
};
use virtio_crypto::{
    Features,
    transport::{Doorbell, MsixEntry, QueueAddresses, QueueIndex, Transport, pci::PciTransport},
};
use virtio_drivers::transport::DeviceStatus;
use x86_64::instructions::interrupts;

kernel::entry!(main);

const WORDS: &[&str] = &[
    "device=", "queue=", "depth=", "size=", "wait=", "gap_ns=", "ms=",
];
/// The configuration field `max_dataqueues`, which is the control queue's index.
const MAX_DATAQUEUES: usize = 4;
/// The configuration field `max_size`: most bytes of a request, source and destination together; 0
/// names none.
const MAX_SIZE: usize = 48;
const MAX_DEPTH: u64 = 1024;
/// Bytes for data that all requests together may take; beyond, they share.
const DATA_BYTES: u64 = 64 << 20;

// Inside a block.
const BLOCK_BYTES: u64 = 256;
const HEADER: u64 = 64;
const HEADER_BYTES: u64 = 72;
/// The key or the IV, right behind the header.
const KEY: u64 = HEADER + HEADER_BYTES;
const KEY_BYTES: u64 = 16;
const ANSWER: u64 = 160;
const ANSWER_BYTES: u64 = 16;

const WRITABLE: u16 = 2;
const INDIRECT: u16 = 4;
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u16 = 1;

fn take(len_bytes: u64) -> Shared {
    match Shared::allocate(len_bytes) {
        Some(memory) => memory,
        None => exit::fail(format_args!("no memory for {len_bytes} bytes")),
    }
}

/// One split virtqueue, filled by hand.
struct Flood {
    device: u64,
    index: QueueIndex,
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    blocks: Shared,
    doorbell: Doorbell,
    published: u64,
    completed: u64,
    /// What was published before this one is no part of the run.
    first: u64,
    /// Blocks that take turns.
    blocks_in_turn: u64,
    kicks: u64,
    sleeps: u64,
}

/// What waits for used elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Spin,
    Sleep,
}

impl Wait {
    fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Sleep => "sleep",
        }
    }
}

/// How a run goes on behind an answer.
#[derive(Clone, Copy)]
struct Pace {
    wait: Wait,
    gap_ns: u64,
}

impl Flood {
    /// Sets a queue up, of the device of that number, with the first vector.
    fn new(transport: &dyn Transport, device: u64, index: QueueIndex) -> Self {
        let size = transport.read_max_queue_size(index).min(MAX_DEPTH as u16);
        let entries = u64::from(size);
        let flood = Self {
            device,
            index,
            size,
            descriptors: take(16 * entries),
            available: take(6 + 2 * entries),
            used: take(6 + 8 * entries),
            blocks: take(BLOCK_BYTES * entries),
            doorbell: measure::expect(transport.doorbell(index)),
            published: 0,
            completed: 0,
            first: 0,
            blocks_in_turn: 1,
            kicks: 0,
            sleeps: 0,
        };
        for block in 0..entries {
            let table = flood.blocks.address() + block * BLOCK_BYTES;
            flood
                .descriptors
                .write_descriptor(block, table, 0, INDIRECT, 0);
        }
        // SAFETY: frames that are kept for good, as long as the size calls for; descriptors lead
        // into such frames alone.
        let addresses = unsafe {
            QueueAddresses::new(
                flood.descriptors.address(),
                flood.available.address(),
                flood.used.address(),
            )
        };
        transport.set_queue_vector(index, Some(MsixEntry(0)));
        transport.set_queue(index, size, addresses);
        transport.enable_queue(index);
        flood
    }

    /// Prepares a block: the header's words at their offsets, key or IV, then `data` in and out.
    fn prepare(&self, block: u64, words: &[(u64, u32)], data: Option<(u64, u64)>) {
        let at = block * BLOCK_BYTES;
        for word in 0..HEADER_BYTES / 4 {
            self.blocks.write(at + HEADER + word * 4, 0u32);
        }
        for (offset, word) in words {
            self.blocks.write(at + HEADER + offset, *word);
        }
        for byte in 0..KEY_BYTES {
            self.blocks.write(at + KEY + byte, 7u8);
        }
        for byte in 0..ANSWER_BYTES {
            self.blocks.write(at + ANSWER + byte, 0xffu8);
        }
        let mut segments = Vec::from([(
            self.blocks.address() + at + HEADER,
            HEADER_BYTES + KEY_BYTES,
            0,
        )]);
        if let Some((address, len_bytes)) = data {
            segments.push((address, len_bytes, 0));
            segments.push((address, len_bytes, WRITABLE));
        }
        segments.push((self.blocks.address() + at + ANSWER, ANSWER_BYTES, WRITABLE));
        let count = segments.len() as u64;
        for (number, (address, len_bytes, flags)) in (0..).zip(segments) {
            let next = if number + 1 < count { 1 } else { 0 };
            let table = self.blocks.part(at, BLOCK_BYTES);
            table.write_descriptor(number, address, len_bytes, flags | next, number + 1);
        }
        self.descriptors.write(block * 16 + 8, (count * 16) as u32);
    }

    /// Begins a run of `blocks` blocks that take turns, from block 0 on.
    fn begin(&mut self, blocks: u64) {
        self.first = self.published;
        self.blocks_in_turn = blocks;
        self.available.write(0, NO_INTERRUPT);
        (self.kicks, self.sleeps) = (0, 0);
    }

    /// Publishes `count` more requests.
    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            let place = self.published % u64::from(self.size);
            let block = (self.published - self.first) % self.blocks_in_turn;
            self.available.write(4 + 2 * place, block as u16);
            self.published += 1;
        }
        // Pairs with the device's barrier between reading `idx` and reading the entries.
        fence(Ordering::Release);
        self.available.write(2, self.published as u16);
        // Pairs with the device's barrier between writing its flags and looking at `idx` again.
        fence(Ordering::SeqCst);
        if self.used.read::<u16>(0) & NO_NOTIFY == 0 {
            self.doorbell.ring(|| 0);
            self.kicks += 1;
        }
    }

    /// Waits for at least one used element and returns how many there are.
    fn wait(&mut self, wait: Wait) -> u64 {
        let deadline_ns = time::now_ns() + 10_000_000_000;
        loop {
            let come = |flood: &Self| {
                let used = flood.used.read::<u16>(2);
                u64::from(used.wrapping_sub(flood.completed as u16))
            };
            let count = come(self);
            if count > 0 {
                self.completed += count;
                return count;
            }
            // Who spins does so without `pause`, as `time::spin_ns` does.
            if wait == Wait::Sleep {
                interrupts::disable();
                self.available.write(0, 0u16);
                // Pairs with the device's barrier between publishing `idx` and reading the flag.
                fence(Ordering::SeqCst);
                if come(self) == 0 {
                    interrupts::enable_and_hlt();
                    self.sleeps += 1;
                } else {
                    interrupts::enable();
                }
                self.available.write(0, NO_INTERRUPT);
            }
            if time::now_ns() > deadline_ns {
                exit::fail(format_args!("queue {}: no answer", self.index.0));
            }
        }
    }

    /// Keeps `depth` requests in flight for a time, and returns how many were completed a second.
    fn run(&mut self, depth: u64, blocks: u64, pace: Pace) -> u64 {
        let duration_ns = measure::duration_ms(1000) * 1_000_000;
        self.begin(blocks);
        self.publish(depth);
        let start_ns = time::now_ns();
        let mut total = 0;
        let elapsed_ns = loop {
            let count = self.wait(pace.wait);
            total += count;
            let elapsed_ns = time::now_ns() - start_ns;
            if elapsed_ns >= duration_ns {
                break elapsed_ns;
            }
            time::spin_ns(pace.gap_ns);
            self.publish(count);
        };
        while self.completed < self.published {
            self.wait(pace.wait);
        }
        (u128::from(total) * 1_000_000_000 / u128::from(elapsed_ns)) as u64
    }

    /// Checks the status of a block's answer, at `offset` in it.
    fn check(&self, block: u64, offset: u64) {
        let status: u8 = self.blocks.read(block * BLOCK_BYTES + ANSWER + offset);
        if status != 0 {
            exit::fail(format_args!("queue {}: status {status}", self.index.0));
        }
    }
}

/// Offsets and words of a *create* for AES-128-CBC, encrypting.
const CREATE: &[(u64, u32)] = &[(0, 0x002), (4, 3), (16, 3), (20, 16), (24, 1), (64, 1)];

fn destroy(session: u64) -> [(u64, u32); 3] {
    [
        (0, 0x003),
        (16, session as u32),
        (20, (session >> 32) as u32),
    ]
}

fn encrypt(session: u64, len_bytes: u64) -> [(u64, u32); 8] {
    [
        (0, 0x000),
        (4, 3),
        (8, session as u32),
        (12, (session >> 32) as u32),
        (24, 16),
        (28, len_bytes as u32),
        (32, len_bytes as u32),
        (64, 1),
    ]
}

fn main() -> ! {
    command_line::expect(WORDS);
    for device in measure::numbers("device", &[0]) {
        flood(device);
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}

/// Floods the device of this number on the bus.
fn flood(device: u64) {
    let Some(&function) = crypto::find_crypto().get(device as usize) else {
        exit::fail(format_args!("no virtio-crypto device {device}"));
    };
    let access = bus::pci_access();
    // SAFETY: the bus's own configuration space; nobody else drives a device in this program.
    let transport = unsafe { PciTransport::<KernelPlatform, _>::new(access, function) };
    let transport = measure::expect(transport);
    let (mut data, mut control) = bring_up(&transport, device);
    measure::mark("clock");

    let name = command_line::choice("wait", &["spin", "sleep"]);
    let wait = match name {
        "spin" => Wait::Spin,
        _ => Wait::Sleep,
    };
    let gaps = measure::numbers("gap_ns", &[0]).into_iter();
    let paces: Vec<_> = gaps.map(|gap_ns| Pace { wait, gap_ns }).collect();
    let depths = measure::numbers("depth", &[1, 4, 16, 64, 256, 1024]);
    let depths = depths.into_iter().map(|depth| depth.max(1));
    if command_line::choice("queue", &["control", "data"]) == "control" {
        let limit = u64::from(control.size);
        for depth in depths {
            for &pace in &paces {
                flood_control(&mut control, depth.min(limit), pace);
            }
        }
    } else {
        let (session, limit) = (open(&mut control), u64::from(data.size));
        let mut max_size = [0; 8];
        measure::expect(transport.read_config(MAX_SIZE, &mut max_size));
        let max_size = match u64::from_le_bytes(max_size) {
            0 => u64::MAX,
            max_size => max_size,
        };
        for size in measure::numbers("size", &[16]) {
            if size > (max_size - max_size.min(BLOCK_BYTES)) / 2 {
                println!(
                    "left out: size={size}: the device takes {max_size} bytes, both ways together"
                );
                continue;
            }
            for depth in depths.clone() {
                for &pace in &paces {
                    flood_data(&mut data, session, size, depth.min(limit), pace);
                }
            }
        }
    }
    transport.write_status(DeviceStatus::empty());
}

/// Takes the device to DRIVER_OK; data queue and control queue.
fn bring_up(transport: &dyn Transport, device: u64) -> (Flood, Flood) {
    transport.write_status(DeviceStatus::empty());
    while !transport.read_status().is_empty() {}
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.write_status(status);
    let features = Features::VERSION_1 | Features::INDIRECT_DESC;
    transport.write_driver_features(features.bits());
    status |= DeviceStatus::FEATURES_OK;
    transport.write_status(status);
    let mut index = [0; 4];
    measure::expect(transport.read_config(MAX_DATAQUEUES, &mut index));
    transport.set_msix_enabled(true);
    // The message ends a sleep, and that is all.
    let vector = measure::expect(vectors::allocate(|_| ()));
    transport.set_msix_message(MsixEntry(0), platform::message_here(vector));
    let control = QueueIndex(u32::from_le_bytes(index) as u16);
    let data = Flood::new(transport, device, QueueIndex(0));
    let control = Flood::new(transport, device, control);
    status |= DeviceStatus::DRIVER_OK;
    transport.write_status(status);
    (data, control)
}

/// Opens a session and returns its id.
fn open(control: &mut Flood) -> u64 {
    control.prepare(0, CREATE, None);
    control.begin(1);
    control.publish(1);
    control.wait(Wait::Spin);
    control.check(0, 8);
    control.blocks.read(ANSWER)
}

fn flood_control(control: &mut Flood, depth: u64, pace: Pace) {
    // Each *create* gets the id that the *destroy* before it has freed: this one's.
    let session = open(control);
    let blocks = depth.next_multiple_of(2);
    for block in 0..blocks {
        match block % 2 {
            0 => control.prepare(block, &destroy(session), None),
            _ => control.prepare(block, CREATE, None),
        }
    }
    let rate = control.run(depth, blocks, pace);
    control.check(0, 0);
    control.check(1, 8);
    report(control, "control", 0, depth, rate, pace);
}

fn flood_data(data: &mut Flood, session: u64, size: u64, depth: u64, pace: Pace) {
    let buffers = (DATA_BYTES / size).clamp(1, depth);
    let memory = take(buffers * size);
    for block in 0..depth {
        let place = memory.address() + block % buffers * size;
        data.prepare(block, &encrypt(session, size), Some((place, size)));
    }
    let rate = data.run(depth, depth, pace);
    // The status is the last writable byte.
    data.check(0, ANSWER_BYTES - 1);
    report(data, "data", size, depth, rate, pace);
    let frames = (buffers * size).div_ceil(FRAME_LEN as u64) as usize;
    // SAFETY: what `take` allocated; every request has been answered, and nobody uses it any more.
    unsafe { memory::free_frames(memory.address(), frames) };
}

fn report(flood: &Flood, queue: &str, size: u64, depth: u64, rate: u64, pace: Pace) {
    measure::mark("clock");
    println!(
        "bench: name=device-limit device={} queue={queue} size={size} depth={depth} wait={} \
         gap_ns={} requests_per_s={rate} mb_per_s={} kicks={} sleeps={}",
        flood.device,
        pace.wait.name(),
        pace.gap_ns,
        Ratio(rate * size, 1_000_000),
        flood.kicks,
        flood.sleeps,
    );
}
