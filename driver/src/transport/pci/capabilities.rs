//! Where the device's structures are: its PCI capabilities, walked with distrust
//! (Virtio 1.3, 4.1.4).

use alloc::vec::Vec;

use virtio_drivers::transport::pci::bus::ConfigurationAccess;

use super::function::Function;
use crate::transport::TransportError;

/// Bytes of the common configuration up to the last field that every device has.
pub(super) const COMMON_LEN: usize = 0x38;
/// Bytes of it up to the last field in use.
pub(super) const COMMON_LEN_MAX: usize = 0x3c;
/// The notification structure's name.
pub(super) const NOTIFY: &str = "notify";
/// Bytes of the register that a queue is notified by.
pub(super) const NOTIFY_LEN: usize = 2;
/// Bytes of that register where a kick says how far the driver has come.
pub(super) const NOTIFY_LEN_WITH_POSITION: usize = 4;

/// PCI capability ids.
const VENDOR_SPECIFIC: u8 = 0x09;
const MSIX: u8 = 0x11;

/// The 192 bytes behind the header hold at most this many capabilities; a longer list is a cycle.
const MAX_CAPABILITIES: usize = 48;

const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);
const CAPABILITIES_POINTER: u8 = 0x34;

/// A stretch of a memory BAR, checked against the size that the BAR says it has. What lies there is
/// for the platform to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) address: u64,
    pub(super) len_bytes: usize,
}

/// Where a structure says that it is. Nothing about it has been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    bar: u8,
    offset: u32,
    len_bytes: u32,
    /// Of a notification structure that has one.
    pub(super) notify_off_multiplier: Option<u32>,
}

/// What a device lists of one kind of structure, its favourite first: a driver may use any of them
/// (4.1.4.1), and takes the first that it can.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) structure: &'static str,
    /// Bytes without which it is of no use.
    least_bytes: usize,
    align: u64,
    claims: Vec<Claim>,
}

/// What the capability list of a device amounts to.
#[derive(Debug)]
pub(super) struct Structures {
    pub(super) common: Listed,
    pub(super) notify: Listed,
    pub(super) isr: Listed,
    pub(super) device: Listed,
    pub(super) msix: Option<Msix>,
}

/// The MSI-X capability.
#[derive(Debug)]
pub(super) struct Msix {
    /// Where in configuration space it is.
    pub(super) offset: u8,
    pub(super) entries: u16,
    pub(super) table: Listed,
}

/// Bytes of an MSI-X table entry.
pub(super) const MSIX_ENTRY_LEN: usize = 16;

pub(super) fn fault(structure: &'static str, reason: &'static str) -> TransportError {
    TransportError::Capability { structure, reason }
}

/// Returns the first structure that can be used of those that there are.
///
/// # Errors
///
/// What is wrong with the first of all, the device's favourite, if none can be used.
pub(super) fn first_usable<T>(
    structure: &'static str,
    each: impl Iterator<Item = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    let mut fault_of_first = None;
    for used in each {
        match used {
            Ok(used) => return Ok(used),
            Err(fault) => fault_of_first = fault_of_first.or(Some(fault)),
        }
    }
    Err(fault_of_first.unwrap_or(fault(structure, "is missing")))
}

impl Listed {
    fn none(structure: &'static str, least_bytes: usize, align: u64) -> Self {
        Self {
            structure,
            least_bytes,
            align,
            claims: Vec::new(),
        }
    }

    /// Tells whether the device lists none.
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn count(&self) -> usize {
        self.claims.len()
    }

    /// Returns what `use_it` makes of each, in the device's order, or why it cannot be used.
    pub(super) fn each<'l, C: ConfigurationAccess, T>(
        &'l self,
        function: &'l mut Function<C>,
        use_it: impl Fn(&Claim, Stretch) -> Result<T, TransportError> + 'l,
    ) -> impl Iterator<Item = Result<T, TransportError>> + 'l {
        let locate = move |claim| use_it(claim, self.locate(function, claim)?);
        self.claims.iter().map(locate)
    }

    /// Checks a claim against the BAR that it names, which is sized only where all else is right.
    fn locate<C: ConfigurationAccess>(
        &self,
        function: &mut Function<C>,
        claim: &Claim,
    ) -> Result<Stretch, TransportError> {
        let fault = |reason| fault(self.structure, reason);
        if claim.bar > 5 {
            return Err(fault("names a BAR that no function has"));
        }
        let not_memory = fault("is not in a memory BAR");
        let address = function.memory_bar(claim.bar).ok_or(not_memory)?;
        let (offset, len) = (u64::from(claim.offset), u64::from(claim.len_bytes));
        if len < self.least_bytes as u64 {
            return Err(fault("is too short"));
        }
        // And with it the address: a BAR's is a multiple of 16.
        if !offset.is_multiple_of(self.align) {
            return Err(fault("is not aligned"));
        }
        let size_bytes = function.size_of_bar(claim.bar).ok_or(not_memory)?;
        if address == 0 {
            return Err(fault("is in a BAR without an address"));
        }
        if offset + len > size_bytes || address.checked_add(size_bytes - 1).is_none() {
            return Err(fault("reaches beyond its BAR"));
        }
        let len_bytes = usize::try_from(len).map_err(|_| fault("is too long"))?;
        Ok(Stretch {
            address: address + offset,
            len_bytes,
        })
    }
}

/// Walks the capability list of `function`. Nothing is written.
pub(super) fn walk<C: ConfigurationAccess>(
    function: &Function<C>,
) -> Result<Structures, TransportError> {
    let read = |offset: u8| function.read(offset);
    let mut structures = Structures {
        common: Listed::none("common configuration", COMMON_LEN, 4),
        notify: Listed::none(NOTIFY, NOTIFY_LEN, 2),
        isr: Listed::none("ISR", 1, 1),
        device: Listed::none("device configuration", 4, 4),
        msix: None,
    };

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
                let has_multiplier = cfg_type == 2 && cap_len >= 20 && room >= 20;
                let claim = Claim {
                    bar: read(offset + 4).to_le_bytes()[0],
                    offset: read(offset + 8),
                    len_bytes: read(offset + 12),
                    notify_off_multiplier: has_multiplier.then(|| read(offset + 16)),
                };
                let listed = match cfg_type {
                    1 => Some(&mut structures.common),
                    2 => Some(&mut structures.notify),
                    3 => Some(&mut structures.isr),
                    4 => Some(&mut structures.device),
                    _ => None,
                };
                // One in a reserved BAR is to be ignored (4.1.4).
                if let Some(listed) = listed
                    && claim.bar <= 5
                {
                    listed.claims.push(claim);
                }
            }
            MSIX if room >= 12 && structures.msix.is_none() => {
                let entries = (word >> 16 & 0x7ff) as u16 + 1;
                let table = read(offset + 4);
                let len_bytes = usize::from(entries) * MSIX_ENTRY_LEN;
                let mut listed = Listed::none("MSI-X table", len_bytes, 8);
                listed.claims.push(Claim {
                    bar: (table & 7) as u8,
                    offset: table & !7,
                    len_bytes: len_bytes as u32,
                    notify_off_multiplier: None,
                });
                structures.msix = Some(Msix {
                    offset,
                    entries,
                    table: listed,
                });
            }
            _ => {}
        }
        offset = next & 0xfc;
    }
    Ok(structures)
}
