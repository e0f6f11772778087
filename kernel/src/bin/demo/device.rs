//! The machine and the device, in words.

use core::arch::x86_64::__cpuid;

use kernel::{
    crypto::{self, CryptoDevice},
    interrupts::apic,
    memory, println, smp, time,
};
use virtio_crypto::{Features, InterruptMode};

use crate::{chart::Grouped, names};

/// A line of the device's description: what, and how it is.
macro_rules! line {
    ($what:expr, $($text:tt)*) => {
        println!("   {:<12}  {}", $what, format_args!($($text)*))
    };
}

/// Says how much of a machine this is.
pub fn tell_machine() {
    let cpus = smp::online();
    let plural = if cpus == 1 { "" } else { "s" };
    let free_mib = (memory::free_frame_count() * memory::FRAME_LEN) >> 20;
    let mhz = time::tsc_hz() / 1_000_000;
    line!(
        "machine",
        "{cpus} CPU{plural} with {}, clock of {mhz} MHz, {free_mib} MiB of memory free",
        apic::mode()
    );
    line!("runs on", "{}", accelerator());
}

/// Tells what runs the guest's instructions, by what the CPU says of its hypervisor.
fn accelerator() -> &'static str {
    let is_guest = __cpuid(1).ecx & 1 << 31 != 0;
    if !is_guest {
        return "a machine that names no hypervisor";
    }
    let leaf = __cpuid(0x4000_0000);
    let mut signature = [0; 12];
    let words = [leaf.ebx, leaf.ecx, leaf.edx];
    for (place, word) in signature.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    match &signature {
        b"TCGTCGTCGTCG" => "QEMU's TCG, which translates the guest's instructions",
        b"KVMKVMKVM\0\0\0" => "KVM, on the host's CPU itself",
        _ => "a hypervisor that is neither TCG nor KVM",
    }
}

/// Says what a device is and what it offers.
pub fn tell_device(device: &CryptoDevice) {
    if let Some(place) = crypto::find_crypto().first() {
        line!("device", "virtio-crypto, PCI 1af4:1054 at {place}");
    }
    let capabilities = device.capabilities();
    for (service, algorithms) in names::services(&capabilities) {
        line!(service, "{algorithms}");
    }
    let count = device.data_queues();
    let plural = if count == 1 { "" } else { "s" };
    line!(
        "queues",
        "{count} data queue{plural} for encrypting, 1 control queue for sessions"
    );
    line!("interrupts", "{}", interrupts(device.interrupt_mode()));
    let features = device.features();
    if features.contains(Features::INDIRECT_DESC) {
        line!(
            "features",
            "INDIRECT_DESC: a request takes one descriptor of the ring"
        );
    }
    if features.contains(Features::EVENT_IDX) {
        line!(
            "",
            "EVENT_IDX: each side says when it wants to hear from the other"
        );
    }
    match capabilities.max_size_bytes {
        // Beyond any memory.
        0x1_0000_0000_0000.. => line!("request", "of any length"),
        most => line!("request", "up to {} bytes", Grouped(most)),
    }
    println!("   So says the device. `./run.sh probe` finds out what it does.");
}

fn interrupts(mode: InterruptMode) -> &'static str {
    match mode {
        InterruptMode::PerQueue => "MSI-X, a vector for each queue",
        InterruptMode::SharedQueues => "MSI-X, one vector for all queues",
        InterruptMode::Shared => "MSI-X, one vector for everything",
        InterruptMode::Intx => "INTx, a line that devices share",
        InterruptMode::Polling => "none: the driver polls",
        _ => "of a kind that has no name here",
    }
}
