//! Opens the driver's rooms for targets: a condition that only this package sets, since cargo-fuzz
//! sets `cfg(fuzzing)` for an embedder's copy of the driver, too.

fn main() {
    println!("cargo::rustc-cfg=fuzzed");
    println!("cargo::rerun-if-changed=build.rs");
}
