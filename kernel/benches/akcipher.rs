//! RSA requests a second: encryptions and decryptions with a key of 2048 bits, which the device holds,
//! from one and several workers that await their answers. With `idle=poll` CPUs look at the rings
//! before they sleep, where that helps.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use kernel::{
    command_line, executor,
    exit::{ExitCode, exit},
    idle,
    machine::{self, CryptoDevice, Reach, Wiring},
    measure::{self, Counts, Histogram, Micros, Ratio},
    platform::KernelPlatform,
    println, smp, testing, time,
};
use virtio_crypto::{Options, RsaDecryptor, RsaEncryptor, RsaPrivateKey};

kernel::entry!(main);

const WORDS: &[&str] = &["workers=", "idle=", "ms="];
const KEY: &[u8] = include_bytes!("../../driver/testdata/rsa/2048.pkcs1.der");
const ENCRYPTED: &[u8] = include_bytes!("../../driver/testdata/rsa/2048.encrypted");
const MESSAGE: &[u8] = include_bytes!("../../driver/testdata/rsa/message");
const MODULUS_LEN: usize = 256;
const WARM_UP_NS: u64 = 20_000_000;

static LATENCIES: Histogram = Histogram::new();
static COUNTED: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);

/// What the workers do again and again.
#[derive(Clone)]
enum Work {
    Encrypt(Arc<RsaEncryptor<KernelPlatform>>),
    Decrypt(Arc<RsaDecryptor<KernelPlatform>>),
}

async fn worker(work: Work) {
    let mut result = [0; MODULUS_LEN];
    while !STOP.load(Ordering::Relaxed) {
        let start_ns = time::now_ns();
        match &work {
            Work::Encrypt(session) => {
                measure::expect(session.encrypt(MESSAGE, &mut result).await);
            }
            Work::Decrypt(session) => {
                let len_bytes = measure::expect(session.decrypt(ENCRYPTED, &mut result).await);
                assert!(result[..len_bytes] == *MESSAGE, "another message");
            }
        }
        if COUNTED.load(Ordering::Relaxed) {
            LATENCIES.add(time::now_ns() - start_ns);
        }
    }
}

async fn run(device: &CryptoDevice, (name, idle): (&str, &str), work: Work, workers: u64) {
    let vcpus = smp::online();
    LATENCIES.clear();
    STOP.store(false, Ordering::Relaxed);
    let tasks: Vec<_> = (0..workers)
        .map(|number| {
            let cpu = (number % u64::from(vcpus)) as u32;
            executor::spawn_on(cpu, worker(work.clone()))
        })
        .collect();

    time::sleep_ns(WARM_UP_NS).await;
    measure::mark("begin");
    let before = Counts::read(device);
    COUNTED.store(true, Ordering::Relaxed);
    time::sleep_ns(measure::number("ms", 500) * 1_000_000).await;
    COUNTED.store(false, Ordering::Relaxed);
    let now = Counts::read(device).since(&before);
    measure::mark("end");

    STOP.store(true, Ordering::Relaxed);
    for task in tasks {
        match task {
            Ok(task) => task.await,
            Err(error) => testing::give_up(format_args!("workers={workers}: {error:?}")),
        }
    }
    let rate = u128::from(LATENCIES.count()) * 1_000_000_000 / u128::from(now.now_ns);
    println!(
        "bench: name={name} impl=virtio-crypto workers={workers} vcpus={vcpus} \
         idle={idle} requests_per_s={rate} guest_cpu_percent={} p50_us={} p99_us={} kicks_per_request={} \
         interrupts_per_request={}",
        now.cpu_percent(),
        Micros(LATENCIES.percentile_ns(500)),
        Micros(LATENCIES.percentile_ns(990)),
        Ratio(now.kicks, now.requests),
        Ratio(now.interrupts, now.requests),
    );
}

fn main() -> ! {
    if let Err(unknown) = command_line::check(WORDS) {
        testing::give_up(format_args!("{unknown}"));
    }
    let missing = smp::start_all();
    if missing > 0 {
        testing::give_up(format_args!("{missing} CPUs did not come up"));
    }
    let options = Options::default();
    let device = measure::expect_device(machine::open_crypto(0, Reach::Pci, Wiring::Best, options));
    let key = measure::expect(RsaPrivateKey::from_pkcs1_der(KEY));
    let encrypt = executor::block_on(RsaEncryptor::open(&device, key.public_key()));
    let decrypt = executor::block_on(RsaDecryptor::open(&device, &key));
    let encrypt = Work::Encrypt(Arc::new(measure::expect(encrypt)));
    let decrypt = Work::Decrypt(Arc::new(measure::expect(decrypt)));
    let idle = idle::by_command_line(&device);
    for workers in measure::numbers("workers", &[1, 8]) {
        let encrypts = run(
            &device,
            ("rsa-2048-encrypt", idle),
            encrypt.clone(),
            workers,
        );
        executor::block_on(encrypts);
        let decrypts = run(
            &device,
            ("rsa-2048-decrypt", idle),
            decrypt.clone(),
            workers,
        );
        executor::block_on(decrypts);
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}
