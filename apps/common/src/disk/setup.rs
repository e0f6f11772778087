//! Finds disks and sets them up.
//!
//! The one rule: a disk is set up once.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use crossbeam_queue::ArrayQueue;
use kernel::{sync::SpinLock, task::executor};
use spin::Mutex;
use virtio_drivers::{
    queue::VirtQueue,
    transport::{
        DeviceStatus, Transport,
        pci::{PciTransport, VirtioPciError, bus::DeviceFunction},
    },
};

use super::{Disk, OnLine, ring::Ring, waiting::Inner};
use crate::bus;

/// A block device, transitional and not (4.1.2, 5.2.1).
const DEVICES: [u16; 2] = [0x1001, 0x1042];
/// Where the configuration has the disk's length (5.2.4).
const CAPACITY: usize = 0;

bitflags::bitflags! {
    /// Features of the device (5.2.3, 6). Not INDIRECT_DESC, for whose tables the queue would
    /// allocate under a lock, and not EVENT_IDX, which it compares wrongly.
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// Why a disk cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The bus has no so many disks.
    Missing {
        /// How many it has.
        disks: usize,
    },
    /// It is in use already.
    Taken,
    /// Its interrupt line cannot be routed.
    NoInterrupt,
    /// It cannot be reached as a device of Virtio 1.
    Transport(VirtioPciError),
    /// It refused the features, or its queue is too small.
    Device(virtio_drivers::Error),
}

static TAKEN: Mutex<Vec<DeviceFunction>> = Mutex::new(Vec::new());

impl Disk {
    /// Sets up disk number `index` of the bus, whose interrupts the calling CPU gets.
    ///
    /// # Errors
    ///
    /// [`SetupError`]. After the last two kinds the disk counts as taken.
    pub fn open(index: usize) -> Result<Self, SetupError> {
        let disks = bus::find(DEVICES);
        let Some(&function) = disks.get(index) else {
            let disks = disks.len();
            return Err(SetupError::Missing { disks });
        };
        let line = bus::hold_line(function).ok_or(SetupError::NoInterrupt)?;
        {
            let mut taken = TAKEN.lock();
            if taken.contains(&function) {
                return Err(SetupError::Taken);
            }
            taken.push(function);
        }
        let inner = set_up(bus::transport(function).map_err(SetupError::Transport)?)?;
        let inner = &*Box::leak(Box::new(inner));
        line.add(Arc::new(OnLine(inner)));
        Ok(Self(inner))
    }
}

/// Follows the specification's order (3.1.1).
fn set_up(mut transport: PciTransport) -> Result<Inner, SetupError> {
    let features = transport.begin_init(Features::all());
    let is_accepted = transport.get_status().contains(DeviceStatus::FEATURES_OK);
    if !is_accepted || !features.contains(Features::VERSION_1) {
        return Err(SetupError::Device(virtio_drivers::Error::Unsupported));
    }
    let half = |at| transport.read_config_space::<u32>(CAPACITY + at);
    let sectors = transport.read_consistent(|| {
        let (low, high) = (half(0)?, half(4)?);
        Ok(u64::from(high) << 32 | u64::from(low))
    });
    let sectors = sectors.map_err(SetupError::Device)?;
    let queue = VirtQueue::new(&mut transport, 0, false, false);
    let queue = queue.map_err(SetupError::Device)?;
    transport.finish_init();
    Ok(Inner {
        ring: SpinLock::new("disk", Ring::new(queue, transport)),
        waiting: ArrayQueue::new(executor::max_tasks()),
        sectors,
        is_read_only: features.contains(Features::READ_ONLY),
        has_flush: features.contains(Features::FLUSH),
    })
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { disks } => write!(f, "no such disk: the bus has {disks}"),
            Self::Taken => f.write_str("the disk is in use already"),
            Self::NoInterrupt => f.write_str("the disk's interrupt line cannot be routed"),
            Self::Transport(error) => write!(f, "the disk's transport: {error}"),
            Self::Device(error) => write!(f, "the disk cannot be set up: {error}"),
        }
    }
}

impl core::error::Error for SetupError {}
