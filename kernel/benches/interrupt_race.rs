//! What becomes of a completion's interrupt when a task has drained the used ring first: the
//! experiment of the RFC "virtio: false unhandled irqs from vring_interrupt()".
//!
//! A task sends one request at a time and drains the ring itself, while the MSI-X message of the
//! same completion is on its way to CPU 0. `placement=` says whether the task runs on that CPU or
//! on another; `drain=` whether it keeps local interrupts masked meanwhile (`unmasked`: under a
//! plain spinlock, only in this experiment, and one that the handler does not take: if it did, it
//! would deadlock).
//!
//! `accounting=naive` calls an interrupt unhandled when it finds the ring empty; `exact` only when
//! nothing that the device published accounts for it.
//!
//! Between a drain and the next request the task idles for `gap_us=`, interrupts enabled: without
//! it QEMU's global lock holds the message back until the next request is in the ring.
//!
//! `part=injected` sends messages that no completion stands for, after `settle()` and under full
//! traffic, and a storm of them.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel::{
    bench::{
        measure::{self, Ratio},
        race::{self, Drain},
    },
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode, exit},
    interrupts::{
        apic,
        vectors::{self, Vector},
    },
    memory,
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, InterruptStats, Options, transport::MsixEntry,
};
use x86_64::instructions::interrupts;

kernel::entry!(main);

const WORDS: &[&str] = &[
    "part=",
    "drain=",
    "accounting=",
    "placement=",
    "requests=",
    "gap_us=",
];
const KEY: [u8; 16] = [7; 16];
const IV: [u8; 16] = [1; 16];
/// The data queue's entry when each queue has one of its own.
const DATA_ENTRY: MsixEntry = MsixEntry(1);

type Session = Arc<Cipher<KernelPlatform>>;

fn race(device: &Arc<CryptoDevice>, session: &Session) {
    let drain = command_line::choice("drain", &["masked", "unmasked"]);
    let how = match drain {
        "unmasked" => Drain::Unmasked,
        _ => Drain::Masked,
    };
    let accounting = command_line::choice("accounting", &["exact", "naive"]);
    let placement = command_line::choice("placement", &["same-cpu", "cross-cpu"]);
    let requests = measure::number("requests", 10_000);
    let gap_us = measure::number("gap_us", 50);
    let cpu = u32::from(placement == "cross-cpu");

    let before = device.interrupt_stats();
    let (shared, session) = (device.clone(), session.clone());
    let task = executor::spawn_on(cpu, async move {
        for _ in 0..requests {
            race::send_and_drain(&shared, &session, how);
            time::spin_ns(gap_us * 1000);
        }
    });
    match task {
        Ok(task) => executor::block_on(task),
        Err(_) => exit::fail(format_args!("placement=cross-cpu: give it two CPUs, SMP=2")),
    }
    executor::block_on(time::sleep_ns(10_000_000));
    let came = race::since(device.interrupt_stats(), before);
    let (already_drained, unhandled) = match accounting {
        "naive" => (0, race::naive_unhandled(came)),
        _ => (came.already_drained, came.unhandled),
    };
    measure::mark("clock");
    // Nothing is injected here: whatever is unhandled is falsely so.
    println!(
        "bench: name=interrupt-race drain={drain} accounting={accounting} placement={placement} \
         vcpus={} gap_us={gap_us} requests={requests} interrupts={} handled={} \
         already_drained={already_drained} unhandled={unhandled} false_unhandled={unhandled}",
        smp::online(),
        came.total(),
        came.handled,
    );
}

/// Sends the data queue's vector to the calling CPU once, and waits until it has been answered.
fn inject(device: &CryptoDevice, send: impl Fn()) {
    let total = || device.interrupt_stats().total();
    let before = total();
    send();
    let end_ns = time::now_ns() + 1_000_000_000;
    while total() == before {
        if time::now_ns() > end_ns {
            exit::fail(format_args!("an injected message did not arrive"));
        }
        core::hint::spin_loop();
    }
}

fn vector(device: &CryptoDevice) -> Vector {
    match crypto::vector_of(device, DATA_ENTRY) {
        Some(vector) => vector,
        None => exit::fail(format_args!("no vector for the data queue: vectors=3")),
    }
}

/// A message as a device sends it: a write to the local APICs' address.
fn write_message(vector: Vector) {
    let Some(message) = vectors::message_here(vector) else {
        exit::fail(format_args!("no message can name this CPU"));
    };
    let Some(place) = memory::map_own_registers(message.address(), 4) else {
        exit::fail(format_args!("messages have no window"));
    };
    // SAFETY: mapped just now; a write there sends an interrupt and changes no memory.
    unsafe { place.as_ptr().cast::<u32>().write_volatile(message.data()) };
}

