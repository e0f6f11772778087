//! The configuration space of one PCI function.
//!
//! The one rule: the function is read and written through one access, which nobody else has.

use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction};

use crate::wire::DEVICE_ID;

/// The PCI vendor of virtio devices.
const VENDOR: u16 = 0x1af4;
/// A modern device's PCI device id is this plus its virtio device id (4.1.2.1).
const MODERN_BASE: u16 = 0x1040;

const COMMAND: u8 = 0x04;
const BAR_0: u8 = 0x10;

/// One function's configuration registers.
///
/// `virtio_drivers`' `PciRoot` reads and sizes BARs too, but takes the access for itself and has no
/// way to write the MSI-X control; two accesses side by side are what its contract forbids.
pub(super) struct Function<C> {
    config: C,
    at: DeviceFunction,
    /// Sizes of the memory BARs as far as they have been found out, `None` within for one that is
    /// not there: nobody switches a function's decoding off twice.
    sizes: [Option<Option<u64>>; 6],
}

impl<C: ConfigurationAccess> Function<C> {
    pub(super) fn new(config: C, at: DeviceFunction) -> Self {
        Self {
            config,
            at,
            sizes: [None; 6],
        }
    }

    pub(super) fn read(&self, offset: u8) -> u32 {
        self.config.read_word(self.at, offset)
    }

    pub(super) fn write(&mut self, offset: u8, value: u32) {
        self.config.write_word(self.at, offset, value);
    }

    /// Tells whether the function is a crypto device whose memory can be reached. One that has been
    /// taken out is none, and one that the bus has reset has to be set up anew by the kernel first.
    pub(super) fn is_present(&self) -> bool {
        let id = self.read(0);
        let command = Command::from_bits_retain(self.read(COMMAND) as u16);
        is_crypto_device(id as u16, (id >> 16) as u16) && command.contains(Command::MEMORY_SPACE)
    }

    /// Sets and clears bits of the command register. The status register beside it is cleared by
    /// ones, so it is written as zeros.
    pub(super) fn change_command(&mut self, set: Command, clear: Command) {
        let command = self.read(COMMAND) & 0xffff;
        let command = command & !u32::from(clear.bits()) | u32::from(set.bits());
        self.write(COMMAND, command);
    }

    /// Reads the address in BAR `index`, below 6; `None` unless it is a memory BAR, as far as that
    /// can be told without its size.
    pub(super) fn memory_bar(&self, index: u8) -> Option<u64> {
        // A register that is the upper half of a 64-bit BAR is not a BAR.
        let mut first = 0;
        while first < index {
            first += 1 + u8::from(is_wide(self.read(BAR_0 + 4 * first)));
        }
        if first != index {
            return None;
        }
        let offset = BAR_0 + 4 * index;
        let low = self.read(offset);
        if low & 1 != 0 || is_wide(low) && index == 5 {
            return None;
        }
        let high = if is_wide(low) {
            self.read(offset + 4)
        } else {
            0
        };
        Some(u64::from(low & !0xf) | u64::from(high) << 32)
    }

    /// Finds out how many bytes memory BAR `index` has, once; `None` if there are none.
    ///
    /// Sizing writes all ones, so decoding is off meanwhile.
    pub(super) fn size_of_bar(&mut self, index: u8) -> Option<u64> {
        if let Some(size_bytes) = self.sizes[usize::from(index)] {
            return size_bytes;
        }
        let offset = BAR_0 + 4 * index;
        let low = self.read(offset);
        let command = self.read(COMMAND) & 0xffff;
        let decode = u32::from((Command::IO_SPACE | Command::MEMORY_SPACE).bits());
        self.write(COMMAND, command & !decode);
        let mut mask = u64::from(self.size(offset, low) & !0xf) | 0xffff_ffff_0000_0000;
        if is_wide(low) {
            let high = self.read(offset + 4);
            mask = mask & 0xffff_ffff | u64::from(self.size(offset + 4, high)) << 32;
        }
        self.write(COMMAND, command);
        let is_there = mask as u32 != 0 || is_wide(low) && mask != 0;
        let size_bytes = is_there.then(|| (!mask).wrapping_add(1));
        self.sizes[usize::from(index)] = Some(size_bytes);
        size_bytes
    }

    /// Finds which bits of a BAR register can be set, and puts `value` back.
    fn size(&mut self, offset: u8, value: u32) -> u32 {
        self.write(offset, u32::MAX);
        let mask = self.read(offset);
        self.write(offset, value);
        mask
    }
}

/// Tells whether the low half of a BAR says that it has 64 bits.
fn is_wide(low: u32) -> bool {
    low & 0b111 == 0b100
}

/// Tells whether a PCI function is a modern virtio-crypto device. The id decides, not the class:
/// QEMU has given the device several.
pub fn is_crypto_device(vendor: u16, device: u16) -> bool {
    vendor == VENDOR && device == MODERN_BASE + DEVICE_ID
}
