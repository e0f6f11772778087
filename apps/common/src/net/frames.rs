//! The device's two queues, and the buffers of frames.
//!
//! # Invariant
//!
//! *Owned*: a buffer belongs to the device from `add` until `pop_used` of the same token, and to
//! this room otherwise. It is never freed, and neither are the queues.
#![expect(unsafe_code, reason = "buffers that the device reads and writes")]

use alloc::boxed::Box;
use core::{
    array,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering, fence},
};

use kernel::{platform::KernelPlatform, sync::SpinLock};
use smoltcp::{
    phy::{self, DeviceCapabilities, Medium},
    time::Instant,
};
use virtio_drivers::{
    queue::VirtQueue,
    transport::{Transport, pci::PciTransport},
};

/// Descriptors of a queue; a frame takes one.
pub const QUEUE_LEN: usize = 64;
/// The queues' numbers (5.1.2).
pub const RECEIVE: u16 = 0;
/// The other one.
pub const TRANSMIT: u16 = 1;
/// What stands before a frame (5.1.6): all zeros here, and nothing that is looked at.
const HEADER_LEN: usize = 12;
/// A frame of Ethernet without its checksum.
const FRAME_LEN: usize = 1514;

pub type Queue = VirtQueue<KernelPlatform, QUEUE_LEN>;
type Buffer = [u8; HEADER_LEN + FRAME_LEN];

/// How many frames there were.
#[derive(Debug, Default)]
pub struct Counts {
    pub received: AtomicU64,
    pub sent: AtomicU64,
}

/// One direction.
struct Half {
    queue: Queue,
    number: u16,
    /// Leaked: only references would say that nobody else writes to them.
    buffers: [NonNull<Buffer>; QUEUE_LEN],
    /// Which buffer a descriptor has, and how many of its bytes.
    by_token: [Option<(usize, usize)>; QUEUE_LEN],
    /// A buffer has been added that the device may not know of.
    is_kick_due: bool,
}

/// Both directions, as `smoltcp` wants them.
pub struct Frames {
    transport: &'static SpinLock<PciTransport>,
    counts: &'static Counts,
    receiving: Half,
    sending: Half,
    /// Buffers that may be filled.
    free: [Option<usize>; QUEUE_LEN],
    is_full: bool,
    is_broken: bool,
}

// SAFETY: its pointers are to memory that is its own alone, from any CPU.
unsafe impl Send for Frames {}

impl Half {
    fn new(queue: Queue, number: u16) -> Self {
        let buffer = |_| NonNull::from(Box::leak(Box::new([0; HEADER_LEN + FRAME_LEN])));
        Self {
            queue,
            number,
            buffers: array::from_fn(buffer),
            by_token: [None; QUEUE_LEN],
            is_kick_due: false,
        }
    }

    /// Gives the device the first bytes of a buffer, to write into or to read.
    fn add(&mut self, slot: usize, len_bytes: usize) {
        // SAFETY: *Owned*: the slot is none of the device's.
        let buffer = &mut unsafe { self.buffers[slot].as_mut() }[..len_bytes];
        // SAFETY: *Owned*: it stays where it is, and is not looked at before the token is popped.
        let added = unsafe {
            match self.number {
                RECEIVE => self.queue.add(&[], &mut [buffer]),
                _ => self.queue.add(&[buffer], &mut []),
            }
        };
        // There is a descriptor for every buffer.
        if let Some(by_token) = added
            .ok()
            .and_then(|t| self.by_token.get_mut(usize::from(t)))
        {
            *by_token = Some((slot, len_bytes));
            self.is_kick_due = true;
        }
    }

    /// Takes back the next buffer that the device has used, and how many bytes it says it wrote.
    /// `None` as an error: the device has used what it did not have.
    fn pop(&mut self, token: u16) -> Option<(usize, usize)> {
        let (slot, len_bytes) = self.by_token.get_mut(usize::from(token))?.take()?;
        // SAFETY: *Owned*: the device has used it, so it has let go of it.
        let buffer = &mut unsafe { self.buffers[slot].as_mut() }[..len_bytes];
        // SAFETY: what it was added with.
        let popped = unsafe {
            match self.number {
                RECEIVE => self.queue.pop_used(token, &[], &mut [buffer]),
                _ => self.queue.pop_used(token, &[buffer], &mut []),
            }
        };
        Some((slot, popped.ok()? as usize))
    }

