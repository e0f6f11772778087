//! The device: what it has, what it does at a step, and what it tells the driver by then.

use alloc::{collections::VecDeque, vec::Vec};

use super::TABLES;
use crate::{
    dma::watch::Access,
    fuzzing::{
        half::{Half, Taken},
        input::Input,
        machine,
    },
    transport::QueueAddresses,
    virtqueue::{Format, RingLayout, Segment, UsedElement},
};

/// A request as the driver sends it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) slot: u16,
    /// Its descriptors in the ring, or how many there are in its table.
    pub(super) segments: Vec<Segment>,
    pub(super) in_table: Option<u16>,
}

/// A request that the device has.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: u16,
    id: u16,
    descriptors: u16,
}

pub(super) struct Device {
    pub(super) half: Half,
    pub(super) input: Input,
    pub(super) is_hostile: bool,
    /// Steps that it has taken.
    pub(super) steps: u32,
    /// Requests that were ever sent.
    pub(super) sent_ever: u32,
    layout: RingLayout,
    addresses: QueueAddresses,
    /// What was sent and not taken.
    sent: VecDeque<Sent>,
    held: VecDeque<Held>,
    /// What was used and not found.
    used: VecDeque<UsedElement>,
    /// It looks for requests by itself. Otherwise a kick wakes it.
    is_awake: bool,
    /// It has asked for a kick, and has to look once more before it sleeps.
    has_asked: bool,
    /// From where on it has not judged whether the driver wants an interrupt.
    unjudged: Option<u16>,
    interrupt: bool,
    /// It has no more whims.
    is_done: bool,
}

impl Device {
    pub(super) fn new(
        layout: RingLayout,
        addresses: QueueAddresses,
        is_hostile: bool,
        input: Input,
    ) -> Self {
        let RingLayout {
            format,
            entries,
            event_index,
            ..
        } = layout;
        Self {
            half: Half::new(format, entries, event_index, addresses),
            input,
            is_hostile,
            steps: 0,
            sent_ever: 0,
            layout,
            addresses,
            sent: VecDeque::new(),
            held: VecDeque::new(),
            used: VecDeque::new(),
            is_awake: false,
            has_asked: false,
            unjudged: None,
            interrupt: false,
            is_done: false,
        }
    }

    /// The driver is about to reach the ring: it may, and something may happen before.
    pub(super) fn see(&mut self, access: Access) {
        if access.writes {
            self.check_write(machine::bus_address(access), access.len_bytes as u64);
        }
        if !self.is_done {
            self.step_now();
        }
    }

    /// Checks that the driver writes what is its own to write.
    fn check_write(&self, address: u64, len_bytes: u64) {
        let entries = u64::from(self.layout.entries);
        let (descriptors, driver) = (self.addresses.descriptors(), self.addresses.available());
        let driver_len_bytes = match self.layout.format {
            Format::Split => 4 + 2 * entries + 2,
            Format::Packed => 4,
        };
        let is_in = |start, len| start <= address && address + len_bytes <= start + len;
        assert!(
            is_in(descriptors, 16 * entries) || is_in(driver, driver_len_bytes),
            "the driver writes at {address:#x}, which is the device's"
        );
    }

    pub(super) fn expect(&mut self, sent: Sent) {
        self.sent_ever += 1;
        self.sent.push_back(sent);
    }

