//! The device without the driver: rings filled by hand, one request at a time, so that requests can be
//! sent that the driver's safe API cannot express. No interrupts: the ring is polled.

use alloc::{format, string::String, vec, vec::Vec};
use core::sync::atomic::{Ordering, fence};

use kernel::{machine, memory::Shared, pci, platform::KernelPlatform, println, time};
use virtio_crypto::{
    Features,
    transport::{Doorbell, QueueAddresses, QueueIndex, Transport, pci::PciTransport},
};
use virtio_drivers::transport::DeviceStatus;

use crate::report::status_name;

/// Bytes of a request's header with its fixed-length fields, without REVISION_1.
pub const HEAD_LEN: usize = 72;
/// Bytes that the device may write of a *create*: id, status, padding.
pub const ANSWER_LEN: usize = 16;

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
/// What memory holds before the device writes it.
pub const UNWRITTEN: u8 = 0xee;
const ANSWER_LIMIT_NS: u64 = 2_000_000_000;
const RESET_LIMIT_NS: u64 = 2_000_000_000;

/// The configuration field `max_dataqueues`, which is the control queue's index.
const MAX_DATAQUEUES: usize = 4;

/// Why a request has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The device answered with this status.
    Status(u32),
    /// It asks for a reset. It has had one.
    NeedsReset,
    /// It did not answer in time. It has had a reset.
    NoAnswer,
    /// It used an element that names no request. It has had a reset.
    WrongId(u32),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status_name(*status)),
            Self::NeedsReset => f.write_str("needs-reset"),
            Self::NoAnswer => f.write_str("no-answer"),
            Self::WrongId(id) => write!(f, "used-id-{id}"),
        }
    }
}

/// One descriptor's worth of a request.
#[derive(Clone, Debug)]
pub enum Part {
    Readable(Vec<u8>),
    Writable(usize),
}

/// What the device made of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The used element's length.
    pub used_bytes: u32,
    /// All that was writable; what was not written has one value.
    pub written: Vec<u8>,
}

