//! Known answers of the standards.

use alloc::{format, vec, vec::Vec};

use virtio_crypto::{
    Cipher, CipherAlgorithm, Device, Direction, DmaBuffer, Error, Platform, Refusal,
};

use super::{tables, tally::Tally};

/// What a device does with a last part of a block where the mode itself can take one (CTR, XTS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialBlocks {
    /// It takes it.
    Taken,
    /// It answers ERR, as QEMU's builtin backend does.
    Refused,
}

/// A known answer.
#[derive(Clone, Debug)]
pub struct Vector {
    pub algorithm: CipherAlgorithm,
    pub key: Vec<u8>,
    pub iv: Vec<u8>,
    pub plaintext: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

/// Reads hexadecimal digits; white space is for the eye.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits = digits.chars().filter(|digit| !digit.is_whitespace());
    let values: Vec<u8> = digits
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    let (pairs, rest) = values.as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits");
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

impl Vector {
    fn new(algorithm: CipherAlgorithm, [key, iv, plaintext, ciphertext]: [&str; 4]) -> Self {
        Self {
            algorithm,
            key: hex(key),
            iv: hex(iv),
            plaintext: hex(plaintext),
            ciphertext: hex(ciphertext),
        }
    }

    /// Of triple DES with the same key three times, which is DES.
    fn des(key: &str, plaintext: &str, ciphertext: &str) -> Self {
        let algorithm = CipherAlgorithm::TripleDesEcb;
        Self::new(algorithm, [&key.repeat(3), "", plaintext, ciphertext])
    }

    pub fn has_partial_block(&self) -> bool {
        !self
            .plaintext
            .len()
            .is_multiple_of(self.algorithm.block_len_bytes())
    }

    /// Runs the vector in both directions.
    pub async fn check<P: Platform>(&self, device: &Device<P>) {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            self.check_direction(device, direction).await;
        }
    }

    /// Runs the vector through every form of a request.
    pub async fn check_direction<P: Platform>(&self, device: &Device<P>, direction: Direction) {
        let Self {
            algorithm, key, iv, ..
        } = self;
        let (input, expected) = match direction {
            Direction::Encrypt => (&self.plaintext, &self.ciphertext),
            Direction::Decrypt => (&self.ciphertext, &self.plaintext),
        };
        let session = Cipher::open(device, *algorithm, direction, key)
            .await
            .unwrap();
        let mut data = input.clone();
        session.process_slice(iv, &mut data).await.unwrap();
        assert_eq!(data, *expected, "slice, {direction:?}, {self:x?}");

        let buffer = DmaBuffer::from_slice(input).unwrap();
        let buffer = session.process(iv, buffer).await.unwrap();
        assert_eq!(
            buffer[..],
            expected[..],
            "in place, {direction:?}, {self:x?}"
        );

        let source = DmaBuffer::from_slice(input).unwrap();
        let destination = DmaBuffer::new(input.len()).unwrap();
        let (source, destination) = session.process_into(iv, source, destination).await.unwrap();
        assert_eq!(source[..], input[..], "source, {direction:?}, {self:x?}");
        assert_eq!(
            destination[..],
            expected[..],
            "into, {direction:?}, {self:x?}"
        );

        // Cut where no block ends.
        let (first, second) = input.split_at(input.len() / 2 - 1);
        let parts = [first, second].map(|part| DmaBuffer::from_slice(part).unwrap());
        let parts = session.process_list(iv, parts.into()).await.unwrap();
        let joined = [&parts[0][..], &parts[1][..]].concat();
        assert_eq!(joined, *expected, "list, {direction:?}, {self:x?}");
        session.close().await.unwrap();
    }

