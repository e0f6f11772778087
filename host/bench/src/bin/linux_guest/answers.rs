//! Known answers of Linux's own driver: a test of the device that it drives.
//!
//! For `./run.sh linux-guest answers`. The one rule: what the driver says is believed only if its
//! device has raised interrupts meanwhile, so that no other implementation can have answered.

use std::fs;

use keyutils_raw::{
    KeyringSerial, add_key, keyctl_pkey_decrypt, keyctl_pkey_encrypt, keyctl_pkey_sign,
    keyctl_pkey_verify,
};
use nix::errno::Errno;

use crate::linux::{
    DRIVER, ENCRYPT, Outcome, PKCS1, PROCESS_KEYRING, RSA_ENCRYPTED, RSA_KEY, RSA_MESSAGE,
    device_interrupts, open, process,
};

/// `ALG_OP_DECRYPT`.
const DECRYPT: i32 = 0;
const RSA_DIGEST: &[u8] = include_bytes!("../../../../../driver/testdata/rsa/message.sha1");
const RSA_SIGNATURE: &[u8] = include_bytes!("../../../../../driver/testdata/rsa/2048.sha1.sig");

/// NIST SP 800-38A, F.2.1 to F.2.6: four blocks of plaintext, and what they become by each key.
const NIST_IV: &str = "000102030405060708090a0b0c0d0e0f";
const NIST_PLAINTEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                              30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
const NIST: [(&str, &str); 3] = [
    (
        "2b7e151628aed2a6abf7158809cf4f3c",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
         73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
    ),
    (
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a\
         571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
    ),
    (
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
         39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
    ),
];

/// Bytes that lie in several pages, and so in several descriptors.
const LONG_BYTES: usize = 3 * 4096;

/// Checks all of them.
///
/// # Errors
///
/// Fails with the first that is wrong.
pub fn check() -> Outcome<()> {
    let interrupts = device_interrupts()?;
    let ciphers = ciphers()?;
    let is_there = fs::read_to_string("/proc/crypto")?.contains("virtio-pkcs1-rsa");
    let keys = if is_there { keys()? } else { 0 };
    let raised = device_interrupts()? - interrupts;
    if raised < ciphers + keys {
        return Err(format!(
            "{} answers, {raised} interrupts of the device",
            ciphers + keys
        )
        .into());
    }
    println!(
        "linux: ciphers={ciphers} rsa={keys} interrupts={raised} features={} self_tests={}",
        features()?,
        self_tests()?,
    );
    Ok(())
}

fn ciphers() -> Outcome<u64> {
    let (iv, plaintext) = (hex(NIST_IV)?, hex(NIST_PLAINTEXT)?);
    let iv: [u8; 16] = iv[..].try_into()?;
    let mut checked = 0;
    for (key, ciphertext) in NIST {
        let socket = open(&hex(key)?)?;
        let request = rustix::net::accept(&socket)?;
        let ciphertext = hex(ciphertext)?;
        let cases = [
            (ENCRYPT, &plaintext, &ciphertext),
            (DECRYPT, &ciphertext, &plaintext),
        ];
        for (operation, given, expected) in cases {
            let mut data = given.clone();
            process(&request, operation, &iv, &mut data)?;
            if data != *expected {
                return Err(format!("{DRIVER}: {operation} with {key}: {data:02x?}").into());
            }
            checked += 1;
        }
        checked += long(&request, iv)?;
    }
    Ok(checked)
}

/// Encrypts pages at once and decrypts them in pieces, each with the last block of the one before
/// as its IV.
fn long(request: &std::os::fd::OwnedFd, mut iv: [u8; 16]) -> Outcome<u64> {
    let plaintext: Vec<u8> = (0..LONG_BYTES)
        .map(|at| (at * 7 + at / 251) as u8)
        .collect();
    let mut ciphertext = plaintext.clone();
    process(request, ENCRYPT, &iv, &mut ciphertext)?;
    let mut checked = 1;
    for (number, piece) in ciphertext.chunks(1024).enumerate() {
        let mut data = piece.to_vec();
        process(request, DECRYPT, &iv, &mut data)?;
        if data != plaintext[number * 1024..][..1024] {
            return Err(format!("{DRIVER}: piece {number} of {LONG_BYTES} bytes").into());
        }
        iv.copy_from_slice(&piece[1024 - 16..]);
        checked += 1;
    }
    Ok(checked)
}

