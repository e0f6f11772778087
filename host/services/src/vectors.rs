//! Known answers, through driver and device.

use std::io::{Write, stdout};

use virtio_crypto::{AeadAlgorithm, Curve, MacAlgorithm};

use crate::{
    checks::{
        monte_carlo,
        standards::{self, PartialBlocks},
        tally::Tally,
        wycheproof,
    },
    rig::{Rig, run},
};

#[path = "../checks/convert.rs"]
mod convert;

fn print(tallies: impl IntoIterator<Item = Tally>) {
    for tally in tallies {
        // Not `println`, which the test harness keeps to itself.
        writeln!(stdout(), "{tally}").unwrap();
    }
}

#[test]
fn standards_vectors() {
    let rig = Rig::simple().go();
    print(run(standards::run(&rig.device, PartialBlocks::Taken)));
}

#[test]
fn multi_block_vectors_equal_the_oracle() {
    let rig = Rig::simple().go();
    print([run(monte_carlo::multi_block(&rig.device))]);
}

#[test]
fn monte_carlo_vectors_equal_the_oracle() {
    let rig = Rig::simple().go();
    print([run(monte_carlo::monte_carlo(&rig.device, 1))]);
}

#[test]
fn wycheproof_aes_cbc_pkcs5_vectors() {
    let rig = Rig::simple().go();
    print([run(wycheproof::aes_cbc_pkcs5(
        &rig.device,
        &convert::table("aes_cbc_pkcs5"),
    ))]);
}

#[test]
fn wycheproof_aes_xts_vectors() {
    let rig = Rig::simple().go();
    print([run(wycheproof::aes_xts(
        &rig.device,
        &convert::table("aes_xts"),
        PartialBlocks::Taken,
    ))]);
}

#[test]
fn wycheproof_rsa_pkcs1_vectors() {
    let rig = Rig::simple().go();
    for file in ["rsa_pkcs1_2048", "rsa_pkcs1_3072", "rsa_pkcs1_4096"] {
        let table = convert::table(file);
        print([run(wycheproof::rsa::decryption(&rig.device, file, &table))]);
    }
}

#[test]
fn wycheproof_rsa_signatures_vectors() {
    let rig = Rig::simple().go();
    for file in [
        "rsa_signature_2048_sha224",
        "rsa_signature_2048_sha256",
        "rsa_signature_2048_sha384",
        "rsa_signature_2048_sha512",
        "rsa_signature_3072_sha256",
        "rsa_signature_3072_sha384",
        "rsa_signature_3072_sha512",
        "rsa_signature_4096_sha256",
        "rsa_signature_4096_sha384",
        "rsa_signature_4096_sha512",
    ] {
        let table = convert::table(file);
        print([run(wycheproof::rsa::signatures(&rig.device, file, &table))]);
    }
}

#[test]
fn wycheproof_ecdsa_vectors() {
    let rig = Rig::simple().go();
    for (file, curve) in [
        ("ecdsa_secp192r1_sha256", Curve::P192),
        ("ecdsa_secp224r1_sha224", Curve::P224),
        ("ecdsa_secp224r1_sha256", Curve::P224),
        ("ecdsa_secp224r1_sha512", Curve::P224),
        ("ecdsa_secp256r1_sha256", Curve::P256),
        ("ecdsa_secp256r1_sha512", Curve::P256),
        ("ecdsa_secp384r1_sha256", Curve::P384),
        ("ecdsa_secp384r1_sha384", Curve::P384),
        ("ecdsa_secp384r1_sha512", Curve::P384),
        ("ecdsa_secp521r1_sha512", Curve::P521),
    ] {
        let table = convert::table(file);
        print([run(wycheproof::ecdsa::signatures(
            &rig.device,
            file,
            curve,
            &table,
        ))]);
    }
}

#[test]
fn wycheproof_aead_vectors() {
    let rig = Rig::simple().go();
    for (file, algorithm) in [
        ("aes_gcm", AeadAlgorithm::Gcm),
        ("aes_ccm", AeadAlgorithm::Ccm),
        ("chacha20_poly1305", AeadAlgorithm::ChaCha20Poly1305),
    ] {
        let table = convert::table(file);
        print([run(wycheproof::aead::aead(
            &rig.device,
            file,
            algorithm,
            &table,
        ))]);
    }
}

#[test]
fn wycheproof_hmac_vectors() {
    let rig = Rig::simple().go();
    for (file, algorithm) in [
        ("hmac_sha1", MacAlgorithm::HmacSha1),
        ("hmac_sha224", MacAlgorithm::HmacSha224),
        ("hmac_sha256", MacAlgorithm::HmacSha256),
        ("hmac_sha384", MacAlgorithm::HmacSha384),
        ("hmac_sha512", MacAlgorithm::HmacSha512),
    ] {
        let table = convert::table(file);
        print([run(wycheproof::aead::hmac(
            &rig.device,
            file,
            algorithm,
            &table,
        ))]);
    }
}
