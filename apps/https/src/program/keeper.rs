//! Who signs: the device, which has the key, or software. And what becomes of that when the device
//! is recovered.
//!
//! ```text
//!        a request ends with the device's life        the key is read again, opened, wiped
//! Ready ───────────────────────────────────▶ Recovering ──────────────────────▶ Ready
//!                                              │  failed: the next request tries again  ▲
//!                                              └────────────────────────────────────────┘
//! ```
//!
//! The one rule: whoever wants a signature meanwhile waits, and asks again; no client hears of it.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
};

use common::fw_cfg;
use https::tls::{Fault, Identity, PrivateKey, SoftwareKey, ToSign, read_identity};
use kernel::{crypto::CryptoDevice, println, task::executor, time};
use spin::Mutex;
use virtio_crypto::Error;

use super::{
    counts::COUNTS,
    signers::{Choice, Signers},
};

const KEY_FILE: &str = "opt/https/key";
const CERTIFICATE_FILE: &str = "opt/https/certificate";
/// How long a signature is asked for anew: time counts, not how often, since a recovery also ends
/// the search for a byte that QEMU has cut off, of one signature in 256.
const LIMIT_NS: u64 = 8_000_000_000;
/// How long requests in flight may take to end before a reset.
const DRAIN_NS: u64 = 1_000_000_000;

/// Reads the certificate and its key from the host's files.
///
/// # Errors
///
/// `None` where one of them is missing.
pub fn read_files() -> Option<Result<(Identity, PrivateKey), Fault>> {
    let (key, certificate) = fw_cfg::file(KEY_FILE).zip(fw_cfg::file(CERTIFICATE_FILE))?;
    Some(read_identity(&key, &certificate))
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// The device refuses.
    Device(Error),
    /// The key in software cannot.
    Software,
    /// The device has to be recovered, and is being: the next call waits for that.
    Again,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => write!(f, "no signature: {error}"),
            Self::Software => f.write_str("no signature: the key cannot"),
            Self::Again => f.write_str("no signature: the device fails again and again"),
        }
    }
}

/// Who signs.
pub enum Keeper {
    /// The device.
    Device(InDevice),
    /// The guest.
    Software(SoftwareKey),
}

/// A key in the device.
pub struct InDevice {
    device: Arc<CryptoDevice>,
    choice: Choice,
    now: Mutex<Now>,
}

struct Now {
    /// Of this life of the device.
    signers: Arc<Signers>,
    life: u64,
    is_recovering: bool,
    /// There is no other life after this one.
    is_last: bool,
    /// Those who wait for the end of that: one a worker at most.
    waiting: Vec<Waker>,
}

impl InDevice {
    /// Takes sessions that have been tried.
    pub fn new(device: Arc<CryptoDevice>, signers: Signers, choice: Choice) -> Self {
        let now = Now {
            signers: Arc::new(signers),
            life: 0,
            is_recovering: false,
            is_last: false,
            waiting: Vec::new(),
        };
        Self {
            device,
            choice,
            now: Mutex::new(now),
        }
    }

