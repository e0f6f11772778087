//! The device without the driver: rings filled by hand, one request at a time, so that requests can
//! be sent that the driver's safe API cannot express. No interrupts: the rings are polled.
//!
//! # Lives
//!
//! A device that breaks, or that does not answer, gets a reset, which begins another life of it.
//! What was known of the life before counts no more: a session of it is not named again, because an
//! id that the device has given up, or given to another, would be the next thing to break it. One
//! that does not come back, or that says that its hardware is not ready, is left alone from there
//! on.

use alloc::{boxed::Box, string::String, vec::Vec};

use kernel::{println, time};
use virtio_crypto::{
    Features,
    transport::{QueueIndex, Transport},
};
use virtio_drivers::transport::DeviceStatus;

use crate::requests::{
    framing::Framing,
    ids::{Session, id_words, session_id},
    ring::{Chain, Part, Ring, UNWRITTEN},
    trouble::{Silences, Trouble},
    words::{CREATE, ENCRYPT, IV_AND_BLOCK, head},
};

const ANSWER_LIMIT_NS: u64 = 2_000_000_000;
const RESET_LIMIT_NS: u64 = 2_000_000_000;
/// How long a request has been on its way when its registers are looked at for the first time.
const PATIENCE_NS: u64 = 10_000_000;
/// Most data queues that are set up.
const MOST_DATA_QUEUES: u32 = 16;

