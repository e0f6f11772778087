//! `config`: a device whose registers read what the bytes say, also another value at each read, and
//! a driver that sets it up, recovers it and shuts it down.
//!
//! The device only ever tells: it uses no ring. What the driver makes of that has to follow the
//! specification's order (Virtio 1.3, 3.1.1) and fit what the device has told by then; and where a
//! device is not set up, it has been told to reset, and nothing is left but what was given up.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::{
    input::Input,
    machine::{self, Kernel},
    transport::{Register, Registers, Shared, message, trusted},
};
use crate::{
    Error,
    device::{Device, options::Options},
    index::MsixEntry,
    queue::Framing,
    transport::{QueueAddresses, reset::ForcedReset},
    wire::Features,
};

const ACKNOWLEDGE: u64 = 1;
const DRIVER: u64 = 2;
const DRIVER_OK: u64 = 4;
const FEATURES_OK: u64 = 8;

/// What the driver has done with the device since its reset.
#[derive(Default)]
struct Told {
    /// What was written to the status, in turn.
    statuses: Vec<u64>,
    /// What the features read, each time.
    offered: u64,
    accepted: Option<u64>,
    /// The sizes that each queue was told to have at most.
    sizes: BTreeMap<u16, Vec<u16>>,
    set: BTreeMap<u16, u16>,
    enabled: Vec<u16>,
}

struct Fake {
    input: Input,
    /// What each register reads by default.
    words: [u32; 14],
    features: u64,
    queue_sizes: [u16; 2],
    msix_entries: u16,
    config_len: usize,
    /// Some reads give something else.
    lies: bool,
    status: u64,
    vectors: BTreeMap<u64, u64>,
    told: Told,
}

impl Fake {
    fn new(input: &mut Input) -> Self {
        let flags = input.byte();
        let mut words = [0; 14];
        for word in &mut words {
            // Small numbers, sets of bits, or anything.
            *word = match flags & 3 {
                0 => input.byte().into(),
                1 => 1 << (input.byte() & 31),
                _ => input.u32(),
            };
        }
        if flags & 4 != 0 {
            words[0] |= 1;
            words[1] %= 5;
        }
        let common = Features::VERSION_1 | Features::INDIRECT_DESC;
        Self {
            words,
            features: match flags & 8 {
                0 => common.bits() ^ u64::from(input.byte()) << 28,
                _ => input.u64(),
            },
            queue_sizes: [input.u16(), input.u16()],
            msix_entries: input.byte().into(),
            config_len: if flags & 16 != 0 {
                4 * input.below(15)
            } else {
                56
            },
            lies: flags & 0xc0 != 0,
            input: input.clone(),
            status: 0,
            vectors: BTreeMap::new(),
            told: Told::default(),
        }
    }

    /// Returns what a register reads this time: its value, unless the device lies.
    fn lie_at_times(&mut self, register: Register, value: u64) -> u64 {
        if !self.lies {
            return value;
        }
        let lie = self.input.last_byte();
        match lie {
            0..0xc0 => value,
            0xff => u64::MAX,
            0xfe => 0,
            // Nothing else would be its own status.
            _ if register == Register::Status => value ^ 1 << (lie & 7),
            _ => value ^ u64::from(self.input.last_byte()) << (lie & 31),
        }
    }
}

impl Registers for Fake {
    fn read(&mut self, register: Register) -> u64 {
        let value = match register {
            Register::Features => self.features,
            Register::Status => self.status,
            Register::Present => 1,
            Register::QueueSize(queue) => self.queue_sizes[usize::from(queue) % 2].into(),
            Register::QueueReset(_) | Register::Generation => 0,
            Register::Config(word) => self.words[word].into(),
            Register::Isr => 3,
            Register::QueueVector(queue) => {
                let vector = self.vectors.get(&queue.into());
                vector.copied().unwrap_or(0xffff)
            }
            Register::ConfigVector => self.vectors.get(&u64::MAX).copied().unwrap_or(0xffff),
        };
        let value = self.lie_at_times(register, value);
        match register {
            Register::Features => self.told.offered = value,
            Register::QueueSize(queue) => {
                let sizes = self.told.sizes.entry(queue).or_default();
                sizes.push(value as u16);
            }
            _ => {}
        }
        value
    }

    fn write(&mut self, register: Register, value: u64) {
        match register {
            Register::Features => {
                assert_eq!(
                    value & !self.told.offered,
                    0,
                    "a feature that is not offered"
                );
                assert_eq!(self.told.statuses, [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER]);
                self.told.accepted = Some(value);
            }
            Register::Status if value == 0 => {
                self.status = 0;
                self.told = Told::default();
            }
            Register::Status => {
                self.status = value;
                self.told.statuses.push(value);
                if value & DRIVER_OK != 0 {
                    self.check_set_up();
                }
            }
            Register::QueueVector(queue) => drop(self.vectors.insert(queue.into(), value)),
            Register::ConfigVector => drop(self.vectors.insert(u64::MAX, value)),
            Register::QueueReset(queue) => {
                self.told.set.remove(&queue);
                self.told.enabled.retain(|enabled| *enabled != queue);
            }
            _ => {}
        }
    }

