//! Guest driver for the VIRTIO crypto device (Virtio 1.3, section 5.9), for any kernel: `no_std`
//! with `alloc`, interrupt driven, async or blocking.
//!
//! # Embedding, in four steps
//!
//! 1. Say what your kernel provides: implement [`Platform`] and the [`Hal`](virtio_drivers::Hal)
//!    that it builds on, on a type of your own.
//! 2. Reach the device, and vouch for it: [`transport::pci::PciTransport`] finds its structures on
//!    the PCI bus; a transport of `virtio_drivers` that you have already goes into
//!    [`transport::VirtioDriversTransport`].
//! 3. Set it up: [`Device::new`], with one MSI-X message for each interrupt vector that you have
//!    for it in [`Options::messages`], and call [`Device::handle_interrupt`] from their handlers.
//!    With fewer vectors, INTx or none at all it works too ([`InterruptMode`]).
//! 4. Use it: [`Cipher::open`], then [`Cipher::process_slice`] or, without a copy,
//!    [`Cipher::process`] with a [`DmaBuffer`]. Every operation is a future; [`block_on`] runs one
//!    without an executor.
//!
//! ```no_run
//! # use virtio_crypto::{Cipher, CipherAlgorithm, Device, Direction, Error, Platform};
//! # async fn example<P: Platform>(device: &Device<P>) -> Result<(), Error> {
//! let session =
//!     Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &[0x2b; 16]).await?;
//! let mut block = *b"sixteen bytes ok";
//! session.process_slice(&[0; 16], &mut block).await?;
//! session.close().await
//! # }
//! ```
//!
//! Hashes, message authentication codes, authenticated encryption and public keys work alike: open,
//! ask as often as you like, close. A signature with a key that the device holds:
//!
//! ```no_run
//! # use virtio_crypto::{Device, Error, Platform, RsaHash, RsaPrivateKey, RsaSignature, RsaSigner};
//! # async fn example<P: Platform>(device: &Device<P>, der: &[u8]) -> Result<RsaSignature, Error> {
//! let key = RsaPrivateKey::from_pkcs1_der(der)?; // checked, and wiped when dropped
//! let signer = RsaSigner::open(device, &key, RsaHash::Sha256).await?;
//! signer.sign(&[0x5a; 32]).await // a digest
//! # }
//! ```
//!
//! # Concurrency
//!
//! Everything is `Send` and `Sync`; any number of CPUs may submit at once. A queue's lock masks
//! local interrupts and is held only to record and publish a request or to drain the ring; the
//! doorbell is rung and tasks are woken without it. A control request waits for its own
//! completion like any other, so sessions are opened and closed side by side.
//!
//! # Cancellation
//!
//! Any future may be dropped at any time, and even forgotten: what the device has stays with the
//! driver until the device has let go of it. A session that is dropped, or whose creation is
//! cancelled, ends on the device as soon as none of its requests is in flight. A request that is
//! forgotten keeps its slot, and nobody else's turn.
//!
//! # Secrets
//!
//! Keys, IVs, plaintext, ciphertext and results that the driver has copied are wiped:
//!
//! - in device memory, when the request's future has its outcome. If the future was dropped: after
//!   the device has answered, by the next caller that wants the slot, by [`Device::poll`] or by
//!   [`Device::drain`]. If the device never answers: with its queues at its reset or end, even if
//!   the memory itself is given up for good. Long keys, and slices that have no room in a slot,
//!   travel in buffers of the driver's own, and are wiped in the same ways;
//! - a [`DmaBuffer`] when it is dropped, by the caller or by the driver; the bytes in it that came
//!   of a request that failed, before it comes back;
//! - in ordinary memory, the keys that are kept without a session and by a [`SessionCache`], and
//!   those in [`RsaPrivateKey`] and [`EcdsaPrivateKey`], when they are dropped. Futures keep no
//!   key, and what they keep of results for a moment they wipe, also when they are dropped.
//!
//! Yours to wipe are the slices that you give: keys, their encodings, data, and what a call has
//! written into them; after an error that is none of the device's answer. Copies that the compiler
//! makes on the stack stay until it is used again, and what the device keeps is out of reach. A
//! future that is forgotten keeps what it has as long as the device has it.
//!
//! # Failure
//!
//! A device that breaks the rules, asks for a reset or is gone ends every wait with
//! [`Error::Broken`]; a shutdown or a reset ends it with [`Error::ShutDown`]. [`Device::recover`]
//! starts anew. [`Device::reset_queue`] brings one data queue back that has fallen silent; what it
//! had ends with [`Error::QueueReset`]. While the device's hardware is not ready, requests end with
//! [`Error::HardwareNotReady`], or wait ([`WhenNotReady`]). A device that has died says nothing by
//! itself: [`Device::check`] reads its status, and a caller may give up at any time. [`Device`] has
//! a table of all that may become of it. If the heap or device memory has no room, that is an error
//! too, with the buffers.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(any(fuzzed, loom, test))]
extern crate std;
// Examples, and files that the kernel's tests include too, call the driver by this name.
#[cfg(test)]
extern crate self as virtio_crypto;

mod capabilities;
mod deadline;
mod device;
mod dma;
mod epoch;
mod error;
#[cfg(test)]
mod fake;
#[cfg(all(any(fuzzed, test), not(loom)))]
pub mod fuzzing;
mod heap;
mod index;
pub mod platform;
mod pool;
mod prove;
mod queue;
mod request;
mod service;
mod stats;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod transport;
mod virtqueue;
mod wire;

pub use self::{
    capabilities::{Algorithm, AlgorithmSet, Capabilities, Proved},
    device::{
        Device,
        ladder::{Interrupt, InterruptMode},
        options::Options,
        poller::Poller,
        recovery::ShutdownReport,
    },
    dma::DmaBuffer,
    error::{DeviceFault, Error, Failed, KeyFault, Requirement},
    platform::Platform,
    pool::DevicePool,
    queue::{Framing, WhenNotReady, begin_wait},
    request::{
        blocking::{WakeFlag, block_on, block_on_with},
        join::join_all,
    },
    service::{
        aead::{Aead, AeadDecrypt, AeadEncrypt},
        akcipher::{
            Ecdsa, EcdsaPrivateKey, EcdsaPublicKey, EcdsaSignature, EcdsaSigner, EcdsaVerifier,
            Rsa, RsaDecryptor, RsaEncryptor, RsaPrivateKey, RsaPublicKey, RsaRawDecryptor,
            RsaRawEncryptor, RsaSignature, RsaSignatures, RsaSigner, RsaVerifier,
        },
        cache::SessionCache,
        chain::{Chain, ChainInput, ChainParameters, ChainedHash},
        cipher::{Cipher, CipherStream, StreamSession},
        hash::MessageDigest,
        mac::Mac,
        role,
    },
    stats::{InterruptStats, QueueStats},
    transport::reset::ForcedReset,
    wire::{
        AeadAlgorithm, AkcipherAlgorithm, ChainOrder, CipherAlgorithm, Curve, DEVICE_ID, Direction,
        EcdsaNumber, Features, HashAlgorithm, MacAlgorithm, Refusal, RsaHash, Services,
    },
};

/// The README's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
