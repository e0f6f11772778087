//! What the kernel reads of the ACPI tables: processors, I/O APICs, ECAM, timers. Every length and
//! every checksum is checked before a byte of a table is believed (ACPI 6.5, 5.2).

use alloc::vec::Vec;
use core::fmt;

/// Firmware memory, by physical address.
pub trait Firmware {
    /// Copies `len_bytes` bytes at `address`: what has been checked does not change any more.
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<Vec<u8>>;
}

/// What is wrong with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcpiError {
    /// There is no RSDP.
    NoRsdp,
    /// A table cannot be reached.
    Unreachable {
        /// Its address.
        address: u64,
    },
    /// A table does not have the signature it should have.
    Signature {
        /// What it has.
        found: [u8; 4],
    },
    /// A table's bytes do not sum up to 0.
    Checksum {
        /// Its signature.
        table: [u8; 4],
    },
    /// A table or an entry of it is shorter or longer than it can be.
    Length {
        /// The table's signature.
        table: [u8; 4],
        /// The length it claims.
        len_bytes: usize,
    },
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |table: &[u8; 4]| table.map(char::from);
        match self {
            Self::NoRsdp => f.write_str("ACPI: no RSDP"),
            Self::Unreachable { address } => write!(f, "ACPI: no table at {address:#x}"),
            Self::Signature { found } => write!(f, "ACPI: unexpected table {:?}", name(found)),
            Self::Checksum { table } => write!(f, "ACPI: checksum of {:?}", name(table)),
            Self::Length { table, len_bytes } => {
                write!(f, "ACPI: length {len_bytes} in {:?}", name(table))
            }
        }
    }
}

/// What the MADT, the MCFG, the FADT and the HPET table say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Local APIC ids of the CPUs that can be used, in the table's order.
    pub cpus: Vec<u32>,
    /// The I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// Where ISA interrupts really arrive.
    pub overrides: Vec<Override>,
    /// Memory-mapped PCI configuration space.
    pub ecam: Option<Ecam>,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// The port of the power button's registers: status, and two bytes behind it, enable.
    pub power_button: Option<u16>,
    /// Bus address of the high precision event timer's registers.
    pub hpet: Option<u64>,
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Bus address of its registers.
    pub address: u32,
    /// Global interrupt number of its first pin.
    pub first_interrupt: u32,
}

/// An interrupt source override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// ISA interrupt.
    pub isa: u8,
    /// Global interrupt.
    pub interrupt: u32,
    /// MPS INTI flags: polarity in bits 0 and 1, trigger mode in bits 2 and 3.
    pub flags: u16,
}

/// PCI configuration space in memory, segment 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Bus address of bus 0's part.
    pub address: u64,
    /// First bus.
    pub first_bus: u8,
    /// Last bus.
    pub last_bus: u8,
}

/// The power management timer, as it is on every PC: by a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// The port.
    pub port: u16,
    /// It has 32 bits, not 24.
    pub has_32_bits: bool,
}

/// Longest table that is believed.
const MAX_TABLE_LEN: usize = 1 << 20;
const HEADER_LEN: usize = 36;

/// Spaces of a generic address (ACPI 6.5, 5.2.3.2).
const SYSTEM_MEMORY: u8 = 0;
const SYSTEM_IO: u8 = 1;

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(offset..offset + 4)?.try_into().ok()?,
    ))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(offset..offset + 8)?.try_into().ok()?,
    ))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// Reads all tables, from the RSDP on.
///
/// # Errors
///
/// The first thing that is wrong. An entry of an unknown type is passed over.
pub fn read(firmware: &impl Firmware, rsdp: u64) -> Result<Tables, AcpiError> {
    let mut tables = Tables::default();
    let (root, entry_len) = root_table(firmware, rsdp)?;
    for entry in root
        .get(HEADER_LEN..)
        .unwrap_or(&[])
        .chunks_exact(entry_len)
    {
        let address = match entry_len {
            8 => u64_at(entry, 0),
            _ => u32_at(entry, 0).map(u64::from),
        };
        let Some(address) = address else { continue };
        let bytes = firmware
            .bytes(address, 4)
            .ok_or(AcpiError::Unreachable { address })?;
        match &bytes[..] {
            b"APIC" => read_madt(&table(firmware, address, *b"APIC")?, &mut tables)?,
            b"MCFG" => read_mcfg(&table(firmware, address, *b"MCFG")?, &mut tables)?,
            b"FACP" => {
                let table = table(firmware, address, *b"FACP")?;
                tables.pm_timer = read_pm_timer(&table);
                tables.power_button = read_power_button(&table);
            }
            b"HPET" => tables.hpet = read_hpet(&table(firmware, address, *b"HPET")?),
            _ => {}
        }
    }
    Ok(tables)
}

/// Finds the XSDT, or the RSDT on a machine of ACPI 1.0; beside it, the bytes of an entry.
fn root_table(firmware: &impl Firmware, rsdp: u64) -> Result<(Vec<u8>, usize), AcpiError> {
    const RSDP: [u8; 4] = *b"RSD ";
    if rsdp == 0 {
        return Err(AcpiError::NoRsdp);
    }
    let unreachable = AcpiError::Unreachable { address: rsdp };
    let short = firmware.bytes(rsdp, 20).ok_or(unreachable)?;
    if !short.starts_with(b"RSD PTR ") {
        return Err(AcpiError::NoRsdp);
    }
    if !sums_to_zero(&short) {
        return Err(AcpiError::Checksum { table: RSDP });
    }
    if short[15] >= 2 {
        let long = firmware.bytes(rsdp, 36).ok_or(unreachable)?;
        if !sums_to_zero(&long) {
            return Err(AcpiError::Checksum { table: RSDP });
        }
        let xsdt = u64_at(&long, 24).unwrap_or(0);
        if xsdt != 0 {
            return Ok((table(firmware, xsdt, *b"XSDT")?, 8));
        }
    }
    let rsdt = u64::from(u32_at(&short, 16).unwrap_or(0));
    Ok((table(firmware, rsdt, *b"RSDT")?, 4))
}