    /// Tells the device of the buffers that were added.
    fn kick(&mut self, transport: &SpinLock<PciTransport>) {
        if !core::mem::take(&mut self.is_kick_due) {
            return;
        }
        // The device sees the buffers before its wish for kicks is read: the queue has no such
        // fence. Pairs with the device's, between its wish and its last look at the ring.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            transport.with(|transport| transport.notify(self.number));
        }
    }
}

impl Frames {
    /// Takes the device's queues, and gives it buffers for frames that come.
    pub fn new(
        transport: &'static SpinLock<PciTransport>,
        counts: &'static Counts,
        receive: Queue,
        transmit: Queue,
    ) -> Self {
        let mut receiving = Half::new(receive, RECEIVE);
        for slot in 0..QUEUE_LEN {
            receiving.add(slot, HEADER_LEN + FRAME_LEN);
        }
        let mut sending = Half::new(transmit, TRANSMIT);
        // What has been sent is taken back when there is something else to send.
        sending.queue.set_dev_notify(false);
        let mut frames = Self {
            transport,
            counts,
            receiving,
            sending,
            free: array::from_fn(Some),
            is_full: false,
            is_broken: false,
        };
        frames.kick();
        frames
    }

    /// Tells the device what there is for it.
    pub fn kick(&mut self) {
        self.receiving.kick(self.transport);
        self.sending.kick(self.transport);
    }

    /// Whether the device has used what it did not have. It is used no more then.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether there was no buffer for a frame; the device interrupts when there is one.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes back what the device has sent. Returns a free buffer.
    fn room(&mut self) -> Option<usize> {
        self.reclaim();
        let mut slot = self.first_free();
        if self.is_full != slot.is_none() {
            self.is_full = slot.is_none();
            self.sending.queue.set_dev_notify(self.is_full);
            if self.is_full {
                // The wish is seen before the last look. Pairs with the device's fence, between
                // what it has used and its look at the wish.
                fence(Ordering::SeqCst);
                self.reclaim();
                slot = self.first_free();
            }
        }
        slot.filter(|_| !self.is_broken)
    }

    fn first_free(&self) -> Option<usize> {
        self.free.iter().flatten().next().copied()
    }

    fn reclaim(&mut self) {
        while let Some(token) = self.sending.queue.peek_used() {
            let Some((slot, _)) = self.sending.pop(token) else {
                self.is_broken = true;
                return;
            };
            self.free[slot] = Some(slot);
        }
    }
}

/// A frame that has come.
pub struct Received<'f> {
    half: &'f mut Half,
    counts: &'f Counts,
    is_broken: &'f mut bool,
    token: u16,
}

/// Room for a frame that goes.
pub struct ToSend<'f> {
    half: &'f mut Half,
    counts: &'f Counts,
    free: &'f mut Option<usize>,
}

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let Some((slot, len_bytes)) = self.half.pop(self.token) else {
            *self.is_broken = true;
            return f(&[]);
        };
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        // SAFETY: *Owned*: popped, and not added again before `f` has done with it.
        let buffer = unsafe { self.half.buffers[slot].as_ref() };
        // A device that says more than there is has written no more.
        let end = len_bytes.min(buffer.len());
        let result = f(buffer.get(HEADER_LEN..end).unwrap_or(&[]));
        self.half.add(slot, HEADER_LEN + FRAME_LEN);
        result
    }
}

impl phy::TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len_bytes: usize, f: F) -> R {
        let Some(slot) = self.free.take() else {
            unreachable!("a token is a free buffer");
        };
        // SAFETY: *Owned*: the slot is free.
        let buffer = unsafe { self.half.buffers[slot].as_mut() };
        let end = HEADER_LEN + len_bytes;
        buffer[..HEADER_LEN].fill(0);
        let result = f(&mut buffer[HEADER_LEN..end]);
        self.half.add(slot, end);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        result
    }
}

impl phy::Device for Frames {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, ToSend<'_>)> {
        // What has come may want an answer.
        let slot = self.room()?;
        let token = self.receiving.queue.peek_used()?;
        let received = Received {
            half: &mut self.receiving,
            counts: self.counts,
            is_broken: &mut self.is_broken,
            token,
        };
        let to_send = ToSend {
            half: &mut self.sending,
            counts: self.counts,
            free: &mut self.free[slot],
        };
        Some((received, to_send))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_>> {
        let slot = self.room()?;
        Some(ToSend {
            half: &mut self.sending,
            counts: self.counts,
            free: &mut self.free[slot],
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_LEN;
        capabilities
    }
}
