//! What the machine consists of, and the crypto devices in it.

pub mod idle;
mod lines;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::ptr;

use spin::{Mutex, Once};
use virtio_crypto::{
    Device, Error, InterruptMode, Options,
    transport::{
        MsixEntry, Transport, VirtioDriversTransport,
        pci::{PciTransport, is_crypto_device},
    },
};
use virtio_drivers::transport::pci::{
    PciTransport as TheirPciTransport,
    bus::{DeviceFunction, PciRoot},
};

use crate::{
    bus::{
        acpi::{self, Firmware, Tables},
        pci,
    },
    crypto::lines::Held,
    exit,
    interrupts::{
        ioapic,
        vectors::{self, Vector},
    },
    memory,
    platform::{self, KernelPlatform},
    task::executor,
    time,
};

static TABLES: Once<Tables> = Once::new();
static ACCESS: Once<pci::Access> = Once::new();

/// Firmware tables where they are.
struct Mapped;

impl Firmware for Mapped {
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<Vec<u8>> {
        memory::read_firmware(address, len_bytes)
    }
}

pub(crate) fn init(rsdp: u64) {
    match acpi::read(&Mapped, rsdp) {
        Ok(tables) => {
            ioapic::mask_all(&tables);
            let tables = TABLES.call_once(|| tables);
            ACCESS.call_once(|| pci::Access::new(tables.ecam));
        }
        Err(error) => exit::fail(format_args!("{error}")),
    }
}

/// Returns what the ACPI tables say.
pub fn tables() -> &'static Tables {
    match TABLES.get() {
        Some(tables) => tables,
        None => panic!("the ACPI tables before `init`"),
    }
}

/// Returns the way to PCI configuration space.
pub fn pci_access() -> pci::Access {
    match ACCESS.get() {
        Some(access) => *access,
        None => panic!("PCI before `init`"),
    }
}

/// A device of this kernel.
pub type CryptoDevice = Device<KernelPlatform>;
/// What looking for one gives.
pub type DeviceOrNone = Result<Option<Arc<CryptoDevice>>, Error>;

/// Who sends a vector. Aligned, so that its place in the table below is found by a shift.
#[repr(align(16))]
struct Source {
    device: Arc<CryptoDevice>,
    entry: MsixEntry,
    vector: Vector,
}

/// By vector.
static SOURCES: [Once<Source>; 256] = [const { Once::new() }; 256];
/// The functions that have been set up.
static TAKEN: Mutex<Vec<DeviceFunction>> = Mutex::new(Vec::new());

/// Answers a device's first entries, which are all that one with a single data queue has: what an
/// entry is for is known here, and need not be found out at each interrupt.
fn on_first<const ENTRY: u16>(vector: u8) {
    // Before the device is in its place there is nothing to do yet.
    if let Some(source) = SOURCES[usize::from(vector)].get() {
        source.device.handle_interrupt(MsixEntry(ENTRY));
    }
}

fn on_other(vector: u8) {
    if let Some(source) = SOURCES[usize::from(vector)].get() {
        source.device.handle_interrupt(source.entry);
    }
}

/// Returns what the vector of an entry calls.
fn handler_of(entry: MsixEntry) -> fn(u8) {
    match entry.0 {
        0 => on_first::<0>,
        1 => on_first::<1>,
        2 => on_first::<2>,
        _ => on_other,
    }
}

/// Returns the vector that this kernel gave an MSI-X entry of a device's.
pub fn vector_of(device: &CryptoDevice, entry: MsixEntry) -> Option<Vector> {
    let is_it = |source: &&Source| ptr::eq(&*source.device, device) && source.entry == entry;
    let source = SOURCES.iter().filter_map(Once::get).find(is_it);
    source.map(|source| source.vector)
}

/// The configuration field `max_dataqueues` (Virtio 1.3, 5.9.4).
const MAX_DATAQUEUES: usize = 4;

/// Returns how many MSI-X entries the driver can use of the device's.
fn useful_entries(transport: &dyn Transport, options: &Options) -> usize {
    let mut max_data_queues = [0; 4];
    // What cannot be read the driver will say.
    let _ = transport.read_config(MAX_DATAQUEUES, &mut max_data_queues);
    let most = u32::from(options.data_queues).max(1);
    let data_queues = u32::from_le_bytes(max_data_queues).clamp(1, most);
    // Configuration and control queue have one each.
    usize::from(transport.msix_entries()).min(2 + data_queues as usize)
}

