//! CIPHER, through the driver: known answers with every key length, then lengths at every boundary.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, future::poll_fn, pin::pin, task::Poll};

use kernel::{crypto::CryptoDevice, platform::KernelPlatform, println, task::executor, time};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Refusal};

use crate::{
    answers::{bytes, ciphers::CIPHERS},
    report::{Algorithm, Report, outcome::Works},
    requests::trouble::status_name,
};

/// How long a few requests may take.
pub const ANSWER_LIMIT_NS: u64 = 10_000_000_000;
const RECOVERY_LIMIT_NS: u64 = 1_000_000_000;
/// Beyond, the device's limit is not tried.
const MOST_BYTES: usize = 1 << 20;

type Session = Cipher<KernelPlatform>;

/// Why something has no answer through the driver.
#[derive(Debug)]
pub enum Failure {
    Driver(Error),
    NeverAnswered,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => error.fmt(f),
            Self::NeverAnswered => f.write_str("never-answered"),
        }
    }
}

/// Waits for the device, but not for ever.
pub fn block_on<T>(
    future: impl Future<Output = Result<T, Error>>,
    limit_ns: u64,
) -> Result<T, Failure> {
    executor::block_on(async {
        let (mut future, mut limit) = (pin!(future), pin!(time::sleep_ns(limit_ns)));
        poll_fn(|context| {
            if let Poll::Ready(outcome) = future.as_mut().poll(context) {
                return Poll::Ready(outcome.map_err(Failure::Driver));
            }
            let over = limit.as_mut().poll(context);
            over.map(|()| Err(Failure::NeverAnswered))
        })
        .await
    })
}

fn ask<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    block_on(future, ANSWER_LIMIT_NS)
}

/// Tries all ciphers on `device`, as long as there is one.
pub fn try_all(
    mut device: Option<&CryptoDevice>,
    advertised: impl Fn(CipherAlgorithm) -> bool,
    report: &mut Report,
) -> bool {
    let mut partial = Vec::new();
    for (algorithm, texts) in CIPHERS {
        let [key, iv, plain, sealed] = texts.map(bytes);
        let step = format!("CIPHER {algorithm:?} {} bits", key.len() * 8);
        let answer = Answer {
            algorithm: *algorithm,
            key,
            iv,
            plain,
            sealed,
        };
        let (mut works, mut note) = (Works::NotTried, String::new());
        if let Some(live) = device {
            (works, note) = answer.try_on(live);
            if works == Works::Yes {
                match answer.try_lengths(live) {
                    Ok(tried) => note = tried,
                    Err(wrong) => note = format!("lengths: {wrong}"),
                }
                if let Some(outcome) = answer.try_partial(live) {
                    partial.push(format!("{algorithm:?}:{outcome}"));
                }
            }
            device = device.filter(|device| is_well_again(device, &step));
        }
        report.algorithm(Algorithm {
            service: "CIPHER",
            algorithm: format!("{algorithm:?}"),
            key_bits: answer.key.len() * 8,
            advertised: advertised(*algorithm),
            works,
            note,
        });
    }
    partial.dedup();
    report.quirk("partial_blocks", partial.join(" "));
    device.is_some()
}

/// Starts a device anew that broke or did not answer, and says where it did; `false` if it does not
/// come back.
fn is_well_again(device: &CryptoDevice, step: &str) -> bool {
    let in_flight = || device.data_stats().in_flight + device.control_stats().in_flight;
    let end_ns = time::now_ns() + RECOVERY_LIMIT_NS;
    while in_flight() > 0 && device.ended().is_none() && time::now_ns() < end_ns {
        device.poll();
    }
    device.poll();
    match device.ended() {
        Some(error) => println!("probe: broke={error} step={step}"),
        None if in_flight() > 0 => println!("probe: silent=never-answered step={step}"),
        None => return true,
    }
    if let Err(error) = device.recover(0) {
        println!("probe: stopped={error} step={step}");
        return false;
    }
    true
}

struct Answer {
    algorithm: CipherAlgorithm,
    key: Vec<u8>,
    iv: Vec<u8>,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

fn refusal_name(refusal: Refusal) -> &'static str {
    status_name(match refusal {
        Refusal::Error => 1,
        Refusal::BadMessage => 2,
        Refusal::NotSupported => 3,
        Refusal::InvalidSession => 4,
        Refusal::NoSpace => 5,
        Refusal::KeyRejected => 6,
        _ => u32::MAX,
    })
}

