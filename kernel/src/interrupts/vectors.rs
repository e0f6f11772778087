//! Which interrupt vectors are free, and the messages that raise those that are given out.
//!
//! For rooms that drive a device that interrupts. The one rule: what a device or a pin raises is a
//! [`Vector`], and only [`allocate`] makes one, so it is never an exception's or the kernel's own.

use alloc::vec::Vec;
use core::fmt;

use crate::{
    cpu,
    interrupts::idt::{self, Handler},
    sync::SpinLock,
};

/// Vectors below are exceptions; the next 16 are where the 8259s are parked.
const FIRST: u8 = 0x30;
/// The local APIC's own vectors and the parked 8259s' begin here.
const END: u8 = 0xe0;
const COUNT: usize = (END - FIRST) as usize;

/// Which are given out, from the first on.
static TAKEN: SpinLock<[bool; COUNT]> = SpinLock::new("vectors", [false; COUNT]);

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
        let left = self.left;
        write!(f, "{left} of {COUNT} interrupt vectors are left")
    }
}

/// Gives out a vector that calls `handler`.
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
    let mut vectors = Vec::with_capacity(count.min(COUNT));
    TAKEN.with(|taken| {
        let left = count_left(taken);
        if count > left {
            return Err(NoVector { left });
        }
        let free = (FIRST..END).zip(taken).filter(|(_, taken)| !**taken);
        for (vector, taken) in free.take(count) {
            *taken = true;
            // There is room: nothing is allocated here.
            vectors.push(vector);
        }
        Ok(())
    })?;
    for (place, vector) in vectors.iter().enumerate() {
        idt::set_handler(*vector, handler_of(place));
    }
    Ok(vectors.into_iter().map(Vector))
}

/// Takes a vector back, for the next that wants one. What raised it is silent: a message that comes
/// after all is one that nobody expects, or the next owner's.
pub fn give_back(vector: Vector) {
    idt::remove_handler(vector.0);
    let was_taken = TAKEN.with(|taken| {
        let place = taken.get_mut(usize::from(vector.0 - FIRST));
        place.is_some_and(core::mem::take)
    });
    assert!(was_taken, "vector {} is given back twice", vector.0);
}

/// Returns how many are left.
pub fn left() -> usize {
    TAKEN.with(|taken| count_left(taken))
}

fn count_left(taken: &[bool]) -> usize {
    taken.iter().filter(|taken| !**taken).count()
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
