//! Finds a network device and sets it up.
//!
//! The one rule: a device is set up once.

use alloc::{boxed::Box, sync::Arc};
use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::sync::SpinLock;
use virtio_drivers::transport::{
    DeviceStatus, Transport,
    pci::{PciTransport, VirtioPciError},
};

use super::{
    frames::{Counts, Frames, Queue, RECEIVE, TRANSMIT},
    stack::{Addresses, Network, OnLine},
};
use crate::bus;

/// A network device, transitional and not (4.1.2, 5.1.1).
const DEVICES: [u16; 2] = [0x1000, 0x1041];
/// Where the configuration has the device's own address (5.1.4).
const MAC: usize = 0;

bitflags::bitflags! {
    /// Features of the device (5.1.3, 6). Not INDIRECT_DESC, for whose tables the queue would
    /// allocate, and not EVENT_IDX, which it compares wrongly.
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const MAC = 1 << 5;
        const VERSION_1 = 1 << 32;
    }
}

/// Why there is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The bus has no network device.
    Missing,
    /// It is in use already.
    Taken,
    /// Its interrupt line cannot be routed.
    NoInterrupt,
    /// It cannot be reached as a device of Virtio 1.
    Transport(VirtioPciError),
    /// It refused the features, or its queues are too small.
    Device(virtio_drivers::Error),
}

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

impl Network {
    /// Sets up the bus's first network device, whose interrupts the calling CPU gets. `seed` is a
    /// random number: connections begin with numbers that nobody is to guess.
    ///
    /// # Errors
    ///
    /// [`SetupError`].
    pub fn open(addresses: Addresses, seed: u64) -> Result<Self, SetupError> {
        let networks = bus::find(DEVICES);
        let function = *networks.first().ok_or(SetupError::Missing)?;
        let line = bus::hold_line(function).ok_or(SetupError::NoInterrupt)?;
        if IS_TAKEN.swap(true, Ordering::Relaxed) {
            return Err(SetupError::Taken);
        }
        let transport = bus::transport(function).map_err(SetupError::Transport)?;
        let (network, on_line) = set_up(transport, addresses, seed)?;
        line.add(Arc::new(on_line));
        Ok(network)
    }
}

/// Follows the specification's order (3.1.1).
fn set_up(
    mut transport: PciTransport,
    addresses: Addresses,
    seed: u64,
) -> Result<(Network, OnLine), SetupError> {
    let features = transport.begin_init(Features::all());
    let is_accepted = transport.get_status().contains(DeviceStatus::FEATURES_OK);
    if !is_accepted || !features.contains(Features::VERSION_1 | Features::MAC) {
        return Err(SetupError::Device(virtio_drivers::Error::Unsupported));
    }
    let mac = transport.read_consistent(|| transport.read_config_space::<[u8; 6]>(MAC));
    let mac = mac.map_err(SetupError::Device)?;
    let mut queue = |number| {
        let queue = Queue::new(&mut transport, number, false, false);
        queue.map_err(SetupError::Device)
    };
    let (receive, transmit) = (queue(RECEIVE)?, queue(TRANSMIT)?);
    transport.finish_init();
    let transport = &*Box::leak(Box::new(SpinLock::new("network device", transport)));
    let counts = &*Box::leak(Box::new(Counts::default()));
    let frames = Frames::new(transport, counts, receive, transmit);
    Ok(Network::new(
        frames, transport, counts, mac, addresses, seed,
    ))
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no network device (PCI 1af4:1041 or 1af4:1000)"),
            Self::Taken => f.write_str("the network device is in use already"),
            Self::NoInterrupt => f.write_str("the network's interrupt line cannot be routed"),
            Self::Transport(error) => write!(f, "the network's transport: {error}"),
            Self::Device(error) => write!(f, "the network cannot be set up: {error}"),
        }
    }
}

impl core::error::Error for SetupError {}
