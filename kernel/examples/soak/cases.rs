//! Cases: one algorithm, a session or none, some requests whose every byte is verified.

use alloc::sync::Arc;

use kernel::crypto::CryptoDevice;
use virtio_crypto::{Algorithm, Error};

use crate::{case::Case, ciphers, hashes, keys, random::Random, served::Served};

/// Runs the case of a seed.
///
/// # Errors
///
/// Those of the requests.
///
/// # Panics
///
/// If a byte is wrong.
pub async fn run(
    device: Arc<CryptoDevice>,
    served: &'static Served,
    seed: u64,
) -> Result<(), Error> {
    let mut case = Case {
        device: &device,
        served,
        random: Random::new(seed),
    };
    let chains = usize::from(served.has_chains) * served.algorithms.len() / 4;
    let choice = case.random.below(served.algorithms.len() + chains);
    match served.algorithms.get(choice) {
        Some(Algorithm::Cipher(algorithm)) => ciphers::cipher(&mut case, *algorithm).await,
        Some(Algorithm::Hash(algorithm)) => hashes::hash(&mut case, *algorithm).await,
        Some(Algorithm::Mac(algorithm)) => hashes::mac(&mut case, *algorithm).await,
        Some(Algorithm::Aead(algorithm)) => ciphers::aead(&mut case, *algorithm).await,
        Some(Algorithm::Akcipher(algorithm)) => keys::run(&mut case, *algorithm).await,
        _ => ciphers::chain(&mut case).await,
    }
}
