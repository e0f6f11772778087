//! Virtio over PCI, modern devices only, with MSI-X (Virtio 1.3, 4.1).
//!
//! The one rule: a register is touched only where the platform has judged its address to be one.

mod capabilities;
mod function;
mod notification;
mod registers;
#[cfg(all(test, not(loom)))]
mod tests;

use alloc::vec::Vec;
use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use spin::mutex::SpinMutex;
use virtio_drivers::transport::{
    DeviceStatus, InterruptStatus,
    pci::bus::{Command, ConfigurationAccess, DeviceFunction},
};

pub use self::function::is_crypto_device;
pub(super) use self::registers::NotifyRegister;
use self::{
    capabilities::{
        COMMON_LEN_MAX, Claim, Listed, MSIX_ENTRY_LEN, NOTIFY, NOTIFY_LEN,
        NOTIFY_LEN_WITH_POSITION, Stretch, first_usable,
    },
    function::Function,
    notification::Notification,
    registers::Registers,
};
use super::{
    Doorbell, MsixEntry, MsixMessage, QueueAddresses, QueueIndex, Transport, TransportError,
};
use crate::{
    Platform,
    wire::{Config, Features},
};

/// "No vector" in the vector registers.
const NO_VECTOR: u16 = 0xffff;

// Offsets in the common configuration (4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_MSIX_VECTOR: usize = 0x10;
const NUM_QUEUES: usize = 0x12;
const DEVICE_STATUS: usize = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESC: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;
const QUEUE_NOTIF_CONFIG_DATA: usize = 0x38;
const QUEUE_RESET: usize = 0x3a;

/// Bytes of the device configuration (5.9.4).
const DEVICE_LEN: usize = size_of::<Config>();

/// In the MSI-X capability's message control, as part of its first 32 bits.
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_FUNCTION_MASK: u32 = 1 << 30;
/// In an MSI-X table entry's vector control.
const MSIX_ENTRY_MASKED: u32 = 1;

/// A virtio-crypto device on the PCI bus.
pub struct PciTransport<P: Platform, C: ConfigurationAccess> {
    at: DeviceFunction,
    common: Registers<P>,
    isr: Registers<P>,
    device: Option<Registers<P>>,
    /// Notification structures as the device lists them; some may not be usable.
    notify: Vec<Result<Notification, TransportError>>,
    msix: Option<Msix<P>>,
    /// Those that the driver has accepted: what a kick writes depends on them.
    accepted: AtomicU64,
    /// For the MSI-X and INTx switches of this function, and to see whether it is there: never used
    /// by an interrupt, so interrupts need not be masked, and the access may have a lock of its
    /// own.
    function: SpinMutex<Function<C>>,
}

#[derive(Debug)]
struct Msix<P> {
    offset: u8,
    entries: u16,
    table: Registers<P>,
}

impl<P: Platform, C: ConfigurationAccess + Send> PciTransport<P, C> {
    /// Finds the structures of the device at `function`, has the platform map what is needed of
    /// them, and switches memory access and bus mastering on.
    ///
    /// The transport keeps `config` to itself for the switches of its own function; the kernel has
    /// others for other functions, so accesses through them have to be independent of each other
    /// (ECAM is; the ports 0xCF8/0xCFC need a lock inside).
    ///
    /// # Errors
    ///
    /// [`TransportError::WrongDevice`] for another device; [`TransportError::Capability`] when a
    /// structure is missing or does not lie inside its BAR; [`TransportError::NotRegisters`] when
    /// [`Platform::map_registers`] refuses it.
    ///
    /// # Safety
    ///
    /// `config` reaches the configuration space of `function`, which is one of this machine's, and
    /// writes nothing else. Nobody else drives the device, and it keeps to the memory that it is
    /// given ([`Transport`]).
    pub unsafe fn new(config: C, function: DeviceFunction) -> Result<Self, TransportError> {
        let at = function;
        let mut function = Function::new(config, at);
        let id = function.read(0);
        let (vendor, device) = (id as u16, (id >> 16) as u16);
        if !is_crypto_device(vendor, device) {
            return Err(TransportError::WrongDevice { vendor, device });
        }
        let found = capabilities::walk(&function)?;
        let mut map = |listed: &Listed, len_bytes| {
            let name = listed.structure;
            let map = move |_: &Claim, stretch| Registers::map(name, stretch, len_bytes);
            first_usable(name, listed.each(&mut function, map))
        };
        let common = map(&found.common, COMMON_LEN_MAX)?;
        let isr = map(&found.isr, 1)?;
        let device = match found.device.is_empty() {
            true => None,
            false => Some(map(&found.device, DEVICE_LEN)?),
        };
        // What can be used of them shows when a queue's doorbell is asked for.
        let notify: Vec<_> = found
            .notify
            .each(&mut function, Notification::new)
            .collect();
        first_usable(NOTIFY, notify.iter().copied())?;
        let table = found.msix.as_ref().map(|msix| {
            let keep = |_: &Claim, stretch| Ok(stretch);
            first_usable(msix.table.structure, msix.table.each(&mut function, keep))
        });
        let table = table.transpose()?;
        // From here on the device may be reached and may reach memory.
        function.change_command(
            Command::MEMORY_SPACE | Command::BUS_MASTER,
            Command::empty(),
        );
        let map_table = |(msix, table): (capabilities::Msix, Stretch)| {
            // One for each queue and the configuration is all that anybody uses.
            let sources = common.read::<u16>(NUM_QUEUES).saturating_add(1);
            let entries = msix.entries.min(sources);
            let len_bytes = usize::from(entries) * MSIX_ENTRY_LEN;
            Ok(Msix {
                offset: msix.offset,
                entries,
                table: Registers::map(msix.table.structure, table, len_bytes)?,
            })
        };
        let msix = found.msix.zip(table).map(map_table).transpose()?;
        Ok(Self {
            at,
            common,
            isr,
            device,
            notify,
            msix,
            accepted: AtomicU64::new(0),
            function: SpinMutex::new(function),
        })
    }

