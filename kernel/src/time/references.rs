//! What the TSC can be measured against: counters whose rate is known, and what the CPU says of
//! itself. Which of them a machine has, and which of those can be believed, nobody knows before.
//!
//! For [`calibration`](mod@crate::time::calibration). The one rule: a reference only counts; which
//! one is right is decided there.

use core::{
    arch::x86_64::{__cpuid, __cpuid_count},
    fmt,
};

use alloc::vec::Vec;

use crate::{
    bus::acpi::{PmTimer, Tables},
    cpu::{self, ports},
    interrupts::apic,
    memory::{self, Registers},
};

/// The source of a rate of the TSC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// CPUID, leaves 0x15 and 0x16 (Intel SDM volume 3, 19.7.3).
    Cpuid,
    /// The hypervisor's leaf 0x40000010.
    Hypervisor,
    /// The ACPI power management timer (ACPI 6.5, 4.8.3.3).
    PmTimer,
    /// The high precision event timer (IA-PC HPET 1.0a).
    Hpet,
    /// Channel 2 of the PC's interval timer.
    Pit,
}

impl Reference {
    /// Tells whether it is a counter, which time has to pass for.
    pub fn is_measured(self) -> bool {
        !matches!(self, Self::Cpuid | Self::Hypervisor)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpuid => "CPUID",
            Self::Hypervisor => "hypervisor",
            Self::PmTimer => "PM-timer",
            Self::Hpet => "HPET",
            Self::Pit => "PIT",
        })
    }
}

/// A rate of the TSC that the machine tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) reference: Reference,
    pub(crate) hz: u64,
    pub(crate) error_ppm: u64,
}

/// Returns what CPUID says, the hypervisor's leaf included.
pub(crate) fn told() -> Vec<Told> {
    let mut told = Vec::new();
    let mut add = |reference, hz, error_ppm| {
        if hz > 0 {
            told.push(Told {
                reference,
                hz,
                error_ppm,
            });
        }
    };
    let last = __cpuid(0).eax;
    if last >= 0x15 {
        let leaf = __cpuid_count(0x15, 0);
        let (denominator, numerator) = (u64::from(leaf.eax), u64::from(leaf.ebx));
        let hz = u64::from(leaf.ecx) * numerator;
        add(
            Reference::Cpuid,
            hz.checked_div(denominator).unwrap_or(0),
            0,
        );
    }
    if last >= 0x16 {
        // The base frequency, in whole MHz: the TSC's, but for what was rounded.
        let mhz = u64::from(__cpuid_count(0x16, 0).eax & 0xffff);
        add(Reference::Cpuid, mhz * 1_000_000, 5_000);
    }
    let is_guest = __cpuid(1).ecx & 1 << 31 != 0;
    if is_guest && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let khz = u64::from(__cpuid(0x4000_0010).eax);
        add(Reference::Hypervisor, khz * 1_000, 0);
    }
    told
}

/// The power management timer's rate.
const PM_TIMER_HZ: u64 = 3_579_545;
/// The interval timer's rate.
const PIT_HZ: u64 = 1_193_182;

/// Femtoseconds of a second, in which the HPET tells its period, and the longest that it may be.
const FS_PER_S: u64 = 1_000_000_000_000_000;
const MAX_HPET_PERIOD_FS: u32 = 100_000_000;
// The HPET's registers. Each 32-bit half can be read alone.
const HPET_PERIOD: u64 = 0x04;
const HPET_CONFIGURATION: u64 = 0x10;
const HPET_COUNTER: u64 = 0xf0;
const HPET_ENABLE: u32 = 1;

/// Of [`ports::PIT_GATE`]: the output of channel 2.
const PIT_OUT: u8 = 1 << 5;

/// How a counter is read.
#[derive(Debug)]
enum Counting {
    /// Its port.
    PmTimer(u16),
    Hpet(Registers),
    Pit,
    LocalApic,
}

/// A counter of the machine's.
#[derive(Debug)]
pub(crate) struct Counter {
    by: Counting,
    /// Ticks a second; 0 where nobody knows.
    pub(crate) hz: u64,
    /// It begins anew after so many bits.
    bits: u32,
}

/// A counter's value, and when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    value: u64,
    /// The TSC in the middle of the reading.
    pub(crate) at: u64,
    /// TSC ticks that the reading took: the value is from some moment of these.
    pub(crate) width: u64,
}

impl Counter {
    /// Returns the counters that `tables` name, and the interval timer, whether it is there or not.
    pub(crate) fn all(tables: &Tables) -> Vec<Self> {
        let hpet = tables.hpet.and_then(Self::hpet);
        let pm_timer = tables.pm_timer.map(Self::pm_timer);
        let pit = Self {
            by: Counting::Pit,
            hz: PIT_HZ,
            bits: 16,
        };
        pm_timer.into_iter().chain(hpet).chain([pit]).collect()
    }

