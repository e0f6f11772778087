//! What runs the guest's code on this host: KVM, or QEMU's translator.
//!
//! For [`Machine`](super::machine::Machine) and for lines that say what runs are made with. The
//! rule: KVM only where it is the faster one.

use std::fs::{self, OpenOptions};

/// Returns the accelerator for this host: KVM where the CPU itself has virtualisation. A hypervisor
/// in software behind /dev/kvm is slower than TCG.
pub fn accelerator() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_virtualisation = cpu
        .split_whitespace()
        .any(|flag| flag == "vmx" || flag == "svm");
    if has_virtualisation && can_write("/dev/kvm") {
        "kvm".to_owned()
    } else {
        "tcg,thread=multi".to_owned()
    }
}

/// Tells whether this user may write a file.
pub fn can_write(path: &str) -> bool {
    OpenOptions::new().write(true).open(path).is_ok()
}
