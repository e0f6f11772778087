//! A small SMP kernel: everything a machine needs before the driver can run on it.
//!
//! A program declares its entry with [`entry!`] or [`tests!`]; [`start::init`] has run by
//! then.
//!
//! # Rooms
//!
//! From the top down. A room imports from rooms below it, and files of one room import each other
//! in one direction, too.
//!
//! ```text
//! bin/          programs: the demonstration, the probe; beside them tests/ and benches/
//! bench/        loads, and what they are measured with
//! testing/      what tests run in: names, a watchdog, closing lines
//! start         brings the machine up, room by room
//! crypto/       crypto devices: opening, their interrupts, watching, halt polling
//! platform      what the driver is given
//! smp           starts further CPUs
//! task/         the executor: one run queue a CPU, and a sleep that no wake falls through
//! time/         the clock, the timer, and what they are measured against
//! interrupts/   descriptor tables, vectors, the local APIC, the I/O APIC
//! bus/          ACPI tables, PCI
//! command_line  the words after `-append`
//! boot/         from the first instruction to the program's entry
//! memory/       where things are, frames, page tables, heap, device registers
//! exit          how a run ends, and fails
//! console       the serial line and the log
//! sync          the lock
//! cpu/          a CPU's number, counter and ports
//! ```
//!
//! `platform`, `crypto` and `bench` know the driver; the others do not. What a room below has
//! to call, it is given: the executor by halt polling, the end of a run by the tests.
//!
//! # Unsafe
//!
//! Code that the compiler cannot check stands in `cpu`, `sync`, `memory`, `boot`, `interrupts` and
//! `platform`. Where another makes a promise (`bus/pci`, `crypto/open`), the promise alone
//! is marked. Each room says its invariant once.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod bench;
pub mod boot;
pub mod bus;
pub mod command_line;
pub mod console;
pub mod cpu;
pub mod crypto;
pub mod exit;
pub mod interrupts;
pub mod memory;
pub mod platform;
pub mod smp;
pub mod start;
pub mod sync;
pub mod task;
pub mod testing;
pub mod time;