    fn pm_timer(timer: PmTimer) -> Self {
        Self {
            by: Counting::PmTimer(timer.port),
            hz: PM_TIMER_HZ,
            bits: if timer.has_32_bits { 32 } else { 24 },
        }
    }

    fn hpet(address: u64) -> Option<Self> {
        let registers = memory::map_own_registers(address, 0x400)?;
        let period_fs = registers.read(HPET_PERIOD);
        (1..=MAX_HPET_PERIOD_FS).contains(&period_fs).then(|| Self {
            by: Counting::Hpet(registers),
            hz: FS_PER_S / u64::from(period_fs),
            bits: 32,
        })
    }

    /// The local APIC's timer, whose rate is to be found out too.
    pub(crate) fn local_apic() -> Self {
        Self {
            by: Counting::LocalApic,
            hz: 0,
            bits: 32,
        }
    }

    /// Returns whose it is; `None` for the local APIC's, which is no reference.
    pub(crate) fn reference(&self) -> Option<Reference> {
        match self.by {
            Counting::PmTimer(_) => Some(Reference::PmTimer),
            Counting::Hpet(_) => Some(Reference::Hpet),
            Counting::Pit => Some(Reference::Pit),
            Counting::LocalApic => None,
        }
    }

    /// Lets it count; one that counts once begins anew.
    pub(crate) fn start(&mut self) {
        match self.by {
            Counting::PmTimer(_) => {}
            Counting::Hpet(registers) => enable_hpet(registers, true),
            Counting::Pit => start_pit(),
            Counting::LocalApic => apic::start_count(),
        }
    }

    /// Leaves it as it was.
    pub(crate) fn stop(&mut self) {
        match self.by {
            Counting::PmTimer(_) => {}
            Counting::Hpet(registers) => enable_hpet(registers, false),
            Counting::Pit => gate_pit(false),
            Counting::LocalApic => apic::start_timer(0),
        }
    }

    /// Reads it; `None` when it has counted to its end, or is not there.
    pub(crate) fn read(&mut self) -> Option<Reading> {
        let before = cpu::ticks_in_order();
        let value = match &mut self.by {
            Counting::PmTimer(port) => Some(u64::from(ports::read_long(*port))),
            Counting::Hpet(registers) => Some(u64::from(registers.read(HPET_COUNTER))),
            Counting::Pit => Some(latch_pit()),
            Counting::LocalApic => Some(u64::from(apic::counted())),
        };
        let after = cpu::ticks_in_order();
        if matches!(self.by, Counting::Pit) && !pit_counts() {
            return None;
        }
        let width = after.wrapping_sub(before);
        Some(Reading {
            value: value?,
            at: before.wrapping_add(width / 2),
            width,
        })
    }

    /// Returns how far it came from one reading to the other.
    pub(crate) fn counted(&self, from: Reading, to: Reading) -> u64 {
        to.value.wrapping_sub(from.value) & ((1 << self.bits) - 1)
    }
}

/// Lets the HPET count or stop. None of its timers is armed: the firmware's are not, and nobody
/// else uses it.
fn enable_hpet(registers: Registers, enable: bool) {
    let others = registers.read(HPET_CONFIGURATION) & !HPET_ENABLE;
    registers.write(HPET_CONFIGURATION, others | u32::from(enable));
}

/// Opens or closes the gate of channel 2; the speaker stays off.
fn gate_pit(open: bool) {
    let others = ports::PIT_GATE.read() & !0b11;
    ports::PIT_GATE.write(others | u8::from(open));
}

/// Tells whether channel 2 is there and has not come to its end, where it goes on from the top: the
/// output is low until then.
fn pit_counts() -> bool {
    ports::PIT_GATE.read() & PIT_OUT == 0
}

/// Lets channel 2 count down from its most.
fn start_pit() {
    gate_pit(false);
    ports::PIT_MODE.write(0xb0); // channel 2, both bytes, interrupt on terminal count
    ports::PIT_CHANNEL_2.write(0xff);
    ports::PIT_CHANNEL_2.write(0xff);
    gate_pit(true);
}

/// Returns how far channel 2 has counted since [`start_pit`].
fn latch_pit() -> u64 {
    // The count is latched, so its two bytes belong together.
    ports::PIT_MODE.write(0x80);
    let bytes = [ports::PIT_CHANNEL_2.read(), ports::PIT_CHANNEL_2.read()];
    u64::from(u16::MAX - u16::from_le_bytes(bytes))
}
