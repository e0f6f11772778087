//! The disk's queue, and the slots of its requests.
//!
//! Everything here runs under the disk's lock: nothing is allocated, freed or woken. What is to be
//! is handed to the caller.
//!
//! # Invariant
//!
//! *Owned*: from `add` until `pop_used` of the same token, frame and buffer of a request lie in its
//! slot, and nobody looks at them. A slot is never freed, and neither is the ring.
#![expect(unsafe_code, reason = "buffers that the device reads and writes")]

use alloc::boxed::Box;
use core::{
    array,
    mem::replace,
    ptr::NonNull,
    sync::atomic::{Ordering, fence},
    task::{Poll, Waker},
};

use kernel::platform::KernelPlatform;
use virtio_drivers::{
    queue::VirtQueue,
    transport::{DeviceStatus, Transport, pci::PciTransport},
};

use super::error::{Buffer, DiskError};

/// Descriptors of the queue.
pub const QUEUE_LEN: usize = 64;
/// A request takes three descriptors.
pub const SLOTS: usize = QUEUE_LEN / 3;
/// The one queue that is used.
const QUEUE: u16 = 0;

/// What a request asks for, by its number (5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Read = 0,
    Write = 1,
    Flush = 4,
}

/// What the device finds before and behind a request's buffer.
struct Frame {
    header: [u8; 16],
    status: [u8; 1],
}

struct Slot {
    /// Leaked: only a reference would say that nobody else writes to it.
    frame: NonNull<Frame>,
    state: State,
}

enum State {
    Free,
    InFlight(Request, Option<Waker>),
    Ended(Request),
}

struct Request {
    kind: Kind,
    buffer: Option<Buffer>,
    /// Somebody waits for it.
    is_wanted: bool,
}

/// The queue.
pub struct Ring {
    queue: VirtQueue<KernelPlatform, QUEUE_LEN>,
    transport: PciTransport,
    slots: [Slot; SLOTS],
    /// Which slot's request begins with this descriptor.
    by_token: [Option<usize>; QUEUE_LEN],
    is_broken: bool,
}

// SAFETY: its pointers are to memory that is the ring's alone, from any CPU.
unsafe impl Send for Ring {}

/// What came of an interrupt, for the caller to pass on.
pub struct Drained {
    pub wakers: [Option<Waker>; SLOTS],
    /// Requests have ended that nobody waits for.
    pub has_free_slots: bool,
}

/// Why a request was not sent.
pub enum NotSent {
    NoSlot,
    Because(DiskError),
}

/// What a request ended with.
pub type Answer = (Result<(), DiskError>, Option<Buffer>);

impl Ring {
    /// Makes the ring of a device whose queue is this.
    pub fn new(queue: VirtQueue<KernelPlatform, QUEUE_LEN>, transport: PciTransport) -> Self {
        let slot = |_| {
            let frame = Frame {
                header: [0; 16],
                status: [0],
            };
            Slot {
                frame: NonNull::from(Box::leak(Box::new(frame))),
                state: State::Free,
            }
        };
        Self {
            queue,
            transport,
            slots: array::from_fn(slot),
            by_token: [None; QUEUE_LEN],
            is_broken: false,
        }
    }

