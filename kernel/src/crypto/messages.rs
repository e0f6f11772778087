//! Vectors of their own for a device's MSI-X entries.
//!
//! For [`open`](crate::crypto::open). The one rule: a vector has one sender for good, so its
//! handler finds the device without a search.

use alloc::{sync::Arc, vec::Vec};
use core::ptr;

use spin::Once;
use virtio_crypto::transport::MsixEntry;
use virtio_drivers::transport::pci::bus::DeviceFunction;

use crate::{
    interrupts::vectors::{self, Vector},
    platform::CryptoDevice,
};

/// The sender of a vector. Aligned, so that its place in the table below is found by a shift.
#[repr(align(16))]
struct Source {
    device: Arc<CryptoDevice>,
    entry: MsixEntry,
    vector: Vector,
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

/// Returns the vector that this kernel gave an MSI-X entry of a device's.
pub fn vector_of(device: &CryptoDevice, entry: MsixEntry) -> Option<Vector> {
    let is_it = |source: &&Source| ptr::eq(&*source.device, device) && source.entry == entry;
    let source = SOURCES.iter().filter_map(Once::get).find(is_it);
    source.map(|source| source.vector)
}

/// Takes so many vectors, or as many as there are, which is said in a line: the driver does with
/// fewer.
pub(super) fn take_vectors(function: DeviceFunction, wanted: usize) -> Vec<Vector> {
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

/// Lets `vectors` call `device` from here on, the first of them for its first entry.
pub(super) fn connect(vectors: Vec<Vector>, device: &Arc<CryptoDevice>) {
    for (entry, vector) in (0..).map(MsixEntry).zip(vectors) {
        SOURCES[usize::from(vector.number())].call_once(|| Source {
            device: device.clone(),
            entry,
            vector,
        });
    }
}
