//! The fake device's registers.
#![expect(unsafe_code, reason = "a transport's promise")]

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

use crate::{
    fake::{
        device::FakeDevice,
        ring::Ring,
        setup::{Gone, Setup},
    },
    transport::{
        Doorbell, MsixEntry, MsixMessage, Notify, QueueAddresses, QueueIndex, Transport,
        TransportError,
    },
    wire::Features,
};

/// The transport.
#[derive(Debug)]
pub(crate) struct FakeTransport {
    setup: Setup,
    device: Arc<FakeDevice>,
    status: AtomicU32,
    driver_features: AtomicU64,
    generation: AtomicU32,
}

#[derive(Debug)]
struct Kick(Arc<FakeDevice>);

impl Notify for Kick {
    fn notify(&self, queue: QueueIndex) {
        self.0.kick(usize::from(queue.0));
    }

    fn notify_with_position(&self, queue: QueueIndex, position: u16) {
        self.0.note_position(usize::from(queue.0), position);
        self.0.kick(usize::from(queue.0));
    }
}

impl FakeTransport {
    pub(crate) fn new(setup: Setup, device: Arc<FakeDevice>) -> Self {
        if let Some((accesses, reads)) = setup.leaves_after {
            device.leave_after(accesses, reads);
        }
        Self {
            setup,
            device,
            status: AtomicU32::new(0xff),
            driver_features: AtomicU64::new(0),
            generation: AtomicU32::new(0),
        }
    }

    /// Counts a read; of a device that is gone, returns what each byte reads.
    fn read(&self) -> Option<u8> {
        self.access(0)
    }

    /// Counts a write; `false` where nobody is there for it.
    fn write(&self) -> bool {
        self.access(1).is_none()
    }

    fn access(&self, kind: usize) -> Option<u8> {
        let mut state = self.device.state();
        state.accesses[kind] += 1;
        let count: u64 = state.accesses.iter().sum();
        if let Some((at, reads)) = state.leaves_at
            && count > at
        {
            state.leaves_at = None;
            state.leave(reads);
        }
        state.gone.map(|reads| match reads {
            Gone::Ones => 0xff,
            Gone::Zeros => 0,
        })
    }

    fn max_queue_size(&self, queue: QueueIndex) -> u16 {
        let [data, control] = self.setup.queue_sizes;
        match u32::from(queue.0).cmp(&self.setup.data_queues) {
            core::cmp::Ordering::Less => data,
            core::cmp::Ordering::Equal => control,
            core::cmp::Ordering::Greater => 0,
        }
    }

    fn vector(&self, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        let refuses_all = self.device.state().refuses_vectors;
        let fits = |entry: &MsixEntry| {
            let is_refused = refuses_all || self.setup.refused_vectors.contains(&entry.0);
            entry.0 < self.setup.msix_entries && !is_refused
        };
        entry.filter(fits)
    }
}

// SAFETY: the fake device keeps to the memory that descriptors give it, as far as `memory` has it
// mapped.
unsafe impl Transport for FakeTransport {
    fn read_device_features(&self) -> u64 {
        if let Some(byte) = self.read() {
            return u64::from_ne_bytes([byte; 8]);
        }
        self.setup.features.bits()
    }

    fn notification_features(&self) -> u64 {
        (Features::NOTIFICATION_DATA | Features::NOTIF_CONFIG_DATA).bits()
    }

    fn write_driver_features(&self, features: u64) {
        if !self.write() {
            return;
        }
        assert_eq!(
            features & !self.setup.features.bits(),
            0,
            "a feature that is not offered"
        );
        self.driver_features.store(features, Ordering::Relaxed);
        self.device.state().features = Features::from_bits_retain(features);
    }

    fn read_status(&self) -> DeviceStatus {
        let before = self.device.before_status.lock().unwrap().take();
        if let Some(before) = before {
            before();
        }
        if let Some(byte) = self.read() {
            return DeviceStatus::from_bits_retain(byte.into());
        }
        if self.device.state().lost {
            return DeviceStatus::empty();
        }
        let status = self.status.load(Ordering::Relaxed);
        let mut status = DeviceStatus::from_bits_retain(status);
        status.set(
            DeviceStatus::DEVICE_NEEDS_RESET,
            self.device.state().needs_reset,
        );
        status
    }

    fn is_present(&self) -> bool {
        if let Some(meanwhile) = &*self.device.meanwhile.lock().unwrap() {
            meanwhile();
        }
        self.device.state().gone.is_none()
    }

