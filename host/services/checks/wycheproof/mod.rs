//! The Wycheproof project's vectors, from tables that `convert.rs` wrote.

use alloc::vec::Vec;

pub mod aead;
pub mod ecdsa;
pub mod rsa;

use virtio_crypto::{Cipher, CipherAlgorithm, Device, Direction, Error, Platform};

use super::{
    standards::{PartialBlocks, Vector},
    table::{self, Expectation},
    tally::Tally,
};

/// A test: its group's fields, its number, what should become of it, its own fields.
struct Test<'t, const GROUP: usize, const FIELDS: usize> {
    group: [&'t [u8]; GROUP],
    id: usize,
    expectation: Expectation,
    fields: [&'t [u8]; FIELDS],
}

/// Returns how many tests the source says that there are, and those that the table has.
fn tests<const GROUP: usize, const FIELDS: usize>(
    table: &[u8],
) -> (usize, Vec<Test<'_, GROUP, FIELDS>>) {
    let mut tests = Vec::new();
    let total = table::for_each(table, |group, id, expectation, fields| {
        tests.push(Test {
            group,
            id,
            expectation,
            fields,
        });
    });
    (total, tests)
}

/// Runs `aes_cbc_pkcs5`: the device does the chaining, the padding is done here.
pub async fn aes_cbc_pkcs5<P: Platform>(device: &Device<P>, table: &[u8]) -> Tally {
    let mut tally = Tally::new("aes_cbc_pkcs5");
    let (total, tests) = tests::<0, 4>(table);
    for test in tests {
        let (id, expectation, [key, iv, message, ciphertext]) =
            (test.id, test.expectation, test.fields);
        let algorithm = CipherAlgorithm::AesCbc;
        let decrypt = Cipher::open(device, algorithm, Direction::Decrypt, key)
            .await
            .unwrap();
        let mut data = ciphertext.to_vec();
        let outcome = decrypt.process_slice(iv, &mut data).await;
        decrypt.close().await.unwrap();
        if data.is_empty() {
            // No padding at all: refused before it is sent.
            assert!(
                matches!(outcome, Err(Error::InvalidLength { .. })),
                "test {id}"
            );
        } else {
            outcome.unwrap();
        }
        let accepted = unpad(&data);
        match expectation {
            Expectation::Invalid => assert_eq!(accepted, None, "test {id} is invalid"),
            _ => {
                assert_eq!(accepted, Some(message), "test {id}");
                let mut data = pad(message);
                let encrypt = Cipher::open(device, algorithm, Direction::Encrypt, key)
                    .await
                    .unwrap();
                encrypt.process_slice(iv, &mut data).await.unwrap();
                encrypt.close().await.unwrap();
                assert_eq!(data, ciphertext, "test {id}");
            }
        }
        count(&mut tally, expectation);
    }
    tally.close(total)
}

/// Runs `aes_xts`.
pub async fn aes_xts<P: Platform>(
    device: &Device<P>,
    table: &[u8],
    partial_blocks: PartialBlocks,
) -> Tally {
    let mut tally = Tally::new("aes_xts");
    let (total, tests) = tests::<0, 4>(table);
    for test in tests {
        let (id, expectation, [key, tweak, message, ciphertext]) =
            (test.id, test.expectation, test.fields);
        assert_eq!(expectation, Expectation::Valid, "test {id}");
        // A tweak is a number, little-endian, of 128 bits.
        let mut iv = tweak.to_vec();
        iv.resize(16, 0);
        let vector = Vector {
            algorithm: CipherAlgorithm::AesXts,
            key: key.to_vec(),
            iv,
            plaintext: message.to_vec(),
            ciphertext: ciphertext.to_vec(),
        };
        if key.len() == 48 {
            // Twice AES-192: not in IEEE 1619.
            let opened = Cipher::open(device, vector.algorithm, Direction::Encrypt, key).await;
            assert!(
                matches!(opened, Err(Error::InvalidLength { .. })),
                "test {id}"
            );
            tally.skip("aes-192");
        } else if vector.has_partial_block() && partial_blocks == PartialBlocks::Refused {
            // QEMU prints a line for each.
            if tally.skip("partial-block-refused") {
                vector.check_refused(device).await;
            }
        } else {
            vector.check(device).await;
            tally.run();
        }
    }
    tally.close(total)
}

fn count(tally: &mut Tally, expectation: Expectation) {
    match expectation {
        Expectation::Acceptable => tally.run_acceptable(),
        Expectation::Valid | Expectation::Invalid => tally.run(),
    }
}

/// Adds padding (RFC 5652, 6.3).
fn pad(message: &[u8]) -> Vec<u8> {
    let padding = 16 - message.len() % 16;
    let mut data = message.to_vec();
    data.resize(message.len() + padding, padding as u8);
    data
}

/// Takes padding away; `None` if it is none.
fn unpad(data: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*data.last()?);
    let message_len = data.len().checked_sub(padding)?;
    let (message, rest) = data.split_at(message_len);
    let is_padding =
        (1..=16).contains(&padding) && rest.iter().all(|byte| usize::from(*byte) == padding);
    is_padding.then_some(message)
}
