//! Whether there is any RSA to test.

use kernel::{crypto::CryptoDevice, testing};
use virtio_crypto::Services;

/// Tells whether `device` offers no public keys at all, of which the running test then says that it
/// does not apply: QEMU leaves the service out where it was built without a library for it.
pub fn lacks_rsa(device: &CryptoDevice) -> bool {
    let lacks = !device.capabilities().services.contains(Services::AKCIPHER);
    if lacks {
        testing::does_not_apply("the device offers no AKCIPHER");
    }
    lacks
}
