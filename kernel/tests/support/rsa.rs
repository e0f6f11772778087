//! Whether there is any RSA to test.

use kernel::{crypto::CryptoDevice, println, task::executor};
use spin::Once;
use virtio_crypto::{Error, Refusal, RsaHash, RsaPrivateKey, RsaSigner};

/// Tells whether `device` has RSA at all: from QEMU 10 on, builds with nettle open its sessions and
/// answer every operation NOTSUPP.
///
/// Asked once in a run, which has one device.
pub fn has_rsa(device: &CryptoDevice) -> bool {
    static HAS: Once<bool> = Once::new();
    *HAS.call_once(|| {
        let key = RsaPrivateKey::from_pkcs1_der(include_bytes!(
            "../../../driver/testdata/rsa/1024.pkcs1.der"
        ));
        let signed = executor::block_on(async {
            let signer = RsaSigner::open(device, &key?, RsaHash::Sha256).await?;
            let signed = signer.sign(&[0; 32]).await.map(|_| ());
            signer.close().await?;
            signed
        });
        let has = signed != Err(Error::Refused(Refusal::NotSupported));
        if !has {
            println!("this device has no RSA");
        }
        has
    })
}
