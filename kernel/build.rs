//! Links every binary, test and example of this package the way the PVH boot wants it, and
//! converts test vectors for the tests.

use std::{env, fs, path::Path};

#[path = "../host/services/checks/convert.rs"]
mod convert;

/// The files of the Wycheproof project that are about what QEMU's builtin backend serves.
const FILES: [&str; 11] = [
    "aes_cbc_pkcs5",
    "aes_xts",
    "rsa_pkcs1_2048",
    "rsa_pkcs1_3072",
    "rsa_pkcs1_4096",
    "rsa_signature_2048_sha256",
    "rsa_signature_2048_sha512",
    "rsa_signature_3072_sha256",
    "rsa_signature_3072_sha512",
    "rsa_signature_4096_sha256",
    "rsa_signature_4096_sha512",
];

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../host/services/checks/convert.rs");
    let variable = |name| env::var(name).expect("cargo sets it");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let directory = variable("CARGO_MANIFEST_DIR");
        println!("cargo:rustc-link-arg=-T{directory}/linker.ld");
        println!("cargo:rustc-link-arg=--no-pie");
        println!("cargo:rustc-link-arg=-zmax-page-size=4096");
    }
    let directory = variable("OUT_DIR");
    for name in FILES {
        let path = Path::new(&directory).join(format!("{name}.table"));
        fs::write(path, convert::table(name)).expect("room for a table");
    }
}
