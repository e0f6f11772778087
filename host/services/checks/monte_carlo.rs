//! Monte Carlo and multi-block message tests, after NIST's validation suites (AESAVS, 6.4 and 6.5;
//! SP 800-20 and TMOVS for triple DES): random keys and texts, device and software side by side.

use alloc::vec::Vec;

use virtio_crypto::{Cipher, CipherAlgorithm, Device, Direction, DmaBuffer, Platform};

use super::{oracle, random::Random, standards::hex, tally::Tally};

const DIRECTIONS: [Direction; 2] = [Direction::Encrypt, Direction::Decrypt];

/// Returns the lengths of an algorithm's keys.
pub fn key_lens_bytes(algorithm: CipherAlgorithm) -> Vec<usize> {
    algorithm
        .key_lens_bytes()
        .iter()
        .map(|lens| *lens.start())
        .collect()
}

/// Multi-block messages: one to ten blocks for each algorithm, key length and direction.
pub async fn multi_block<P: Platform>(device: &Device<P>) -> Tally {
    let mut tally = Tally::new("multi_block");
    let mut random = Random::new(0x4d4d54);
    let mut total = 0;
    for algorithm in oracle::ALGORITHMS {
        for key_len_bytes in key_lens_bytes(algorithm) {
            for direction in DIRECTIONS {
                for blocks in 1..=10 {
                    total += 1;
                    let key = random.bytes(key_len_bytes);
                    let iv = random.bytes(algorithm.iv_len_bytes());
                    let data = random.bytes(blocks * algorithm.block_len_bytes());
                    let mut expected = data.clone();
                    oracle::transform(algorithm, direction, &key, &iv, &mut expected);
                    let session = Cipher::open(device, algorithm, direction, &key)
                        .await
                        .unwrap();
                    let buffer = DmaBuffer::from_slice(&data).unwrap();
                    let buffer = session.process(&iv, buffer).await.unwrap();
                    assert_eq!(buffer[..], expected, "{algorithm:?} {direction:?} {blocks}");
                    session.close().await.unwrap();
                    tally.run();
                }
            }
        }
    }
    tally.close(total)
}

/// Where a Monte Carlo test is between two of its steps.
#[derive(Clone, Debug)]
struct Chain {
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: Vec<u8>,
    iv: Vec<u8>,
    text: Vec<u8>,
}

impl Chain {
    fn is_triple_des(&self) -> bool {
        self.algorithm.block_len_bytes() == 8
    }

    fn has_iv(&self) -> bool {
        self.algorithm.iv_len_bytes() > 0
    }

    /// One inner loop. `step` makes the output of an IV and an input.
    async fn round(&mut self, mut step: impl AsyncFnMut(&[u8], &mut [u8])) -> Vec<u8> {
        let steps = if self.is_triple_des() { 10_000 } else { 1000 };
        // The last three outputs, newest first.
        let mut outputs = [const { Vec::new() }; 3];
        let (mut iv, mut input) = (self.iv.clone(), self.text.clone());
        for number in 0..steps {
            let mut output = input.clone();
            step(&iv, &mut output).await;
            let previous = if number == 0 {
                self.iv.clone()
            } else {
                outputs[0].clone()
            };
            outputs.rotate_right(1);
            outputs[0].clone_from(&output);
            match self.direction {
                _ if !self.has_iv() => input = output,
                Direction::Encrypt => {
                    iv = output;
                    input = previous;
                }
                Direction::Decrypt => {
                    iv = input;
                    input = if self.is_triple_des() {
                        output
                    } else {
                        previous
                    };
                }
            }
        }
        self.next_round(&outputs, iv, input);
        outputs[0].clone()
    }

    /// Derives key, IV and text of the next inner loop.
    fn next_round(&mut self, outputs: &[Vec<u8>; 3], iv: Vec<u8>, input: Vec<u8>) {
        let [last, before, before_that] = outputs;
        let mask = if self.is_triple_des() {
            [&last[..], before, before_that].concat()
        } else {
            let both = [&before[..], last].concat();
            both[both.len() - self.key.len()..].to_vec()
        };
        for (byte, by) in self.key.iter_mut().zip(mask) {
            *byte ^= by;
            if self.algorithm.block_len_bytes() == 8 {
                // Odd parity.
                *byte = *byte & 0xfe | (!*byte >> 1).count_ones() as u8 & 1;
            }
        }
        self.text = input;
        if self.has_iv() {
            // AES goes on with the last output in either direction.
            self.iv = if self.is_triple_des() {
                iv
            } else {
                last.clone()
            };
        }
    }
}

/// Monte Carlo tests of the modes that have them, `rounds` inner loops of 1,000 steps (10,000 for
/// triple DES) each.
pub async fn monte_carlo<P: Platform>(device: &Device<P>, rounds: usize) -> Tally {
    let mut tally = Tally::new("monte_carlo");
    let mut random = Random::new(0x4d4354);
    let mut total = 0;
    for algorithm in [
        CipherAlgorithm::AesEcb,
        CipherAlgorithm::AesCbc,
        CipherAlgorithm::TripleDesEcb,
        CipherAlgorithm::TripleDesCbc,
    ] {
        for key_len_bytes in key_lens_bytes(algorithm) {
            for direction in DIRECTIONS {
                let mut hardware = Chain {
                    algorithm,
                    direction,
                    key: random.bytes(key_len_bytes),
                    iv: random.bytes(algorithm.iv_len_bytes()),
                    text: random.bytes(algorithm.block_len_bytes()),
                };
                let mut software = hardware.clone();
                for round in 0..if hardware.is_triple_des() { 1 } else { rounds } {
                    total += 1;
                    let what = (algorithm, direction, key_len_bytes, round);
                    let outcome = on_device(device, &mut hardware).await;
                    assert_eq!(outcome, in_software(&mut software).await, "{what:?}");
                    tally.run();
                }
            }
        }
    }
    published(device, &mut tally).await;
    tally.close(total + 1)
}

/// The first result of NIST's CBCMCT128.rsp: says that the chain itself is the standard's.
async fn published<P: Platform>(device: &Device<P>, tally: &mut Tally) {
    let mut chain = Chain {
        algorithm: CipherAlgorithm::AesCbc,
        direction: Direction::Encrypt,
        key: hex("9dc2c84a37850c11699818605f47958c"),
        iv: hex("256953b2feab2a04ae0180d8335bbed6"),
        text: hex("2e586692e647f5028ec6fa47a55a2aab"),
    };
    let outcome = on_device(device, &mut chain).await;
    assert_eq!(outcome, hex("1b1ebd1fc45ec43037fd4844241a437f"));
    tally.run();
}

async fn on_device<P: Platform>(device: &Device<P>, chain: &mut Chain) -> Vec<u8> {
    let session = Cipher::open(device, chain.algorithm, chain.direction, &chain.key);
    let session = session.await.unwrap();
    let step = async |iv: &[u8], data: &mut [u8]| session.process_slice(iv, data).await.unwrap();
    let outcome = chain.round(step).await;
    session.close().await.unwrap();
    outcome
}

async fn in_software(chain: &mut Chain) -> Vec<u8> {
    let Chain {
        algorithm,
        direction,
        ..
    } = *chain;
    let key = chain.key.clone();
    let step = async |iv: &[u8], data: &mut [u8]| {
        oracle::transform(algorithm, direction, &key, iv, data);
    };
    chain.round(step).await
}