    pub(super) fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.interrupt)
    }

    pub(super) fn hear_kick(&mut self) {
        self.is_awake = true;
        self.has_asked = false;
    }

    /// Returns what the driver has to find next.
    pub(super) fn take_used(&mut self) -> Option<UsedElement> {
        self.used.pop_front()
    }

    /// Takes the step that the bytes say.
    pub(super) fn step_now(&mut self) {
        let step = self.input.last_byte();
        if step & 7 == 0 {
            return;
        }
        self.steps += 1;
        if self.is_hostile && step & 0x80 != 0 {
            match step & 7 {
                1..4 => self.use_anything(step),
                _ => self.write_anything(step),
            }
            return;
        }
        let choice = usize::from(step >> 3);
        match step & 7 {
            1 | 2 => drop(self.take()),
            3 | 4 => self.use_some(choice),
            5 if self.is_awake => {
                self.half.ask_for_kick();
                self.has_asked = true;
            }
            6 if self.has_asked => self.look_again(),
            6 if self.is_awake => self.half.refuse_kicks(),
            7 => self.judge(),
            _ => {}
        }
    }

    /// Uses what it has not, or under another name.
    fn use_anything(&mut self, step: u8) {
        let (a, b) = (self.input.last_byte(), self.input.last_byte());
        let id = self.held.front().map_or(0, |held| u32::from(held.id));
        let entries = u32::from(self.layout.entries);
        let id = match step >> 3 & 3 {
            0 => id,
            1 => u32::from(a) % entries,
            2 => id | u32::from(a) << 8,
            _ => u32::from(a),
        };
        let requests = u16::from(step >> 5 & 3);
        if requests == 1 {
            self.held.pop_front();
        }
        self.unjudged.get_or_insert(self.half.next_used());
        self.half
            .put_used(id, u32::from(b) << 20, requests, u16::from(b) % 4);
    }

    /// Writes over the ring.
    fn write_anything(&mut self, step: u8) {
        let entries = u64::from(self.layout.entries);
        let place = u64::from(self.input.last_byte());
        let (start, len) = match step >> 3 & 3 {
            0 => (self.addresses.descriptors(), 16 * entries),
            1 => (self.addresses.available(), 4 + 2 * entries + 2),
            _ => (self.addresses.used(), 4 + 8 * entries + 2),
        };
        // Mostly what could be meant, near what is there.
        let at = start + place % len;
        let value = self.input.last_byte();
        let _ = machine::write(at, &[value]);
    }

    /// Takes a request, if it looks for any and there is one.
    fn take(&mut self) -> bool {
        if !self.is_awake || !self.half.is_available() {
            return false;
        }
        let Some(taken) = self.half.take() else {
            assert!(self.is_hostile, "what is available is no request");
            return false;
        };
        // What it asked for is behind it now.
        self.has_asked = false;
        let sent = self.sent.pop_front();
        if !self.is_hostile {
            let sent = sent.as_ref();
            self.check_taken(sent.expect("a request that was sent"), &taken);
        }
        self.held.push_back(Held {
            slot: sent.map_or(0, |sent| sent.slot),
            id: taken.id,
            descriptors: taken.descriptors,
        });
        true
    }

    /// Checks that a request arrives as it was sent.
    fn check_taken(&self, sent: &Sent, taken: &Taken) {
        match sent.in_table {
            None => assert_eq!((&taken.segments, taken.is_table), (&sent.segments, false)),
            Some(count) => {
                let len_bytes = match self.layout.format {
                    // As long as there is room: its links say where it ends.
                    Format::Split => TABLES.len_bytes,
                    Format::Packed => 16 * u32::from(count),
                };
                let table = Segment {
                    bus_address: TABLES.first + u64::from(sent.slot) * TABLES.step_bytes,
                    len_bytes,
                    writable: false,
                };
                assert_eq!((&taken.segments[..], taken.is_table), (&[table][..], true));
            }
        }
        if self.layout.format == Format::Packed {
            assert_eq!(taken.id, sent.slot);
        }
    }

    /// Uses a request, whichever, or several where they are used in order.
    fn use_some(&mut self, choice: usize) {
        let count = self.held.len();
        if count == 0 {
            return;
        }
        let (first, requests) = match self.layout.in_order {
            true => (0, choice % count + 1),
            false => (choice % count, 1),
        };
        let batch: Vec<_> = self.held.drain(first..first + requests).collect();
        let Some(last) = batch.last() else { return };
        let len_bytes = self.steps << 4 | choice as u32;
        for (index, held) in batch.iter().enumerate() {
            let is_last = index + 1 == batch.len();
            self.used.push_back(UsedElement {
                id: held.id.into(),
                slot: held.slot.into(),
                // Nobody says of the others.
                len_bytes: if is_last { len_bytes } else { u32::MAX },
            });
        }
        let descriptors: u16 = batch.iter().map(|held| held.descriptors).sum();
        self.unjudged.get_or_insert(self.half.next_used());
        let id = u32::from(last.id);
        self.half
            .put_used(id, len_bytes, requests as u16, descriptors);
    }

    /// Sends an interrupt for what was used since it last thought of it, if the driver wants one.
    fn judge(&mut self) {
        if let Some(old) = self.unjudged.take() {
            let range = (old, self.half.next_used());
            self.interrupt |= self.half.wants_interrupt(range);
        }
    }

    /// Sleeps, unless something has come since it asked for a kick.
    fn look_again(&mut self) {
        self.has_asked = false;
        self.is_awake = self.half.is_available();
    }

    /// Nothing happens any more but what has to.
    pub(super) fn be_done(&mut self) {
        self.is_done = true;
    }

    /// Does what it has to; `true` if that was anything.
    pub(super) fn work(&mut self) -> bool {
        let mut worked = self.unjudged.is_some();
        while self.is_awake {
            worked = true;
            while self.take() {}
            self.half.ask_for_kick();
            self.look_again();
        }
        while !self.held.is_empty() {
            worked = true;
            self.use_some(0);
        }
        self.judge();
        worked
    }

    /// Returns how many requests it has not heard of.
    pub(super) fn waiting(&self) -> usize {
        self.sent.len()
    }
}
