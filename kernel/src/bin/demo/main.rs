//! The demonstration: what this is about, told in a minute on one machine.
//!
//! It says what the device offers ([`device`]), checks an encryption against NIST's example
//! ([`example`]), has workers open sessions in two ways ([`workers`]), and tells what became of the
//! interrupts ([`interrupts`]). `./run.sh` starts it. Figures come from the run that prints them.
#![no_std]
#![no_main]

extern crate alloc;

mod chart;
mod device;
mod example;
mod interrupts;
mod names;
mod workers;

use kernel::{
    command_line,
    crypto::{self, Reach, Wiring},
    exit::{self, ExitCode, exit},
    println, smp,
    task::executor,
};
use virtio_crypto::Options;

// Two CPUs are enough for workers to be in each other's way, and most hosts have two cores.
kernel::entry!(main, machine: "smp=2");

/// Words that the command line may hold.
const WORDS: &[&str] = &["demo", "polling", "intx"];
const SHUTDOWN_LIMIT_NS: u64 = 1_000_000_000;

fn main() -> ! {
    command_line::expect(WORDS);
    let has = |word| command_line::words().any(|given| given == word);
    let wiring = match (has("polling"), has("intx")) {
        (true, _) => Wiring::Polling,
        (false, true) => Wiring::Intx,
        (false, false) => Wiring::Best,
    };
    // One that does not come up has been reported; the story can be told with the rest.
    smp::start_all();

    println!("virtio-crypto: a driver for the VIRTIO crypto device, on a small kernel in QEMU");
    println!("\n1. The machine and its crypto device");
    device::tell_machine();
    let device = match crypto::open_crypto(0, Reach::Pci, wiring, Options::default()) {
        Ok(Some(device)) => device,
        Ok(None) => exit::fail(format_args!(
            "no virtio-crypto device (PCI 1af4:1054): start QEMU with -device virtio-crypto-pci"
        )),
        Err(error) => exit::fail(format_args!("virtio-crypto: {error}")),
    };
    crypto::watch(&device);
    device::tell_device(&device);

    println!("\n2. An encryption, checked");
    if let Err(error) = executor::block_on(example::check(&device)) {
        exit::fail(format_args!("virtio-crypto: {error}"));
    }

    println!("\n3. {} workers open and close sessions", workers::WORKERS);
    let rows = workers::run(&device);

    println!("\n4. The interrupts of this run");
    interrupts::tell(&device, rows);

    match device.shutdown(SHUTDOWN_LIMIT_NS) {
        Ok(report) if report.in_flight == 0 => {}
        Ok(report) => exit::fail(format_args!(
            "shutdown: the device still had {} requests",
            report.in_flight
        )),
        Err(error) => exit::fail(format_args!("virtio-crypto: {error}")),
    }
    println!("\ndemo: pass");
    exit(ExitCode::Success);
}