    /// Waits until the device is not being recovered.
    async fn ready(&self) -> (Arc<Signers>, u64) {
        poll_fn(|context| {
            let mut now = self.now.lock();
            if !now.is_recovering {
                return Poll::Ready((now.signers.clone(), now.life));
            }
            if !now
                .waiting
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                now.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    async fn sign(&'static self, to_sign: &ToSign) -> Result<Vec<u8>, Unsigned> {
        let (signers, life) = self.ready().await;
        match self.watched(signers.sign(to_sign)).await {
            Err(error) if is_of_a_life(&error) => match self.recover(life) {
                true => {
                    COUNTS.signatures_repeated.add_one();
                    Err(Unsigned::Again)
                }
                false => Err(Unsigned::Device(error)),
            },
            signed => signed.map_err(Unsigned::Device),
        }
    }

    /// Runs a request, and notes how many the queue has in flight beside it.
    async fn watched<F: Future>(&self, request: F) -> F::Output {
        let mut request = pin!(request);
        poll_fn(|context| {
            let polled = request.as_mut().poll(context);
            let in_flight = self.device.data_stats().in_flight;
            COUNTS.most_in_flight.at_least(in_flight.into());
            polled
        })
        .await
    }

    /// Recovers the device, unless that life of it has ended by now; `false` where it was the last.
    /// In a task of its own: whoever wants it may be gone before it is done.
    pub fn recover(&'static self, life: u64) -> bool {
        {
            let mut now = self.now.lock();
            if now.is_last {
                return false;
            }
            if now.is_recovering || now.life != life {
                return true;
            }
            now.is_recovering = true;
        }
        match executor::spawn(self.begin_life()) {
            Ok(task) => task.detach(),
            // The next request tries again.
            Err(_) => self.end_recovery(None),
        }
        true
    }

    /// Has no recovery begin any more, once none is under way.
    async fn end(&self) {
        loop {
            self.ready().await;
            let mut now = self.now.lock();
            if !now.is_recovering {
                now.is_last = true;
                return;
            }
        }
    }

    async fn begin_life(&'static self) {
        let start_ns = time::now_ns();
        let opened = self.open_again().await;
        let took_us = (time::now_ns() - start_ns) / 1000;
        match &opened {
            Ok(_) => {
                COUNTS.recoveries.add_one();
                println!("https: the device is recovered, its key opened again us={took_us}");
            }
            Err(error) => println!("https: the device is not recovered: {error}"),
        }
        if opened.is_err() {
            // Not at once again.
            time::sleep_ns(100_000_000).await;
        }
        self.end_recovery(opened.ok());
    }

    async fn open_again(&self) -> Result<Signers, Error> {
        self.device.recover(DRAIN_NS)?;
        // What was right before is no other now, unless the host has changed it.
        let Some(Ok((_, key))) = read_files() else {
            return Err(Error::ShutDown);
        };
        Signers::open(&self.device, &key, self.choice).await
    }

    fn end_recovery(&self, signers: Option<Signers>) {
        let (waiting, old) = {
            let mut now = self.now.lock();
            now.is_recovering = false;
            now.life += 1;
            let new = signers.map(Arc::new);
            let old = new.map(|new| core::mem::replace(&mut now.signers, new));
            (core::mem::take(&mut now.waiting), old)
        };
        drop(old);
        for waker in waiting {
            waker.wake();
        }
    }

    /// The number of the device's life.
    pub fn life(&self) -> u64 {
        self.now.lock().life
    }
}

/// Whether an error says of the device that it has to be recovered.
fn is_of_a_life(error: &Error) -> bool {
    matches!(
        error,
        Error::Broken(_) | Error::ShutDown | Error::Resetting | Error::QueueReset
    )
}

impl Keeper {
    /// Comes before the device is shut down: whoever still wants a signature gets an error.
    pub async fn end(&self) {
        if let Self::Device(device) = self {
            device.end().await;
        }
    }

    /// Signs, however often the device is recovered meanwhile.
    ///
    /// # Errors
    ///
    /// [`Unsigned`].
    pub async fn sign_in_time(&'static self, to_sign: &ToSign) -> Result<Vec<u8>, Unsigned> {
        let end_ns = time::now_ns() + LIMIT_NS;
        loop {
            match self.sign(to_sign).await {
                Err(Unsigned::Again) if time::now_ns() < end_ns => {}
                signed => return signed,
            }
        }
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// [`Unsigned`].
    pub async fn sign(&'static self, to_sign: &ToSign) -> Result<Vec<u8>, Unsigned> {
        let start_ns = time::now_ns();
        let signed = match self {
            Self::Device(device) => device.sign(to_sign).await,
            Self::Software(key) => key.sign(to_sign).ok_or(Unsigned::Software),
        };
        match &signed {
            Ok(_) => {
                COUNTS.signatures.add_one();
                COUNTS.signature.add_since(start_ns);
            }
            Err(Unsigned::Again) => {}
            Err(_) => COUNTS.signatures_failed.add_one(),
        }
        signed
    }

    /// The device, where it signs.
    pub fn device(&self) -> Option<&CryptoDevice> {
        match self {
            Self::Device(in_device) => Some(&in_device.device),
            Self::Software(_) => None,
        }
    }
}
