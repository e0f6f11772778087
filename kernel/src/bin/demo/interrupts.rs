//! What became of the interrupts, by exact accounting and by that of a driver that checks the ring
//! alone.

use alloc::sync::Arc;

use kernel::{
    bench::race::{self, Drain},
    crypto::CryptoDevice,
    exit, println,
    task::executor,
    time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, InterruptMode, InterruptStats};

use crate::chart::Grouped;

/// Requests of the task that races its own interrupts.
const REQUESTS: u64 = 2000;
/// Between two of them interrupts are enabled for so long: without it QEMU holds the message of one
/// back until the next is in the ring.
const GAP_NS: u64 = 50_000;
/// By then the last message has come.
const QUIET_NS: u64 = 10_000_000;

/// The interrupts of one part of the run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub came: InterruptStats,
}

/// Has a task race its own interrupts, and tells of these and of `rows`.
pub fn tell(device: &Arc<CryptoDevice>, rows: [Row; 2]) {
    if device.interrupt_mode() == InterruptMode::Polling {
        println!("   left out: the driver polls, so there are none");
        return;
    }
    let racing = match executor::block_on(race(device)) {
        Ok(came) => Row {
            name: "racing",
            came,
        },
        Err(error) => exit::fail(format_args!("virtio-crypto: {error}")),
    };
    println!(
        "   racing:  a task sends {REQUESTS} requests one by one, and takes each answer before"
    );
    println!("            the interrupt of that answer has come");
    println!("   exact:   this driver calls an interrupt unhandled if nothing that the device");
    println!("            has published accounts for it");
    println!("   naive:   a driver that looks at the ring alone calls it so if the ring is");
    println!("            empty; a kernel disables an interrupt that is unhandled too often");
    println!();
    println!("             interrupts  handled  already drained  unhandled,  unhandled,");
    println!("                   came                                exact       naive");
    for Row { name, came } in rows.into_iter().chain([racing]) {
        println!(
            "   {name:<8}   {:>9}  {:>7}  {:>15}  {:>9}   {:>9}",
            Grouped(came.total()),
            Grouped(came.handled),
            Grouped(came.already_drained),
            Grouped(came.unhandled),
            Grouped(race::naive_unhandled(came)),
        );
    }
}

async fn race(device: &CryptoDevice) -> Result<InterruptStats, Error> {
    let session = Cipher::open(
        device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &[7; 16],
    );
    let session = session.await?;
    let before = device.interrupt_stats();
    for _ in 0..REQUESTS {
        race::send_and_drain(device, &session, Drain::Masked);
        time::spin_ns(GAP_NS);
    }
    time::sleep_ns(QUIET_NS).await;
    let came = race::since(device.interrupt_stats(), before);
    session.close().await?;
    Ok(came)
}
