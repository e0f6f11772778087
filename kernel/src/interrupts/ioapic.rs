//! The I/O APIC, for a device's INTx pin. The one rule: a pin is masked until its handler is there.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    bus::acpi::{IoApic, Override, Tables},
    interrupts::vectors::Vector,
    memory::{self, Registers},
    sync::SpinLock,
};

/// Select register and window, 16 bytes apart.
const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 0x01;
const FIRST_REDIRECTION: u32 = 0x10;

const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// Why an interrupt cannot be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPin {
    /// The global interrupt that no I/O APIC has.
    pub interrupt: u32,
}

impl fmt::Display for NoPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no I/O APIC has interrupt {}", self.interrupt)
    }
}

/// A pin of an I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    registers: Registers,
    index: u32,
    low: u32,
    high: u32,
}

/// Select and window belong together.
static WINDOWS: SpinLock<()> = SpinLock::new("I/O APIC", ());
static ROUTED: AtomicU64 = AtomicU64::new(0);

fn access(registers: Registers, index: u32, value: Option<u32>) -> u32 {
    WINDOWS.with(|()| {
        registers.write(SELECT, index);
        match value {
            Some(value) => {
                registers.write(WINDOW, value);
                value
            }
            None => registers.read(WINDOW),
        }
    })
}

/// Maps an I/O APIC, and returns its registers and how many pins it has.
fn find(io_apic: &IoApic) -> Option<(Registers, u32)> {
    let registers = memory::map_own_registers(u64::from(io_apic.address), 32)?;
    let pins = (access(registers, VERSION, None) >> 16 & 0xff) + 1;
    Some((registers, pins))
}

/// Masks every pin of every I/O APIC: the firmware's routes are not ours.
pub fn mask_all(tables: &Tables) {
    for io_apic in &tables.io_apics {
        let Some((registers, pins)) = find(io_apic) else {
            log::warn!("no I/O APIC can be at {:#x}", io_apic.address);
            continue;
        };
        for pin in 0..pins {
            access(registers, FIRST_REDIRECTION + 2 * pin, Some(MASKED));
        }
    }
}

/// Finds the pin on which ISA interrupt `line` arrives, routed to `vector` on the CPU with local
/// APIC `id`, and leaves it masked. PCI pins are level triggered; an override says how else.
///
/// # Errors
///
/// [`NoPin`] when no I/O APIC has it.
pub fn route(tables: &Tables, line: u8, vector: Vector, id: u32) -> Result<Pin, NoPin> {
    let found = tables.overrides.iter().find(|entry| entry.isa == line);
    let entry = Override {
        isa: line,
        interrupt: u32::from(line),
        flags: 0,
    };
    let Override {
        interrupt, flags, ..
    } = *found.unwrap_or(&entry);
    for io_apic in &tables.io_apics {
        let Some((registers, pins)) = find(io_apic) else {
            continue;
        };
        let Some(pin) = interrupt
            .checked_sub(io_apic.first_interrupt)
            .filter(|pin| *pin < pins)
        else {
            continue;
        };
        // The chipset's router inverts PCI's active-low pins, unless an override says "low".
        let low = if flags & 0b11 == 0b11 { ACTIVE_LOW } else { 0 };
        let low = low | LEVEL | MASKED | u32::from(vector.number());
        let pin = Pin {
            registers,
            index: FIRST_REDIRECTION + 2 * pin,
            low,
            high: id << 24,
        };
        access(registers, pin.index + 1, Some(pin.high));
        access(registers, pin.index, Some(pin.low));
        ROUTED.fetch_add(1, Ordering::Relaxed);
        return Ok(pin);
    }
    Err(NoPin { interrupt })
}

impl Pin {
    /// Lets the pin through. The device's ISR register has been read by now: a level that was
    /// raised before the route was there is otherwise never delivered.
    pub fn unmask(&self) {
        access(self.registers, self.index, Some(self.low & !MASKED));
    }

    /// Holds the pin back.
    pub fn mask(&self) {
        access(self.registers, self.index, Some(self.low));
    }
}
