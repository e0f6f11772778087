//! Links the tests the way the kernel wants them.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../kernel/linker.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo:rustc-link-arg-tests=-T{directory}/../../kernel/linker.ld");
        println!("cargo:rustc-link-arg-tests=--no-pie");
        println!("cargo:rustc-link-arg-tests=-zmax-page-size=4096");
    }
}
