//! PCI interrupt lines. Several devices may share one, so each has one vector, whose handler asks
//! every device on it; the line is level triggered, so what one device leaves comes again.
//!
//! For rooms and programs that drive a device. The one rule: a line is held back while a device on
//! it is set up.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, ptr};

use spin::{Mutex, Once};

use crate::{
    bus,
    interrupts::{
        apic,
        ioapic::{self, Pin},
        vectors,
    },
    sync::Shown,
};

/// A device on a line.
pub trait Listener: Send + Sync {
    /// Asks the device whether it was the one, and answers it if so: afterwards it no longer raises
    /// the line. Called in an interrupt handler, by one CPU at a time; others on the line make that
    /// happen, too.
    fn on_line(&self);
}

/// A line that is routed.
struct Line {
    pin: Pin,
    /// Those on it: a handler walks the list while another takes its place.
    devices: Shown<Devices>,
    /// Held while one does.
    changing: Mutex<()>,
}

type Devices = Vec<Arc<dyn Listener>>;

/// By number. A line that cannot be routed stays `None`.
static LINES: [Once<Option<&'static Line>>; 256] = [const { Once::new() }; 256];
/// By vector.
static BY_VECTOR: [Once<&'static Line>; 256] = [const { Once::new() }; 256];

impl Line {
    /// Returns the line of this number, routed to the calling CPU if it was not before.
    fn of(number: u8) -> Option<&'static Self> {
        *LINES[usize::from(number)].call_once(|| Self::route(number))
    }

    fn route(number: u8) -> Option<&'static Self> {
        let vector = match vectors::allocate(on_line) {
            Ok(vector) => vector,
            Err(error) => {
                log::warn!("interrupt line {number} is not routed: {error}");
                return None;
            }
        };
        match ioapic::route(bus::tables(), number, vector, apic::id()) {
            Ok(pin) => {
                let line = Self {
                    pin,
                    devices: Shown::new(),
                    changing: Mutex::new(()),
                };
                let line = &*Box::leak(Box::new(line));
                BY_VECTOR[usize::from(vector.number())].call_once(|| line);
                Some(line)
            }
            Err(error) => {
                log::warn!("interrupt line {number} is not routed: {error}");
                None
            }
        }
    }

    fn has_devices(&self) -> bool {
        self.devices.look(|devices| !devices.is_empty()) == Some(true)
    }

    /// Replaces the list by what `f` makes of it.
    fn change(&self, f: impl FnOnce(Devices) -> Devices) {
        let old = {
            let _changing = self.changing.lock();
            let devices = self.devices.look(Devices::clone).unwrap_or_default();
            self.devices.replace(Some(Box::new(f(devices))))
        };
        // A device that is dropped here is dropped without a lock.
        drop(old);
    }

    fn add(&self, device: Arc<dyn Listener>) {
        self.change(|mut devices| {
            devices.push(device);
            devices
        });
    }

    /// Forgets a device, and holds the line back if it was the last: nobody is left to answer.
    fn forget(&self, device: *const ()) {
        let is_it = |known: &Arc<dyn Listener>| ptr::eq(Arc::as_ptr(known).cast(), device);
        if self.devices.look(|devices| devices.iter().any(is_it)) != Some(true) {
            return;
        }
        self.change(|mut devices| {
            devices.retain(|known| !is_it(known));
            if devices.is_empty() {
                self.pin.mask();
            }
            devices
        });
    }
}

fn on_line(vector: u8) {
    if let Some(line) = BY_VECTOR[usize::from(vector)].get() {
        line.devices.look(|devices| {
            for device in devices {
                device.on_line();
            }
        });
    }
}

/// Forgets a device that has left.
pub fn forget<T: Listener>(device: &T) {
    let device = ptr::from_ref(device).cast();
    for line in LINES.iter().filter_map(Once::get).flatten() {
        line.forget(device);
    }
}

/// A line that is held back while a device on it is set up: what that device raises has no handler
/// yet, and would come again and again. What the others raise waits.
pub struct Held(&'static Line);

impl Held {
    /// Holds line `number` back. `None` when it cannot be routed, which is said in a line.
    pub fn new(number: u8) -> Option<Self> {
        let line = Line::of(number)?;
        line.pin.mask();
        Some(Self(line))
    }

    /// Lets the line's handler ask `device` too, which does not raise the line at this moment: a
    /// level that was raised before the pin is unmasked might not be delivered.
    pub fn add(&self, device: Arc<dyn Listener>) {
        self.0.add(device);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A line without a device here belongs to a device that this kernel does not know.
        if self.0.has_devices() {
            self.0.pin.unmask();
        }
    }
}
