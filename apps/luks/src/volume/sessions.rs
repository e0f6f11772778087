//! The two sessions of a volume, which are opened anew when the crypto device has been recovered.
//!
//! The one rule: what fails because the device was reset is done again, for a bounded time; what
//! fails for another reason is not.

use alloc::{sync::Arc, vec::Vec};
use core::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
};

use common::disk::{Buffer, Disk};
use kernel::{
    crypto::CryptoDevice,
    platform::KernelPlatform,
    time::{now_ns, sleep_ns},
};
use spin::Mutex;
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error};
use zeroize::Zeroizing;

use super::error::VolumeError;
use crate::gate::Gate;

/// Sectors at the crypto device at once: the slots that a data queue should have
/// ([`Options::data_slots`](virtio_crypto::Options::data_slots)).
pub const SECTORS_AT_ONCE: usize = 256;
/// How long a device may be away before what waits for it fails.
const PATIENCE_NS: u64 = 10_000_000_000;
/// How often it is looked for meanwhile.
const PAUSE_NS: u64 = 2_000_000;

/// What is to be done with sectors.
#[derive(Clone, Copy, Debug)]
pub struct Cryption {
    pub direction: Direction,
    pub first_tweak: u64,
    /// How much more the tweak of each sector is than that of the one before.
    pub step: NonZeroU32,
    pub sector_len: usize,
}

impl Cryption {
    fn sectors(&self, len_bytes: usize) -> usize {
        len_bytes / self.sector_len
    }
}

/// Where sectors come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'o> {
    Disk { disk: Disk, sector: u64, len: usize },
    Caller(&'o [u8]),
}

impl Origin<'_> {
    async fn get(self) -> Result<Buffer, VolumeError> {
        match self {
            Self::Disk { disk, sector, len } => {
                let buffer = Buffer::new(len).map_err(VolumeError::Crypto)?;
                let read = disk.read(sector, buffer).await;
                read.map_err(|failed| VolumeError::Disk(failed.error))
            }
            Self::Caller(bytes) => Buffer::from_slice(bytes).map_err(VolumeError::Crypto),
        }
    }
}

/// Sessions of one life of the device.
struct Pair {
    encrypt: Cipher<KernelPlatform>,
    decrypt: Cipher<KernelPlatform>,
}

/// Sessions of a volume.
pub struct Sessions {
    device: Arc<CryptoDevice>,
    key: Zeroizing<Vec<u8>>,
    current: Mutex<Arc<Pair>>,
    /// Somebody is opening new ones.
    is_renewing: AtomicBool,
    gate: Gate,
}

impl Sessions {
    /// Gives a key to a device.
    pub async fn open(device: Arc<CryptoDevice>, key: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let mut patience = Patience::default();
        let pair = loop {
            match Pair::open(&device, &key).await {
                Ok(pair) => break pair,
                Err(error) => patience.wait(error).await?,
            }
        };
        Ok(Self {
            device,
            key,
            current: Mutex::new(Arc::new(pair)),
            is_renewing: AtomicBool::new(false),
            gate: Gate::new(SECTORS_AT_ONCE),
        })
    }

    /// Ciphers sectors, which are got once more where the device has lost them.
    pub async fn process(
        &self,
        cryption: &Cryption,
        origin: Origin<'_>,
    ) -> Result<Buffer, VolumeError> {
        let mut patience = Patience::default();
        loop {
            let buffer = origin.get().await?;
            let passed = self.gate.pass(cryption.sectors(buffer.len())).await;
            let pair = self.current.lock().clone();
            let processed = pair.process(cryption, buffer).await;
            drop(passed);
            match processed {
                Ok(buffer) => return Ok(buffer),
                Err(error) => {
                    let renewed = self.renew(&pair, error, &mut patience).await;
                    renewed.map_err(VolumeError::Crypto)?;
                }
            }
        }
    }

    /// Waits until there is something else than `old`, with which a request failed.
    async fn renew(
        &self,
        old: &Arc<Pair>,
        error: Error,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        let mut error = error;
        loop {
            if !Arc::ptr_eq(&self.current.lock(), old) {
                return Ok(());
            }
            // The sessions are as they were.
            if matches!(error, Error::QueueReset | Error::HardwareNotReady) {
                return patience.wait(error).await;
            }
            if !self.is_renewing.swap(true, Ordering::Acquire) {
                let _renewing = Renewing(&self.is_renewing);
                match Pair::open(&self.device, &self.key).await {
                    Ok(pair) => {
                        let pair = Arc::new(pair);
                        let old = core::mem::replace(&mut *self.current.lock(), pair);
                        drop(old);
                        return Ok(());
                    }
                    Err(refused) => error = refused,
                }
            }
            patience.wait(error).await?;
        }
    }
}

/// Ends what [`Sessions::is_renewing`] says.
struct Renewing<'s>(&'s AtomicBool);

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Pair {
    async fn open(device: &CryptoDevice, key: &[u8]) -> Result<Self, Error> {
        let open = |direction| Cipher::open(device, CipherAlgorithm::AesXts, direction, key);
        Ok(Self {
            encrypt: open(Direction::Encrypt).await?,
            decrypt: open(Direction::Decrypt).await?,
        })
    }

    async fn process(&self, cryption: &Cryption, buffer: Buffer) -> Result<Buffer, Error> {
        let cipher = match cryption.direction {
            Direction::Encrypt => &self.encrypt,
            Direction::Decrypt => &self.decrypt,
        };
        let Cryption {
            first_tweak,
            step,
            sector_len,
            ..
        } = *cryption;
        let done = cipher.process_units_by(step, first_tweak, sector_len, buffer);
        done.await.map_err(|failed| failed.error)
    }
}

/// How long somebody has waited for a device that is away.
#[derive(Debug, Default)]
pub struct Patience {
    until_ns: Option<u64>,
}

impl Patience {
    /// Waits a moment after an error that passes when the device is recovered. Another one is
    /// returned at once, and so is any when the time is up.
    pub async fn wait(&mut self, error: Error) -> Result<(), Error> {
        let passes = matches!(
            error,
            Error::ShutDown
                | Error::Broken(_)
                | Error::Resetting
                | Error::QueueReset
                | Error::HardwareNotReady
        );
        let until_ns = *self.until_ns.get_or_insert(now_ns() + PATIENCE_NS);
        if !passes || now_ns() >= until_ns {
            return Err(error);
        }
        sleep_ns(PAUSE_NS).await;
        Ok(())
    }
}