/// The configuration fields `status` and `max_dataqueues`; the latter is the control queue's index.
const STATUS: usize = 0;
const MAX_DATAQUEUES: usize = 4;
const HW_READY: u32 = 1;

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
    pub fn status_at(&self, offset: usize) -> Result<(), Trouble> {
        match self.written.get(offset).copied().unwrap_or(UNWRITTEN) {
            0 => Ok(()),
            status => Err(Trouble::Status(u32::from(status))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// By its index. 0 is what all requests take that are not about queues.
    Data(u16),
    Control,
}

/// The device, live.
pub struct Raw {
    pub transport: Box<dyn Transport>,
    /// Data queues, control queue. None before the device is set up, and once it has been left
    /// alone.
    rings: Option<(Vec<Ring>, Ring)>,
    /// Sessions of this life that are open, with what ends each.
    pub sessions: Vec<(Session, u32)>,
    pub life: u32,
    /// How requests are cut into descriptors.
    pub framing: Framing,
    /// What is being tried, for the line that tells where the device broke.
    pub step: String,
    /// Why it is left alone, and since which step.
    pub stopped: Option<(Trouble, String)>,
    /// How often it asked for a reset.
    pub resets_asked: u32,
    pub silences: Silences,
    /// Sessions that were open when a life ended, and that may still be: a reset need not end them.
    pub left_behind: usize,
    /// Whether any answer was longer than what was writable.
    pub overlong: Option<u32>,
}

impl Raw {
    /// Takes over a device in whatever state.
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            rings: None,
            sessions: Vec::new(),
            life: 0,
            framing: Framing::Fields,
            step: String::new(),
            stopped: None,
            resets_asked: 0,
            silences: Silences::default(),
            left_behind: 0,
            overlong: None,
        }
    }

    /// Resets the device; `false` if it does not confirm.
    pub fn reset(&mut self) -> bool {
        self.rings = None;
        self.life += 1;
        self.left_behind += core::mem::take(&mut self.sessions).len();
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
        let transport = &*self.transport;
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
        let count = self.config_word(MAX_DATAQUEUES).ok_or("no configuration")?;
        let control = u16::try_from(count).map_err(|_| "no control queue in reach")?;
        let data = (0..count.clamp(1, MOST_DATA_QUEUES) as u16).map(QueueIndex);
        let data = data.map(|queue| Ring::new(transport, queue).ok_or("no data queue"));
        let data = data.collect::<Result<Vec<_>, _>>()?;
        let control = Ring::new(transport, QueueIndex(control)).ok_or("no control queue")?;
        self.rings = Some((data, control));
        status |= DeviceStatus::DRIVER_OK;
        self.transport.write_status(status);
        Ok(())
    }

    fn config_word(&self, at: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        let read = self.transport.read_config(at, &mut bytes);
        read.is_ok().then_some(u32::from_le_bytes(bytes))
    }

    /// Returns how many data queues have been set up.
    pub fn data_queues(&self) -> u16 {
        self.rings.as_ref().map_or(0, |(data, _)| data.len() as u16)
    }

    /// Tells what is wrong with a device that should be live, by its registers.
    pub fn check_live(&self) -> Result<(), Trouble> {
        let status = self.transport.read_status();
        if status.contains(DeviceStatus::all()) || !self.transport.is_present() {
            Err(Trouble::Gone)
        } else if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            Err(Trouble::NeedsReset)
        } else if !status.contains(DeviceStatus::DRIVER_OK) {
            Err(Trouble::StatusLost)
        } else if self
            .config_word(STATUS)
            .is_none_or(|status| status & HW_READY == 0)
        {
            Err(Trouble::NotReady)
        } else {
            Ok(())
        }
    }

    /// Leaves the device alone from here on.
    pub fn stop(&mut self, trouble: Trouble) {
        if self.stopped.is_none() {
            println!("probe: stopped={trouble} step={}", self.step);
            self.stopped = Some((trouble, self.step.clone()));
        }
        self.rings = None;
        self.life += 1;
        self.sessions.clear();
    }

    /// Begins another life after one that did not end well.
    fn start_anew(&mut self, trouble: Trouble) {
        let kind = if self.silences.count(trouble) {
            "silent"
        } else {
            "broke"
        };
        println!("probe: {kind}={trouble} step={}", self.step);
        self.resets_asked += u32::from(trouble == Trouble::NeedsReset);
        if trouble == Trouble::Gone {
            return self.stop(trouble);
        }
        if let Err(error) = self.bring_up() {
            println!("probe: no_recovery={error}");
            return self.stop(trouble);
        }
        if let Err(trouble) = self.check_live() {
            self.stop(trouble);
        }
    }

    /// Sends a request and waits for its end.
    ///
    /// # Errors
    ///
    /// But for [`Trouble::NotTried`], this life of the device has ended.
    pub fn send(&mut self, queue: Queue, parts: &[Part]) -> Result<Answer, Trouble> {
        let (chain, used_bytes) = match self.exchange(queue, parts) {
            Ok(answer) => answer,
            Err(Trouble::NotTried) => return Err(Trouble::NotTried),
            Err(trouble) => {
                self.start_anew(trouble);
                return Err(trouble);
            }
        };
        let written = chain.written();
        if used_bytes as usize > written.len() {
            self.overlong = Some(used_bytes);
        }
        Ok(Answer {
            used_bytes,
            written,
        })
    }

    fn exchange(&mut self, queue: Queue, parts: &[Part]) -> Result<(Chain, u32), Trouble> {
        let chain = self.ring(queue)?.publish(0, parts);
        match self.wait(queue)? {
            Some((0, used_bytes)) => Ok((chain, used_bytes)),
            Some((id, _)) => Err(Trouble::WrongId(id)),
            None if self.answers_the_next(queue)? => Err(Trouble::Dropped),
            None => Err(Trouble::NeverAnswered),
        }
    }

    fn ring(&mut self, queue: Queue) -> Result<&mut Ring, Trouble> {
        let (data, control) = self.rings.as_mut().ok_or(Trouble::NotTried)?;
        match queue {
            Queue::Data(index) => data.get_mut(usize::from(index)).ok_or(Trouble::NotTried),
            Queue::Control => Ok(control),
        }
    }

    /// Waits for the next used element of a queue; `None` when it does not come in time.
    fn wait(&mut self, queue: Queue) -> Result<Option<(u32, u32)>, Trouble> {
        let start_ns = time::now_ns();
        loop {
            if let Some(used) = self.ring(queue)?.take_used() {
                return Ok(Some(used));
            }
            let waited_ns = time::now_ns() - start_ns;
            if waited_ns > PATIENCE_NS {
                self.check_live()?;
            }
            if waited_ns > ANSWER_LIMIT_NS {
                return Ok(None);
            }
        }
    }

    /// Whether a queue that has left a request without an answer answers a plain one behind it:
    /// only then was it that request that the device dropped.
    fn answers_the_next(&mut self, queue: Queue) -> Result<bool, Trouble> {
        let Some(created) =
            self.send_beside(Queue::Control, &self.framing.create(CREATE, &[7; 16]))?
        else {
            return Ok(false);
        };
        if queue == Queue::Control {
            return Ok(true);
        }
        let id = session_id(&created.written());
        let encryption =
            self.framing
                .data(&head(&[&id_words(id), ENCRYPT].concat()), &IV_AND_BLOCK, 16);
        Ok(self.send_beside(queue, &encryption)?.is_some())
    }

    /// Sends a request behind one that has no answer yet; `None` when it has none either in time.
    fn send_beside(&mut self, queue: Queue, parts: &[Part]) -> Result<Option<Chain>, Trouble> {
        let ring = self.ring(queue)?;
        let head = ring.second_head();
        let chain = ring.publish(head, parts);
        match self.wait(queue)? {
            Some((id, _)) if id == u32::from(head) => Ok(Some(chain)),
            Some((0, _)) => Err(Trouble::Late),
            Some((id, _)) => Err(Trouble::WrongId(id)),
            None => Ok(None),
        }
    }
}
