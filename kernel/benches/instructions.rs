//! Counts guest instructions: what a request costs from the caller's call to its answer.
//!
//! Under `-icount shift=0,sleep=off` the time-stamp counter counts instructions, as long as no
//! timer of the guest is armed: the kernel has no tick, and the firmware's is stopped.
#![no_std]
#![no_main]

use kernel::{
    command_line, executor,
    exit::{ExitCode, exit},
    machine::{self, CryptoDevice, Reach, Wiring},
    measure::{self, Counts, Ratio},
    println, testing,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, Options};

kernel::entry!(
    main,
    machine: "accel=tcg args=-icount,,shift=0,sleep=off append=ioeventfd=on",
    machine: "accel=tcg args=-icount,,shift=0,sleep=off device=ioeventfd=off append=ioeventfd=off",
);

const WARM_UP: u64 = 100;
const ROUNDS: u64 = 1000;

fn main() -> ! {
    if let Err(unknown) = command_line::check(&["ioeventfd="]) {
        testing::give_up(format_args!("{unknown}"));
    }
    let options = Options::default();
    let device = measure::expect_device(machine::open_crypto(0, Reach::Pci, Wiring::Best, options));
    measure::expect(executor::block_on(run(&device)));
    println!("bench: pass");
    exit(ExitCode::Success);
}

/// Prints what has come since `before`.
fn report(device: &CryptoDevice, name: &str, before: &Counts) {
    let now = Counts::read(device).since(before);
    println!(
        "bench: name={name} ioeventfd={} requests={} instructions_per_request={} \
         kicks_per_request={} interrupts_per_request={} pending_polls_per_request={} allocations={}",
        command_line::value("ioeventfd").unwrap_or("?"),
        now.requests,
        now.ticks / now.requests,
        Ratio(now.kicks, now.requests),
        Ratio(now.interrupts, now.requests),
        Ratio(now.pending_polls, now.requests),
        now.allocations,
    );
}

async fn run(device: &CryptoDevice) -> Result<(), Error> {
    let key = [7; 16];
    let session = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &key).await?;

    let mut before = Counts::read(device);
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            before = Counts::read(device);
        }
        Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &key)
            .await?
            .close()
            .await?;
    }
    report(device, "control-request", &before);

    let mut data = [0; 16];
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            before = Counts::read(device);
        }
        session.process_slice(&[1; 16], &mut data).await?;
    }
    report(device, "aes-128-cbc-16-bytes", &before);
    session.close().await
}