fn keys() -> Outcome<u64> {
    let keyring = KeyringSerial::new(PROCESS_KEYRING).ok_or("no keyring")?;
    let key = add_key("asymmetric", "rsa", RSA_KEY, keyring).map_err(|error| error.to_string())?;
    let decrypt = |sealed: &[u8]| -> Outcome<Vec<u8>> {
        let mut result = [0; 256];
        let len = keyctl_pkey_decrypt(key, PKCS1, sealed, result[..].as_mut().into());
        let len = len.map_err(|error| format!("decrypt: {error}"))?;
        Ok(result[..len].to_vec())
    };
    expect("decrypt", decrypt(RSA_ENCRYPTED)? == RSA_MESSAGE)?;
    let mut sealed = [0; 256];
    let len = keyctl_pkey_encrypt(key, PKCS1, RSA_MESSAGE, sealed[..].as_mut().into());
    let len = len.map_err(|error| format!("encrypt: {error}"))?;
    expect(
        "encrypt and decrypt",
        decrypt(&sealed[..len])? == RSA_MESSAGE,
    )?;
    Ok(3 + signatures(key)?)
}

/// Signs and verifies, where Linux's driver does: its newer versions leave both to software, which
/// this finds by ENOSYS. What is signed without a hash the driver's sessions sign as a digest by
/// SHA-1.
fn signatures(key: KeyringSerial) -> Outcome<u64> {
    let mut signature = [0; 256];
    let len = match keyctl_pkey_sign(key, PKCS1, RSA_DIGEST, signature[..].as_mut().into()) {
        Ok(len) => len,
        Err(error) if error.0 == Errno::ENOSYS as i32 => return Ok(0),
        Err(error) => return Err(format!("sign: {error}").into()),
    };
    expect("sign", signature[..len] == *RSA_SIGNATURE)?;
    let verified = keyctl_pkey_verify(key, PKCS1, RSA_DIGEST, RSA_SIGNATURE);
    verified.map_err(|error| format!("verify: {error}"))?;
    signature[100] ^= 1;
    let verified = keyctl_pkey_verify(key, PKCS1, RSA_DIGEST, &signature);
    expect("verify what is no signature", !matches!(verified, Ok(true)))?;
    Ok(3)
}

fn expect(what: &str, is_right: bool) -> Outcome<()> {
    match is_right {
        true => Ok(()),
        false => Err(format!("{what}: another answer").into()),
    }
}

/// Returns the numbers of the features that driver and device have agreed on.
fn features() -> Outcome<String> {
    for device in fs::read_dir("/sys/bus/virtio/devices")? {
        let path = device?.path();
        // Device id 20 (Virtio 1.3, 5).
        if fs::read_to_string(path.join("device"))?.trim() != "0x0014" {
            continue;
        }
        let bits = fs::read_to_string(path.join("features"))?;
        let bits = bits.chars().enumerate();
        let set = bits.filter(|(_, bit)| *bit == '1');
        let names: Vec<_> = set.map(|(number, _)| number.to_string()).collect();
        return Ok(names.join(","));
    }
    Err("no crypto device on the bus".into())
}

/// Returns what Linux's self-tests say of each algorithm of the driver's.
fn self_tests() -> Outcome<String> {
    let crypto = fs::read_to_string("/proc/crypto")?;
    let mut found = Vec::new();
    for entry in crypto.split("\n\n") {
        let value = |name: &str| {
            let mut lines = entry.lines().filter_map(|line| line.split_once(':'));
            let line = lines.find(|(key, _)| key.trim() == name);
            line.map_or("", |(_, value)| value.trim())
        };
        let driver = value("driver");
        if driver.starts_with("virtio") {
            found.push(format!("{driver}:{}", value("selftest")));
        }
    }
    found.sort();
    Ok(found.join(","))
}

fn hex(digits: &str) -> Outcome<Vec<u8>> {
    let digits = digits.as_bytes().chunks(2);
    let bytes = digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    bytes.collect()
}