/// Takes so many vectors, or as many as there are, which is said in a line: the driver does with
/// fewer.
fn take_vectors(function: DeviceFunction, wanted: usize) -> Vec<Vector> {
    let mut taken = Vec::new();
    for entry in (0..).map(MsixEntry).take(wanted) {
        match vectors::allocate(handler_of(entry)) {
            Ok(vector) => taken.push(vector),
            Err(error) => {
                let count = taken.len();
                log::warn!("crypto device at {function}: {count} of {wanted} vectors, {error}");
                break;
            }
        }
    }
    taken
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

/// Lists the crypto devices on the bus.
pub fn find_crypto() -> Vec<DeviceFunction> {
    let found = pci::enumerate(&pci_access());
    let crypto = found
        .iter()
        .filter(|found| is_crypto_device(found.vendor, found.device));
    crypto.map(|found| found.function).collect()
}

/// Sets up crypto device number `index` of the bus, with its interrupts on the calling CPU.
/// `None` when there is none.
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

/// Sets up a function that nobody else does.
fn open(
    function: DeviceFunction,
    reach: Reach,
    wiring: Wiring,
    mut options: Options,
) -> Result<Arc<CryptoDevice>, Error> {
    let access = pci_access();
    // Before its own vectors: the line's stands for all devices on it.
    let line = match (wiring, pci::interrupt_line(&access, function)) {
        (Wiring::Best | Wiring::Intx, Some(line)) => Held::new(line),
        _ => None,
    };
    options.intx = line.is_some();
    // QEMU's own devices send their messages under the lock that the answer to a register read
    // takes.
    options.message_travel_ns = 0;
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
    let vectors = match wiring {
        Wiring::Best => take_vectors(function, useful_entries(&transport, &options)),
        Wiring::Intx | Wiring::Polling => Vec::new(),
    };
    let messages = vectors
        .iter()
        .filter_map(|vector| platform::message_here(*vector));
    options.messages.extend(messages);
    let device = Arc::new(Device::new(transport, options)?);
    for (entry, vector) in (0..).map(MsixEntry).zip(vectors) {
        SOURCES[usize::from(vector.number())].call_once(|| Source {
            device: device.clone(),
            entry,
            vector,
        });
    }
    Ok(device)
}

/// How often a watched device is looked at.
const WATCH_NS: u64 = 100_000_000;

/// Looks at `device` ten times a second while it has requests in flight, from a task of the calling
/// CPU: one that has died says nothing by itself. That keeps the timer armed, which counted
/// instructions do not bear, so whoever opens a device asks for it.
///
/// # Panics
///
/// If the CPU has no room for a task.
pub fn watch(device: &Arc<CryptoDevice>) {
    let device = Arc::downgrade(device);
    let watch = async move {
        loop {
            time::sleep_ns(WATCH_NS).await;
            let Some(device) = device.upgrade() else {
                return;
            };
            let in_flight = device.control_stats().in_flight + device.data_stats().in_flight;
            if in_flight > 0
                && device.ended().is_none()
                && let Err(error) = device.check()
            {
                log::error!("virtio-crypto: {error}");
            }
        }
    };
    match executor::spawn(watch) {
        Ok(task) => task.detach(),
        Err(full) => panic!("no room for a watch among {} tasks", full.max),
    }
}

/// Polls `device` until nothing is in flight and `sessions` sessions are taken.
///
/// # Panics
///
/// If that is not so within `limit_ns`.
pub fn wait_until_idle(device: &CryptoDevice, sessions: usize, limit_ns: u64) {
    let end_ns = time::now_ns() + limit_ns;
    loop {
        device.poll();
        let in_flight = device.control_stats().in_flight + device.data_stats().in_flight;
        let taken = device.sessions_taken();
        if in_flight == 0 && taken == sessions {
            return;
        }
        assert!(
            time::now_ns() < end_ns,
            "{in_flight} in flight, {taken} sessions, expected {sessions}"
        );
        executor::block_on(executor::yield_now());
    }
}

/// Awaits all of `futures` side by side, and returns their outputs in order.
///
/// # Panics
///
/// When memory runs out.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let futures = futures.into_iter().map(Box::pin).collect();
    let outputs = virtio_crypto::join_all(futures).await;
    outputs.unwrap_or_else(|failed| panic!("{}", failed.error))
}
