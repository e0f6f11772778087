//! CIPHER, through the driver: known answers with every key length, then lengths at every boundary.

use alloc::{format, string::String, vec::Vec};

use kernel::{executor::block_on, machine::CryptoDevice, platform::KernelPlatform, println};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Refusal};

use crate::{
    answers::CIPHERS,
    report::{Report, Row, Works, status_name},
    services::bytes,
};

const RECOVERY_LIMIT_NS: u64 = 1_000_000_000;
/// Beyond, the device's limit is not tried.
const MOST_BYTES: usize = 1 << 20;

type Session = Cipher<KernelPlatform>;

pub fn try_all(device: &CryptoDevice, report: &mut Report) {
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
        let (works, mut note) = answer.try_on(device);
        if works == Works::Yes {
            match answer.try_lengths(device) {
                Ok(tried) => note = tried,
                Err(wrong) => note = format!("lengths: {wrong}"),
            }
            if let Some(outcome) = answer.try_partial(device) {
                partial.push(format!("{algorithm:?}:{outcome}"));
            }
        }
        recover(device, &step);
        report.row(Row {
            service: "CIPHER",
            algorithm: format!("{algorithm:?}"),
            key_bits: answer.key.len() * 8,
            advertised: device.capabilities().advertises(*algorithm),
            works,
            note,
        });
    }
    partial.dedup();
    report.quirk("partial_blocks", partial.join(" "));
}

/// Starts a device anew that broke, and says where it did.
fn recover(device: &CryptoDevice, step: &str) {
    device.poll();
    let session = Cipher::open(
        device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &[7; 16],
    );
    if let Err(Error::Broken(breakage)) = block_on(session) {
        println!("probe: broke={breakage:?} step={step}");
        if let Err(error) = device.recover(RECOVERY_LIMIT_NS) {
            kernel::testing::give_up(format_args!("no recovery after {step}: {error}"));
        }
    }
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

fn failed(step: &str, error: Error) -> (Works, String) {
    match error {
        Error::Refused(refusal) => (Works::Refused, format!("{step}: {}", refusal_name(refusal))),
        error => (Works::No, format!("{step}: {error}")),
    }
}

impl Answer {
    fn open(&self, device: &CryptoDevice, direction: Direction) -> Result<Session, Error> {
        block_on(Cipher::open(device, self.algorithm, direction, &self.key))
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
            match block_on(session.process_slice(&self.iv, &mut data)) {
                Ok(()) if data == *to => {}
                Ok(()) => return (Works::Wrong, format!("{direction:?}: another answer")),
                Err(error) => return failed(&format!("{direction:?}"), error),
            }
            if let Err(error) = block_on(session.close()) {
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
            let outcome = block_on(async {
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
            let mut more = alloc::vec![0; most + granule];
            if !matches!(
                block_on(encrypt.process_slice(&self.iv, &mut more)),
                Err(Error::InvalidLength { .. })
            ) {
                return Err(format!("{} bytes were sent", more.len()));
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
        Some(match block_on(session.process_slice(&self.iv, &mut data)) {
            // A counter mode's answer is the beginning of the whole one.
            Ok(()) if self.algorithm == CipherAlgorithm::AesXts => String::from("taken"),
            Ok(()) if data[..] == self.sealed[..data.len()] => String::from("yes"),
            Ok(()) => String::from("wrong"),
            Err(Error::Refused(refusal)) => refusal_name(refusal).into(),
            Err(error) => format!("{error}"),
        })
    }
}
