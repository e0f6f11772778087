//! Signs a TLS 1.2 handshake as a server does, with a key that the device holds.
//!
//! The key is read once, given to the device, and wiped: from then on the server's memory has no copy
//! of it. Requests of many connections are in flight side by side, each a future of its own.
//!
//! `cargo check --example tls_sign --features pkcs8`: it compiles on a host; the signing itself runs in a
//! kernel, on its platform.

use virtio_crypto::{
    Device, Error, Platform, RsaHash, RsaPrivateKey, RsaSignature, RsaSigner, RsaVerifier,
};
use zeroize::Zeroizing;

/// `SignatureScheme` `rsa_pkcs1_sha256` (RFC 8446, 4.2.3; RFC 5246, 7.4.1.4.1).
const RSA_PKCS1_SHA256: u16 = 0x0401;

/// A server's key.
struct ServerKey<P: Platform> {
    signer: RsaSigner<P>,
}

impl<P: Platform> ServerKey<P> {
    /// Gives the key of a PKCS#8 file to the device.
    async fn load(device: &Device<P>, pkcs8_der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let key = RsaPrivateKey::from_pkcs8_der(&pkcs8_der)?;
        let signer = RsaSigner::open(device, &key, RsaHash::Sha256).await?;
        // `key` and `pkcs8_der` are wiped here.
        Ok(Self { signer })
    }

    /// Signs the digest of a `ServerKeyExchange` (RFC 5246, 7.4.3): scheme, length, signature.
    async fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let signature: RsaSignature = self.signer.sign(digest).await?;
        let signature = signature.as_ref();
        let mut message = RSA_PKCS1_SHA256.to_be_bytes().to_vec();
        message.extend((signature.len() as u16).to_be_bytes());
        message.extend(signature);
        Ok(message)
    }
}

/// A handshake, from both sides: the client's is on the device too, for once.
async fn handshake<P: Platform>(
    device: &Device<P>,
    server: &ServerKey<P>,
    digest: &[u8; 32],
) -> Result<(), Error> {
    let message = server.sign(digest).await?;
    let signature = message.get(4..).ok_or(Error::InvalidSignature)?;
    let client = RsaVerifier::open(device, server.signer.key(), RsaHash::Sha256).await?;
    let verified = client.verify(digest, signature).await;
    client.close().await?;
    // `Error::InvalidSignature` is a client's `decrypt_error`; anything else says that it is not
    // known.
    verified
}

/// What a kernel does with it, on its own platform.
async fn serve<P: Platform>(device: &Device<P>, pkcs8_der: Vec<u8>) -> Result<(), Error> {
    let server = ServerKey::load(device, Zeroizing::new(pkcs8_der)).await?;
    handshake(device, &server, &[0x5a; 32]).await?;
    // Ends the session: the device forgets the key.
    server.signer.close().await
}

fn main() {
    // There is no device here; `serve` is what a kernel calls, with its own platform.
    fn compiles<P: Platform>(device: &Device<P>) -> impl Future<Output = Result<(), Error>> {
        serve(device, Vec::new())
    }
    println!(
        "{}",
        std::any::type_name_of_val(&compiles::<kernel::Kernel>)
    );
}

/// Stands for yours.
mod kernel {
    use std::ptr::NonNull;

    use virtio_crypto::Platform;
    use virtio_drivers::{BufferDirection, Hal, PhysAddr};

    pub enum Kernel {}

    // SAFETY: there is no value of this type, and nothing is ever called.
    unsafe impl Hal for Kernel {
        fn dma_alloc(_: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
            unimplemented!()
        }
        unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
            unimplemented!()
        }
        unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
            unimplemented!()
        }
        unsafe fn share(_: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
            unimplemented!()
        }
        unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {
            unimplemented!()
        }
    }

    // SAFETY: as above.
    unsafe impl Platform for Kernel {
        fn mask_interrupts() -> bool {
            unimplemented!()
        }
        unsafe fn restore_interrupts(_: bool) {
            unimplemented!()
        }
        fn cpu() -> u32 {
            unimplemented!()
        }
        fn now_ns() -> u64 {
            unimplemented!()
        }
    }
}
