//! The device: registers, rings, and what it does with requests, a step at a time.

mod service;

use alloc::{collections::BTreeMap, vec::Vec};

pub(super) use self::service::transform;
use self::service::{Service, Work};
use crate::{
    fuzzing::{
        half::Half,
        input::Input,
        machine,
        transport::{Register, Registers},
    },
    transport::QueueAddresses,
    virtqueue::Format,
    wire::Features,
};

/// Data queues; the control queue comes behind them.
const DATA_QUEUES: u16 = 2;
pub(super) const CONTROL: u16 = DATA_QUEUES;
const NEEDS_RESET: u64 = 0x40;

pub(super) struct Device {
    pub(super) input: Input,
    pub(super) is_hostile: bool,
    /// Features that it offers.
    offered: Features,
    accepted: Features,
    queue_size: u16,
    msix_entries: u16,
    status: u64,
    vectors: BTreeMap<Option<u16>, u16>,
    queues: BTreeMap<u16, Queue>,
    service: Service,
    /// Queues whose interrupts are on their way.
    interrupts: Vec<u16>,
    /// It takes no more steps but what it has to.
    is_done: bool,
    is_gone: bool,
    needs_reset: bool,
    is_ready: bool,
    generation: u32,
    resets: bool,
}

/// A queue as the device has it.
struct Queue {
    half: Half,
    addresses: QueueAddresses,
    is_enabled: bool,
    is_awake: bool,
    has_asked: bool,
    held: Vec<Held>,
    unjudged: Option<u16>,
}

/// A request that the device has.
struct Held {
    id: u16,
    descriptors: u16,
    work: Work,
}

impl Device {
    pub(super) fn new(flags: u16, is_hostile: bool, input: Input) -> Self {
        let mut offered = Features::VERSION_1 | Features::RING_RESET;
        for (bit, feature) in [
            (0, Features::RING_PACKED),
            (1, Features::INDIRECT_DESC),
            (2, Features::EVENT_IDX),
            (3, Features::IN_ORDER),
            (4, Features::REVISION_1),
            (5, Features::NOTIFICATION_DATA),
        ] {
            offered.set(feature, flags >> bit & 1 != 0);
        }
        Self {
            input,
            is_hostile,
            offered,
            accepted: Features::empty(),
            queue_size: if flags >> 6 & 1 != 0 { 32 } else { 8 },
            msix_entries: [4, 2, 1, 0][usize::from(flags >> 8 & 3)],
            status: 0,
            vectors: BTreeMap::new(),
            queues: BTreeMap::new(),
            service: Service::new(),
            interrupts: Vec::new(),
            is_done: false,
            is_gone: false,
            needs_reset: false,
            is_ready: true,
            generation: 0,
            resets: true,
        }
    }

    /// Returns the MSI-X entry of each interrupt that is on its way; `None` for the pin.
    pub(super) fn take_interrupts(&mut self) -> Vec<Option<u16>> {
        let queues = core::mem::take(&mut self.interrupts);
        let entry = |queue| self.vectors.get(&Some(queue)).copied();
        queues.into_iter().map(entry).collect()
    }

    /// Takes the step that the bytes say.
    pub(super) fn step(&mut self) {
        if self.is_done || self.is_gone {
            return;
        }
        let step = self.input.last_byte();
        let (action, queue, choice) = (step & 7, u16::from(step >> 3 & 3), usize::from(step >> 5));
        // Most steps are those of the first queue, and of that on which sessions begin.
        let queue = [0, 0, CONTROL, 1][usize::from(queue)];
        match action {
            0 => {}
            1 | 2 => drop(self.take(queue)),
            3 | 4 => self.use_one(queue, choice),
            5 => self.ask(queue, choice),
            6 => self.judge(queue),
            _ => self.rare_step(queue, choice),
        }
    }