    fn has_accepted(&self, feature: Features) -> bool {
        let accepted = Features::from_bits_retain(self.accepted.load(Ordering::Relaxed));
        accepted.contains(feature)
    }

    fn select(&self, queue: QueueIndex) {
        self.common.write(QUEUE_SELECT, queue.0);
    }
}

// SAFETY: every method is the access to the device's own register that the specification names
// (`config` and the device are what the caller of `new` vouches for), and nothing is remembered of
// a status.
unsafe impl<P: Platform, C: ConfigurationAccess + Send> Transport for PciTransport<P, C> {
    fn read_device_features(&self) -> u64 {
        let half = |select: u32| {
            self.common.write(DEVICE_FEATURE_SELECT, select);
            u64::from(self.common.read::<u32>(DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    fn notification_features(&self) -> u64 {
        let mut features = Features::NOTIFICATION_DATA;
        // A device of an older version has no such field.
        let has_field = self.common.len_bytes() >= QUEUE_NOTIF_CONFIG_DATA + 2;
        features.set(Features::NOTIF_CONFIG_DATA, has_field);
        features.bits()
    }

    fn write_driver_features(&self, features: u64) {
        self.accepted.store(features, Ordering::Relaxed);
        for (select, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.common.write(DRIVER_FEATURE_SELECT, select);
            self.common.write(DRIVER_FEATURE, half);
        }
    }

    fn read_status(&self) -> DeviceStatus {
        let status = self.common.read::<u8>(DEVICE_STATUS);
        // Where nobody answers most machines read ones, QEMU zeros; and a device always has queues.
        if status == 0 && self.common.read::<u16>(NUM_QUEUES) == 0 {
            return DeviceStatus::from_bits_retain(0xff);
        }
        DeviceStatus::from_bits_retain(status.into())
    }

    fn is_present(&self) -> bool {
        self.function.lock().is_present()
    }

    fn write_status(&self, status: DeviceStatus) {
        self.common.write(DEVICE_STATUS, status.bits() as u8);
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        // Beyond the last, what the registers read is nobody's.
        if queue.0 >= self.common.read::<u16>(NUM_QUEUES) {
            return 0;
        }
        self.select(queue);
        self.common.read(QUEUE_SIZE)
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.select(queue);
        self.common.write(QUEUE_SIZE, size);
        self.common.write_u64(QUEUE_DESC, addresses.descriptors());
        self.common.write_u64(QUEUE_DRIVER, addresses.available());
        self.common.write_u64(QUEUE_DEVICE, addresses.used());
    }

    fn enable_queue(&self, queue: QueueIndex) {
        self.select(queue);
        self.common.write(QUEUE_ENABLE, 1u16);
    }

    fn resets_queues(&self) -> bool {
        // A device of an older version has no such field.
        self.common.len_bytes() >= QUEUE_RESET + 2
    }

    fn reset_queue(&self, queue: QueueIndex) {
        self.select(queue);
        self.common.write(QUEUE_RESET, 1u16);
    }

    fn is_queue_reset(&self, queue: QueueIndex) -> bool {
        self.select(queue);
        // Both are 0 when it is done (4.1.4.3.1).
        self.common.read::<u16>(QUEUE_RESET) == 0 && self.common.read::<u16>(QUEUE_ENABLE) == 0
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        self.select(queue);
        let off = self.common.read::<u16>(QUEUE_NOTIFY_OFF);
        let name = match self.has_accepted(Features::NOTIF_CONFIG_DATA) {
            true => self.common.read::<u16>(QUEUE_NOTIF_CONFIG_DATA),
            false => queue.0,
        };
        let tells_position = self.has_accepted(Features::NOTIFICATION_DATA);
        let len_bytes = match tells_position {
            true => NOTIFY_LEN_WITH_POSITION,
            false => NOTIFY_LEN,
        };
        let registers = self.notify.iter().map(|notification| {
            let place = (*notification)?.place(off, len_bytes)?;
            Registers::<P>::map(NOTIFY, place, len_bytes)
        });
        let register = first_usable(NOTIFY, registers)?;
        Ok(match tells_position {
            true => {
                let register = NotifyRegister::new(&register, u32::from(name));
                Doorbell::register_with_position(register)
            }
            false => Doorbell::register(NotifyRegister::new(&register, name)),
        })
    }

    fn read_config_generation(&self) -> u32 {
        u32::from(self.common.read::<u8>(CONFIG_GENERATION))
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        let short = TransportError::ConfigTooShort {
            offset,
            len: bytes.len(),
        };
        let device = self.device.as_ref().ok_or(short)?;
        let end = offset.checked_add(bytes.len()).ok_or(short)?;
        if end.next_multiple_of(4) > device.len_bytes() || !offset.is_multiple_of(4) {
            return Err(short);
        }
        for (i, chunk) in bytes.chunks_mut(4).enumerate() {
            let word = device.read::<u32>(offset + 4 * i).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }

    fn msix_entries(&self) -> u16 {
        self.msix.as_ref().map_or(0, |msix| msix.entries)
    }

    fn set_msix_message(&self, entry: MsixEntry, message: Option<MsixMessage>) {
        let Some(msix) = self.msix.as_ref().filter(|msix| entry.0 < msix.entries) else {
            return;
        };
        let start = usize::from(entry.0) * MSIX_ENTRY_LEN;
        msix.table.write(start + 12, MSIX_ENTRY_MASKED);
        if let Some(message) = message {
            msix.table.write_u64(start, message.address());
            msix.table.write(start + 8, message.data());
            msix.table.write(start + 12, 0u32);
        }
        // Read back: posted writes have arrived when this returns.
        let _ = msix.table.read::<u32>(start + 12);
    }

    fn set_msix_enabled(&self, enabled: bool) {
        let Some(msix) = &self.msix else { return };
        let mut function = self.function.lock();
        let word = function.read(msix.offset) & !(MSIX_ENABLE | MSIX_FUNCTION_MASK);
        // Never both: INTx goes off before MSI-X comes on, and the other way round.
        if enabled {
            function.change_command(Command::INTERRUPT_DISABLE, Command::empty());
            function.write(msix.offset, word | MSIX_ENABLE);
        } else {
            function.write(msix.offset, word);
            function.change_command(Command::empty(), Command::INTERRUPT_DISABLE);
        }
    }

    fn set_queue_vector(&self, queue: QueueIndex, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.select(queue);
        self.common
            .write(QUEUE_MSIX_VECTOR, entry.map_or(NO_VECTOR, |entry| entry.0));
        let vector = self.common.read::<u16>(QUEUE_MSIX_VECTOR);
        (vector != NO_VECTOR).then_some(MsixEntry(vector))
    }

    fn set_config_vector(&self, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.common
            .write(CONFIG_MSIX_VECTOR, entry.map_or(NO_VECTOR, |entry| entry.0));
        let vector = self.common.read::<u16>(CONFIG_MSIX_VECTOR);
        (vector != NO_VECTOR).then_some(MsixEntry(vector))
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(u32::from(self.isr.read::<u8>(0)))
    }
}

impl<P: Platform, C: ConfigurationAccess> fmt::Debug for PciTransport<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PciTransport")
            .field("function", &format_args!("{}", self.at))
            .field(
                "msix_entries",
                &self.msix.as_ref().map_or(0, |msix| msix.entries),
            )
            .finish_non_exhaustive()
    }
}
