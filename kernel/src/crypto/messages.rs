//! Vectors of their own for a device's MSI-X entries, each of which interrupts one CPU.
//!
//! For [`open`](crate::crypto::open). The one rule: a vector has one sender until that has left, so
//! its handler finds the device without a search.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::ptr;

use virtio_crypto::{
    Interrupt,
    transport::{MsixEntry, MsixMessage},
};
use virtio_drivers::transport::pci::bus::DeviceFunction;

use super::unhandled;
use crate::{
    cpu,
    interrupts::vectors::{self, Vector},
    platform::{self, CryptoDevice},
    smp,
    sync::Shown,
    task::executor,
};

/// The sender of a vector.
struct Source {
    device: Arc<CryptoDevice>,
    entry: MsixEntry,
    vector: Vector,
    cpu: u32,
}

/// By vector.
static SOURCES: [Shown<Source>; 256] = [const { Shown::new() }; 256];

/// Answers a device's first entries, which are all that one with a single data queue has: what an
/// entry is for is known here, and need not be found out at each interrupt.
fn on_first<const ENTRY: u16>(vector: u8) {
    // Before the device is in its place there is nothing to do yet.
    SOURCES[usize::from(vector)].look(|source| source.answer(MsixEntry(ENTRY)));
}

fn on_other(vector: u8) {
    SOURCES[usize::from(vector)].look(|source| source.answer(source.entry));
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

impl Source {
    #[inline(always)]
    fn answer(&self, entry: MsixEntry) {
        if self.device.handle_interrupt(entry) == Interrupt::Unhandled {
            unhandled::note(&self.device, entry);
        }
    }

    fn is_of(&self, device: &CryptoDevice) -> bool {
        ptr::eq(&*self.device, device)
    }
}

/// Returns the vector of a device's MSI-X entry, and the CPU that it interrupts at first.
fn source(device: &CryptoDevice, entry: MsixEntry) -> Option<(Vector, u32)> {
    let vector_and_cpu = |source: &Source| {
        let is_it = source.is_of(device) && source.entry == entry;
        is_it.then_some((source.vector, source.cpu))
    };
    SOURCES
        .iter()
        .find_map(|place| place.look(vector_and_cpu).flatten())
}

/// Returns the vector that this kernel gave an MSI-X entry of a device's.
pub fn vector_of(device: &CryptoDevice, entry: MsixEntry) -> Option<Vector> {
    source(device, entry).map(|(vector, _)| vector)
}

/// Returns the CPU that an MSI-X entry of a device's has interrupted from the first on.
pub fn first_cpu_of(device: &CryptoDevice, entry: MsixEntry) -> Option<u32> {
    source(device, entry).map(|(_, cpu)| cpu)
}

/// The way of an MSI-X entry's message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    vector: Vector,
    cpu: u32,
    pub(super) message: MsixMessage,
}

/// Gives a device with so many data queues a vector for each of them, one for the configuration and
/// one for the control queue, as far as it has entries. Where it has fewer, or the kernel has fewer
/// vectors, which is said in a line, two are all that the driver can use, and one will do.
pub(super) fn routes(function: DeviceFunction, entries: usize, data_queues: usize) -> Vec<Route> {
    let each = 2 + data_queues;
    let useful = [each, 2, 1].into_iter().filter(|count| *count <= entries);
    for count in useful {
        match vectors::allocate_all(count, |place| handler_of(MsixEntry(place as u16))) {
            Ok(vectors) => {
                // The queue that a CPU sends to is its number modulo the number of queues.
                let spread = count == each && data_queues > 1;
                let cpu_of = |entry: usize| match entry.checked_sub(1) {
                    Some(queue) if spread && queue < data_queues => queue as u32 % smp::online(),
                    _ => cpu::number(),
                };
                let routes = vectors.enumerate().map(|(entry, vector)| {
                    let route = |cpu| {
                        let message = platform::message_for(cpu, vector)?;
                        Some(Route {
                            vector,
                            cpu,
                            message,
                        })
                    };
                    route(cpu_of(entry)).or_else(|| route(cpu::number()))
                });
                // No message can name this CPU: then none is of use.
                return routes.collect::<Option<_>>().unwrap_or_default();
            }
            Err(error) => {
                log::warn!("crypto device at {function}: {count} vectors are wanted, {error}");
            }
        }
    }
    Vec::new()
}

/// Lets the vectors of `routes` call `device` from here on, the first of them for its first entry.
pub(super) fn connect(routes: Vec<Route>, device: &Arc<CryptoDevice>) {
    for (entry, route) in (0..).map(MsixEntry).zip(routes) {
        let source = Source {
            device: device.clone(),
            entry,
            vector: route.vector,
            cpu: route.cpu,
        };
        SOURCES[usize::from(route.vector.number())].replace(Some(Box::new(source)));
    }
}

/// Takes the vectors of a device that has left back.
pub(super) fn forget(device: &CryptoDevice) {
    let is_its = |place: &&Shown<Source>| place.look(|source| source.is_of(device)) == Some(true);
    let sources = SOURCES.iter().filter(is_its);
    let sources: Vec<_> = sources.filter_map(|place| place.replace(None)).collect();
    // A message may have reached a CPU that has not answered it yet.
    executor::block_on(smp::run_everywhere());
    for source in sources {
        vectors::give_back(source.vector);
    }
}

/// Gives vectors back that no device has come to use.
pub(super) fn give_back(routes: Vec<Route>) {
    for route in routes {
        vectors::give_back(route.vector);
    }
}
