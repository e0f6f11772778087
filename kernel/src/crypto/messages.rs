//! Vectors of their own for a device's MSI-X entries, each of which interrupts one CPU.
//!
//! For [`open`](crate::crypto::open). The one rule: a vector has one sender for good, so its
//! handler finds the device without a search.

use alloc::{sync::Arc, vec::Vec};
use core::ptr;

use spin::Once;
use virtio_crypto::transport::{MsixEntry, MsixMessage};
use virtio_drivers::transport::pci::bus::DeviceFunction;

use crate::{
    cpu,
    interrupts::vectors::{self, Vector},
    platform::{self, CryptoDevice},
    smp,
};

/// The sender of a vector. Aligned, so that its place in the table below is found by a shift.
#[repr(align(16))]
struct Source {
    device: Arc<CryptoDevice>,
    entry: MsixEntry,
    vector: Vector,
    cpu: u32,
}

/// By vector.
static SOURCES: [Once<Source>; 256] = [const { Once::new() }; 256];

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

fn source(device: &CryptoDevice, entry: MsixEntry) -> Option<&'static Source> {
    let is_it = |source: &&Source| ptr::eq(&*source.device, device) && source.entry == entry;
    SOURCES.iter().filter_map(Once::get).find(is_it)
}

/// Returns the vector that this kernel gave an MSI-X entry of a device's.
pub fn vector_of(device: &CryptoDevice, entry: MsixEntry) -> Option<Vector> {
    source(device, entry).map(|source| source.vector)
}

/// Returns the CPU that an MSI-X entry of a device's has interrupted from the first on.
pub fn first_cpu_of(device: &CryptoDevice, entry: MsixEntry) -> Option<u32> {
    source(device, entry).map(|source| source.cpu)
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
        SOURCES[usize::from(route.vector.number())].call_once(|| Source {
            device: device.clone(),
            entry,
            vector: route.vector,
            cpu: route.cpu,
        });
    }
}
