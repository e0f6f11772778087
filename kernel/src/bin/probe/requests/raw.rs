//! The device without the driver: rings filled by hand, so that requests can be sent that the
//! driver's safe API cannot express. The rings are polled; interrupts are a subject of their own.
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
use virtio_crypto::transport::Transport;

use crate::requests::{
    chain::{Chain, Part, UNWRITTEN},
    features::REVISION_1,
    framing::Framing,
    ids::{Session, session_id},
    layout::Layout,
    ring::Ring,
    statuses::Statuses,
    trouble::{Silences, Trouble},
    words::{CREATE, ENCRYPT, Form, IV_AND_BLOCK},
};

const ANSWER_LIMIT_NS: u64 = 2_000_000_000;
/// How long a request has been on its way when its registers are looked at for the first time.
const PATIENCE_NS: u64 = 10_000_000;

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

/// The queues of a device that is live.
#[derive(Debug)]
pub struct Rings {
    pub data: Vec<Ring>,
    pub control: Ring,
}

/// The device, live.
pub struct Raw {
    pub transport: Box<dyn Transport>,
    /// None before the device is set up, and once it has been left alone.
    pub(super) rings: Option<Rings>,
    /// Features that a life begins with, where they are offered.
    pub(super) features: u64,
    /// Queues have vectors in this life.
    pub(super) is_wired: bool,
    /// Features of this life.
    pub negotiated: u64,
    /// Sessions of this life that are open, with what ends each.
    pub sessions: Vec<(Session, u32)>,
    pub life: u32,
    /// How requests are cut into descriptors.
    pub framing: Framing,
    /// What is being tried, for the line that tells where the device broke.
    pub step: String,
    /// Why it is left alone, and since which step.
    pub stopped: Option<(Trouble, String)>,
    /// Steps at which it asked for a reset.
    pub resets_asked: Vec<String>,
    pub silences: Silences,
    /// Sessions that were open when a life ended, and that may still be: a reset need not end them.
    pub left_behind: usize,
    /// Whether any answer was longer than what was writable.
    pub overlong: Option<u32>,
    /// Whether what is only to be read was ever written.
    pub has_written_readable: bool,
    /// Every status that was answered.
    pub statuses: Statuses,
}