fn failed(step: &str, failure: Failure) -> (Works, String) {
    match failure {
        Failure::Driver(Error::Refused(refusal)) => {
            (Works::Refused, format!("{step}: {}", refusal_name(refusal)))
        }
        failure => (Works::No, format!("{step}: {failure}")),
    }
}

impl Answer {
    fn open(&self, device: &CryptoDevice, direction: Direction) -> Result<Session, Failure> {
        ask(Cipher::open(device, self.algorithm, direction, &self.key))
    }

    fn try_on(&self, device: &CryptoDevice) -> (Works, String) {
        let directions = [
            (Direction::Encrypt, &self.plain, &self.sealed),
            (Direction::Decrypt, &self.sealed, &self.plain),
        ];
        for (direction, from, to) in directions {
            let session = match self.open(device, direction) {
                Ok(session) => session,
                Err(error) => return failed("create", error),
            };
            if from.is_empty() {
                return (Works::Untried, String::from("opens; no known answer here"));
            }
            let mut data = from.clone();
            match ask(session.process_slice(&self.iv, &mut data)) {
                Ok(()) if data == *to => {}
                Ok(()) => return (Works::Wrong, format!("{direction:?}: another answer")),
                Err(error) => return failed(&format!("{direction:?}"), error),
            }
            if let Err(error) = ask(session.close()) {
                return failed("close", error);
            }
        }
        (Works::Yes, String::new())
    }

    /// Encrypts and decrypts again at every boundary; returns what was tried.
    fn try_lengths(&self, device: &CryptoDevice) -> Result<String, String> {
        let open = |direction| {
            self.open(device, direction)
                .map_err(|error| format!("{error}"))
        };
        let (encrypt, decrypt) = (open(Direction::Encrypt)?, open(Direction::Decrypt)?);
        let block = self.algorithm.block_len_bytes().max(8);
        let most = encrypt.max_len_bytes();
        // The slot's own memory takes 512 bytes.
        let mut lens = Vec::from([16, 512, 512 + block, 4096, 4096 + block, 65536 + block]);
        lens.retain(|len| *len <= most);
        if most <= MOST_BYTES {
            lens.push(most - most % block);
        }
        for &len in &lens {
            let plain: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
            let outcome = ask(async {
                let buffer = DmaBuffer::from_slice(&plain)?;
                let buffer = encrypt.process(&self.iv, buffer).await?;
                let changed = buffer[..] != plain[..];
                let buffer = decrypt.process(&self.iv, buffer).await?;
                Ok::<_, Error>(changed && buffer[..] == plain[..])
            });
            match outcome {
                Ok(true) => {}
                Ok(false) => return Err(format!("{len} bytes: another answer")),
                Err(error) => return Err(format!("{len} bytes: {error}")),
            }
        }
        // One more than the most is not said to the device.
        let granule = self.algorithm.granule_len_bytes();
        if most <= MOST_BYTES {
            let outcome = ask(async {
                let buffer = DmaBuffer::new(most + granule)?;
                let buffer = encrypt.process(&self.iv, buffer).await?;
                Ok(buffer.len())
            });
            if !matches!(outcome, Err(Failure::Driver(Error::InvalidLength { .. }))) {
                return Err(format!("{} bytes: {outcome:?}", most + granule));
            }
        }
        let longest = lens.last().copied().unwrap_or(0);
        Ok(format!("{} lengths up to {longest} bytes", lens.len()))
    }

    /// Tries a length that is no whole number of blocks, where the mode has no need of them.
    fn try_partial(&self, device: &CryptoDevice) -> Option<String> {
        let block = self.algorithm.block_len_bytes();
        if block == 1 || self.algorithm.granule_len_bytes() > 1 {
            return None;
        }
        let session = self.open(device, Direction::Encrypt).ok()?;
        let mut data = self.plain[..block + 4].to_vec();
        Some(match ask(session.process_slice(&self.iv, &mut data)) {
            // A counter mode's answer is the beginning of the whole one.
            Ok(()) if self.algorithm == CipherAlgorithm::AesXts => String::from("taken"),
            Ok(()) if data[..] == self.sealed[..data.len()] => String::from("yes"),
            Ok(()) => String::from("wrong"),
            Err(Failure::Driver(Error::Refused(refusal))) => refusal_name(refusal).into(),
            Err(error) => format!("{error}"),
        })
    }
}
