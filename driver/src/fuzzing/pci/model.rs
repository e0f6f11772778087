//! What there is to find of a function that does not change, by the specification's words
//! (Virtio 1.3, 4.1.4).

use alloc::vec::Vec;
use core::ops::Range;

use super::function::Function;
use crate::{fuzzing::machine, transport::QueueIndex, wire::Features};

/// How far the driver has come when a doorbell is rung.
pub(super) const POSITION: u16 = 0x8765;

/// What a transport makes of a function.
#[derive(Debug)]
pub(super) struct Found {
    /// What it maps, in this order.
    pub(super) mapped: Vec<(u64, usize)>,
    /// The common configuration among the machine's registers.
    common: Range<usize>,
    /// The device configuration, likewise.
    device: Option<Range<usize>>,
    notify: Vec<Notify>,
    /// The word at which the MSI-X capability begins.
    pub(super) msix: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Notify {
    address: u64,
    len_bytes: u64,
    multiplier: u64,
}

/// Where a doorbell writes what.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) bytes: Vec<u8>,
}

/// A structure that the list names.
#[derive(Clone, Copy, Debug)]
struct Listed {
    cfg_type: u8,
    bar: u8,
    offset: u64,
    len_bytes: u64,
    multiplier: Option<u64>,
}

/// Returns what is found, or why nothing is.
pub(super) fn find(function: &Function) -> Result<Found, &'static str> {
    if function.words[0] != 0x1054_1af4 {
        return Err("it is another device");
    }
    let (listed, msix) = list(function)?;
    let mut mapped = Vec::new();
    let of_type = |cfg_type| listed.iter().filter(move |it| it.cfg_type == cfg_type);
    let mut map = |cfg_type, least, align, used: u64| {
        for it in of_type(cfg_type) {
            let Some((address, len_bytes)) = locate(function, it, least, align) else {
                continue;
            };
            let stretch = (address, len_bytes.min(used) as usize);
            mapped.push(stretch);
            if let Some(place) = function.place(stretch.0, stretch.1) {
                return Some(place);
            }
        }
        None
    };
    let common = map(1, 0x38, 4, 0x3c).ok_or("there is no common configuration")?;
    map(3, 1, 1, 1).ok_or("there is no ISR")?;
    let device = match of_type(4).next() {
        None => None,
        Some(_) => Some(map(4, 4, 4, 56).ok_or("there is no device configuration")?),
    };
    let notify: Vec<_> = of_type(2)
        .filter_map(|it| {
            let (address, len_bytes) = locate(function, it, 2, 2)?;
            let multiplier = it.multiplier?;
            Some(Notify {
                address,
                len_bytes,
                multiplier,
            })
        })
        .collect();
    if notify.is_empty() {
        return Err("there is no notification structure");
    }
    if let Some((_, entries, it)) = msix {
        let table = locate(function, &it, 16 * entries, 8).ok_or("the table is nowhere")?;
        let at = common.start + 0x12;
        let queues = u16::from_le_bytes(machine::registers(at, 2).try_into().unwrap());
        let sources = u64::from(queues.saturating_add(1));
        let stretch = (table.0, 16 * entries.min(sources) as usize);
        mapped.push(stretch);
        function
            .place(stretch.0, stretch.1)
            .ok_or("the table is not registers")?;
    }
    Ok(Found {
        mapped,
        common,
        device,
        notify,
        msix: msix.map(|(word, ..)| word),
    })
}

/// The structures in the list's order, and the MSI-X capability: its first word, how many entries,
/// and where they are.
type List = (Vec<Listed>, Option<(usize, u64, Listed)>);

fn list(function: &Function) -> Result<List, &'static str> {
    let (mut listed, mut msix) = (Vec::new(), None);
    let has_list = function.words[1] >> 20 & 1 != 0;
    let mut offset = if has_list {
        function.words[13] & 0xfc
    } else {
        0
    };
    for _ in 0..49 {
        if offset == 0 {
            return Ok((listed, msix));
        }
        if offset < 0x40 {
            return Err("the list points into the header");
        }
        let words = &function.words[offset as usize / 4..];
        let [id, next, cap_len, cfg_type] = words[0].to_le_bytes();
        if id == 0x09 && cap_len >= 16 && words.len() >= 4 {
            let has_multiplier = cap_len >= 20 && words.len() >= 5;
            let bar = words[1] as u8;
            // One in a reserved BAR is to be ignored.
            listed.extend((bar <= 5).then(|| Listed {
                cfg_type,
                bar,
                offset: words[2].into(),
                len_bytes: words[3].into(),
                multiplier: has_multiplier.then(|| words[4].into()),
            }));
        } else if id == 0x11 && words.len() >= 3 && msix.is_none() {
            let entries = u64::from(words[0] >> 16 & 0x7ff) + 1;
            let table = Listed {
                cfg_type: 0,
                bar: (words[1] & 7) as u8,
                offset: (words[1] & !7).into(),
                len_bytes: 16 * entries,
                multiplier: None,
            };
            msix = Some((offset as usize / 4, entries, table));
        }
        offset = u32::from(next) & 0xfc;
    }
    Err("the list does not end")
}

/// Returns where a structure is, if it can be used.
fn locate(function: &Function, it: &Listed, least: u64, align: u64) -> Option<(u64, u64)> {
    if it.bar > 5 {
        return None;
    }
    let (address, size) = function.stretch(it.bar.into())?;
    let fits = it.offset + it.len_bytes <= size && address.checked_add(size - 1).is_some();
    let is_usable =
        it.len_bytes >= least && it.offset.is_multiple_of(align) && address != 0 && fits;
    is_usable.then(|| (address + it.offset, it.len_bytes))
}

impl Found {
    /// Returns where the doorbell of a queue writes what.
    pub(super) fn doorbell(
        &self,
        function: &Function,
        queue: QueueIndex,
        accepted: Features,
    ) -> Option<Place> {
        let read = |offset| {
            let bytes = machine::registers(self.common.start + offset, 2);
            u16::from_le_bytes(bytes.try_into().unwrap())
        };
        let off = u64::from(read(0x1e));
        let name = match accepted.contains(Features::NOTIF_CONFIG_DATA) {
            true => read(0x38),
            false => queue.0,
        };
        let mut bytes = name.to_le_bytes().to_vec();
        if accepted.contains(Features::NOTIFICATION_DATA) {
            bytes.extend(POSITION.to_le_bytes());
        }
        let len_bytes = bytes.len() as u64;
        self.notify.iter().find_map(|notify| {
            let offset = off * notify.multiplier;
            if offset + len_bytes > notify.len_bytes || !offset.is_multiple_of(len_bytes) {
                return None;
            }
            let place = function.place(notify.address + offset, bytes.len())?;
            Some(Place {
                at: place.start,
                bytes: bytes.clone(),
            })
        })
    }

    /// Returns what the device configuration reads there.
    pub(super) fn config(&self, offset: usize, len_bytes: usize) -> Option<Vec<u8>> {
        let device = self.device.clone()?;
        let end = (offset + len_bytes).next_multiple_of(4);
        let fits = end <= device.len() && offset.is_multiple_of(4);
        fits.then(|| machine::registers(device.start + offset, len_bytes))
    }
}
