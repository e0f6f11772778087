//! How a life of the device begins: reset, features, queues, DRIVER_OK.

use alloc::{string::String, vec::Vec};

use kernel::time;
use virtio_crypto::transport::QueueIndex;
use virtio_drivers::transport::DeviceStatus;

use crate::requests::{
    features::{ACCESS_PLATFORM, VERSION_1},
    interrupts,
    raw::{Queue, Raw, Rings},
    ring::Ring,
    trouble::Trouble,
};

const RESET_LIMIT_NS: u64 = 2_000_000_000;
/// Most data queues that are set up.
const MOST_DATA_QUEUES: u32 = 64;

/// The configuration fields `status` and `max_dataqueues`; the latter is the control queue's index.
const STATUS: usize = 0;
const MAX_DATAQUEUES: usize = 4;
const HW_READY: u32 = 1;

impl Raw {
    /// Resets the device; `false` if it does not confirm.
    pub fn reset(&mut self) -> bool {
        self.rings = None;
        self.life += 1;
        self.left_behind += core::mem::take(&mut self.sessions).len();
        self.transport.write_status(DeviceStatus::empty());
        let end_ns = time::now_ns() + RESET_LIMIT_NS;
        while !self.transport.read_status().is_empty() {
            if time::now_ns() > end_ns {
                return false;
            }
        }
        true
    }

    /// Resets a data queue by itself, and sets it up again; `false` if the device does not confirm.
    pub fn reset_queue(&mut self, index: u16) -> Result<bool, Trouble> {
        self.transport.reset_queue(QueueIndex(index));
        let end_ns = time::now_ns() + RESET_LIMIT_NS;
        while !self.transport.is_queue_reset(QueueIndex(index)) {
            if time::now_ns() > end_ns {
                return Ok(false);
            }
        }
        let ring = Ring::new(&*self.transport, QueueIndex(index), self.negotiated);
        *self.ring(Queue::Data(index))? = ring.ok_or(Trouble::NotTried)?;
        Ok(true)
    }

    /// Resets the device and offers it features, whatever it offers itself; tells whether it keeps
    /// FEATURES_OK.
    pub fn negotiate(&mut self, features: u64) -> Result<bool, String> {
        if !self.reset() {
            return Err("no reset".into());
        }
        self.negotiated = features;
        let transport = &*self.transport;
        let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
        transport.write_status(status);
        transport.write_driver_features(features);
        status |= DeviceStatus::FEATURES_OK;
        transport.write_status(status);
        Ok(transport.read_status().contains(DeviceStatus::FEATURES_OK))
    }

    /// Returns the features that a life begins with: those that every driver accepts, and those
    /// that are asked for, as far as they are offered.
    pub fn wanted_features(&self) -> u64 {
        let wanted = self.features | VERSION_1 | ACCESS_PLATFORM;
        self.transport.read_device_features() & wanted
    }

    /// Takes it to where its queues are set up and DRIVER_OK is the next step.
    pub fn prepare(&mut self) -> Result<(), String> {
        let features = self.wanted_features();
        if !self.negotiate(features)? {
            return Err("FEATURES_OK refused".into());
        }
        let transport = &*self.transport;
        let count = self.config_word(MAX_DATAQUEUES).ok_or("no configuration")?;
        let control = u16::try_from(count).map_err(|_| "no control queue in reach")?;
        // Vectors come before queues are enabled.
        if self.is_wired {
            self.is_wired = interrupts::wire(transport, QueueIndex(control));
        }
        let data = (0..count.clamp(1, MOST_DATA_QUEUES) as u16).map(QueueIndex);
        let data = data.map(|queue| Ring::new(transport, queue, features).ok_or("no data queue"));
        let data = data.collect::<Result<Vec<_>, _>>()?;
        let control =
            Ring::new(transport, QueueIndex(control), features).ok_or("no control queue")?;
        self.rings = Some(Rings { data, control });
        Ok(())
    }

    /// Sets DRIVER_OK.
    pub fn go_live(&self) {
        let status = self.transport.read_status();
        self.transport
            .write_status(status | DeviceStatus::DRIVER_OK);
    }

    /// Takes it to DRIVER_OK.
    pub fn bring_up(&mut self) -> Result<(), String> {
        self.prepare()?;
        self.go_live();
        Ok(())
    }

    /// Begins a life with these features, unless this one is such a life.
    pub fn bring_up_with(&mut self, features: u64) -> Result<(), String> {
        if self.rings.is_some() && self.features == features && !self.is_wired {
            return Ok(());
        }
        self.destroy_all();
        self.features = features;
        self.is_wired = false;
        self.bring_up()
    }

    /// Begins a life with these features in which queues have vectors; tells whether they do.
    pub fn bring_up_wired(&mut self, features: u64) -> Result<bool, String> {
        self.destroy_all();
        self.features = features;
        self.is_wired = true;
        self.bring_up()?;
        Ok(self.is_wired)
    }

    /// Takes the vector of data queue 0 away.
    pub fn unwire_data_queue(&self) {
        self.transport.set_queue_vector(QueueIndex(0), None);
    }

    pub(super) fn config_word(&self, at: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        let read = self.transport.read_config(at, &mut bytes);
        read.is_ok().then_some(u32::from_le_bytes(bytes))
    }

    /// Tells what is wrong with a device that should be live, by its registers.
    pub fn check_live(&self) -> Result<(), Trouble> {
        let status = self.transport.read_status();
        if status.contains(DeviceStatus::all()) || !self.transport.is_present() {
            Err(Trouble::Gone)
        } else if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            Err(Trouble::NeedsReset)
        } else if !status.contains(DeviceStatus::DRIVER_OK) {
            Err(Trouble::StatusLost)
        } else if self
            .config_word(STATUS)
            .is_none_or(|status| status & HW_READY == 0)
        {
            Err(Trouble::NotReady)
        } else {
            Ok(())
        }
    }
}
