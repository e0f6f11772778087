//! Where the device's structures are: its PCI capabilities, walked with distrust
//! (Virtio 1.3, 4.1.4).

use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess};

use super::function::{Function, MemoryBar};
use crate::transport::TransportError;

/// PCI capability ids.
const VENDOR_SPECIFIC: u8 = 0x09;
const MSIX: u8 = 0x11;

/// The 192 bytes behind the header hold at most this many capabilities; a longer list is a cycle.
const MAX_CAPABILITIES: usize = 48;

const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);
const CAPABILITIES_POINTER: u8 = 0x34;

/// A stretch of a memory BAR, checked against the size that the BAR says it has. What lies there is for
/// the platform to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) address: u64,
    pub(super) len_bytes: usize,
}

/// Where a structure says that it is. Nothing about it has been checked.
#[derive(Clone, Copy, Debug)]
struct Claim {
    bar: u8,
    offset: u32,
    len_bytes: u32,
}

/// What the capability list of a device amounts to.
#[derive(Debug)]
pub(super) struct Structures {
    pub(super) common: Stretch,
    pub(super) notify: Stretch,
    pub(super) notify_off_multiplier: u32,
    pub(super) isr: Stretch,
    pub(super) device: Option<Stretch>,
    pub(super) msix: Option<Msix>,
}

/// The MSI-X capability.
#[derive(Clone, Copy, Debug)]
pub(super) struct Msix {
    /// Where in configuration space it is.
    pub(super) offset: u8,
    pub(super) entries: u16,
    pub(super) table: Stretch,
}

/// Bytes of an MSI-X table entry.
pub(super) const MSIX_ENTRY_LEN: usize = 16;

pub(super) fn fault(structure: &'static str, reason: &'static str) -> TransportError {
    TransportError::Capability { structure, reason }
}

/// Walks the capability list of `function`, and switches memory access and bus mastering on.
pub(super) fn find<C: ConfigurationAccess>(
    function: &mut Function<C>,
) -> Result<Structures, TransportError> {
    let read = |offset: u8| function.read(offset);
    let mut claims: [Option<Claim>; 5] = [None; 5];
    let mut notify_off_multiplier = 0;
    let mut msix = None;

    let has_list = read(0x04) & STATUS_CAPABILITIES != 0;
    let mut offset = if has_list {
        (read(CAPABILITIES_POINTER) & 0xfc) as u8
    } else {
        0
    };
    let mut seen = 0;
    while offset != 0 {
        seen += 1;
        if seen > MAX_CAPABILITIES {
            return Err(fault("list", "does not end"));
        }
        if offset < 0x40 {
            return Err(fault("list", "points into the header"));
        }
        let word = read(offset);
        let [id, next, cap_len, cfg_type] = word.to_le_bytes();
        let room = 0x100 - usize::from(offset);
        match id {
            VENDOR_SPECIFIC if cap_len >= 16 && room >= 16 => {
                let claim = Claim {
                    bar: read(offset + 4).to_le_bytes()[0],
                    offset: read(offset + 8),
                    len_bytes: read(offset + 12),
                };
                // The first of a type is the device's favourite (4.1.4.1), unless its BAR is a
                // reserved one: such a structure is to be ignored (4.1.4).
                let place = usize::from(cfg_type)
                    .checked_sub(1)
                    .and_then(|i| claims.get_mut(i));
                if let Some(place @ None) = place
                    && claim.bar <= 5
                {
                    *place = Some(claim);
                    if cfg_type == 2 {
                        if cap_len < 20 || room < 20 {
                            return Err(fault("notify", "has no multiplier"));
                        }
                        notify_off_multiplier = read(offset + 16);
                    }
                }
            }
            MSIX if room >= 12 && msix.is_none() => {
                let entries = (word >> 16 & 0x7ff) as u16 + 1;
                let table = read(offset + 4);
                let claim = Claim {
                    bar: (table & 7) as u8,
                    offset: table & !7,
                    len_bytes: u32::from(entries) * MSIX_ENTRY_LEN as u32,
                };
                msix = Some((offset, entries, claim));
            }
            _ => {}
        }
        offset = next & 0xfc;
    }

    let mut place = |structure, claim: Option<Claim>, least, align| {
        let claim = claim.ok_or(fault(structure, "is missing"))?;
        locate(function, structure, claim, least, align)
    };
    let [common, notify, isr, device, _pci] = claims;
    let structures = Structures {
        common: place("common configuration", common, 0x38, 4)?,
        notify: place("notify", notify, 2, 2)?,
        notify_off_multiplier,
        isr: place("ISR", isr, 1, 1)?,
        device: match device {
            Some(_) => Some(place("device configuration", device, 4, 4)?),
            None => None,
        },
        msix: match msix {
            Some((offset, entries, claim)) => {
                let least = usize::from(entries) * MSIX_ENTRY_LEN;
                let table = place("MSI-X table", Some(claim), least, 8)?;
                Some(Msix {
                    offset,
                    entries,
                    table,
                })
            }
            None => None,
        },
    };
    // From here on the device may be reached and may reach memory.
    function.change_command(
        Command::MEMORY_SPACE | Command::BUS_MASTER,
        Command::empty(),
    );
    Ok(structures)
}

/// Checks a claim against the BAR that it names.
fn locate<C: ConfigurationAccess>(
    function: &mut Function<C>,
    structure: &'static str,
    claim: Claim,
    least_bytes: usize,
    align: u64,
) -> Result<Stretch, TransportError> {
    if claim.bar > 5 {
        return Err(fault(structure, "names a BAR that no function has"));
    }
    let Some(MemoryBar {
        address,
        size_bytes,
    }) = function.memory_bar(claim.bar)
    else {
        return Err(fault(structure, "is not in a memory BAR"));
    };
    if address == 0 {
        return Err(fault(structure, "is in a BAR without an address"));
    }
    let (offset, len) = (u64::from(claim.offset), u64::from(claim.len_bytes));
    if len < least_bytes as u64 {
        return Err(fault(structure, "is too short"));
    }
    if offset + len > size_bytes || address.checked_add(size_bytes - 1).is_none() {
        return Err(fault(structure, "reaches beyond its BAR"));
    }
    if !(address + offset).is_multiple_of(align) {
        return Err(fault(structure, "is not aligned"));
    }
    let len_bytes = usize::try_from(len).map_err(|_| fault(structure, "is too long"))?;
    Ok(Stretch {
        address: address + offset,
        len_bytes,
    })
}