fn report_injected(how: &str, injected: u64, before: InterruptStats, now: InterruptStats) {
    let came = race::since(now, before);
    measure::mark("clock");
    println!(
        "bench: name=interrupt-injected how={how} injected={injected} interrupts={} \
         handled={} already_drained={} unhandled={} false_unhandled={}",
        came.total(),
        came.handled,
        came.already_drained,
        came.unhandled,
        came.unhandled as i64 - injected as i64,
    );
}

/// Requests a second over a fifth of a second, one after the other.
fn rate(session: &Session) -> u64 {
    let start_ns = time::now_ns();
    let mut count = 0;
    executor::block_on(async {
        while time::now_ns() - start_ns < 200_000_000 {
            measure::expect(session.process_slice(&IV, &mut [0; 16]).await);
            count += 1;
        }
    });
    count * 1_000_000_000 / (time::now_ns() - start_ns)
}

fn settle(device: &CryptoDevice) {
    // Between the two every CPU answers what has reached it.
    let is_settled = (0..2).any(|_| {
        executor::block_on(time::sleep_ns(10_000_000));
        device.settle()
    });
    if !is_settled {
        exit::fail(format_args!("settle: a request is in flight"));
    }
}

fn injected(device: &Arc<CryptoDevice>, session: &Session) {
    const INJECTED: u64 = 1000;
    const STORM: u64 = 100_000;
    let vector = vector(device);
    interrupts::enable();

    rate(session);
    let injections: [(&str, &dyn Fn()); 2] = [
        ("settled-ipi", &|| apic::send(apic::id(), vector.number())),
        ("settled-message", &|| write_message(vector)),
    ];
    for (how, send) in injections {
        settle(device);
        let before = device.interrupt_stats();
        for _ in 0..INJECTED {
            inject(device, send);
        }
        report_injected(how, INJECTED, before, device.interrupt_stats());
    }

    let before_storm = rate(session);
    settle(device);
    let before = device.interrupt_stats();
    for _ in 0..STORM {
        inject(device, || apic::send(apic::id(), vector.number()));
    }
    report_injected("storm", STORM, before, device.interrupt_stats());
    let after_storm = rate(session);
    println!(
        "bench: name=interrupt-storm injected={STORM} requests_per_s_before={before_storm} \
         requests_per_s_after={after_storm} ratio={}",
        Ratio(after_storm, before_storm),
    );

    under_traffic(device, session, INJECTED);
}

/// Injects while other requests come and go. By a vector of its own, with the same handler: of two
/// messages of one vector that wait at the same time the local APIC delivers one, which would hide
/// injected ones behind real ones.
fn under_traffic(device: &Arc<CryptoDevice>, session: &Session, injected: u64) {
    static DEVICE: spin::Once<Arc<CryptoDevice>> = spin::Once::new();
    static ARRIVED: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    DEVICE.call_once(|| device.clone());
    let second = measure::expect(vectors::allocate(|_| {
        if let Some(device) = DEVICE.get() {
            device.handle_interrupt(DATA_ENTRY);
            ARRIVED.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let before = device.interrupt_stats();
    let lanes: Vec<_> = (0..8)
        .filter_map(|lane| {
            let session = session.clone();
            let cpu = lane % smp::online();
            let task = executor::spawn_on(cpu, async move {
                while !STOP.load(Ordering::Relaxed) {
                    measure::expect(session.process_slice(&IV, &mut [0; 16]).await);
                }
            });
            task.ok()
        })
        .collect();
    executor::block_on(async {
        for number in 0..injected {
            apic::send(apic::id(), second.number());
            while ARRIVED.load(Ordering::Relaxed) <= number {
                executor::yield_now().await;
            }
            time::sleep_ns(100_000).await;
        }
        STOP.store(true, Ordering::Relaxed);
        for lane in lanes {
            lane.await;
        }
        time::sleep_ns(10_000_000).await;
    });
    report_injected("traffic", injected, before, device.interrupt_stats());
}

fn main() -> ! {
    command_line::expect(WORDS);
    smp::expect_all();
    let options = Options::default();
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, Wiring::Best, options));
    let session = executor::block_on(Cipher::open(
        &device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ));
    let session = Arc::new(measure::expect(session));
    measure::mark("clock");
    match command_line::choice("part", &["race", "injected"]) {
        "race" => race(&device, &session),
        _ => injected(&device, &session),
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}