impl Raw {
    /// Takes over a device in whatever state.
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            rings: None,
            features: 0,
            is_wired: false,
            negotiated: 0,
            sessions: Vec::new(),
            life: 0,
            framing: Framing::Fields,
            step: String::new(),
            stopped: None,
            resets_asked: Vec::new(),
            silences: Silences::default(),
            left_behind: 0,
            overlong: None,
            has_written_readable: false,
            statuses: Statuses::default(),
        }
    }

    /// Returns how many data queues have been set up.
    pub fn data_queues(&self) -> u16 {
        self.rings
            .as_ref()
            .map_or(0, |rings| rings.data.len() as u16)
    }

    /// Returns how long headers are in this life.
    pub fn form(&self) -> Form {
        if self.negotiated & REVISION_1 == 0 {
            Form::Padded
        } else {
            Form::Exact
        }
    }

    /// Tells whether a request that is read and written fits into every ring, as far as there are
    /// rings.
    pub fn has_room(&self) -> bool {
        let rings = self.rings.iter();
        let mut rings = rings.flat_map(|rings| rings.data.iter().chain([&rings.control]));
        rings.all(|ring| ring.size() >= 2)
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
    pub fn start_anew(&mut self, trouble: Trouble) {
        let kind = if self.silences.count(trouble) {
            "silent"
        } else {
            "broke"
        };
        println!("probe: {kind}={trouble} step={}", self.step);
        if trouble == Trouble::NeedsReset {
            self.resets_asked.push(self.step.clone());
        }
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
    /// But for a trouble that is ours, this life of the device has ended.
    pub fn send(&mut self, queue: Queue, parts: &[Part]) -> Result<Answer, Trouble> {
        self.send_laid(queue, parts, Layout::Direct)
    }

    /// Like [`send`](Self::send), with descriptors that lie in one of these ways.
    pub fn send_laid(
        &mut self,
        queue: Queue,
        parts: &[Part],
        layout: Layout,
    ) -> Result<Answer, Trouble> {
        match self.exchange(queue, parts, layout) {
            Ok((chain, used_bytes)) => Ok(self.note_answer(&chain, used_bytes)),
            Err(trouble) if trouble.is_ours() => Err(trouble),
            Err(trouble) => {
                self.start_anew(trouble);
                Err(trouble)
            }
        }
    }

    /// Takes an answer from memory, and note of what it shows of the device.
    pub fn note_answer(&mut self, chain: &Chain, used_bytes: u32) -> Answer {
        let written = chain.written();
        if used_bytes as usize > written.len() {
            self.overlong = Some(used_bytes);
        }
        self.has_written_readable |= !chain.is_intact();
        Answer {
            used_bytes,
            written,
        }
    }

    fn exchange(
        &mut self,
        queue: Queue,
        parts: &[Part],
        layout: Layout,
    ) -> Result<(Chain, u32), Trouble> {
        let ring = self.ring_for(queue, parts.len())?;
        let head = ring.head(0, parts.len());
        let chain = ring.publish(head, parts, layout);
        match self.wait(queue)? {
            Some((id, used_bytes)) if id == u32::from(head) => Ok((chain, used_bytes)),
            Some((id, _)) => Err(Trouble::WrongId(id)),
            None if self.answers_the_next(queue)? => Err(Trouble::Dropped),
            None => Err(Trouble::NeverAnswered),
        }
    }

    pub fn ring(&mut self, queue: Queue) -> Result<&mut Ring, Trouble> {
        let rings = self.rings.as_mut().ok_or(Trouble::NotTried)?;
        match queue {
            Queue::Data(index) => {
                let ring = rings.data.get_mut(usize::from(index));
                ring.ok_or(Trouble::NotTried)
            }
            Queue::Control => Ok(&mut rings.control),
        }
    }

    /// Returns a ring that has room for a chain of so many descriptors.
    pub fn ring_for(&mut self, queue: Queue, descriptors: usize) -> Result<&mut Ring, Trouble> {
        let ring = self.ring(queue)?;
        match descriptors <= usize::from(ring.size()) {
            true => Ok(ring),
            false => Err(Trouble::NoRoom),
        }
    }

    /// Takes the queues away from a device that is to be reset, to see what becomes of them.
    pub fn take_rings(&mut self) -> Option<Rings> {
        self.rings.take()
    }

    /// Waits for the next used element of a queue; `None` when it does not come in time.
    pub fn wait(&mut self, queue: Queue) -> Result<Option<(u32, u32)>, Trouble> {
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
        let create = self.control_parts(CREATE, &[7; 16]);
        let Some(created) = self.send_beside(Queue::Control, &create)? else {
            return Ok(false);
        };
        if queue == Queue::Control {
            return Ok(true);
        }
        let session = Session {
            id: session_id(&created.written()),
            life: Some(self.life),
        };
        let encryption = self.data_parts(session, ENCRYPT, &IV_AND_BLOCK, 16);
        Ok(self.send_beside(queue, &encryption)?.is_some())
    }

    /// Sends a request behind one that has no answer yet; `None` when it has none either in time.
    fn send_beside(&mut self, queue: Queue, parts: &[Part]) -> Result<Option<Chain>, Trouble> {
        let ring = self.ring_for(queue, parts.len())?;
        let (first, wanted) = (0, ring.second_head());
        let head = ring.head(wanted, parts.len());
        let chain = ring.publish(head, parts, Layout::Direct);
        match self.wait(queue)? {
            Some((id, _)) if id == u32::from(head) => Ok(Some(chain)),
            Some((id, _)) if id == first => Err(Trouble::Late),
            Some((id, _)) => Err(Trouble::WrongId(id)),
            None => Ok(None),
        }
    }
}