    /// Checks that the device refuses the vector's data, in its own words.
    pub async fn check_refused<P: Platform>(&self, device: &Device<P>) {
        let Self {
            algorithm, key, iv, ..
        } = self;
        let session = Cipher::open(device, *algorithm, Direction::Encrypt, key);
        let session = session.await.unwrap();
        let mut data = self.plaintext.clone();
        let outcome = session.process_slice(iv, &mut data).await;
        assert_eq!(outcome, Err(Error::Refused(Refusal::Error)), "{self:x?}");
        session.close().await.unwrap();
    }
}

fn nist_sp_800_38a() -> Vec<Vector> {
    let iv = "000102030405060708090a0b0c0d0e0f";
    let counter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    let vectors = tables::NIST.iter().flat_map(|[key, ecb, cbc, ctr]| {
        let vector = |algorithm, iv, ciphertext| {
            Vector::new(algorithm, [key, iv, tables::NIST_PLAINTEXT, ciphertext])
        };
        [
            vector(CipherAlgorithm::AesEcb, "", ecb),
            vector(CipherAlgorithm::AesCbc, iv, cbc),
            vector(CipherAlgorithm::AesCtr, counter, ctr),
        ]
    });
    vectors.collect()
}

fn ieee_1619() -> Vec<Vector> {
    let new = |xts: &tables::Xts| {
        let fields = [xts.key, xts.tweak, xts.plaintext, xts.ciphertext];
        Vector::new(CipherAlgorithm::AesXts, fields)
    };
    tables::XTS.iter().map(new).collect()
}

fn nist_sp_800_67() -> Vec<Vector> {
    let [key, plaintext, ciphertext] = tables::TRIPLE_DES;
    vec![Vector::new(
        CipherAlgorithm::TripleDesEcb,
        [key, "", plaintext, ciphertext],
    )]
}

fn nist_sp_800_20() -> Vec<Vector> {
    let zero = "0000000000000000";
    let mut vectors = Vec::new();
    for (bit, ciphertext) in tables::VARIABLE_PLAINTEXT.iter().enumerate() {
        let plaintext = format!("{:016x}", 1u64 << 63 >> bit);
        vectors.push(Vector::des(&"01".repeat(8), &plaintext, ciphertext));
    }
    for (bit, ciphertext) in tables::VARIABLE_KEY.iter().enumerate() {
        // Seven bits of each byte; the eighth is the parity, odd.
        let mut key = [1; 8];
        key[bit / 7] = 0x80 >> (bit % 7);
        let key = format!("{:016x}", u64::from_be_bytes(key));
        vectors.push(Vector::des(&key, zero, ciphertext));
    }
    for (key, ciphertext) in tables::PERMUTATION {
        vectors.push(Vector::des(key, zero, ciphertext));
    }
    for (key, plaintext, ciphertext) in tables::SUBSTITUTION {
        vectors.push(Vector::des(key, plaintext, ciphertext));
    }
    // The CBC mode's tables are these with an IV of zeros.
    let cbc = vectors.clone().into_iter().map(|vector| Vector {
        algorithm: CipherAlgorithm::TripleDesCbc,
        iv: vec![0; 8],
        ..vector
    });
    vectors.extend(cbc);
    vectors
}

/// Runs the vectors of every standard.
pub async fn run<P: Platform>(device: &Device<P>, partial_blocks: PartialBlocks) -> Vec<Tally> {
    let mut tallies = Vec::new();
    for (standard, vectors) in [
        ("nist_sp_800_38a", nist_sp_800_38a()),
        ("ieee_1619_xts", ieee_1619()),
        ("nist_sp_800_67", nist_sp_800_67()),
        ("nist_sp_800_20", nist_sp_800_20()),
    ] {
        let mut tally = Tally::new(standard);
        for vector in &vectors {
            if vector.has_partial_block() && partial_blocks == PartialBlocks::Refused {
                // QEMU prints a line for each.
                if tally.skip("partial-block-refused") {
                    vector.check_refused(device).await;
                }
                continue;
            }
            vector.check(device).await;
            tally.run();
        }
        tallies.push(tally.close(vectors.len()));
    }
    tallies
}
