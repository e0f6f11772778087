//! The ports of the PC's board, and who has them.
//!
//! For the console, the end of a run, timers, the old interrupt controllers and PCI. The one rule:
//! a port is named here, with the room that has it.
//!
//! # Invariant
//!
//! *Board's*: every port below belongs to a device that each PC has at this place, or to nothing.
//! Neither reading nor writing it changes memory that Rust code relies on. What is written to PCI
//! configuration space its room, `bus`, answers for.
//!
//! *Firmware's*: the port of an [`EventPort`] is what ACPI's table says it is, which `bus` answers
//! for.

use uart_16550::{Uart16550, backend::PioBackend};
use x86_64::instructions::port::Port;

/// A port of a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BytePort(u16);

impl BytePort {
    pub(crate) fn read(self) -> u8 {
        // SAFETY: *Board's*.
        unsafe { Port::new(self.0).read() }
    }

    pub(crate) fn write(self, value: u8) {
        // SAFETY: *Board's*.
        unsafe { Port::new(self.0).write(value) }
    }
}

/// A port of four bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongPort(u16);

impl LongPort {
    pub(crate) const fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: *Board's*.
        unsafe { Port::new(self.0).read() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: *Board's*.
        unsafe { Port::new(self.0).write(value) }
    }
}

/// The two 8259s: command and mask of each. For `interrupts`, which silences them.
pub(crate) const PIC_1: (BytePort, BytePort) = (BytePort(0x20), BytePort(0x21));
/// The second one.
pub(crate) const PIC_2: (BytePort, BytePort) = (BytePort(0xa0), BytePort(0xa1));

/// Channel 2 of the interval timer. For `time`.
pub(crate) const PIT_CHANNEL_2: BytePort = BytePort(0x42);
/// The interval timer's mode. For `time`, and for `interrupts`, which stops channel 0.
pub(crate) const PIT_MODE: BytePort = BytePort(0x43);
/// The speaker's port, which gates and shows the interval timer's channel 2. For `time`.
pub(crate) const PIT_GATE: BytePort = BytePort(0x61);

/// QEMU's `isa-debug-exit`, on the machines that `run.sh` starts. For `exit`.
pub(crate) const EXIT: LongPort = LongPort(0xf4);

/// PCI configuration space: which register, and what is in it. For `bus`.
pub(crate) const PCI_ADDRESS: LongPort = LongPort(0xcf8);
/// The register.
pub(crate) const PCI_DATA: LongPort = LongPort(0xcfc);

/// The first serial line. For `console`.
pub(crate) const fn serial_line() -> Uart16550<PioBackend> {
    // SAFETY: *Board's*.
    match unsafe { Uart16550::new_port(0x3f8) } {
        Ok(uart) => uart,
        Err(_) => panic!("COM1 is a valid port"),
    }
}

/// A register of ACPI's fixed events, of two bytes, whose port the firmware names. For `bus`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPort(u16);

impl EventPort {
    /// Names the port, which the firmware's table says is one.
    pub(crate) const fn new(port: u16) -> Self {
        Self(port)
    }

    pub(crate) fn read(self) -> u16 {
        // SAFETY: reading a port, whatever is there, changes no memory.
        unsafe { Port::new(self.0).read() }
    }

    pub(crate) fn write(self, bits: u16) {
        // SAFETY: *Firmware's*: status and enable bits of events, by which no memory changes.
        unsafe { Port::new(self.0).write(bits) }
    }
}

/// Reads a port that the firmware names.
pub(crate) fn read_long(port: u16) -> u32 {
    // SAFETY: reading a port, whatever is there, changes no memory.
    unsafe { Port::new(port).read() }
}
