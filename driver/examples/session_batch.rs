//! Many sessions at once: each client has a key of its own, and every step of all of them shares a
//! kick and an await. Sessions are opened, used and closed in three batches instead of three
//! requests for each client, one after the other.

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};

use virtio_crypto::{Cipher, CipherAlgorithm, Device, Direction, Error, Platform, join_all};

/// What a client wants encrypted, and with what.
#[derive(Clone, Debug)]
pub struct Message {
    /// The client's key, of 16, 24 or 32 bytes.
    pub key: Vec<u8>,
    /// Never twice with the same key.
    pub first_counter_block: [u8; 16],
    /// Whole blocks of 16 bytes: what every device takes.
    pub data: Vec<u8>,
}

/// Encrypts each message in place, in counter mode, with its own session; each has its own result.
///
/// The driver and the device have a limit of sessions (256 in QEMU): more messages than that at
/// once end with [`Error::TooManySessions`] for those that come last.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub async fn encrypt_all<P: Platform>(
    device: &Device<P>,
    messages: &mut [Message],
) -> Result<Vec<Result<(), Error>>, Error> {
    let (algorithm, direction) = (CipherAlgorithm::AesCtr, Direction::Encrypt);
    let open = |message| {
        let message: &Message = message;
        Box::pin(Cipher::open(device, algorithm, direction, &message.key))
    };
    let opening = messages.iter().map(open).collect();
    let sessions = device.batch(join_all(opening)).await?;

    let pairs = messages.iter_mut().zip(&sessions);
    let processing = pairs.map(|(message, session)| {
        Box::pin(async move {
            let session = session.as_ref().map_err(|error| *error)?;
            session
                .process_slice(&message.first_counter_block, &mut message.data)
                .await
        })
    });
    let results = device.batch(join_all(processing.collect())).await?;

    // A session that is dropped ends too; this waits until the device has room again.
    let sessions = sessions.into_iter().flatten();
    let closing = sessions.map(|session| Box::pin(session.close()));
    device.batch(join_all(closing.collect())).await?;
    Ok(results)
}

#[cfg(not(target_os = "none"))]
fn main() {
    std::println!(
        "A host has no virtio-crypto device of its own: a kernel with a `Platform` runs this \
         (`encrypt_all`), as the driver's tests do on a fake device and the kernel's in QEMU: \
         ./run.sh test session_batch"
    );
}
