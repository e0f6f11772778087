//! Slots of PCI Express in which functions leave and come while the machine runs.
//!
//! For the test in which a device leaves and comes back; no program here waits for one. Registers
//! and their order are those of PCI Express Base 6.0, 6.7 and 7.5.3; ranges of addresses those of
//! PCI Local Bus 3.0, 6.2.5. The one rule: a function in a slot is touched only while the slot has
//! power.

use alloc::vec::Vec;

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

use crate::bus::pci::{Access, Found, enumerate};

/// The capability of PCI Express, and its registers for a slot.
const EXPRESS: u8 = 0x10;
const SLOT_CAPABILITIES: u8 = 0x14;
/// The control register, with the status above it.
const SLOT_CONTROL: u8 = 0x18;

/// Of the capabilities: the slot is one in which functions leave and come.
const HOT_PLUG: u32 = 1 << 6;
/// Of the control register: the power indicator, and the switch.
const INDICATOR: u32 = 3 << 8;
const INDICATOR_ON: u32 = 1 << 8;
const INDICATOR_OFF: u32 = 3 << 8;
const POWER_OFF: u32 = 1 << 10;
/// Of the status: events, which a written 1 clears, and whether something is there.
const EVENTS: u32 = 0x1f << 16;
const PRESSED: u32 = 1 << 16;
const OCCUPIED: u32 = 1 << 22;

const STATUS: u8 = 0x04;
const HAS_CAPABILITIES: u32 = 1 << 20;
const FIRST_CAPABILITY: u8 = 0x34;
const HEADER: u8 = 0x0c;
const BUSES: u8 = 0x18;
/// A bridge's window into memory, in units of 1 MiB.
const WINDOW: u8 = 0x20;
const BARS: core::ops::Range<u8> = 0x10..0x28;
const LINE: u8 = 0x3c;

/// A slot.
#[derive(Debug)]
pub struct Slot {
    access: Access,
    port: DeviceFunction,
    /// Where the port's capability of PCI Express lies.
    express: u8,
    /// The interrupt line that the firmware gave what was in the slot. The wire stays the same.
    line: u8,
}

/// A range of addresses that a function decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    bar: u8,
    is_wide: bool,
    len_bytes: u64,
}

impl Slot {
    /// Returns the slot that a function is in, if it is in one.
    pub fn of(access: Access, function: DeviceFunction) -> Option<Self> {
        let leads_there = |found: &Found| {
            let is_bridge = access.read_word(found.function, HEADER) >> 16 & 0x7f == 1;
            let secondary = access.read_word(found.function, BUSES) >> 8;
            is_bridge && secondary as u8 == function.bus
        };
        let port = enumerate(&access).into_iter().find(leads_there)?.function;
        let express = capability(&access, port, EXPRESS)?;
        let can = access.read_word(port, express + SLOT_CAPABILITIES);
        (can & HOT_PLUG != 0).then_some(Self {
            access,
            port,
            express,
            line: access.read_word(function, LINE) as u8,
        })
    }

    /// Tells whether something is in it.
    pub fn is_occupied(&self) -> bool {
        self.control() & OCCUPIED != 0
    }

    /// Tells whether somebody wants what is in it to leave, or has put something in: whether the
    /// button was pressed since this was last asked.
    pub fn is_pressed(&mut self) -> bool {
        let control = self.control();
        self.write(control);
        control & PRESSED != 0
    }

    /// Switches it off. What was in it may be taken out.
    pub fn switch_off(&mut self) {
        let control = self.control() & !INDICATOR;
        self.write(control | POWER_OFF | INDICATOR_OFF);
    }

    /// Switches it on, and gives `function` ranges of addresses behind the port, and its interrupt
    /// line. `None` where it does not answer, or where its ranges have no room.
    pub fn switch_on(&mut self, function: DeviceFunction) -> Option<()> {
        let control = self.control() & !INDICATOR & !POWER_OFF;
        self.write(control | INDICATOR_ON);
        if self.access.read_word(function, 0) as u16 == 0xffff {
            return None;
        }
        self.access.write_word(function, LINE, self.line.into());
        let mut ranges = self.ranges(function);
        // The largest first: then each begins where it has to, without a gap.
        ranges.sort_unstable_by_key(|range| core::cmp::Reverse(range.len_bytes));
        let (mut next, end) = self.window();
        for range in ranges {
            let start = next.next_multiple_of(range.len_bytes);
            next = start.checked_add(range.len_bytes)?;
            if next > end {
                return None;
            }
            self.access.write_word(function, range.bar, start as u32);
            if range.is_wide {
                let high = (start >> 32) as u32;
                self.access.write_word(function, range.bar + 4, high);
            }
        }
        Some(())
    }

    /// Returns control and status.
    fn control(&self) -> u32 {
        self.access
            .read_word(self.port, self.express + SLOT_CONTROL)
    }

    /// Writes the control register; the events among these bits are over.
    fn write(&mut self, control: u32) {
        let kept = control & (EVENTS | 0xffff);
        let register = self.express + SLOT_CONTROL;
        self.access.write_word(self.port, register, kept);
    }

    /// Returns the addresses that the port passes on, and their end.
    fn window(&self) -> (u64, u64) {
        let [base, limit] = {
            let word = self.access.read_word(self.port, WINDOW);
            [word as u16, (word >> 16) as u16].map(|half| u64::from(half & 0xfff0) << 16)
        };
        (base, limit + (1 << 20))
    }

    /// Asks a function that decodes nothing yet which ranges of memory it needs.
    fn ranges(&mut self, function: DeviceFunction) -> Vec<Range> {
        const IO: u32 = 1;
        const WIDE: u32 = 4;
        let mut ranges = Vec::new();
        let mut bar = BARS.start;
        while BARS.contains(&bar) {
            self.access.write_word(function, bar, u32::MAX);
            let answer = self.access.read_word(function, bar);
            let is_wide = answer & (IO | WIDE) == WIDE;
            if answer & IO == 0 && answer != 0 {
                let len_bytes = u64::from(!(answer & !0xf)) + 1;
                ranges.push(Range {
                    bar,
                    is_wide,
                    len_bytes,
                });
            }
            bar += if is_wide { 8 } else { 4 };
        }
        ranges
    }
}

/// Finds a function's capability.
fn capability(access: &Access, function: DeviceFunction, id: u8) -> Option<u8> {
    if access.read_word(function, STATUS) & HAS_CAPABILITIES == 0 {
        return None;
    }
    let mut at = access.read_word(function, FIRST_CAPABILITY) as u8 & !3;
    // No list is longer than configuration space has room for.
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        let [found, next, ..] = access.read_word(function, at).to_le_bytes();
        if found == id {
            return Some(at);
        }
        at = next & !3;
    }
    None
}
