//! Random sequences of calls on the real device: whatever the safe API lets one do leaves it
//! working and leaks nothing.
//!
//! Words of the command line: `sequences=N` (300), `seed=N` for the first (1; alone, it is the only
//! one), `slots=N`.
#![no_std]
#![no_main]

extern crate alloc;

use core::{
    future::{Future, poll_fn},
    num::NonZeroU64,
    pin::pin,
};

use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    memory, println,
    task::executor,
    testing, time,
};
use virtio_crypto::Options;

#[path = "../../host/services/checks/oracle.rs"]
mod oracle;
#[path = "../../host/services/checks/random.rs"]
mod random;
#[path = "../../host/services/checks/sequences.rs"]
mod sequences;

kernel::tests! {
    machines: ["vectors=3 timeout=1800", "vectors=0 append=slots=3 timeout=1800"],
    tests: [random_sequences_leave_the_device_whole],
}

/// How long one sequence may take.
const LIMIT_NS: u64 = 20_000_000_000;
/// Frames that one forgotten call keeps at most.
const MAX_FORGOTTEN_FRAMES: usize = 200;
/// Sessions that QEMU's backend has room for.
const DEVICE_SESSIONS: usize = 256;

fn number(word: &str) -> Option<u64> {
    command_line::value(word).map(|value| value.parse().unwrap())
}

fn random_sequences_leave_the_device_whole() {
    let mut options = Options::default();
    if let Some(slots) = number("slots") {
        options.data_slots = slots as u16;
        options.control_slots = slots as u16;
    }
    let device = crypto::open_crypto(0, Reach::Pci, Wiring::Best, options)
        .unwrap()
        .expect("a device");
    let count = number("sequences").unwrap_or(if number("seed").is_some() { 1 } else { 300 });
    let first = number("seed").unwrap_or(1);

    let start_ns = time::now_ns();
    let mut total = sequences::Outcome::default();
    let mut frames = memory::free_frame_count();
    for seed in first..first + count {
        time::set_watchdog(Some(time::now_ns() + 3 * LIMIT_NS));
        if (seed - first).is_multiple_of(100) {
            // For a QEMU that ends without a word.
            println!("from seed={seed} on");
        }
        testing::at_seed(NonZeroU64::new(seed).expect("seeds start at 1"));
        let outcome = executor::block_on(in_time(&device, sequences::run(&*device, seed)));
        crypto::wait_until_idle(&device, 0, LIMIT_NS);
        if outcome.forgotten > 0 {
            // Taken for good: what the call had, and the slots that it is one of.
            let taken = frames - memory::free_frame_count();
            assert!(taken <= MAX_FORGOTTEN_FRAMES, "{taken} frames forgotten");
            frames -= taken;
        }
        assert_eq!(memory::free_frame_count(), frames, "frames");
        total.add(outcome);
    }
    time::set_watchdog(Some(time::now_ns() + 3 * LIMIT_NS));
    no_session_stayed(&device);
    assert_eq!(device.interrupt_stats().unhandled, 0);
    println!(
        "\nproperty: sequences={count} seeds={first}..{} calls={} answered={} refused={} \
         dropped={} \
         forgotten={} recoveries={} ms={}",
        first + count,
        total.calls,
        total.answered,
        total.refused,
        total.dropped,
        total.forgotten,
        total.recoveries,
        (time::now_ns() - start_ns) / 1_000_000,
    );
}

/// Awaits a sequence; says what the device is at if it has no end, or one that nobody was woken
/// for.
async fn in_time<F: Future>(device: &CryptoDevice, sequence: F) -> F::Output {
    let (mut sequence, mut limit) = (pin!(sequence), pin!(time::sleep_ns(LIMIT_NS)));
    poll_fn(|context| {
        if limit.as_mut().poll(context).is_ready() {
            let (data, control) = (device.data_stats(), device.control_stats());
            let sessions = device.sessions_taken();
            panic!("no end: {sessions} sessions, data {data:?}, control {control:?}");
        }
        sequence.as_mut().poll(context)
    })
    .await
}

/// The device's own opinion: it has room for as many sessions as ever.
fn no_session_stayed(device: &CryptoDevice) {
    use virtio_crypto::{Cipher, CipherAlgorithm, Direction};
    let open = || {
        Cipher::open(
            device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &[7; 16],
        )
    };
    let opened = crypto::join_all((0..DEVICE_SESSIONS).map(|_| open()));
    let opened = executor::block_on(opened);
    let refused = opened.iter().filter(|session| session.is_err()).count();
    assert_eq!(refused, 0, "the device kept {refused} sessions");
    drop(opened);
    crypto::wait_until_idle(device, 0, LIMIT_NS);
}