    fn write_status(&self, status: DeviceStatus) {
        if !self.write() {
            return;
        }
        self.device.state().lost = false;
        if status.is_empty() {
            let before = self.device.before_reset.lock().unwrap().take();
            if let Some(before) = before {
                before();
            }
            self.device.reset();
            if !self.setup.resets || !self.device.state().resets {
                return;
            }
        }
        let mut status = status;
        if !self.setup.accepts_features {
            status.remove(DeviceStatus::FEATURES_OK);
        }
        self.status.store(status.bits(), Ordering::Relaxed);
        if status.contains(DeviceStatus::DRIVER_OK) {
            let mut state = self.device.state();
            state.needs_reset |= core::mem::take(&mut state.needs_reset_when_live);
        }
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        if let Some(byte) = self.read() {
            return u16::from_ne_bytes([byte; 2]);
        }
        self.max_queue_size(queue)
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        if !self.write() {
            return;
        }
        assert!(
            size <= self.max_queue_size(queue) && size.is_power_of_two(),
            "size {size}"
        );
        let features = Features::from_bits_retain(self.driver_features.load(Ordering::Relaxed));
        let mut ring = Ring::new(size, addresses, features);
        if self.setup.judges_by_offsets {
            ring.judge_by_offsets();
        }
        self.device.state().rings.insert(queue.0.into(), ring);
    }

    fn enable_queue(&self, queue: QueueIndex) {
        if !self.write() {
            return;
        }
        let mut state = self.device.state();
        state.rings.get_mut(&queue.0.into()).unwrap().enable();
    }

    fn resets_queues(&self) -> bool {
        true
    }

    fn reset_queue(&self, queue: QueueIndex) {
        if self.write() {
            self.device.reset_queue(queue.0.into());
        }
    }

    fn is_queue_reset(&self, queue: QueueIndex) -> bool {
        if let Some(byte) = self.read() {
            return byte == 0;
        }
        !self.device.state().rings.contains_key(&queue.0.into())
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        let kick = Arc::new(Kick(self.device.clone()));
        let features = Features::from_bits_retain(self.driver_features.load(Ordering::Relaxed));
        Ok(match features.contains(Features::NOTIFICATION_DATA) {
            true => Doorbell::shared_with_position(kick, queue),
            false => Doorbell::shared(kick, queue),
        })
    }

    fn read_config_generation(&self) -> u32 {
        if let Some(byte) = self.read() {
            return byte.into();
        }
        let change = u32::from(!self.setup.stable_config);
        let changes = self.generation.fetch_add(change, Ordering::Relaxed);
        changes + self.device.state().generation
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        if let Some(byte) = self.read() {
            bytes.fill(byte);
            return Ok(());
        }
        let mut config = [0; 56];
        let mut put = |at: usize, value: u32| {
            config[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(0, u32::from(self.setup.ready && self.device.state().ready));
        put(4, self.setup.data_queues);
        put(8, self.setup.services.bits());
        put(12, self.setup.cipher_algorithms);
        put(36, 64);
        put(40, 64);
        put(48, self.setup.max_size_bytes as u32);
        put(52, (self.setup.max_size_bytes >> 32) as u32);
        bytes.copy_from_slice(&config[offset..offset + bytes.len()]);
        Ok(())
    }

    fn msix_entries(&self) -> u16 {
        self.setup.msix_entries
    }

    fn set_msix_message(&self, entry: MsixEntry, message: Option<MsixMessage>) {
        assert!(entry.0 < self.setup.msix_entries);
        if !self.write() {
            return;
        }
        let mut state = self.device.state();
        state.table.resize(self.setup.msix_entries.into(), None);
        state.table[usize::from(entry.0)] = message;
    }

    fn set_msix_enabled(&self, _: bool) {
        self.write();
    }

    fn set_queue_vector(&self, queue: QueueIndex, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.write();
        let entry = self.vector(entry);
        let vectors = &mut self.device.state().vectors;
        match entry {
            Some(entry) => vectors.insert(queue.0.into(), entry),
            None => vectors.remove(&queue.0.into()),
        };
        entry
    }

    fn set_config_vector(&self, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        self.write();
        self.vector(entry)
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        if let Some(byte) = self.read() {
            return InterruptStatus::from_bits_retain(byte.into());
        }
        let mut state = self.device.state();
        let mut status = InterruptStatus::QUEUE_INTERRUPT;
        // One that holds its interrupts back has not raised the pin for a queue.
        status.set(InterruptStatus::QUEUE_INTERRUPT, !state.hold);
        let changed = core::mem::take(&mut state.config_interrupt);
        status.set(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT, changed);
        status
    }
}