/// Returns a whole table with a good checksum.
fn table(firmware: &impl Firmware, address: u64, name: [u8; 4]) -> Result<Vec<u8>, AcpiError> {
    let unreachable = AcpiError::Unreachable { address };
    let header = firmware.bytes(address, HEADER_LEN).ok_or(unreachable)?;
    let found = [header[0], header[1], header[2], header[3]];
    if found != name {
        return Err(AcpiError::Signature { found });
    }
    let len_bytes = u32_at(&header, 4).unwrap_or(0) as usize;
    if !(HEADER_LEN..=MAX_TABLE_LEN).contains(&len_bytes) {
        return Err(AcpiError::Length {
            table: name,
            len_bytes,
        });
    }
    let bytes = firmware.bytes(address, len_bytes).ok_or(unreachable)?;
    if !sums_to_zero(&bytes) {
        return Err(AcpiError::Checksum { table: name });
    }
    Ok(bytes)
}

/// Multiple APIC Description Table (ACPI 6.5, 5.2.12).
fn read_madt(table: &[u8], tables: &mut Tables) -> Result<(), AcpiError> {
    const USABLE: u32 = 0b11; // enabled, or can be
    let mut rest = table.get(HEADER_LEN + 8..).unwrap_or(&[]);
    while let [kind, len, ..] = *rest {
        let bad = AcpiError::Length {
            table: *b"APIC",
            len_bytes: usize::from(len),
        };
        if len < 2 {
            return Err(bad);
        }
        let entry = rest.get(..usize::from(len)).ok_or(bad)?;
        rest = &rest[usize::from(len)..];
        match kind {
            0 => {
                let flags = u32_at(entry, 4).ok_or(bad)?;
                if flags & USABLE != 0 {
                    tables.cpus.push(u32::from(entry[3]));
                }
            }
            1 => tables.io_apics.push(IoApic {
                address: u32_at(entry, 4).ok_or(bad)?,
                first_interrupt: u32_at(entry, 8).ok_or(bad)?,
            }),
            2 => tables.overrides.push(Override {
                isa: *entry.get(3).ok_or(bad)?,
                interrupt: u32_at(entry, 4).ok_or(bad)?,
                flags: u16_at(entry, 8).ok_or(bad)?,
            }),
            9 => {
                let flags = u32_at(entry, 8).ok_or(bad)?;
                if flags & USABLE != 0 {
                    tables.cpus.push(u32_at(entry, 4).ok_or(bad)?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// PCI Express memory-mapped configuration space (PCI Firmware Specification 3.3, 4.1.2).
fn read_mcfg(table: &[u8], tables: &mut Tables) -> Result<(), AcpiError> {
    for entry in table.get(HEADER_LEN + 8..).unwrap_or(&[]).chunks_exact(16) {
        let (Some(address), Some(segment)) = (u64_at(entry, 0), u16_at(entry, 8)) else {
            continue;
        };
        let (first_bus, last_bus) = (entry[10], entry[11]);
        if segment == 0 && tables.ecam.is_none() && address != 0 && first_bus <= last_bus {
            tables.ecam = Some(Ecam {
                address,
                first_bus,
                last_bus,
            });
        }
    }
    Ok(())
}

/// Returns the port of a fixed register block of the FADT (ACPI 6.5, 5.2.9): the old field, or the
/// generic address, which wins where it is given.
fn fixed_port(table: &[u8], old: usize, generic: usize) -> Option<u16> {
    let old = u32_at(table, old)?;
    // A space, then, from its fifth byte on, the address.
    let [space, ..] = *table.get(generic..generic + 12).unwrap_or(&[0]) else {
        return None;
    };
    let port = match u64_at(table, generic + 4).unwrap_or(0) {
        0 => u64::from(old),
        address if space == SYSTEM_IO => address,
        _ => return None,
    };
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// The power management timer. `None` where there is none, or none by a port.
fn read_pm_timer(table: &[u8]) -> Option<PmTimer> {
    const HAS_32_BITS: u32 = 1 << 8;
    let len_bytes = *table.get(91)?;
    let port = fixed_port(table, 76, 208)?;
    (len_bytes == 4).then_some(PmTimer {
        port,
        has_32_bits: u32_at(table, 112)? & HAS_32_BITS != 0,
    })
}

/// The registers of the power button, where it is a fixed event (4.8.3.1). `None` where it is
/// described by code, or there is none by a port.
fn read_power_button(table: &[u8]) -> Option<u16> {
    const IS_DESCRIBED_BY_CODE: u32 = 1 << 4;
    let is_fixed = u32_at(table, 112)? & IS_DESCRIBED_BY_CODE == 0;
    let len_bytes = *table.get(88)?;
    let port = fixed_port(table, 56, 148)?;
    (is_fixed && len_bytes == 4).then_some(port)
}

/// HPET Description Table (IA-PC HPET 1.0a, 3.2.4).
fn read_hpet(table: &[u8]) -> Option<u64> {
    let address = u64_at(table, 44)?;
    (table[40] == SYSTEM_MEMORY && address != 0).then_some(address)
}
