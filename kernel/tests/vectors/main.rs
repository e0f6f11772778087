//! Known answers, through the driver on the real device.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::future::Future;

use kernel::{
    crypto::{self, CryptoDevice, Reach, Wiring},
    println,
    task::executor,
};
use spin::Once;
use virtio_crypto::Options;

#[path = "../../../host/services/checks/mod.rs"]
#[expect(dead_code, reason = "a device in the same process does more")]
mod checks;
#[path = "../support/rsa.rs"]
mod rsa_support;

use checks::{
    monte_carlo,
    standards::{self, PartialBlocks},
    tally::Tally,
    wycheproof,
};
use rsa_support::lacks_rsa;

kernel::tests! {
    machines: ["vectors=3"],
    tests: [
        standards_vectors,
        multi_block_vectors_equal_the_oracle,
        monte_carlo_vectors_equal_the_oracle,
        wycheproof_aes_cbc_pkcs5_vectors,
        wycheproof_aes_xts_vectors,
        wycheproof_rsa_pkcs1_vectors,
        wycheproof_rsa_signatures_vectors,
    ],
}

/// Inner loops of each Monte Carlo test.
const ROUNDS: usize = 2;

macro_rules! table {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".table"))
    };
}

fn device() -> &'static CryptoDevice {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default())
            .unwrap()
            .expect("a device")
    })
}

/// Runs vectors and prints how many; no session stays behind.
fn run<T: IntoIterator<Item = Tally>>(vectors: impl Future<Output = T>) {
    println!();
    for tally in executor::block_on(vectors) {
        println!("{tally}");
    }
    crypto::wait_until_idle(device(), 0, 10_000_000_000);
}

async fn one(vectors: impl Future<Output = Tally>) -> [Tally; 1] {
    [vectors.await]
}

fn standards_vectors() {
    run(standards::run(device(), PartialBlocks::Refused));
}

fn multi_block_vectors_equal_the_oracle() {
    run(one(monte_carlo::multi_block(device())));
}

fn monte_carlo_vectors_equal_the_oracle() {
    run(one(monte_carlo::monte_carlo(device(), ROUNDS)));
}

fn wycheproof_aes_cbc_pkcs5_vectors() {
    run(one(wycheproof::aes_cbc_pkcs5(
        device(),
        table!("aes_cbc_pkcs5"),
    )));
}

fn wycheproof_aes_xts_vectors() {
    let table = table!("aes_xts");
    run(one(wycheproof::aes_xts(
        device(),
        table,
        PartialBlocks::Refused,
    )));
}

macro_rules! run_files {
    ($check:path: $($name:literal),+ $(,)?) => {
        $(run(one($check(device(), $name, table!($name))));)+
    };
}

fn wycheproof_rsa_pkcs1_vectors() {
    if lacks_rsa(device()) {
        return;
    }
    run_files!(wycheproof::rsa::decryption: "rsa_pkcs1_2048", "rsa_pkcs1_3072", "rsa_pkcs1_4096");
}

fn wycheproof_rsa_signatures_vectors() {
    if lacks_rsa(device()) {
        return;
    }
    run_files!(
        wycheproof::rsa::signatures:
            "rsa_signature_2048_sha256",
            "rsa_signature_2048_sha512",
            "rsa_signature_3072_sha256",
            "rsa_signature_3072_sha512",
            "rsa_signature_4096_sha256",
            "rsa_signature_4096_sha512",
    );
}
