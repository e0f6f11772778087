//! Which interrupt vectors are free, and the messages that raise those that are given out.
//!
//! For rooms that drive a device that interrupts. The one rule: what a device or a pin raises is a
//! [`Vector`], and only [`allocate`] makes one, so it is never an exception's or the kernel's own.

use core::{
    fmt,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{
    cpu,
    interrupts::idt::{self, Handler},
};

/// Vectors below are exceptions; the next 16 are where the 8259s are parked.
const FIRST: u8 = 0x30;
/// The local APIC's own vectors and the parked 8259s' begin here.
const END: u8 = 0xe0;

static NEXT: AtomicU8 = AtomicU8::new(FIRST);

/// A vector that has been given out, with its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector(u8);

impl Vector {
    /// Returns its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// There are not so many vectors left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector {
    /// So many are left.
    pub left: usize,
}

impl fmt::Display for NoVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, all) = (self.left, END - FIRST);
        write!(f, "{left} of {all} interrupt vectors are left")
    }
}

/// Gives out a vector that calls `handler`. Vectors are not given back: a device that leaves keeps
/// its own.
///
/// # Errors
///
/// [`NoVector`] when all are taken.
pub fn allocate(handler: Handler) -> Result<Vector, NoVector> {
    let mut vectors = allocate_all(1, |_| handler)?;
    vectors.next().ok_or(NoVector { left: 0 })
}

/// Gives out so many vectors, of which each calls what `handler_of` its place among them returns;
/// or none, where there are not so many.
///
/// # Errors
///
/// [`NoVector`].
pub fn allocate_all(
    count: usize,
    handler_of: impl Fn(usize) -> Handler,
) -> Result<impl Iterator<Item = Vector>, NoVector> {
    let take = |next: u8| {
        let end = usize::from(next) + count;
        u8::try_from(end).ok().filter(|end| *end <= END)
    };
    let first = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    let first = first.map_err(|next| NoVector {
        left: usize::from(END - next),
    })?;
    let vectors = (first..END).take(count);
    for (place, vector) in vectors.clone().enumerate() {
        idt::set_handler(vector, handler_of(place));
    }
    Ok(vectors.map(Vector))
}

/// Returns how many are left.
pub fn left() -> usize {
    usize::from(END - NEXT.load(Ordering::Relaxed))
}

/// A message that raises a vector: what a device writes, and where. The address is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    address: u64,
    data: u32,
}

impl Message {
    /// Returns the bus address.
    pub fn address(self) -> u64 {
        self.address
    }

    /// Returns what is written there.
    pub fn data(self) -> u32 {
        self.data
    }
}

/// Returns the message that delivers `vector` to the calling CPU. `None` if its local APIC has an
/// id that a message cannot name.
pub fn message_here(vector: Vector) -> Option<Message> {
    message_for(cpu::number(), vector)
}

/// Returns the message that delivers `vector` to CPU `cpu`: fixed delivery, physical destination,
/// edge (Intel SDM volume 3, 12.11). `None` if that is not up, or its local APIC has an id that a
/// message cannot name.
pub fn message_for(cpu: u32, vector: Vector) -> Option<Message> {
    let id = u8::try_from(cpu::apic_id(cpu)?).ok()?;
    Some(Message {
        address: 0xfee0_0000 | u64::from(id) << 12,
        data: vector.0.into(),
    })
}
