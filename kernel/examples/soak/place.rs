//! The devices of the machine: where each is, and what it serves. A device may leave and another
//! come; the place stays.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
};

use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit, println,
    sync::SpinLock,
};
use spin::Once;
use virtio_crypto::{Error, ForcedReset, Options, WhenNotReady, transport::TrustedReset};
use virtio_drivers::transport::pci::bus::DeviceFunction;

use crate::served::Served;

static PLACES: Once<Vec<Place>> = Once::new();

/// Sessions that QEMU's backend may have of an owner before.
const SESSIONS: u64 = 256;
/// Cases that are never polled again, at most in one life of a device: they keep their slots.
const MOST_FORGOTTEN: usize = 4;

/// A case that has begun, and may never be polled again.
pub type BegunCase = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Something that is being done to a device, and that may end requests.
#[must_use = "it lasts until it is dropped"]
pub struct Disturbance<'p>(&'p Place);

impl Drop for Disturbance<'_> {
    fn drop(&mut self) {
        self.0.disturbing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place for a device.
#[derive(Debug)]
pub struct Place {
    /// Its number on the bus, and in what the monitor is told.
    pub number: usize,
    pub function: DeviceFunction,
    pub served: Served,
    device: SpinLock<Option<Arc<CryptoDevice>>>,
    /// How often something was done to the device that may end a request, and how much of that is
    /// being done.
    disturbed: AtomicU64,
    disturbing: AtomicU64,
    forgotten: Forgotten,
}

/// Cases that are not polled again, until the device's life is over.
struct Forgotten(SpinLock<Vec<BegunCase>>);

impl core::fmt::Debug for Forgotten {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Forgotten")
    }
}

/// Returns how devices are set up here.
fn options() -> Options {
    let mut options = Options::default();
    // SAFETY: QEMU's builtin backend without a throttle has answered a request before it does
    // anything else, and the project's own device waits for its workers: after a reset neither
    // touches what it had.
    let trusted = unsafe { TrustedReset::new() };
    // So that memory is as it was at the end.
    options.forced_reset = ForcedReset::Reclaim(trusted);
    options.when_not_ready = WhenNotReady::Wait;
    if command_line::value("load").is_some() {
        // So that there are not more slots than one queue's.
        options.data_queues = 1;
    }
    options
}

/// Tells whether the devices are the project's own, which obey words.
pub fn is_own() -> bool {
    command_line::value("messages") == Some("asynchronous")
}

/// Opens every device of the machine.
pub fn open_all() -> &'static [Place] {
    let mut functions = crypto::find_crypto();
    if functions.is_empty() {
        exit::fail(format_args!("no crypto device"));
    }
    // As those outside count them.
    functions.sort_unstable();
    PLACES.call_once(|| {
        let place = |(number, function)| {
            let device = open(number, function);
            let served = Served::of(&device);
            println!(
                "soak: device={number} at={function} mode={:?} queues={} chains={} stateless={} \
                 serves={:?}",
                device.interrupt_mode(),
                device.data_queues(),
                served.has_chains,
                served.is_stateless,
                served.algorithms,
            );
            Place {
                number,
                function,
                served,
                device: SpinLock::new("place", Some(device)),
                disturbed: AtomicU64::new(0),
                disturbing: AtomicU64::new(0),
                forgotten: Forgotten(SpinLock::new(
                    "forgotten",
                    Vec::with_capacity(MOST_FORGOTTEN),
                )),
            }
        };
        functions.into_iter().enumerate().map(place).collect()
    })
}

/// Returns all places.
pub fn all() -> &'static [Place] {
    PLACES.get().map_or(&[], Vec::as_slice)
}

fn open(number: usize, function: DeviceFunction) -> Arc<CryptoDevice> {
    let functions = crypto::find_crypto();
    let index = functions.iter().position(|found| *found == function);
    let Some(index) = index else {
        exit::fail(format_args!("device {number} is not at {function}"));
    };
    match crypto::open_crypto(index, Reach::Pci, Wiring::Best, options()) {
        Ok(Some(device)) => {
            crypto::watch(&device);
            device
        }
        Ok(None) => exit::fail(format_args!("device {number} is not there")),
        Err(error) => exit::fail(format_args!("device {number}: {error}")),
    }
}

impl Place {
    /// Returns the device that is there now.
    pub fn device(&self) -> Option<Arc<CryptoDevice>> {
        self.device.with(|device| device.clone())
    }

    /// Takes it away: nobody begins anything on it any more.
    pub fn take(&self) -> Option<Arc<CryptoDevice>> {
        self.device.with(Option::take)
    }

    /// Opens the device that has come, and lets others use it. One that was pulled out may have
    /// left sessions on the backend.
    pub async fn reopen(&self, was_pulled: bool) {
        let device = open(self.number, self.function);
        if was_pulled && let Err(error) = device.end_sessions_before(SESSIONS).await {
            exit::fail(format_args!("sessions of the device before: {error}"));
        }
        self.device.with(|place| *place = Some(device));
    }

    /// Takes note that something is done to the device that may end requests, until this is
    /// dropped.
    pub fn disturb(&self) -> Disturbance<'_> {
        self.disturbing.fetch_add(1, Ordering::SeqCst);
        self.disturbed.fetch_add(1, Ordering::SeqCst);
        Disturbance(self)
    }

    /// Returns a number that tells later whether requests were disturbed meanwhile.
    pub fn calm_since(&self) -> Option<u64> {
        let disturbed = self.disturbed.load(Ordering::SeqCst);
        (self.disturbing.load(Ordering::SeqCst) == 0).then_some(disturbed)
    }

    /// Tells whether they were.
    pub fn was_disturbed(&self, since: Option<u64>) -> bool {
        since != Some(self.disturbed.load(Ordering::SeqCst))
    }

    /// Keeps a case that is never polled again in this life of the device; gives it back where
    /// there are too many.
    pub fn forget(&self, case: BegunCase) -> Result<(), BegunCase> {
        self.forgotten.0.with(|cases| {
            // No room is made under the lock.
            if cases.len() == MOST_FORGOTTEN {
                return Err(case);
            }
            cases.push(case);
            Ok(())
        })
    }

    /// Ends those that were never polled again: the life of their device is over.
    pub fn bury(&self) {
        while let Some(case) = self.forgotten.0.with(Vec::pop) {
            drop(case);
        }
    }
}
