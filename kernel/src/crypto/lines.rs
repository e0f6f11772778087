//! PCI interrupt lines. Several devices may share one, so each has one vector, whose handler asks
//! every device on it; the line is level triggered, so what one device leaves comes again.
//!
//! For [`open`](crate::crypto::open). The one rule: a line is held back while a device on it is set
//! up.

use alloc::{boxed::Box, sync::Arc};

use spin::Once;

use crate::{
    bus,
    interrupts::{
        apic,
        ioapic::{self, Pin},
        vectors,
    },
    platform::CryptoDevice,
};

/// A line that is routed.
struct Line {
    pin: Pin,
    devices: Once<Box<Member>>,
}

/// A device on a line, and the next one: a handler walks the list while devices are added.
struct Member {
    device: Arc<CryptoDevice>,
    next: Once<Box<Member>>,
}

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
                let devices = Once::new();
                let line = &*Box::leak(Box::new(Self { pin, devices }));
                BY_VECTOR[usize::from(vector.number())].call_once(|| line);
                Some(line)
            }
            Err(error) => {
                log::warn!("interrupt line {number} is not routed: {error}");
                None
            }
        }
    }

    fn devices(&self) -> impl Iterator<Item = &CryptoDevice> {
        let first = self.devices.get();
        let members = core::iter::successors(first, |member| member.next.get());
        members.map(|member| &*member.device)
    }

    fn add(&self, device: Arc<CryptoDevice>) {
        let mut place = &self.devices;
        while let Some(member) = place.get() {
            place = &member.next;
        }
        place.call_once(|| {
            Box::new(Member {
                device,
                next: Once::new(),
            })
        });
    }
}

fn on_line(vector: u8) {
    if let Some(line) = BY_VECTOR[usize::from(vector)].get() {
        for device in line.devices() {
            device.handle_intx();
        }
    }
}

/// A line that is held back while a device on it is set up: what that device raises has no handler
/// yet, and would come again and again. What the others raise waits.
pub(crate) struct Held(&'static Line);

impl Held {
    /// Holds line `number` back. `None` when it cannot be routed, which is said in a line.
    pub(crate) fn new(number: u8) -> Option<Self> {
        let line = Line::of(number)?;
        line.pin.mask();
        Some(Self(line))
    }

    /// Lets the line's handler ask `device` too.
    pub(crate) fn add(&self, device: Arc<CryptoDevice>) {
        // A level raised before the pin is unmasked might not be delivered.
        device.clear_intx();
        self.0.add(device);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A line without a device here belongs to a device that this kernel does not know.
        if self.0.devices.is_completed() {
            self.0.pin.unmask();
        }
    }
}
