//! The configuration space of one PCI function.

use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction};

use super::is_crypto_device;

const COMMAND: u8 = 0x04;
const BAR_0: u8 = 0x10;

/// One function's configuration registers.
///
/// `virtio_drivers`' `PciRoot` reads and sizes BARs too, but takes the access for itself and has no
/// way to write the MSI-X control; two accesses side by side are what its contract forbids.
pub(super) struct Function<C> {
    config: C,
    at: DeviceFunction,
}

/// A memory BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryBar {
    pub(super) address: u64,
    pub(super) size_bytes: u64,
}

impl<C: ConfigurationAccess> Function<C> {
    pub(super) fn new(config: C, at: DeviceFunction) -> Self {
        Self { config, at }
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

    /// Reads and sizes BAR `index`, below 6; `None` unless it is a memory BAR.
    ///
    /// Sizing writes all ones, so decoding is off meanwhile.
    pub(super) fn memory_bar(&mut self, index: u8) -> Option<MemoryBar> {
        let wide = |low: u32| low & 0b111 == 0b100;
        // A register that is the upper half of a 64-bit BAR is not a BAR.
        let mut first = 0;
        while first < index {
            first += 1 + u8::from(wide(self.read(BAR_0 + 4 * first)));
        }
        if first != index {
            return None;
        }
        let offset = BAR_0 + 4 * index;
        let low = self.read(offset);
        let is_64_bit = wide(low);
        if low & 1 != 0 || is_64_bit && index == 5 {
            return None;
        }
        let command = self.read(COMMAND) & 0xffff;
        let decode = u32::from((Command::IO_SPACE | Command::MEMORY_SPACE).bits());
        self.write(COMMAND, command & !decode);
        let mut address = u64::from(low & !0xf);
        let mut mask = u64::from(self.size(offset, low) & !0xf) | 0xffff_ffff_0000_0000;
        if is_64_bit {
            let high = self.read(offset + 4);
            address |= u64::from(high) << 32;
            mask = mask & 0xffff_ffff | u64::from(self.size(offset + 4, high)) << 32;
        }
        self.write(COMMAND, command);
        let implemented = mask as u32 != 0 || is_64_bit && mask != 0;
        implemented.then_some(MemoryBar {
            address,
            size_bytes: (!mask).wrapping_add(1),
        })
    }

    /// Finds which bits of a BAR register can be set, and puts `value` back.
    fn size(&mut self, offset: u8, value: u32) -> u32 {
        self.write(offset, u32::MAX);
        let mask = self.read(offset);
        self.write(offset, value);
        mask
    }
}
