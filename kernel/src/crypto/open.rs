//! Crypto devices, found on the bus and set up with their interrupts.
//!
//! For every program that uses one. The one rule: a device is set up once.
#![expect(
    unsafe_code,
    reason = "vouches for the transports of devices on the bus"
)]

use alloc::{sync::Arc, vec::Vec};

use spin::Mutex;
use virtio_crypto::{
    Device, Error, Framing, InterruptMode, Options,
    transport::{
        Transport, VirtioDriversTransport,
        pci::{PciTransport, is_crypto_device},
    },
};
use virtio_drivers::transport::pci::{
    PciTransport as TheirPciTransport,
    bus::{DeviceFunction, PciRoot},
};

use crate::{
    bus::{self, pci},
    command_line,
    crypto::messages,
    interrupts::lines::{self, Held, Listener},
    platform::{CryptoDevice, KernelPlatform},
};

impl Listener for CryptoDevice {
    fn on_line(&self) {
        self.handle_intx();
    }
}

/// The result of a search for a device.
pub type DeviceOrNone = Result<Option<Arc<CryptoDevice>>, Error>;

/// The configuration field `max_dataqueues` (Virtio 1.3, 5.9.4).
const MAX_DATAQUEUES: usize = 4;

/// Returns how many of the device's data queues the driver will use at most.
fn data_queues(transport: &dyn Transport, options: &Options) -> usize {
    let mut max_data_queues = [0; 4];
    // What cannot be read the driver will say.
    let _ = transport.read_config(MAX_DATAQUEUES, &mut max_data_queues);
    let most = u32::from(options.data_queues).max(1);
    u32::from_le_bytes(max_data_queues).clamp(1, most) as usize
}

/// How a device's interrupts are to reach the kernel at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// MSI-X as far as the device has entries, else INTx.
    Best,
    /// INTx.
    Intx,
    /// None at all.
    Polling,
}

/// Which transport reaches the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The driver's own.
    Pci,
    /// One of `virtio_drivers`, through the driver's adapter: no MSI-X.
    VirtioDrivers,
}

/// The functions that have been set up.
static TAKEN: Mutex<Vec<DeviceFunction>> = Mutex::new(Vec::new());

/// Lists the crypto devices on the bus.
pub fn find_crypto() -> Vec<DeviceFunction> {
    let found = pci::enumerate(&bus::pci_access());
    let crypto = found
        .iter()
        .filter(|found| is_crypto_device(found.vendor, found.device));
    crypto.map(|found| found.function).collect()
}

/// Sets up crypto device number `index` of the bus. Where it has several data queues, each of them
/// interrupts the CPU that sends to it, as far as that is up; everything else interrupts the
/// calling CPU. `None` when there is none.
///
/// # Errors
///
/// Those of [`Device::new`] and of its transport.
///
/// # Panics
///
/// If it is set up a second time: its interrupts are taken.
pub fn open_crypto(index: usize, reach: Reach, wiring: Wiring, options: Options) -> DeviceOrNone {
    let Some(&function) = find_crypto().get(index) else {
        return Ok(None);
    };
    {
        let mut taken = TAKEN.lock();
        let is_new = !taken.contains(&function);
        assert!(is_new, "crypto device {index} is set up already");
        taken.push(function);
    }
    let device = open(function, reach, wiring, options);
    if device.is_err() {
        TAKEN.lock().retain(|taken| *taken != function);
    }
    device.map(Some)
}

/// Takes note that the device of a function has left, so that another one there may be set up: its
/// interrupts and its place are free again, and when the caller drops it, so is its memory.
/// `device` finds out here that it is gone: later it would reset the next one. Waits until every
/// CPU has run a task, so that none still has an interrupt of it to answer.
///
/// # Panics
///
/// If it is still there.
pub fn left(function: DeviceFunction, device: &CryptoDevice) {
    let answer = device.check();
    assert!(answer.is_err(), "the device of {function} answers");
    messages::forget(device);
    lines::forget(device);
    TAKEN.lock().retain(|taken| *taken != function);
}

/// Sets up a function that nobody else does.
fn open(
    function: DeviceFunction,
    reach: Reach,
    wiring: Wiring,
    mut options: Options,
) -> Result<Arc<CryptoDevice>, Error> {
    let access = bus::pci_access();
    // Before its own vectors: the line's stands for all devices on it.
    let line = match (wiring, pci::interrupt_line(&access, function)) {
        (Wiring::Best | Wiring::Intx, Some(line)) => Held::new(line),
        _ => None,
    };
    options.intx = line.is_some();
    if command_line::value("messages") != Some("asynchronous") {
        // QEMU's own devices send their messages under the lock that the answer to a register read
        // takes.
        options.message_travel_ns = 0;
    }
    if command_line::value("framing") == Some("fields") {
        options.framing = Framing::OnePerField;
    }
    let device = match reach {
        Reach::Pci => {
            // SAFETY: the bus's own configuration space; a function is set up once (`open_crypto`),
            // and QEMU's keep to the memory that they are given.
            let transport = unsafe { PciTransport::<KernelPlatform, _>::new(access, function)? };
            set_up(transport, wiring, options, function)?
        }
        Reach::VirtioDrivers => {
            let mut root = PciRoot::new(access);
            let theirs = TheirPciTransport::new::<KernelPlatform, _>(&mut root, function);
            let transport = match theirs {
                // SAFETY: as above; theirs reads and writes the same registers.
                Ok(transport) => unsafe {
                    VirtioDriversTransport::<KernelPlatform, _>::new(transport)?
                },
                Err(error) => panic!("virtio_drivers: {error}"),
            };
            set_up(transport, wiring, options, function)?
        }
    };
    if device.interrupt_mode() == InterruptMode::Intx
        && let Some(line) = line
    {
        device.clear_intx();
        line.add(device.clone());
    }
    Ok(device)
}

/// Sets the device up with vectors of its own, if it is to have any.
fn set_up(
    transport: impl Transport + 'static,
    wiring: Wiring,
    mut options: Options,
    function: DeviceFunction,
) -> Result<Arc<CryptoDevice>, Error> {
    let routes = match wiring {
        Wiring::Best => {
            let entries = usize::from(transport.msix_entries());
            messages::routes(function, entries, data_queues(&transport, &options))
        }
        Wiring::Intx | Wiring::Polling => Vec::new(),
    };
    options
        .messages
        .extend(routes.iter().map(|route| route.message));
    match Device::new(transport, options) {
        Ok(device) => {
            let device = Arc::new(device);
            messages::connect(routes, &device);
            Ok(device)
        }
        Err(error) => {
            messages::give_back(routes);
            Err(error)
        }
    }
}
