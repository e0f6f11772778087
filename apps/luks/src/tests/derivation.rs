//! Key derivation and splitting, by known answers.

use crate::{
    error::Refusal,
    hash::Hash,
    kdf::{Kdf, Limits},
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 6070, and its inputs with the other hashes (which Python's hashlib computes alike).
#[test]
fn pbkdf2_gives_known_answers() {
    let answers = [
        (Hash::Sha1, "4b007901b765489abead49d926f721d065a429c1"),
        (
            Hash::Sha256,
            "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a",
        ),
        (
            Hash::Sha512,
            "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5\
             143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5",
        ),
    ];
    for (hash, answer) in answers {
        let mut out = vec![0; hash.len_bytes()];
        hash.pbkdf2(b"password", b"salt", 4096, &mut out);
        assert_eq!(hex(&out), answer, "{hash:?}");
    }
}

/// Argon2's own program: `argon2 somesalt -id -t 2 -m 16 -p 1`, version 1.3 (its `test.c`).
#[test]
fn argon2id_gives_a_known_answer() {
    let limits = Limits::default();
    let kdf = Kdf::argon2(true, [2, 1 << 16, 1], b"somesalt".to_vec(), &limits).unwrap();
    let mut key = [0; 32];
    kdf.derive(b"password", &mut key).unwrap();
    assert_eq!(
        hex(&key),
        "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
    );
}

#[test]
fn numbers_have_bounds() {
    let limits = Limits::default();
    let salt = || b"somesalt".to_vec();
    let out_of_range = |outcome: Result<Kdf, Refusal>| match outcome {
        Err(Refusal::OutOfRange { field, value, .. }) => (field, value),
        other => panic!("{other:?}"),
    };
    let pbkdf2 = |iterations| Kdf::pbkdf2(Hash::Sha1, iterations, salt(), &limits);
    assert!(pbkdf2(limits.iterations).is_ok());
    for iterations in [0, limits.iterations + 1, u32::MAX] {
        let expected = ("PBKDF2's iterations", iterations.into());
        assert_eq!(out_of_range(pbkdf2(iterations)), expected);
    }
    let argon2 = |numbers| Kdf::argon2(true, numbers, salt(), &limits);
    assert!(argon2([4, 1 << 20, 4]).is_ok());
    let refused = [
        ([0, 64, 1], "Argon2's passes"),
        ([1, 7, 1], "Argon2's memory in KiB"),
        ([1, 31, 4], "Argon2's memory in KiB"),
        ([1, (1 << 20) + 1, 1], "Argon2's memory in KiB"),
        ([1, 64, 0], "Argon2's lanes"),
        ([1, 1 << 20, 17], "Argon2's lanes"),
        ([1, u32::MAX, u32::MAX], "Argon2's lanes"),
        ([17, 1 << 20, 1], "Argon2's work in KiB"),
        ([u32::MAX, 64, 1], "Argon2's work in KiB"),
    ];
    for (numbers, field) in refused {
        assert_eq!(out_of_range(argon2(numbers)).0, field, "{numbers:?}");
    }
    let short = Kdf::pbkdf2(Hash::Sha1, 1, vec![0; 7], &limits);
    assert_eq!(out_of_range(short), ("bytes of a salt", 7));
}
