//! A transport whose registers a target answers.
//!
//! The one rule: every access is one call, so that what changes between two of them does.
#![expect(unsafe_code, reason = "a transport's promise")]

use alloc::sync::Arc;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

use crate::{
    transport::{
        Doorbell, MsixEntry, MsixMessage, Notify, QueueAddresses, QueueIndex, Transport,
        TransportError,
    },
    wire::Features,
};

/// A register, or what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Features,
    Status,
    /// Whether the bus finds the device.
    Present,
    QueueSize(u16),
    /// 1 while a queue is being reset.
    QueueReset(u16),
    Generation,
    /// A word of the configuration, by its place.
    Config(usize),
    Isr,
    QueueVector(u16),
    ConfigVector,
}

/// The registers.
pub(super) trait Registers: Send + 'static {
    fn read(&mut self, register: Register) -> u64;

    fn write(&mut self, register: Register, value: u64);

    fn set_queue(&mut self, queue: u16, size: u16, addresses: QueueAddresses);

    fn enable_queue(&mut self, queue: u16);

    /// A doorbell was rung, and perhaps says how far the driver has come.
    fn hear_kick(&mut self, queue: u16, position: Option<u16>);

    /// How many MSI-X entries there are. It does not change.
    fn msix_entries(&self) -> u16;

    /// Bytes of the configuration. They do not become more or fewer.
    fn config_len(&self) -> usize;
}

/// The device behind registers, shared with what it does by itself.
pub(super) struct Shared<R>(pub(super) Arc<Mutex<R>>);

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl<R> Shared<R> {
    pub(super) fn new(registers: R) -> Self {
        Self(Arc::new(Mutex::new(registers)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Registers> Shared<R> {
    fn read(&self, register: Register) -> u64 {
        self.lock().read(register)
    }

    fn write(&self, register: Register, value: u64) {
        self.lock().write(register, value);
    }

    fn vector(&self, register: Register, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.write(register, entry.map_or(0xffff, |entry| entry.0.into()));
        let vector = self.read(register) as u16;
        (vector != 0xffff).then_some(MsixEntry(vector))
    }
}

impl<R: Registers> Notify for Shared<R> {
    fn notify(&self, queue: QueueIndex) {
        self.lock().hear_kick(queue.0, None);
    }

    fn notify_with_position(&self, queue: QueueIndex, position: u16) {
        self.lock().hear_kick(queue.0, Some(position));
    }
}

// SAFETY: the device reaches the machine's memory only, which nobody refers to, and by copies.
unsafe impl<R: Registers> Transport for Shared<R> {
    fn read_device_features(&self) -> u64 {
        self.read(Register::Features)
    }

    fn notification_features(&self) -> u64 {
        (Features::NOTIFICATION_DATA | Features::NOTIF_CONFIG_DATA).bits()
    }

    fn write_driver_features(&self, features: u64) {
        self.write(Register::Features, features);
    }

    fn read_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.read(Register::Status) as u32)
    }

    fn is_present(&self) -> bool {
        self.read(Register::Present) != 0
    }

    fn write_status(&self, status: DeviceStatus) {
        self.write(Register::Status, status.bits().into());
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        self.read(Register::QueueSize(queue.0)) as u16
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.lock().set_queue(queue.0, size, addresses);
    }

    fn enable_queue(&self, queue: QueueIndex) {
        self.lock().enable_queue(queue.0);
    }

    fn resets_queues(&self) -> bool {
        true
    }

    fn reset_queue(&self, queue: QueueIndex) {
        self.write(Register::QueueReset(queue.0), 1);
    }

    fn is_queue_reset(&self, queue: QueueIndex) -> bool {
        self.read(Register::QueueReset(queue.0)) == 0
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        Ok(Doorbell::shared_with_position(
            Arc::new(self.clone()),
            queue,
        ))
    }

    fn read_config_generation(&self) -> u32 {
        self.read(Register::Generation) as u32
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        let end = offset + bytes.len();
        if end > self.lock().config_len() {
            let len = bytes.len();
            return Err(TransportError::ConfigTooShort { offset, len });
        }
        for (index, word) in bytes.chunks_mut(4).enumerate() {
            let value = self.read(Register::Config(offset / 4 + index)) as u32;
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
        Ok(())
    }

    fn msix_entries(&self) -> u16 {
        self.lock().msix_entries()
    }

    fn set_msix_message(&self, entry: MsixEntry, _: Option<MsixMessage>) {
        assert!(entry.0 < self.msix_entries(), "an entry that is not there");
    }

    fn set_queue_vector(&self, queue: QueueIndex, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.vector(Register::QueueVector(queue.0), entry)
    }

    fn set_config_vector(&self, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.vector(Register::ConfigVector, entry)
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.read(Register::Isr) as u32)
    }
}

/// A message that raises an interrupt of the machine's.
pub(super) const fn message() -> MsixMessage {
    // SAFETY: no device of a target writes it anywhere.
    unsafe { MsixMessage::new(0xfee0_0000, 0) }
}

/// Somebody's word for a device of a target.
pub(super) const fn trusted() -> crate::transport::TrustedReset {
    // SAFETY: all of its memory lives for ever and is reached by copies.
    unsafe { crate::transport::TrustedReset::new() }
}
