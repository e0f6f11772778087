//! Counts guest instructions: what a request costs from the caller's call to its answer.
//!
//! Under `-icount shift=0,sleep=off` the time-stamp counter counts instructions, as long as no
//! timer of the guest is armed: the kernel has no tick, and the firmware's is stopped.
#![no_std]
#![no_main]

use kernel::{
    command_line, executor,
    exit::{ExitCode, exit},
    heap,
    machine::{self, CryptoDevice, Reach, Wiring},
    println, testing, time,
};
use virtio_crypto::{AesCbc, Direction, Error, Options};

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
    let device = match machine::open_crypto(0, Reach::Pci, Wiring::Best, Options::default()) {
        Ok(Some(device)) => device,
        Ok(None) => testing::give_up(format_args!("no virtio-crypto device")),
        Err(error) => testing::give_up(format_args!("virtio-crypto: {error}")),
    };
    if let Err(error) = executor::block_on(measure(&device)) {
        testing::give_up(format_args!("virtio-crypto: {error}"));
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}

/// Counters before and after.
#[derive(Clone, Copy)]
struct Counts {
    instructions: u64,
    requests: u64,
    kicks: u64,
    pending_polls: u64,
    interrupts: u64,
    allocations: u64,
}

impl Counts {
    fn read(device: &CryptoDevice) -> Self {
        let queues = [device.control_stats(), device.data_stats()];
        let interrupts = device.interrupt_stats();
        Self {
            instructions: time::ticks(),
            requests: queues.iter().map(|queue| queue.submitted).sum(),
            kicks: queues.iter().map(|queue| queue.kicks).sum(),
            pending_polls: queues.iter().map(|queue| queue.pending_polls).sum(),
            interrupts: interrupts.handled + interrupts.already_drained + interrupts.unhandled,
            allocations: heap::allocations(),
        }
    }

    /// Prints what has come since `self`, of `requests` requests each.
    fn report(&self, device: &CryptoDevice, name: &str) {
        let now = Self::read(device);
        let requests = now.requests - self.requests;
        let each = |now: u64, before: u64| {
            let hundredths = (now - before) * 100 / requests;
            (hundredths / 100, hundredths % 100)
        };
        let (kicks, kicks_rest) = each(now.kicks, self.kicks);
        let (interrupts, interrupts_rest) = each(now.interrupts, self.interrupts);
        let (pending, pending_rest) = each(now.pending_polls, self.pending_polls);
        println!(
            "bench: name={name} ioeventfd={} requests={requests} instructions_per_request={} \
             kicks_per_request={kicks}.{kicks_rest:02} \
             interrupts_per_request={interrupts}.{interrupts_rest:02} \
             pending_polls_per_request={pending}.{pending_rest:02} allocations={}",
            command_line::value("ioeventfd").unwrap_or("?"),
            (now.instructions - self.instructions) / requests,
            now.allocations - self.allocations,
        );
    }
}

async fn measure(device: &CryptoDevice) -> Result<(), Error> {
    let key = [7; 16];
    let session = AesCbc::open(device, Direction::Encrypt, &key).await?;

    let create_and_close = async |rounds| {
        for _ in 0..rounds {
            AesCbc::open(device, Direction::Encrypt, &key)
                .await?
                .close()
                .await?;
        }
        Ok::<_, Error>(())
    };
    create_and_close(WARM_UP).await?;
    let before = Counts::read(device);
    create_and_close(ROUNDS).await?;
    before.report(device, "control-request");

    let mut data = [0; 16];
    for _ in 0..WARM_UP {
        session.process_slice(&[1; 16], &mut data).await?;
    }
    let before = Counts::read(device);
    for _ in 0..ROUNDS {
        session.process_slice(&[1; 16], &mut data).await?;
    }
    before.report(device, "aes-128-cbc-16-bytes");
    session.close().await
}
