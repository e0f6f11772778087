//! Keys that are taken, and keys that are not.

use alloc::vec::Vec;

use pkcs1::{
    RsaPrivateKeyRef, RsaPublicKeyRef,
    der::{Decode, Encode, asn1::UintRef},
};

use super::{RsaPrivateKey, RsaPublicKey};
use crate::{Error, error::KeyFault};

const PRIVATE_1024: &[u8] = include_bytes!("../../../../testdata/rsa/1024.pkcs1.der");
const PRIVATE_2048: &[u8] = include_bytes!("../../../../testdata/rsa/2048.pkcs1.der");
const PRIVATE_4096: &[u8] = include_bytes!("../../../../testdata/rsa/4096.pkcs1.der");
const PUBLIC_2048: &[u8] = include_bytes!("../../../../testdata/rsa/2048.public.pkcs1.der");

fn fault<T>(key: Result<T, Error>) -> KeyFault {
    match key.map(drop) {
        Err(Error::InvalidKey(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// The 2048-bit key with numbers changed.
fn changed(change: impl FnOnce(&mut RsaPrivateKeyRef<'_>)) -> Result<RsaPrivateKey, Error> {
    let mut key = RsaPrivateKeyRef::from_der(PRIVATE_2048).unwrap();
    change(&mut key);
    RsaPrivateKey::from_pkcs1_der(&key.to_der().unwrap())
}

fn public(modulus: &[u8], exponent: &[u8]) -> Result<RsaPublicKey, Error> {
    let key = RsaPublicKeyRef {
        modulus: UintRef::new(modulus).unwrap(),
        public_exponent: UintRef::new(exponent).unwrap(),
    };
    RsaPublicKey::from_pkcs1_der(&key.to_der().unwrap())
}

#[test]
fn keys_are_taken_as_they_are() {
    for (der, bits) in [
        (PRIVATE_1024, 1024),
        (PRIVATE_2048, 2048),
        (PRIVATE_4096, 4096),
    ] {
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        assert_eq!(key.as_pkcs1_der(), der);
        assert_eq!(key.public_key().modulus_bits(), bits);
        assert_eq!(key.public_key().modulus_len_bytes(), bits / 8);
        let again = RsaPublicKey::from_pkcs1_der(key.public_key().as_pkcs1_der()).unwrap();
        assert_eq!(&again, key.public_key());
    }
    let key = RsaPublicKey::from_pkcs1_der(PUBLIC_2048).unwrap();
    assert_eq!(key.as_pkcs1_der(), PUBLIC_2048);
    let private = RsaPrivateKey::from_pkcs1_der(PRIVATE_2048).unwrap();
    assert_eq!(&key, private.public_key());
}

#[test]
fn debug_output_has_no_secrets() {
    let key = RsaPrivateKey::from_pkcs1_der(PRIVATE_1024).unwrap();
    assert_eq!(alloc::format!("{key:?}"), "RsaPrivateKey(1024 bits)");
}

#[test]
fn what_is_not_the_structure_is_refused() {
    for end in 0..PUBLIC_2048.len() {
        let key = RsaPublicKey::from_pkcs1_der(&PUBLIC_2048[..end]);
        assert_eq!(fault(key), KeyFault::Encoding, "{end} bytes");
    }
    for der in [PRIVATE_2048, PUBLIC_2048] {
        let longer = [der, &[0]].concat();
        assert_eq!(
            fault(RsaPrivateKey::from_pkcs1_der(&longer)),
            KeyFault::Encoding
        );
        assert_eq!(
            fault(RsaPublicKey::from_pkcs1_der(&longer)),
            KeyFault::Encoding
        );
    }
    assert_eq!(
        fault(RsaPrivateKey::from_pkcs1_der(PUBLIC_2048)),
        KeyFault::Encoding
    );
    assert_eq!(
        fault(RsaPublicKey::from_pkcs1_der(PRIVATE_2048)),
        KeyFault::Encoding
    );
}

#[test]
fn moduli_have_1024_to_4096_bits_and_are_odd() {
    let modulus = |len: usize, first: u8, last: u8| {
        let mut modulus = alloc::vec![0x55; len];
        modulus[0] = first;
        modulus[len - 1] = last;
        public(&modulus, &[1, 0, 1]).map(|key| key.modulus_bits())
    };
    assert_eq!(modulus(128, 0x80, 1), Ok(1024));
    assert_eq!(modulus(129, 0x01, 1), Ok(1025));
    assert_eq!(modulus(512, 0xff, 1), Ok(4096));
    assert_eq!(
        fault(modulus(128, 0x7f, 1)),
        KeyFault::ModulusBits { bits: 1023 }
    );
    assert_eq!(
        fault(modulus(513, 0x01, 1)),
        KeyFault::ModulusBits { bits: 4097 }
    );
    assert_eq!(fault(modulus(256, 0x80, 2)), KeyFault::Modulus);
    assert_eq!(fault(public(&[0], &[3])), KeyFault::ModulusBits { bits: 0 });
}

#[test]
fn public_exponents_are_odd_and_neither_1_nor_huge() {
    let mut modulus = [0xff; 128];
    modulus[0] = 0x80;
    let with = |exponent: &[u8]| public(&modulus, exponent);
    for good in [&[3][..], &[17], &[1, 0, 1], &[0xff; 8]] {
        assert!(with(good).is_ok(), "{good:?}");
    }
    for bad in [
        &[0][..],
        &[1],
        &[2],
        &[1, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
    ] {
        assert_eq!(fault(with(bad)), KeyFault::Exponent, "{bad:?}");
    }
}

/// QEMU 7.2 aborts on a prime that is shorter than its exponent; with another product results have
/// another length than the modulus.
#[test]
fn primes_make_the_modulus() {
    const ONE: &[u8] = &[1];
    let number = |bytes| UintRef::new(bytes).unwrap();
    let [zero, one] = [number(&[0]), number(ONE)];
    let cases: [fn(&mut RsaPrivateKeyRef<'_>); 2] = [
        |key| key.prime1 = key.prime2,
        |key| core::mem::swap(&mut key.prime1, &mut key.exponent1),
    ];
    for case in cases {
        assert_eq!(fault(changed(case)), KeyFault::Primes);
    }
    for bad in [zero, one] {
        assert_eq!(fault(changed(|key| key.prime1 = bad)), KeyFault::Primes);
        assert_eq!(fault(changed(|key| key.prime2 = bad)), KeyFault::Primes);
    }
    // The modulus as a prime, and 1 as the other.
    let trivial = changed(|key| (key.prime1, key.prime2) = (key.modulus, number(ONE)));
    assert_eq!(fault(trivial), KeyFault::Primes);
}

/// QEMU 7.2 crashes on the prime 3.
#[test]
fn primes_have_about_the_same_length() {
    // Odd numbers with nothing but ones: 2^a - 1, and 2^b - 1.
    let ones = |bits: usize| -> Vec<u8> {
        let first = (0xffu16 >> (8 * bits.div_ceil(8) - bits)) as u8;
        let mut number = alloc::vec![0xff; bits.div_ceil(8)];
        number[0] = first;
        number
    };
    let key = |a: usize, b: usize| {
        let (p, q) = (ones(a), ones(b));
        let mut modulus = alloc::vec![0; p.len() + q.len()];
        for (i, x) in p.iter().rev().enumerate() {
            let mut carry = 0;
            for (j, y) in q.iter().rev().chain(&[0]).enumerate() {
                let at = modulus.len() - 1 - i - j;
                let sum = u32::from(modulus[at]) + u32::from(*x) * u32::from(*y) + carry;
                modulus[at] = sum as u8;
                carry = sum >> 8;
            }
        }
        let one = UintRef::new(&[1]).unwrap();
        let key = RsaPrivateKeyRef {
            modulus: UintRef::new(&modulus).unwrap(),
            public_exponent: UintRef::new(&[3]).unwrap(),
            private_exponent: one,
            prime1: UintRef::new(&p).unwrap(),
            prime2: UintRef::new(&q).unwrap(),
            exponent1: one,
            exponent2: one,
            coefficient: one,
            other_prime_infos: None,
        };
        RsaPrivateKey::from_pkcs1_der(&key.to_der().unwrap())
    };
    for (a, b) in [(512, 513), (513, 512), (512, 576), (576, 512)] {
        assert!(key(a, b).is_ok(), "{a} {b}");
    }
    for (a, b) in [(512, 577), (577, 512), (2, 1023), (1023, 2), (256, 768)] {
        assert_eq!(fault(key(a, b)), KeyFault::Primes, "{a} {b}");
    }
}

#[test]
fn private_exponents_are_in_range() {
    let zero = UintRef::new(&[0]).unwrap();
    let changes: [fn(&mut RsaPrivateKeyRef<'_>); 4] = [
        |key| key.private_exponent = key.modulus,
        |key| key.exponent1 = key.prime1,
        |key| key.exponent2 = key.modulus,
        |key| key.coefficient = key.prime1,
    ];
    for change in changes {
        assert_eq!(fault(changed(change)), KeyFault::PrivateExponent);
    }
    assert_eq!(
        fault(changed(|key| key.private_exponent = zero)),
        KeyFault::PrivateExponent
    );
    assert_eq!(
        fault(changed(|key| key.exponent1 = zero)),
        KeyFault::PrivateExponent
    );
    assert_eq!(
        fault(changed(|key| key.exponent2 = zero)),
        KeyFault::PrivateExponent
    );
    assert_eq!(
        fault(changed(|key| key.coefficient = zero)),
        KeyFault::PrivateExponent
    );
}

/// Eight results in a row that begin with a zero byte are as good as never met, whatever the
/// modulus.
#[test]
fn keys_to_encrypt_with_leave_few_leading_zeros() {
    let mut modulus = alloc::vec![0x55; 129];
    modulus[128] = 1;
    for first in 1..=255u8 {
        modulus[0] = first;
        for second in [0, 0xff] {
            modulus[1] = second;
            let key = public(&modulus, &[1, 0, 1]).unwrap();
            let der = key.to_encrypt_with().unwrap();
            let wide = RsaPublicKey::from_pkcs1_der(&der).unwrap();
            assert_eq!(wide.modulus_len_bytes(), 129);
            assert!(wide.modulus()[0] >= 8, "{first} {second}");
            assert!(first < 8 || wide == key);
            let mut rest = wide.modulus().to_vec();
            crate::service::akcipher::numbers::reduce(&mut rest, &modulus);
            assert!(rest.iter().all(|byte| *byte == 0), "{first} {second}");
        }
    }
}

#[cfg(feature = "pkcs8")]
mod envelopes {
    use super::*;

    const PKCS8: &[u8] = include_bytes!("../../../../testdata/rsa/2048.pkcs8.der");
    const SPKI: &[u8] = include_bytes!("../../../../testdata/rsa/2048.spki.der");

    #[test]
    fn pkcs8_and_spki_hold_the_same_key() {
        let private = RsaPrivateKey::from_pkcs8_der(PKCS8).unwrap();
        assert_eq!(private.as_pkcs1_der(), PRIVATE_2048);
        assert_eq!(
            &RsaPublicKey::from_spki_der(SPKI).unwrap(),
            private.public_key()
        );
    }

    #[test]
    fn another_algorithm_or_structure_is_refused() {
        // rsaEncryption, 1.2.840.113549.1.1.1, becomes RSASSA-PSS, 1.2.840.113549.1.1.10.
        let other = |der: &[u8]| -> Vec<u8> {
            let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
            let at = der.windows(oid.len()).position(|part| part == oid).unwrap();
            let mut der = der.to_vec();
            der[at + oid.len() - 1] = 10;
            der
        };
        assert_eq!(
            fault(RsaPrivateKey::from_pkcs8_der(&other(PKCS8))),
            KeyFault::Algorithm
        );
        assert_eq!(
            fault(RsaPublicKey::from_spki_der(&other(SPKI))),
            KeyFault::Algorithm
        );
        for der in [&PKCS8[..100], SPKI, &[PKCS8, &[0]].concat()] {
            assert_eq!(
                fault(RsaPrivateKey::from_pkcs8_der(der)),
                KeyFault::Encoding
            );
        }
        for der in [&SPKI[..100], PKCS8, &[SPKI, &[0]].concat()] {
            assert_eq!(fault(RsaPublicKey::from_spki_der(der)), KeyFault::Encoding);
        }
    }
}
