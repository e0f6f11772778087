//! The far side's registers, as the common configuration of PCI has them (Virtio 1.3, 4.1.4.3).
//!
//! Here and in `host/calls`, which includes this file by its path.
#![expect(unsafe_code, reason = "a transport's promise")]

use std::{fmt::Debug, sync::Arc};

use device::function::layout::{COMMON, DEVICE, INTERRUPT_STATUS};
use virtio_crypto::transport::{
    Doorbell, MsixEntry, Notify, QueueAddresses, QueueIndex, Transport, TransportError,
};
use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

/// Offsets of fields in the common configuration.
const DEVICE_FEATURE_SELECT: u32 = 0;
const DEVICE_FEATURE: u32 = 4;
const DRIVER_FEATURE_SELECT: u32 = 8;
const DRIVER_FEATURE: u32 = 12;
const CONFIG_MSIX_VECTOR: u32 = 16;
const NUM_QUEUES: u32 = 18;
const DEVICE_STATUS: u32 = 20;
const CONFIG_GENERATION: u32 = 21;
const QUEUE_SELECT: u32 = 22;
const QUEUE_SIZE: u32 = 24;
const QUEUE_MSIX_VECTOR: u32 = 26;
const QUEUE_ENABLE: u32 = 28;
const QUEUE_DESC: u32 = 32;
const QUEUE_DRIVER: u32 = 40;
const QUEUE_DEVICE: u32 = 48;
const QUEUE_RESET: u32 = 58;

/// A vector that is none.
const NO_VECTOR: u16 = 0xffff;

/// What is behind the registers.
pub(super) trait Registers: Debug + Send + Sync + 'static {
    fn read(&self, offset: u64, bytes: &mut [u8]);
    fn write(&self, offset: u64, bytes: &[u8]);
    /// Hears of a doorbell.
    fn kick(&self, queue: u16);
    fn vectors(&self) -> u16;
    /// Hears where a queue lies.
    fn place(&self, _queue: u16, _size: u16, _addresses: QueueAddresses) {}
}

/// The transport.
#[derive(Debug)]
pub(super) struct TestTransport<R: Registers>(pub(super) Arc<R>);

#[derive(Debug)]
struct Kick<R>(Arc<R>);

impl<R: Registers> Notify for Kick<R> {
    fn notify(&self, queue: QueueIndex) {
        self.0.kick(queue.0);
    }
}

impl<R: Registers> TestTransport<R> {
    fn read<const LEN: usize>(&self, field: u32) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        self.0.read(u64::from(COMMON.offset + field), &mut bytes);
        bytes
    }

    fn write(&self, field: u32, bytes: &[u8]) {
        self.0.write(u64::from(COMMON.offset + field), bytes);
    }

    fn select(&self, queue: QueueIndex) {
        self.write(QUEUE_SELECT, &queue.0.to_le_bytes());
    }

    /// Writes a vector, and returns what reads back.
    fn write_vector(&self, field: u32, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        let vector = entry.map_or(NO_VECTOR, |entry| entry.0);
        self.write(field, &vector.to_le_bytes());
        let got = u16::from_le_bytes(self.read(field));
        (got != NO_VECTOR).then_some(MsixEntry(got))
    }
}

// SAFETY: the device reaches nothing but memory that is mapped for it, and a reset is over before
// it reads back.
unsafe impl<R: Registers> Transport for TestTransport<R> {
    fn read_device_features(&self) -> u64 {
        let half = |number: u32| {
            self.write(DEVICE_FEATURE_SELECT, &number.to_le_bytes());
            u64::from(u32::from_le_bytes(self.read(DEVICE_FEATURE)))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&self, features: u64) {
        for number in [0_u32, 1] {
            let half = (features >> (32 * number)) as u32;
            self.write(DRIVER_FEATURE_SELECT, &number.to_le_bytes());
            self.write(DRIVER_FEATURE, &half.to_le_bytes());
        }
    }

    fn read_status(&self) -> DeviceStatus {
        let [status] = self.read(DEVICE_STATUS);
        DeviceStatus::from_bits_retain(status.into())
    }

    fn write_status(&self, status: DeviceStatus) {
        self.write(DEVICE_STATUS, &[status.bits() as u8]);
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        if queue.0 >= u16::from_le_bytes(self.read(NUM_QUEUES)) {
            return 0;
        }
        self.select(queue);
        u16::from_le_bytes(self.read(QUEUE_SIZE))
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.0.place(queue.0, size, addresses);
        self.select(queue);
        self.write(QUEUE_SIZE, &size.to_le_bytes());
        for (field, address) in [
            (QUEUE_DESC, addresses.descriptors()),
            (QUEUE_DRIVER, addresses.available()),
            (QUEUE_DEVICE, addresses.used()),
        ] {
            self.write(field, &(address as u32).to_le_bytes());
            self.write(field + 4, &((address >> 32) as u32).to_le_bytes());
        }
    }

    fn enable_queue(&self, queue: QueueIndex) {
        self.select(queue);
        self.write(QUEUE_ENABLE, &1_u16.to_le_bytes());
    }

    fn resets_queues(&self) -> bool {
        true
    }

    fn reset_queue(&self, queue: QueueIndex) {
        self.select(queue);
        self.write(QUEUE_RESET, &1_u16.to_le_bytes());
    }

    fn is_queue_reset(&self, queue: QueueIndex) -> bool {
        self.select(queue);
        u16::from_le_bytes(self.read(QUEUE_RESET)) == 0
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        Ok(Doorbell::shared(Arc::new(Kick(self.0.clone())), queue))
    }

    fn read_config_generation(&self) -> u32 {
        let [generation] = self.read(CONFIG_GENERATION);
        generation.into()
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        let at = u64::from(DEVICE.offset) + offset as u64;
        self.0.read(at, bytes);
        Ok(())
    }

    fn msix_entries(&self) -> u16 {
        self.0.vectors()
    }

    fn set_queue_vector(&self, queue: QueueIndex, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.select(queue);
        self.write_vector(QUEUE_MSIX_VECTOR, entry)
    }

    fn set_config_vector(&self, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.write_vector(CONFIG_MSIX_VECTOR, entry)
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        let mut status = [0];
        self.0.read(INTERRUPT_STATUS.offset.into(), &mut status);
        InterruptStatus::from_bits_retain(u32::from(status[0]))
    }
}
