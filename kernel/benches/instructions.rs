//! Counts guest instructions: what a request costs from the caller's call to its answer.
//!
//! Under `-icount shift=0,sleep=off` the time-stamp counter counts instructions, as long as no
//! timer of the guest is armed: the kernel has no tick, and the firmware's is stopped.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use kernel::{
    bench::measure::{self, Counts, Ratio},
    command_line, cpu,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{ExitCode, exit},
    println,
    task::executor,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, Features, Options};

kernel::entry!(
    main,
    machine: "accel=tcg args=-icount,,shift=0,sleep=off append=ioeventfd=on append=ring=split",
    machine: "accel=tcg args=-icount,,shift=0,sleep=off device=ioeventfd=off \
              append=ioeventfd=off append=ring=split",
    machine: "accel=tcg args=-icount,,shift=0,sleep=off device=packed=on \
              append=ioeventfd=on append=ring=packed",
    machine: "accel=tcg args=-icount,,shift=0,sleep=off device=packed=on,ioeventfd=off \
              append=ioeventfd=off append=ring=packed",
);

const BLOCK: u64 = 100;
/// Behind the first one, which warms up.
const BLOCKS: u64 = 10;

fn main() -> ! {
    command_line::expect(&["ioeventfd=", "ring="]);
    command_line::choice("ioeventfd", &["?", "on", "off"]);
    command_line::choice("ring", &["split", "packed"]);
    let options = Options::default();
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, Wiring::Best, options));
    let is_packed = device.features().contains(Features::RING_PACKED);
    assert_eq!(is_packed, command_line::value("ring") == Some("packed"));
    measure::expect(executor::block_on(run(&device)));
    println!("bench: pass");
    exit(ExitCode::Success);
}

/// Counts block by block, and reports the median block: while the guest sleeps QEMU may let the
/// clock jump to a timer of its own, which is no instruction of anybody's.
struct Meter<'d> {
    device: &'d CryptoDevice,
    before: Counts,
    /// When each block began, and the last one ended.
    marks: Vec<u64>,
}

impl<'d> Meter<'d> {
    fn new(device: &'d CryptoDevice) -> Self {
        Self {
            device,
            before: Counts::read(device),
            marks: Vec::with_capacity(BLOCKS as usize + 1),
        }
    }

    /// To be called with the number of each round that is about to begin.
    fn begin(&mut self, round: u64) {
        if round == BLOCK {
            self.before = Counts::read(self.device);
        }
        if round > 0 && round.is_multiple_of(BLOCK) {
            self.marks.push(cpu::ticks());
        }
    }

    fn report(mut self, name: &str) {
        self.marks.push(cpu::ticks());
        let now = Counts::read(self.device).since(&self.before);
        let mut blocks: Vec<_> = self
            .marks
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        blocks.sort_unstable();
        let median = blocks.get(blocks.len() / 2).copied().unwrap_or_default();
        println!(
            "bench: name={name} ring={} ioeventfd={} requests={} instructions_per_request={} \
             kicks_per_request={} interrupts_per_request={} pending_polls_per_request={} \
             allocations={}",
            command_line::value("ring").unwrap_or("split"),
            command_line::value("ioeventfd").unwrap_or("?"),
            now.requests,
            median * BLOCKS / now.requests,
            Ratio(now.kicks, now.requests),
            Ratio(now.interrupts, now.requests),
            Ratio(now.pending_polls, now.requests),
            now.allocations,
        );
    }
}

async fn run(device: &CryptoDevice) -> Result<(), Error> {
    let key = [7; 16];
    let session = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &key).await?;

    let mut meter = Meter::new(device);
    for round in 0..BLOCK + BLOCKS * BLOCK {
        meter.begin(round);
        Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &key)
            .await?
            .close()
            .await?;
    }
    meter.report("control-request");

    let mut data = [0; 16];
    let mut meter = Meter::new(device);
    for round in 0..BLOCK + BLOCKS * BLOCK {
        meter.begin(round);
        session.process_slice(&[1; 16], &mut data).await?;
    }
    meter.report("aes-128-cbc-16-bytes");
    session.close().await
}