    /// What happens seldom.
    fn rare_step(&mut self, queue: u16, choice: usize) {
        match choice {
            0 | 1 => {
                self.judge(queue);
                return;
            }
            2 => {
                self.is_ready = !self.is_ready;
                self.generation += 1;
                return;
            }
            _ if !self.is_hostile => return,
            _ => {}
        }
        let (a, b) = (self.input.last_byte(), self.input.last_byte());
        match choice {
            3 => self.needs_reset = b == 1,
            4 => self.is_gone = b == 1,
            5 => self.resets = b != 1,
            6 => {
                let Some(queue) = self.queues.get_mut(&queue) else {
                    return;
                };
                let id = u32::from(a % 8);
                queue.unjudged.get_or_insert(queue.half.next_used());
                queue.half.put_used(id, b.into(), (b % 3).into(), 1);
            }
            _ => {
                let Some(queue) = self.queues.get(&queue) else {
                    return;
                };
                // What the driver would not have to read is of no interest.
                let areas = [
                    queue.addresses.used(),
                    queue.addresses.descriptors(),
                    queue.addresses.available(),
                ];
                let at = areas[usize::from(b >> 6) % 3] + u64::from(a) % 128;
                let _ = machine::write(at, &[b]);
            }
        }
    }

    /// Takes a request, if the device looks for any.
    fn take(&mut self, index: u16) -> bool {
        let Some(queue) = self.queues.get_mut(&index) else {
            return false;
        };
        if !queue.is_enabled || !queue.is_awake || !queue.half.is_available() {
            return false;
        }
        let is_suspect = self.is_hostile;
        let Some(taken) = queue.half.take() else {
            assert!(is_suspect, "what is available is no request");
            return false;
        };
        queue.has_asked = false;
        let segments = match taken.is_table {
            true => queue.half.table(&taken),
            false => Some(taken.segments.clone()),
        };
        let Some(segments) = segments else {
            assert!(is_suspect, "a table is not the device's");
            return false;
        };
        let work = Work::read(index == CONTROL, segments, is_suspect);
        queue.held.push(Held {
            id: taken.id,
            descriptors: taken.descriptors,
            work,
        });
        true
    }

    /// Answers a request and uses it.
    fn use_one(&mut self, index: u16, choice: usize) {
        let in_order = self.accepted.contains(Features::IN_ORDER);
        let Some(queue) = self.queues.get_mut(&index) else {
            return;
        };
        if queue.held.is_empty() {
            return;
        }
        let at = if in_order {
            0
        } else {
            choice % queue.held.len()
        };
        let held = queue.held.remove(at);
        // In bad faith an answer may be none, or another.
        let spoils = self.is_hostile && choice == 7;
        let spoiled = spoils.then(|| self.input.last_byte());
        let written = self.service.answer(&held.work, self.is_hostile, spoiled);
        queue.unjudged.get_or_insert(queue.half.next_used());
        queue
            .half
            .put_used(held.id.into(), written, 1, held.descriptors);
    }

    /// Goes towards sleep, or says that it needs no kicks.
    fn ask(&mut self, index: u16, choice: usize) {
        let Some(queue) = self.queues.get_mut(&index).filter(|queue| queue.is_awake) else {
            return;
        };
        if choice < 2 {
            queue.half.refuse_kicks();
            queue.has_asked = false;
        } else if queue.has_asked {
            queue.look_again();
        } else {
            queue.half.ask_for_kick();
            queue.has_asked = true;
        }
    }

    /// Sends an interrupt for what was used, if the driver wants one.
    fn judge(&mut self, index: u16) {
        let Some(queue) = self.queues.get_mut(&index) else {
            return;
        };
        if let Some(old) = queue.unjudged.take()
            && queue.half.wants_interrupt((old, queue.half.next_used()))
        {
            self.interrupts.push(index);
        }
    }

    /// Nothing happens any more but what has to.
    pub(super) fn be_done(&mut self) {
        self.is_done = true;
        self.is_ready = true;
    }

    /// Does what it has to; `true` if that was anything.
    pub(super) fn work(&mut self) -> bool {
        let mut worked = false;
        for index in 0..=CONTROL {
            while self.queues.get(&index).is_some_and(|queue| queue.is_awake) {
                worked = true;
                while self.take(index) {}
                if let Some(queue) = self.queues.get_mut(&index) {
                    queue.half.ask_for_kick();
                    queue.look_again();
                }
            }
            while self
                .queues
                .get(&index)
                .is_some_and(|queue| !queue.held.is_empty())
            {
                worked = true;
                self.use_one(index, 0);
            }
            worked |= self
                .queues
                .get(&index)
                .is_some_and(|queue| queue.unjudged.is_some());
            self.judge(index);
        }
        worked
    }

