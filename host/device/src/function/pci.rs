//! The configuration space of the function: who it is, and where its structures lie (4.1).
//!
//! For carriers that are a PCI bus. The one rule: a driver changes only what PCI lets it change.

use super::{Function, layout};
use layout::{COMMON, DEVICE, DOORBELL_BYTES, DOORBELLS, INTERRUPT_STATUS, Structure};

/// The length of the configuration space.
pub const SPACE_BYTES: usize = 256;
/// The range with the structures of `layout`.
pub const STRUCTURES_BAR: u8 = 0;
/// The range with the MSI-X table.
pub const TABLE_BAR: u8 = 1;
/// The length of that range.
pub const TABLE_RANGE_BYTES: u64 = 0x1000;
/// Where in it the pending bits lie, behind room for the most vectors.
const PENDING_OFFSET: u32 = 0x800;

const COMMAND: usize = 0x04;
/// Its upper byte: the interrupt line is not to be raised.
const LINE_DISABLED: u8 = 0b0000_0100;
const BARS: std::ops::Range<usize> = 0x10..0x28;
const INTERRUPT_LINE: usize = 0x3c;
const INTERRUPT_PIN: usize = 0x3d;
/// The capabilities, in their order.
const FIRST: usize = 0x40;
const VENDOR_SPECIFIC: u8 = 0x09;
const MSIX: u8 = 0x11;

/// The configuration space.
#[derive(Clone, Debug)]
pub struct Space {
    bytes: [u8; SPACE_BYTES],
    /// Where the access capability (4.1.4.9) begins.
    access: usize,
    /// Where the MSI-X capability begins.
    msix: Option<usize>,
}

/// A `cfg_type` of 4.1.4.
#[derive(Clone, Copy)]
enum Kind {
    Common = 1,
    Notification = 2,
    InterruptStatus = 3,
    Device = 4,
    Access = 5,
}

impl Space {
    /// Makes the space of a device with so many vectors.
    pub fn new(vectors: u16) -> Self {
        let mut space = Self {
            bytes: [0; SPACE_BYTES],
            access: 0,
            msix: None,
        };
        // Vendor and device (4.1.2: 0x1040 and the type, 20), status with a list of capabilities,
        // revision 1 (not transitional), class 10.80: another encryption controller.
        space.put(0x00, &[0xf4, 0x1a, 0x54, 0x10, 0, 0, 0x10, 0]);
        space.put(0x08, &[1, 0, 0x80, 0x10]);
        space.put(0x2c, &[0xf4, 0x1a, 0x00, 0x11]);
        // INTA#.
        space.put(INTERRUPT_PIN, &[1]);
        let mut at = FIRST;
        at = space.add(at, Kind::Common, COMMON, &[]);
        let multiplier = DOORBELL_BYTES.to_le_bytes();
        at = space.add(at, Kind::Notification, DOORBELLS, &multiplier);
        at = space.add(at, Kind::InterruptStatus, INTERRUPT_STATUS, &[]);
        at = space.add(at, Kind::Device, DEVICE, &[]);
        space.access = at;
        let nothing = Structure {
            offset: 0,
            len_bytes: 0,
        };
        at = space.add(at, Kind::Access, nothing, &[0; 4]);
        if let Some(last) = vectors.checked_sub(1) {
            space.msix = Some(at);
            space.put(at, &[MSIX, 0]);
            space.put(at + 2, &last.to_le_bytes());
            space.put(at + 4, &u32::from(TABLE_BAR).to_le_bytes());
            space.put(
                at + 8,
                &(PENDING_OFFSET | u32::from(TABLE_BAR)).to_le_bytes(),
            );
            at += 12;
        }
        space.end(at);
        space
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (to, byte) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *to = *byte;
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = [0, 1, 2, 3].map(|index| self.byte(at + index));
        u32::from_le_bytes(bytes)
    }

    /// Adds a capability of 4.1.4 and returns where the next one goes.
    fn add(&mut self, at: usize, kind: Kind, structure: Structure, more: &[u8]) -> usize {
        // Sixteen bytes, and a few more of some.
        let len_bytes = 16 + more.len();
        let next = at + len_bytes;
        let head = [VENDOR_SPECIFIC, next as u8, len_bytes as u8, kind as u8];
        self.put(at, &head);
        self.put(at + 4, &[STRUCTURES_BAR]);
        self.put(at + 8, &structure.offset.to_le_bytes());
        self.put(at + 12, &structure.len_bytes.to_le_bytes());
        self.put(at + 16, more);
        next
    }

    /// Ends the list in front of here, and begins it.
    fn end(&mut self, past: usize) {
        self.put(0x34, &[FIRST as u8]);
        let mut at = FIRST;
        while usize::from(self.byte(at + 1)) > at && usize::from(self.byte(at + 1)) < past {
            at = self.byte(at + 1).into();
        }
        self.put(at + 1, &[0]);
    }

    /// Reads from it. The access capability's data is read from where it points to (4.1.4.9).
    pub fn read(&self, at: u64, data: &mut [u8], function: &Function) {
        data.fill(0);
        let Ok(at) = usize::try_from(at) else { return };
        if at == self.access + 16
            && let Some((offset, len_bytes)) = self.access_target()
            && let Some(data) = data.get_mut(..len_bytes)
        {
            return function.read(offset, data);
        }
        for (index, to) in data.iter_mut().enumerate() {
            *to = self.byte(at.saturating_add(index));
        }
    }

    /// Writes to it.
    pub fn write(&mut self, at: u64, data: &[u8], function: &Function) {
        let Ok(at) = usize::try_from(at) else { return };
        if at == self.access + 16 {
            if let Some((offset, len_bytes)) = self.access_target()
                && let Some(data) = data.get(..len_bytes)
            {
                function.write(offset, data);
            }
            return;
        }
        for (index, byte) in data.iter().enumerate() {
            let at = at.saturating_add(index);
            if let Some(mask) = self.writable(at)
                && let Some(to) = self.bytes.get_mut(at)
            {
                *to = *to & !mask | byte & mask;
            }
        }
    }

    /// Tells whether the driver lets the function raise its interrupt line.
    pub fn is_line_enabled(&self) -> bool {
        self.byte(COMMAND + 1) & LINE_DISABLED == 0
    }

    /// Returns which bits of a byte can be written.
    fn writable(&self, at: usize) -> Option<u8> {
        // Memory and bus mastering.
        const COMMAND_LOW: u8 = 0b0000_0110;
        // Function mask and enable.
        const MSIX_CONTROL: u8 = 0b1100_0000;
        let access = self.access + 4..self.access + 16;
        match at {
            COMMAND => Some(COMMAND_LOW),
            _ if at == COMMAND + 1 => Some(LINE_DISABLED),
            INTERRUPT_LINE => Some(u8::MAX),
            _ if BARS.contains(&at) || access.contains(&at) => Some(u8::MAX),
            _ if self.msix.is_some_and(|msix| at == msix + 3) => Some(MSIX_CONTROL),
            _ => None,
        }
    }

    /// Returns what the access capability points to: an offset and a length of 1, 2 or 4.
    fn access_target(&self) -> Option<(u64, usize)> {
        let bar = self.byte(self.access + 4);
        let (offset, len_bytes) = (self.word(self.access + 8), self.word(self.access + 12));
        let is_one = bar == STRUCTURES_BAR && matches!(len_bytes, 1 | 2 | 4);
        // One of the three.
        is_one.then_some((offset.into(), len_bytes as usize))
    }
}