    fn set_queue(&mut self, queue: u16, size: u16, addresses: QueueAddresses) {
        let mut told = self.told.sizes.get(&queue).into_iter().flatten();
        let fits = told.any(|most| size <= *most);
        assert!(
            fits && size.is_power_of_two(),
            "{size} entries of queue {queue}"
        );
        let before = self.told.set.insert(queue, size);
        assert!(before.is_none(), "queue {queue} is set twice");
        let accepted = Features::from_bits_retain(self.told.accepted.unwrap_or(0));
        // Where each part begins, and how long it is (2.7 and 2.8).
        let size = u64::from(size);
        let (driver, device) = match accepted.contains(Features::RING_PACKED) {
            true => (4, 4),
            false => (6 + 2 * size, 6 + 8 * size),
        };
        for (start, len_bytes, align) in [
            (addresses.descriptors(), 16 * size, 16),
            (addresses.available(), driver, 4),
            (addresses.used(), device, 4),
        ] {
            assert!(start.is_multiple_of(align), "{start:#x} is not aligned");
            let last = start + len_bytes - 1;
            let is_there = machine::read::<1>(start).and(machine::read::<1>(last));
            assert!(is_there.is_some(), "a ring at {start:#x} is not allocated");
        }
    }

    fn enable_queue(&mut self, queue: u16) {
        assert!(
            self.told.set.contains_key(&queue),
            "enabled before it is set"
        );
        self.told.enabled.push(queue);
    }

    fn hear_kick(&mut self, queue: u16, _: Option<u16>) {
        let is_live = self
            .told
            .statuses
            .last()
            .is_some_and(|status| status & DRIVER_OK != 0);
        // After a lie about the status the driver may know nothing of a reset.
        assert!(
            is_live || self.lies,
            "queue {queue} is kicked before DRIVER_OK"
        );
    }

    fn msix_entries(&self) -> u16 {
        self.msix_entries
    }

    fn config_len(&self) -> usize {
        self.config_len
    }
}

impl Fake {
    /// Checks that all came in its order, and that each queue that was set is enabled.
    fn check_set_up(&self) {
        let Told {
            statuses,
            accepted,
            set,
            enabled,
            ..
        } = &self.told;
        let three = ACKNOWLEDGE | DRIVER | FEATURES_OK;
        let order = [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, three, three | DRIVER_OK];
        assert_eq!(statuses[..], order);
        assert!(
            accepted.is_some_and(|it| Features::from_bits_retain(it).contains(Features::VERSION_1))
        );
        let mut queues = enabled.clone();
        queues.sort_unstable();
        assert!(queues.iter().eq(set.keys()), "{queues:?} of {set:?}");
        assert!(queues.len() >= 2, "a data queue, and the control queue");
    }
}

/// Runs the target.
pub fn run(input: &[u8]) {
    machine::start();
    let mut input = Input::new(input);
    let options = options(&mut input);
    machine::fail_allocation(match input.byte() {
        after @ 0xf0.. => Some((after & 15).into()),
        _ => None,
    });
    let wanted = (options.data_queues, options.max_size_bytes);
    let calls: [u8; 4] = input.bytes();
    let fake = Shared::new(Fake::new(&mut input));
    match Device::<Kernel>::new(fake.clone(), options) {
        Ok(device) => drive(device, &fake, &calls, wanted),
        Err(error) => {
            let told = &fake.lock().told;
            let is_gone = matches!(error, Error::Broken(_));
            assert!(
                told.statuses.is_empty() || is_gone,
                "not told to reset: {error}"
            );
        }
    }
}

fn options(input: &mut Input) -> Options {
    let bits = input.byte();
    Options {
        messages: vec![message(); usize::from(bits & 7)],
        intx: bits & 8 != 0,
        data_queues: u16::from(input.byte()) % 6,
        data_slots: input.byte().into(),
        control_slots: u16::from(bits >> 4),
        sessions: u16::from(input.byte()),
        max_size_bytes: u64::MAX >> (input.byte() & 63),
        refuse: Features::from_bits_retain(input.u64() & input.u64()),
        require: match bits & 0x10 {
            0 => Features::empty(),
            _ => Features::from_bits_retain(1 << (input.byte() & 63)),
        },
        framing: match bits & 0x20 {
            0 => Framing::Compact,
            _ => Framing::OnePerField,
        },
        forced_reset: match bits & 0x40 {
            0 => ForcedReset::Quarantine,
            _ => ForcedReset::Reclaim(trusted()),
        },
        trial_limit_ns: u64::from(bits >> 7) * 10_000_000,
        message_travel_ns: 0,
        reset_limit_ns: 10_000_000,
        ..Options::default()
    }
}

/// Asks the driver what it knows, and has it start anew.
fn drive(device: Device<Kernel>, fake: &Shared<Fake>, calls: &[u8], wanted: (u16, u64)) {
    let given_up = device.given_up.clone();
    for call in calls {
        let capabilities = device.capabilities();
        let most = capabilities.max_data_queues.max(1) as usize;
        let queues = device.data_queues();
        assert!((1..=most.min(wanted.0.max(1).into())).contains(&queues));
        assert!(capabilities.max_size_bytes <= wanted.1);
        let _ = capabilities.advertised();
        match call % 8 {
            0 => drop(device.recover(3_000_000)),
            1 => drop(device.shutdown(3_000_000)),
            2 => drop(device.reset_queue(usize::from(call >> 3), 3_000_000)),
            3 => drop(device.handle_interrupt(MsixEntry(u16::from(call >> 3)))),
            4 => drop(device.handle_intx()),
            5 => drop(device.check()),
            6 => device.poll(),
            _ => drop(device.move_interrupt(MsixEntry(u16::from(call >> 3)), message())),
        }
    }
    let is_honest = !fake.lock().lies;
    drop(device);
    let told = &fake.lock().told;
    assert!(told.statuses.is_empty() || !is_honest, "not told to reset");
    assert_eq!(
        machine::live_bytes(),
        given_up.len_bytes(),
        "allocated, and given up"
    );
}

#[cfg(test)]
mod tests {
    use crate::fuzzing::replay;

    #[test]
    fn corpus_is_replayed() {
        replay::corpus("config", super::run);
    }

    #[test]
    fn random_inputs_are_borne() {
        replay::random(super::run, 3000, 200);
    }
}
