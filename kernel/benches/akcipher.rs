//! RSA requests a second: encryptions and decryptions with a key of 2048 bits, which the device
//! holds, from one and several workers that await their answers. With `idle=poll` CPUs look at the
//! rings before they sleep, where that helps.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;

use kernel::{
    bench::{
        load::{Load, Measured},
        measure::{self, Micros, Ratio},
    },
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{ExitCode, exit},
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use virtio_crypto::{Options, RsaDecryptor, RsaEncryptor, RsaPrivateKey};

kernel::entry!(main);

const WORDS: &[&str] = &["workers=", "idle=", "ms="];
const KEY: &[u8] = include_bytes!("../../driver/testdata/rsa/2048.pkcs1.der");
const ENCRYPTED: &[u8] = include_bytes!("../../driver/testdata/rsa/2048.encrypted");
const MESSAGE: &[u8] = include_bytes!("../../driver/testdata/rsa/message");
/// Each waits for a request of its own.
const MAX_WORKERS: u64 = 256;
const MODULUS_LEN: usize = 256;

static LOAD: Load = Load::new();

/// What the workers do again and again.
#[derive(Clone)]
enum Work {
    Encrypt(Arc<RsaEncryptor<KernelPlatform>>),
    Decrypt(Arc<RsaDecryptor<KernelPlatform>>),
}

async fn worker(work: Work) {
    let mut result = [0; MODULUS_LEN];
    while !LOAD.is_over() {
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
        LOAD.done(start_ns);
    }
}

async fn run(device: &CryptoDevice, (name, idle): (&str, &str), work: Work, workers: u64) {
    let vcpus = smp::online();
    let ms = measure::duration_ms(500);
    let tasks = (0..workers).map(|number| {
        let cpu = (number % u64::from(vcpus)) as u32;
        (cpu, worker(work.clone()))
    });
    let Measured { counts, per_s, .. } = LOAD.run(device, ms, tasks).await;
    println!(
        "bench: name={name} impl=virtio-crypto workers={workers} vcpus={vcpus} \
         idle={idle} requests_per_s={per_s} guest_cpu_percent={} p50_us={} p99_us={} \
         kicks_per_request={} \
         interrupts_per_request={}",
        counts.cpu_percent(),
        Micros(LOAD.latencies.percentile_ns(500)),
        Micros(LOAD.latencies.percentile_ns(990)),
        Ratio(counts.kicks, counts.requests),
        Ratio(counts.interrupts, counts.requests),
    );
}

fn main() -> ! {
    command_line::expect(WORDS);
    smp::expect_all();
    let options = Options::default();
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, Wiring::Best, options));
    let key = measure::expect(RsaPrivateKey::from_pkcs1_der(KEY));
    let encrypt = executor::block_on(RsaEncryptor::open(&device, key.public_key()));
    let decrypt = executor::block_on(RsaDecryptor::open(&device, &key));
    let encrypt = Work::Encrypt(Arc::new(measure::expect(encrypt)));
    let decrypt = Work::Decrypt(Arc::new(measure::expect(decrypt)));
    let idle = measure::idle_by_word(&device);
    for workers in measure::numbers_in("workers", &[1, 8], 1..=MAX_WORKERS) {
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
