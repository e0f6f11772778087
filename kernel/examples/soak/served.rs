//! What a device serves, as far as its results can be judged here.

use alloc::{vec, vec::Vec};

use kernel::{crypto::CryptoDevice, exit, task::executor};
use virtio_crypto::{
    Algorithm, AlgorithmSet, Chain, ChainOrder, ChainParameters, ChainedHash, CipherAlgorithm,
    Direction, Error, Features, MacAlgorithm,
};

use crate::{digests::compute_tag, oracle};

/// What a device serves, and is asked for here.
#[derive(Debug)]
pub struct Served {
    pub algorithms: Vec<Algorithm>,
    pub has_chains: bool,
    pub is_stateless: bool,
    /// A MAC's key at most.
    pub max_auth_key_len_bytes: usize,
}

impl Served {
    /// Finds out what a device serves, whatever it says.
    pub fn of(device: &CryptoDevice) -> Self {
        let proved = match executor::block_on(device.prove()) {
            Ok(proved) => proved,
            Err(error) => exit::fail(format_args!("the proof of its algorithms: {error}")),
        };
        let algorithms = proved.algorithms.iter().filter(|it| can_judge(*it));
        let max_auth_key_len_bytes = device.capabilities().max_auth_key_len_bytes;
        Self {
            has_chains: executor::block_on(serves_chains(device, proved.algorithms)),
            is_stateless: device.features().contains(Features::REVISION_1)
                && virtio_crypto::Cipher::stateless(
                    device,
                    CipherAlgorithm::AesCbc,
                    Direction::Encrypt,
                    &[0; 16],
                )
                .is_ok(),
            algorithms: algorithms.collect(),
            max_auth_key_len_bytes: max_auth_key_len_bytes as usize,
        }
    }
}

async fn serves_chains(device: &CryptoDevice, proved: AlgorithmSet) -> bool {
    if !proved.contains(CipherAlgorithm::AesCbc) || !proved.contains(MacAlgorithm::HmacSha256) {
        return false;
    }
    let parameters = ChainParameters {
        order: ChainOrder::CipherThenHash,
        cipher: CipherAlgorithm::AesCbc,
        direction: Direction::Encrypt,
        cipher_key: &[0; 16],
        hash: ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &[0; 16]),
        digest_len_bytes: 32,
    };
    match Chain::open(device, &parameters, 0).await {
        Ok(chain) => chain.close().await.is_ok(),
        Err(Error::Refused(_)) => false,
        Err(error) => exit::fail(format_args!("a chain: {error}")),
    }
}

/// Tells whether results of an algorithm can be judged here.
fn can_judge(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Cipher(it) => {
            oracle::ALGORITHMS.contains(&it)
                || matches!(it, CipherAlgorithm::DesEcb | CipherAlgorithm::DesCbc)
        }
        Algorithm::Mac(it) => {
            let len = *it.key_lens_bytes()[0].start();
            compute_tag(it, &vec![1; len.max(16)], &[]).is_some()
        }
        Algorithm::Hash(_) | Algorithm::Aead(_) | Algorithm::Akcipher(_) => true,
        _ => false,
    }
}
