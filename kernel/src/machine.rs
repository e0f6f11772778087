//! What the machine consists of, and the crypto devices in it.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU8, Ordering};

use spin::Once;
use virtio_crypto::{
    Device, Error, Options,
    transport::{
        MsixEntry, VirtioDriversTransport,
        pci::{PciTransport, is_crypto_device},
    },
};
use virtio_drivers::transport::pci::{
    PciTransport as TheirPciTransport,
    bus::{DeviceFunction, PciRoot},
};

use crate::{
    acpi::{self, Firmware, Tables},
    executor, ioapic, memory, pci,
    platform::KernelPlatform,
    testing, time, vectors,
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
        Err(error) => testing::give_up(format_args!("{error}")),
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

/// Most devices that interrupts are delivered for.
const MAX_DEVICES: usize = 4;
/// Vectors of a device.
const VECTORS: usize = 3;

/// A device of this kernel.
pub type CryptoDevice = Device<KernelPlatform>;
/// What looking for one gives.
pub type DeviceOrNone = Result<Option<Arc<CryptoDevice>>, Error>;

static DEVICES: [Once<Arc<CryptoDevice>>; MAX_DEVICES] = [const { Once::new() }; MAX_DEVICES];

/// Interrupts before the device is in its place have nothing to do yet.
fn on_msix<const DEVICE: usize, const ENTRY: u16>(_vector: u8) {
    if let Some(device) = DEVICES[DEVICE].get() {
        device.handle_interrupt(MsixEntry(ENTRY));
    }
}

fn on_intx<const DEVICE: usize>(_vector: u8) {
    if let Some(device) = DEVICES[DEVICE].get() {
        device.handle_intx();
    }
}

/// Handlers cannot capture, so there is one for each place.
const MSIX: [[fn(u8); VECTORS]; MAX_DEVICES] = [
    [on_msix::<0, 0>, on_msix::<0, 1>, on_msix::<0, 2>],
    [on_msix::<1, 0>, on_msix::<1, 1>, on_msix::<1, 2>],
    [on_msix::<2, 0>, on_msix::<2, 1>, on_msix::<2, 2>],
    [on_msix::<3, 0>, on_msix::<3, 1>, on_msix::<3, 2>],
];
const INTX: [fn(u8); MAX_DEVICES] = [on_intx::<0>, on_intx::<1>, on_intx::<2>, on_intx::<3>];

/// The vector of each MSI-X entry that is in use; 0 for none.
static ENTRY_VECTORS: [[AtomicU8; VECTORS]; MAX_DEVICES] =
    [const { [const { AtomicU8::new(0) }; VECTORS] }; MAX_DEVICES];

/// Returns the vector of a device's MSI-X entry.
pub fn vector_of(device: usize, entry: usize) -> Option<u8> {
    let vector = ENTRY_VECTORS
        .get(device)?
        .get(entry)?
        .load(Ordering::Relaxed);
    (vector != 0).then_some(vector)
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
pub fn open_crypto(
    index: usize,
    reach: Reach,
    wiring: Wiring,
    mut options: Options,
) -> DeviceOrNone {
    let Some(&function) = find_crypto().get(index).filter(|_| index < MAX_DEVICES) else {
        return Ok(None);
    };
    assert!(
        !DEVICES[index].is_completed(),
        "crypto device {index} is set up already"
    );
    let access = pci_access();
    let vector = |handler| match vectors::allocate(handler) {
        Ok(vector) => vector,
        Err(error) => panic!("{error}"),
    };
    if wiring == Wiring::Best {
        for (&handler, place) in MSIX[index].iter().zip(&ENTRY_VECTORS[index]) {
            let vector = vector(handler);
            place.store(vector, Ordering::Relaxed);
            options.messages.extend(vectors::message_here(vector));
        }
    }
    let pin = match (wiring, pci::interrupt_line(&access, function)) {
        (Wiring::Best | Wiring::Intx, Some(line)) => {
            let vector = vector(INTX[index]);
            ioapic::route(tables(), line, vector, crate::apic::id()).ok()
        }
        _ => None,
    };
    options.intx = pin.is_some();
    // QEMU's own devices send their messages under the lock that the answer to a register read takes.
    options.message_travel_ns = 0;
    let device = match reach {
        Reach::Pci => {
            // SAFETY: the bus's own configuration space; one device a function is set up (asserted above),
            // and QEMU's keep to the memory that they are given.
            let transport = unsafe { PciTransport::<KernelPlatform, _>::new(access, function)? };
            Device::new(transport, options)?
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
            Device::new(transport, options)?
        }
    };
    let device = Arc::new(device);
    DEVICES[index].call_once(|| device.clone());
    if device.interrupt_mode() == virtio_crypto::InterruptMode::Intx
        && let Some(pin) = pin
    {
        // A level raised before the pin is unmasked would never be delivered.
        device.clear_intx();
        pin.unmask();
    }
    Ok(Some(device))
}

/// How often a watched device is looked at.
const WATCH_NS: u64 = 100_000_000;

/// Looks at `device` ten times a second while it has requests in flight, from a task of the calling CPU: one
/// that has died says nothing by itself. That keeps the timer armed, which counted instructions do not
/// bear, so whoever opens a device asks for it.
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
