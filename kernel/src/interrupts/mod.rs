//! What interrupts a CPU: the table of vectors, and the controllers that raise them.
//!
//! For time, the executor, devices and further CPUs. The one rule: a handler runs with interrupts
//! masked, is short, and takes no lock but those that mask interrupts.
//!
//! # Invariant
//!
//! *Stubs*: every vector leads to its stub, which pushes what its handler reads and comes back by
//! `iretq`, or never. *Registers*: the local APIC's are reached in the mode that `apic::init` has
//! switched on.
#![expect(
    unsafe_code,
    reason = "descriptor tables, their stubs, and the local APIC"
)]

pub mod apic;
pub mod idt;
pub mod ioapic;
pub mod lines;
pub(crate) mod tables;
pub mod vectors;