impl Answer {
    /// The status of a data request or a *destroy*: the byte at `offset`.
    fn status_at(&self, offset: usize) -> Result<(), Trouble> {
        match self.written.get(offset).copied().unwrap_or(UNWRITTEN) {
            0 => Ok(()),
            status => Err(Trouble::Status(u32::from(status))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Data,
    Control,
}

/// One split virtqueue.
#[derive(Debug)]
struct Ring {
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    doorbell: Doorbell,
    published: u16,
}

/// The device, live.
pub struct Raw {
    pub transport: PciTransport<KernelPlatform, pci::Access>,
    /// Data queue, control queue.
    rings: Option<[Ring; 2]>,
    /// Id and *destroy* of the sessions that are open.
    pub sessions: Vec<(u64, u32)>,
    /// What is being tried, for the line that tells where the device broke.
    pub step: String,
    /// How often it broke.
    pub breaks: u32,
    /// Whether any answer was longer than what was writable.
    pub overlong: Option<u32>,
}

/// Encodes header and fixed-length fields from words at their offsets.
pub fn head(words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_LEN];
    for (at, word) in words {
        bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn shared(len_bytes: u64) -> Shared {
    match Shared::allocate(len_bytes) {
        Some(memory) => memory,
        None => kernel::testing::give_up(format_args!("no memory for {len_bytes} bytes")),
    }
}

impl Ring {
    fn new(transport: &dyn Transport, index: QueueIndex) -> Option<Self> {
        let size = transport.read_max_queue_size(index).min(256);
        if size == 0 {
            return None;
        }
        let entries = u64::from(size);
        let ring = Self {
            size,
            descriptors: shared(16 * entries),
            available: shared(6 + 2 * entries),
            used: shared(6 + 8 * entries),
            doorbell: transport.doorbell(index),
            published: 0,
        };
        let addresses = QueueAddresses {
            descriptors: ring.descriptors.address(),
            available: ring.available.address(),
            used: ring.used.address(),
        };
        transport.set_queue(index, size, addresses);
        transport.enable_queue(index);
        Some(ring)
    }

    /// Publishes `parts` as one chain from descriptor 0 on; returns where the parts lie.
    fn publish(&mut self, parts: &[Part]) -> Vec<Shared> {
        let mut places = Vec::new();
        for (number, part) in (0..).zip(parts) {
            let (len_bytes, mut flags) = match part {
                Part::Readable(bytes) => (bytes.len(), 0),
                Part::Writable(len_bytes) => (*len_bytes, WRITABLE),
            };
            // Its own frames, never used again: a device that writes late writes to nobody.
            let place = shared(len_bytes.max(1) as u64).part(0, len_bytes as u64);
            for at in 0..len_bytes {
                let byte = match part {
                    Part::Readable(bytes) => bytes[at],
                    Part::Writable(_) => UNWRITTEN,
                };
                place.write(at as u64, byte);
            }
            if number + 1 < parts.len() as u64 {
                flags |= NEXT;
            }
            let len_bytes = len_bytes as u64;
            self.descriptors.write_descriptor(
                number,
                place.address(),
                len_bytes,
                flags,
                number + 1,
            );
            places.push(place);
        }
        let slot = self.published % self.size;
        self.available.write(4 + 2 * u64::from(slot), 0u16);
        self.published = self.published.wrapping_add(1);
        // Release: the chain before the index that publishes it, to the device.
        fence(Ordering::Release);
        self.available.write(2, self.published);
        fence(Ordering::SeqCst);
        self.doorbell.ring();
        places
    }

    /// Returns the used element of the last chain, if it is there: id and length.
    fn used(&self) -> Option<(u32, u32)> {
        if self.used.read::<u16>(2) != self.published {
            return None;
        }
        // Acquire: the element after the index that publishes it, by the device.
        fence(Ordering::Acquire);
        let slot = u64::from(self.published.wrapping_sub(1) % self.size);
        Some((self.used.read(4 + 8 * slot), self.used.read(8 + 8 * slot)))
    }
}

impl Raw {
    /// Takes over a device in whatever state.
    pub fn new(
        function: virtio_drivers::transport::pci::bus::DeviceFunction,
    ) -> Result<Self, String> {
        let transport = PciTransport::<KernelPlatform, _>::new(machine::pci_access(), function)
            .map_err(|error| format!("{error}"))?;
        Ok(Self {
            transport,
            rings: None,
            sessions: Vec::new(),
            step: String::new(),
            breaks: 0,
            overlong: None,
        })
    }

    /// Resets the device; `false` if it does not confirm.
    pub fn reset(&mut self) -> bool {
        self.rings = None;
        self.transport.write_status(DeviceStatus::empty());
        let end_ns = time::now_ns() + RESET_LIMIT_NS;
        while !self.transport.read_status().is_empty() {
            if time::now_ns() > end_ns {
                return false;
            }
        }
        true
    }

    /// Takes it to DRIVER_OK, with the fewest features.
    pub fn bring_up(&mut self) -> Result<(), String> {
        if !self.reset() {
            return Err("no reset".into());
        }
        let transport = &self.transport;
        let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
        transport.write_status(status);
        let offered = Features::from_bits_retain(transport.read_device_features());
        let wanted = Features::VERSION_1 | Features::ACCESS_PLATFORM;
        transport.write_driver_features((offered & wanted).bits());
        status |= DeviceStatus::FEATURES_OK;
        transport.write_status(status);
        if !transport.read_status().contains(DeviceStatus::FEATURES_OK) {
            return Err("FEATURES_OK refused".into());
        }
        let mut count = [0; 4];
        let read = transport.read_config(MAX_DATAQUEUES, &mut count);
        read.map_err(|error| format!("{error}"))?;
        let control = QueueIndex(u32::from_le_bytes(count) as u16);
        let data = Ring::new(transport, QueueIndex(0)).ok_or("no data queue")?;
        let control = Ring::new(transport, control).ok_or("no control queue")?;
        self.rings = Some([data, control]);
        status |= DeviceStatus::DRIVER_OK;
        transport.write_status(status);
        Ok(())
    }

    /// Starts anew after the device broke, and ends the sessions that were open.
    fn recover(&mut self, trouble: Trouble) -> Trouble {
        self.breaks += 1;
        println!("probe: broke={trouble} step={}", self.step);
        if let Err(error) = self.bring_up() {
            kernel::testing::give_up(format_args!("no recovery after {}: {error}", self.step));
        }
        self.destroy_all();
        trouble
    }

    /// Sends a request and waits for its end.
    pub fn send(&mut self, queue: Queue, parts: &[Part]) -> Result<Answer, Trouble> {
        let Some(rings) = &mut self.rings else {
            return Err(Trouble::NoAnswer);
        };
        let ring = &mut rings[queue as usize];
        let places = ring.publish(parts);
        let end_ns = time::now_ns() + ANSWER_LIMIT_NS;
        let (id, used_bytes) = loop {
            if let Some(used) = ring.used() {
                break used;
            }
            if self
                .transport
                .read_status()
                .contains(DeviceStatus::DEVICE_NEEDS_RESET)
            {
                return Err(self.recover(Trouble::NeedsReset));
            }
            if time::now_ns() > end_ns {
                return Err(self.recover(Trouble::NoAnswer));
            }
        };
        if id != 0 {
            return Err(self.recover(Trouble::WrongId(id)));
        }
        let mut written = Vec::new();
        for (part, place) in parts.iter().zip(places) {
            if let Part::Writable(len_bytes) = part {
                written.extend((0..*len_bytes).map(|at| place.read::<u8>(at as u64)));
            }
        }
        if used_bytes as usize > written.len() {
            self.overlong = Some(used_bytes);
        }
        Ok(Answer {
            used_bytes,
            written,
        })
    }

    /// Opens a session: words of the *create*, whose first is the opcode; key or keys.
    pub fn create(&mut self, words: &[(usize, u32)], key: &[u8]) -> Result<u64, Trouble> {
        let answer = self.create_answer(words, key)?;
        let word = |at: usize| {
            let bytes = answer.written.get(at..at + 4).unwrap_or(&[UNWRITTEN; 4]);
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
        };
        if word(8) != 0 {
            return Err(Trouble::Status(word(8)));
        }
        let id = u64::from(word(0)) | u64::from(word(4)) << 32;
        let opcode = words
            .iter()
            .find(|(at, _)| *at == 0)
            .map_or(0, |(_, word)| *word);
        self.sessions.push((id, opcode + 1));
        Ok(id)
    }

    /// Like [`create`](Self::create), as the device wrote it.
    pub fn create_answer(&mut self, words: &[(usize, u32)], key: &[u8]) -> Result<Answer, Trouble> {
        let readable = [&head(words), key].concat();
        self.send(
            Queue::Control,
            &[Part::Readable(readable), Part::Writable(ANSWER_LEN)],
        )
    }

    /// Ends a session.
    pub fn destroy(&mut self, id: u64) -> Result<Answer, Trouble> {
        let place = self.sessions.iter().position(|(open, _)| *open == id);
        let opcode = match place {
            Some(place) => self.sessions.swap_remove(place).1,
            None => 0x003,
        };
        let words = [(0, opcode), (16, id as u32), (20, (id >> 32) as u32)];
        let parts = [Part::Readable(head(&words)), Part::Writable(ANSWER_LEN)];
        let answer = self.send(Queue::Control, &parts)?;
        answer.status_at(0)?;
        Ok(answer)
    }

    /// Ends every session that is open.
    pub fn destroy_all(&mut self) {
        while let Some(&(id, _)) = self.sessions.last() {
            let _ = self.destroy(id);
        }
    }

    /// Sends a data request: words beside opcode and session id, what is read, how much is written
    /// before the status. Returns that, and the used element's length.
    pub fn data(
        &mut self,
        opcode: u32,
        id: u64,
        words: &[(usize, u32)],
        source: &[&[u8]],
        result_len: usize,
    ) -> Result<(Vec<u8>, u32), Trouble> {
        let header = [
            (0, opcode),
            (8, id as u32),
            (12, (id >> 32) as u32),
            (16, 1),
        ];
        let mut parts = vec![Part::Readable(head(&[&header, words].concat()))];
        // No descriptor may be empty.
        let source = source.iter().filter(|part| !part.is_empty());
        parts.extend(source.map(|part| Part::Readable(part.to_vec())));
        if result_len > 0 {
            parts.push(Part::Writable(result_len));
        }
        parts.push(Part::Writable(1));
        let mut answer = self.send(Queue::Data, &parts)?;
        answer.status_at(result_len)?;
        answer.written.truncate(result_len);
        Ok((answer.written, answer.used_bytes))
    }
}