    /// Sends a request, unless its buffer comes back.
    pub fn send(
        &mut self,
        kind: Kind,
        first_sector: u64,
        buffer: Option<Buffer>,
    ) -> Result<usize, (NotSent, Option<Buffer>)> {
        if self.is_broken {
            return Err((NotSent::Because(DiskError::Broken), buffer));
        }
        let is_free = |slot: &Slot| matches!(slot.state, State::Free);
        let Some(number) = self.slots.iter().position(is_free) else {
            return Err((NotSent::NoSlot, buffer));
        };
        let slot = &mut self.slots[number];
        // SAFETY: *Owned*: the slot is free, so the device does not have its frame.
        let frame = unsafe { slot.frame.as_mut() };
        frame.header[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        frame.header[8..].copy_from_slice(&first_sector.to_le_bytes());
        let mut request = Request {
            kind,
            buffer,
            is_wanted: true,
        };
        // SAFETY: *Owned*: both stay in the slot until the token is popped.
        let added = request.with_parts(frame, |inputs, outputs| unsafe {
            self.queue.add(inputs, outputs)
        });
        let Some(by_token) = added.ok().and_then(|token| {
            let by_token = self.by_token.get_mut(usize::from(token))?;
            Some(by_token)
        }) else {
            // There are three descriptors for every slot.
            return Err((NotSent::NoSlot, request.buffer));
        };
        *by_token = Some(number);
        slot.state = State::InFlight(request, None);
        // The device sees the request before its wish for kicks is read: the queue has no such
        // fence. Pairs with the device's, between its wish and its last look at the ring.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        Ok(number)
    }

    /// Takes the answer of a request, or has it wake `waker`. The second is a waker to be dropped.
    pub fn poll(&mut self, number: usize, waker: Waker) -> (Poll<Answer>, Option<Waker>) {
        let slot = &mut self.slots[number];
        match replace(&mut slot.state, State::Free) {
            State::Ended(mut request) => {
                // SAFETY: *Owned*: popped, so the device has let go of it.
                let status = unsafe { slot.frame.as_ref() }.status[0];
                let outcome = match status {
                    0 => Ok(()),
                    2 => Err(DiskError::Unsupported),
                    _ => Err(DiskError::Io),
                };
                (Poll::Ready((outcome, request.buffer.take())), Some(waker))
            }
            State::InFlight(request, old) if !self.is_broken => {
                slot.state = State::InFlight(request, Some(waker));
                (Poll::Pending, old)
            }
            // The device may still have the buffer.
            State::InFlight(mut request, old) => {
                request.is_wanted = false;
                slot.state = State::InFlight(request, old);
                let broken = (Err(DiskError::Broken), None);
                (Poll::Ready(broken), Some(waker))
            }
            State::Free => unreachable!("whoever waits has a slot"),
        }
    }

    /// Nobody waits for a request any more. Returns what is to be dropped.
    pub fn forget(&mut self, number: usize) -> (Option<Buffer>, Option<Waker>) {
        let slot = &mut self.slots[number];
        match replace(&mut slot.state, State::Free) {
            State::InFlight(mut request, waker) => {
                request.is_wanted = false;
                slot.state = State::InFlight(request, None);
                (None, waker)
            }
            State::Ended(request) => (request.buffer, None),
            State::Free => (None, None),
        }
    }

    /// Frees a slot whose request has ended for nobody, and returns its buffer to be dropped.
    pub fn take_forgotten(&mut self) -> Option<Option<Buffer>> {
        let is_forgotten = |slot: &&mut Slot| match &slot.state {
            State::Ended(request) => !request.is_wanted,
            _ => false,
        };
        let slot = self.slots.iter_mut().find(is_forgotten)?;
        match replace(&mut slot.state, State::Free) {
            State::Ended(request) => Some(request.buffer),
            _ => None,
        }
    }

    /// Answers the interrupt line, and takes what the device has used.
    pub fn answer_line(&mut self) -> Drained {
        // Reading it lets the line fall. Before the ring is looked at: what comes behind raises it
        // again.
        let is_queue_alone = self.transport.ack_interrupt().bits() & 2 == 0;
        let mut drained = Drained {
            wakers: [const { None }; SLOTS],
            has_free_slots: false,
        };
        // Each slot once at most, whatever the device says.
        for _ in 0..SLOTS {
            let Some(token) = self.queue.peek_used() else {
                break;
            };
            self.pop(token, &mut drained);
            if self.is_broken {
                break;
            }
        }
        if !is_queue_alone {
            let status = self.transport.get_status();
            self.is_broken |= status.contains(DeviceStatus::DEVICE_NEEDS_RESET);
        }
        if self.is_broken {
            self.wake_all(&mut drained);
        }
        drained
    }

    fn pop(&mut self, token: u16, drained: &mut Drained) {
        let by_token = self.by_token.get_mut(usize::from(token));
        let Some(number) = by_token.and_then(Option::take) else {
            self.is_broken = true;
            return;
        };
        let slot = &mut self.slots[number];
        match replace(&mut slot.state, State::Free) {
            State::InFlight(mut request, waker) => {
                // SAFETY: *Owned*: the device has used the request, so it has let go of the frame.
                let frame = unsafe { slot.frame.as_mut() };
                // SAFETY: the same parts as they were added with.
                let popped = request.with_parts(frame, |inputs, outputs| unsafe {
                    self.queue.pop_used(token, inputs, outputs)
                });
                if popped.is_err() {
                    // Not popped after all: the device may still have both.
                    self.is_broken = true;
                    slot.state = State::InFlight(request, waker);
                    return;
                }
                drained.wakers[number] = waker;
                drained.has_free_slots |= !request.is_wanted;
                slot.state = State::Ended(request);
            }
            other => {
                slot.state = other;
                self.is_broken = true;
            }
        }
    }

    fn wake_all(&mut self, drained: &mut Drained) {
        drained.has_free_slots = true;
        for (slot, to_wake) in self.slots.iter_mut().zip(&mut drained.wakers) {
            if let State::InFlight(_, waker) = &mut slot.state
                && let Some(waker) = waker.take()
            {
                *to_wake = Some(waker);
            }
        }
    }
}

impl Request {
    /// Runs `f` on what the device reads and what it writes.
    fn with_parts<R>(
        &mut self,
        frame: &mut Frame,
        f: impl for<'p> FnOnce(&'p [&'p [u8]], &'p mut [&'p mut [u8]]) -> R,
    ) -> R {
        let Frame { header, status } = frame;
        match (self.kind, &mut self.buffer) {
            (Kind::Read, Some(buffer)) => f(&[header], &mut [buffer, status]),
            (_, Some(buffer)) => f(&[header, buffer], &mut [status]),
            (_, None) => f(&[header], &mut [status]),
        }
    }
}