    pub(super) fn sessions(&self) -> usize {
        self.service.sessions()
    }

    fn reset(&mut self) {
        self.queues.clear();
        self.vectors.clear();
        self.interrupts.clear();
        self.needs_reset = false;
    }
}

impl Queue {
    /// Sleeps, unless something has come since it asked for a kick.
    fn look_again(&mut self) {
        self.has_asked = false;
        self.is_awake = self.half.is_available();
    }
}

impl Registers for Device {
    fn read(&mut self, register: Register) -> u64 {
        if self.is_gone {
            return match register {
                Register::Present => 0,
                _ => u64::MAX,
            };
        }
        if register == Register::Status {
            // What it has to send goes ahead of the answer.
            (0..=CONTROL).for_each(|queue| self.judge(queue));
        }
        match register {
            Register::Features => self.offered.bits(),
            Register::Status if self.needs_reset => self.status | NEEDS_RESET,
            Register::Status => self.status,
            Register::Present => 1,
            Register::QueueSize(0..=CONTROL) => self.queue_size.into(),
            Register::QueueSize(_) => 0,
            Register::QueueReset(queue) => u64::from(self.queues.contains_key(&queue)),
            Register::Generation => self.generation.into(),
            Register::Config(word) => match word {
                0 => u64::from(self.is_ready),
                1 => DATA_QUEUES.into(),
                2 => 1,
                3 => 1 << 3,
                9 | 10 => 64,
                12 => 4096,
                _ => 0,
            },
            Register::Isr => 3,
            Register::QueueVector(queue) => self.vector(Some(queue)),
            Register::ConfigVector => self.vector(None),
        }
    }

    fn write(&mut self, register: Register, value: u64) {
        if self.is_gone {
            return;
        }
        match register {
            Register::Features => {
                let features = Features::from_bits_retain(value);
                assert!(
                    self.offered.contains(features),
                    "a feature that is not offered"
                );
                self.accepted = features;
            }
            Register::Status if value == 0 && !self.resets => {}
            Register::Status => {
                if value == 0 {
                    self.reset();
                }
                self.status = value;
            }
            Register::QueueReset(queue) if self.resets => drop(self.queues.remove(&queue)),
            Register::QueueVector(queue) => self.set_vector(Some(queue), value as u16),
            Register::ConfigVector => self.set_vector(None, value as u16),
            _ => {}
        }
    }

    fn set_queue(&mut self, queue: u16, size: u16, addresses: QueueAddresses) {
        if self.is_gone {
            return;
        }
        assert!(queue <= CONTROL && size.is_power_of_two() && size <= self.queue_size);
        let format = match self.accepted.contains(Features::RING_PACKED) {
            true => Format::Packed,
            false => Format::Split,
        };
        let event_index = self.accepted.contains(Features::EVENT_IDX);
        let set = Queue {
            half: Half::new(format, size, event_index, addresses),
            addresses,
            is_enabled: false,
            is_awake: false,
            has_asked: false,
            held: Vec::new(),
            unjudged: None,
        };
        let before = self.queues.insert(queue, set);
        assert!(before.is_none(), "queue {queue} is set again");
    }

    fn enable_queue(&mut self, queue: u16) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.is_enabled = true;
            // A device looks once when it is set up.
            queue.is_awake = true;
        }
    }

    fn hear_kick(&mut self, queue: u16, _: Option<u16>) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.is_awake = true;
            queue.has_asked = false;
        }
    }

    fn msix_entries(&self) -> u16 {
        self.msix_entries
    }

    fn config_len(&self) -> usize {
        56
    }
}

impl Device {
    fn vector(&self, of: Option<u16>) -> u64 {
        self.vectors.get(&of).copied().unwrap_or(0xffff).into()
    }

    fn set_vector(&mut self, of: Option<u16>, entry: u16) {
        if entry < self.msix_entries {
            self.vectors.insert(of, entry);
        } else {
            self.vectors.remove(&of);
        }
    }
}
