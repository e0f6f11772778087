//! What interrupts a CPU: the table of vectors, and the controllers that raise them.

pub mod apic;
pub mod idt;
pub mod ioapic;
pub(crate) mod tables;
pub mod vectors;
