//! PCI configuration space: in memory where the MCFG table says so, else by the old ports.
//!
//! For the driver, and to find devices. The one rule: a register is reached by one way alone, so
//! address and data of the ports never mix.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

use crate::{
    bus::acpi::Ecam,
    cpu::ports,
    memory::{self, Registers},
    sync::SpinLock,
};

/// A way to configuration space. Copies are independent of each other: in memory every register
/// has its own address, and the ports have a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(Way);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Registers in memory, mapped for good by [`Access::new`].
    Ecam {
        /// From the first bus's part on.
        registers: Registers,
        first_bus: u8,
        last_bus: u8,
    },
    /// Ports 0xCF8 and 0xCFC.
    Ports,
}

/// Address and data belong together.
static PORTS: SpinLock<()> = SpinLock::new("PCI ports", ());

/// Bytes of a bus in ECAM.
const BUS_LEN: u64 = 1 << 20;

impl Access {
    /// By the ports.
    pub const PORTS: Self = Self(Way::Ports);

    /// Maps the space that the MCFG table names, or falls back to the ports.
    pub fn new(ecam: Option<Ecam>) -> Self {
        let Some(Ecam {
            address,
            first_bus,
            last_bus,
        }) = ecam
        else {
            return Self::PORTS;
        };
        let before = u64::from(first_bus) * BUS_LEN;
        let len_bytes = (u64::from(last_bus.saturating_sub(first_bus)) + 1) * BUS_LEN;
        let start = address.checked_add(before);
        match start.and_then(|start| memory::map_own_registers(start, len_bytes as usize)) {
            Some(registers) => Self(Way::Ecam {
                registers,
                first_bus,
                last_bus,
            }),
            None => {
                log::warn!("no PCI configuration space can be at {address:#x}: by the ports");
                Self::PORTS
            }
        }
    }

    /// Returns the buses that devices can be on though no bridge of bus 0's leads there: all that
    /// configuration space has room for, for a host may have several bridges to PCI, and they are
    /// listed nowhere else but in code of the firmware's.
    fn root_buses(&self) -> RangeInclusive<u8> {
        match self.0 {
            Way::Ecam {
                first_bus,
                last_bus,
                ..
            } => first_bus..=last_bus,
            Way::Ports => 0..=u8::MAX,
        }
    }

    /// Returns a function's register in memory: whose it is, and its offset there.
    fn register(&self, function: DeviceFunction, offset: u8) -> Option<(Registers, u64)> {
        let Way::Ecam {
            registers,
            first_bus,
            last_bus,
        } = self.0
        else {
            return None;
        };
        if !(first_bus..=last_bus).contains(&function.bus) {
            return None;
        }
        let place = u64::from(function.bus - first_bus) << 20
            | u64::from(function.device) << 15
            | u64::from(function.function) << 12
            | u64::from(offset & 0xfc);
        Some((registers, place))
    }
}

fn port_address(function: DeviceFunction, offset: u8) -> u32 {
    1 << 31
        | u32::from(function.bus) << 16
        | u32::from(function.device) << 11
        | u32::from(function.function) << 8
        | u32::from(offset & 0xfc)
}

impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        if *self == Self::PORTS {
            return PORTS.with(|()| {
                ports::PCI_ADDRESS.write(port_address(function, offset));
                ports::PCI_DATA.read()
            });
        }
        // A bus that is not there reads as nothing, like on the bus itself.
        match self.register(function, offset) {
            Some((registers, place)) => registers.read(place),
            None => u32::MAX,
        }
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, value: u32) {
        if *self == Self::PORTS {
            return PORTS.with(|()| {
                ports::PCI_ADDRESS.write(port_address(function, offset));
                ports::PCI_DATA.write(value);
            });
        }
        if let Some((registers, place)) = self.register(function, offset) {
            registers.write(place, value);
        }
    }

    #[expect(
        unsafe_code,
        reason = "as the trait declares it; copies are independent"
    )]
    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

/// A function that answered.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Where.
    pub function: DeviceFunction,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
}

/// Lists every function of every bus: of those that are known to be, and behind bridges.
pub fn enumerate(access: &Access) -> Vec<Found> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    // In order, from the end.
    let mut buses: Vec<u8> = access.root_buses().rev().collect();
    while let Some(bus) = buses.pop() {
        // A bridge that leads back somewhere is followed once.
        if core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            for number in 0..8 {
                let function = DeviceFunction {
                    bus,
                    device,
                    function: number,
                };
                let id = access.read_word(function, 0);
                if id as u16 == 0xffff {
                    if number == 0 {
                        break;
                    }
                    continue;
                }
                found.push(Found {
                    function,
                    vendor: id as u16,
                    device: (id >> 16) as u16,
                });
                let header = (access.read_word(function, 0x0c) >> 16) as u8;
                if header & 0x7f == 1 {
                    buses.push((access.read_word(function, 0x18) >> 8) as u8);
                }
                if number == 0 && header & 0x80 == 0 {
                    break;
                }
            }
        }
    }
    found
}

/// Returns the interrupt line that the firmware gave the function's pin.
pub fn interrupt_line(access: &Access, function: DeviceFunction) -> Option<u8> {
    let [line, pin, ..] = access.read_word(function, 0x3c).to_le_bytes();
    (pin != 0 && line != 0xff).then_some(line)
}
