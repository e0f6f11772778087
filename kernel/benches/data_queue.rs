//! How fast the driver encrypts, by size, workers and depth, beside the same in software on the
//! same CPU: where offload pays.
//!
//! A worker keeps `depth` requests in flight, and stays on CPU *n* modulo their number. Up to 512
//! bytes are processed by slices (copied into the slot's own memory), more in place in buffers that
//! the device reaches directly. With `idle=poll` CPUs look at the rings before they sleep, where
//! that helps.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec};

use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use kernel::{
    bench::{
        load::{Load, Measured},
        measure::{self, Micros, Ratio},
    },
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode, exit},
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Options};

kernel::entry!(main);

const WORDS: &[&str] = &["key_bits=", "size=", "workers=", "depth=", "idle=", "ms="];
const KEY: [u8; 32] = [7; 32];
const IV: [u8; 16] = [1; 16];
/// Requests up to this size go by slices.
const SLICE_BYTES: u64 = 512;
/// Requests in flight at most: what the queue has room for.
const MAX_IN_FLIGHT: u64 = 1024;
/// Bytes that all requests in flight may take together.
const MAX_BYTES: u64 = 128 << 20;

static LOAD: Load = Load::new();

/// What one line is about.
#[derive(Clone, Copy)]
struct Case {
    key_bits: u64,
    size: u64,
    workers: u64,
    depth: u64,
    idle: &'static str,
}

/// Sends one request after the other.
async fn lane(session: Arc<Cipher<KernelPlatform>>, size: u64) {
    if size <= SLICE_BYTES {
        let mut data = vec![0; size as usize];
        while !LOAD.is_over() {
            let start_ns = time::now_ns();
            measure::expect(session.process_slice(&IV, &mut data).await);
            LOAD.done(start_ns);
        }
    } else {
        let mut buffer = measure::expect(DmaBuffer::new(size as usize));
        while !LOAD.is_over() {
            let start_ns = time::now_ns();
            buffer = measure::expect(session.process(&IV, buffer).await.map_err(|e| e.error));
            LOAD.done(start_ns);
        }
    }
}

fn duration_ms() -> u64 {
    measure::duration_ms(500)
}

async fn run(device: &CryptoDevice, case: Case) {
    let vcpus = smp::online();
    let key = &KEY[..case.key_bits as usize / 8];
    let session = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, key).await;
    let session = Arc::new(measure::expect(session));
    if case.size > session.max_len_bytes() as u64 {
        let most = session.max_len_bytes();
        println!(
            "left out: size={}: the device takes {most} bytes",
            case.size
        );
        return;
    }
    let lanes = (0..case.workers * case.depth).map(|number| {
        let cpu = (number % case.workers % u64::from(vcpus)) as u32;
        (cpu, lane(session.clone(), case.size))
    });
    let Measured { counts, per_s, .. } = LOAD.run(device, duration_ms(), lanes).await;
    println!(
        "bench: name=aes-cbc impl=virtio-crypto key_bits={} size={} workers={} depth={} \
         vcpus={vcpus} idle={} requests_per_s={per_s} mb_per_s={} guest_cpu_percent={} \
         p50_us={} p99_us={} \
         kicks_per_request={} interrupts_per_request={}",
        case.key_bits,
        case.size,
        case.workers,
        case.depth,
        case.idle,
        Ratio(per_s * case.size, 1_000_000),
        counts.cpu_percent(),
        Micros(LOAD.latencies.percentile_ns(500)),
        Micros(LOAD.latencies.percentile_ns(990)),
        Ratio(counts.kicks, counts.requests),
        Ratio(counts.interrupts, counts.requests),
    );
}

/// Encrypts on the calling CPU alone.
fn run_software(key_bits: u64, size: u64) {
    let mut data = vec![0; size as usize];
    let len_bytes = data.len();
    let encrypt = |data: &mut [u8]| {
        let key = &KEY[..key_bits as usize / 8];
        let done = match key_bits {
            128 => cbc::Encryptor::<aes::Aes128>::new_from_slices(key, &IV)
                .is_ok_and(|cipher| cipher.encrypt_padded::<NoPadding>(data, len_bytes).is_ok()),
            _ => cbc::Encryptor::<aes::Aes256>::new_from_slices(key, &IV)
                .is_ok_and(|cipher| cipher.encrypt_padded::<NoPadding>(data, len_bytes).is_ok()),
        };
        assert!(done, "key and data have the right lengths");
    };
    encrypt(&mut data);
    // Read before: the command line is no part of what is measured.
    let duration_ns = duration_ms() * 1_000_000;
    let start_ns = time::now_ns();
    let mut requests = 0u64;
    let elapsed_ns = loop {
        encrypt(&mut data);
        requests += 1;
        let elapsed_ns = time::now_ns() - start_ns;
        if elapsed_ns >= duration_ns {
            break elapsed_ns;
        }
    };
    let rate = (u128::from(requests) * 1_000_000_000 / u128::from(elapsed_ns)) as u64;
    println!(
        "bench: name=aes-cbc impl=software key_bits={key_bits} size={size} workers=1 depth=1 \
         vcpus={} requests_per_s={rate} mb_per_s={} guest_cpu_percent=100 p50_us={}",
        smp::online(),
        Ratio(rate * size, 1_000_000),
        Micros(elapsed_ns / requests),
    );
}

fn main() -> ! {
    command_line::expect(WORDS);
    smp::expect_all();
    let mut options = Options::default();
    options.data_slots = MAX_IN_FLIGHT as u16;
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, Wiring::Best, options));
    let idle = measure::idle_by_word(&device);
    for key_bits in measure::numbers("key_bits", &[128]) {
        if !matches!(key_bits, 128 | 256) {
            exit::fail(format_args!("key_bits={key_bits}: known are 128 and 256"));
        }
        for size in measure::numbers("size", &[16, 256, 4096, 65536, 1 << 20]) {
            run_software(key_bits, size);
            for workers in measure::numbers("workers", &[1, 8]) {
                for depth in measure::numbers("depth", &[1]) {
                    let case = Case {
                        key_bits,
                        size,
                        workers,
                        depth,
                        idle,
                    };
                    let in_flight = workers * depth;
                    if in_flight > MAX_IN_FLIGHT || in_flight * size > MAX_BYTES {
                        println!("left out: size={size} workers={workers} depth={depth}: too much");
                        continue;
                    }
                    executor::block_on(run(&device, case));
                }
            }
        }
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}
