//! The one list of tests that a machine may leave out, with what they need.
//!
//! For every part of the tests. The rule: what is not in this list and is left out has failed.

/// A test that may be left out where a tool is missing.
struct Allowed {
    /// How its name begins; the first one in the list that does counts.
    test: &'static str,
    /// The tool that it needs.
    needs: &'static str,
    /// How to get the tool.
    get: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        test: "proof_miri",
        needs: "Rust's nightly with Miri",
        get: "./run.sh miri",
    },
    Allowed {
        test: "proof_sanitize",
        needs: "Rust's nightly",
        get: "./run.sh sanitize address",
    },
    Allowed {
        test: "proof_fuzz",
        needs: "cargo-fuzz and a C++ compiler",
        get: "./run.sh fuzz",
    },
    Allowed {
        test: "proof_deny",
        needs: "cargo-deny",
        get: "./run.sh deny",
    },
    Allowed {
        test: "builds_with_rust_",
        needs: "the oldest compiler that driver/Cargo.toml names",
        get: "rustup toolchain install VERSION --profile minimal",
    },
    Allowed {
        test: "proof_semver",
        needs: "cargo-semver-checks",
        get: "./run.sh semver",
    },
    Allowed {
        test: "device_of_our_own",
        needs: "a QEMU that has vfio-user-pci",
        get: "./run.sh qemu trixie-backports",
    },
    Allowed {
        test: "https_files_of_an_encrypted_disk",
        needs: "qemu-img",
        get: "apt-get install qemu-utils",
    },
    Allowed {
        test: "https_",
        needs: "curl, openssl and python3",
        get: "apt-get install curl openssl python3",
    },
    Allowed {
        test: "luks_",
        needs: "qemu-img and cryptsetup",
        get: "apt-get install qemu-utils cryptsetup-bin",
    },
    Allowed {
        test: "builds_for_aarch64-unknown-none",
        needs: "that target of Rust",
        get: "rustup target add aarch64-unknown-none",
    },
    Allowed {
        test: "builds_for_riscv64gc-unknown-none-elf",
        needs: "that target of Rust",
        get: "rustup target add riscv64gc-unknown-none-elf",
    },
];

/// Returns why a test may be left out and how to change that; `None` if it may not.
pub fn reason(test: &str) -> Option<String> {
    let allowed = ALLOWED
        .iter()
        .find(|allowed| test.starts_with(allowed.test))?;
    let version = test.strip_prefix("builds_with_rust_").unwrap_or("");
    let get = allowed.get.replace("VERSION", version);
    Some(format!("needs {}: '{get}' gets it", allowed.needs))
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn only_what_is_listed_may_be_left_out() {
        let oldest = reason("builds_with_rust_1.88").unwrap();
        assert!(
            oldest.contains("'rustup toolchain install 1.88 --profile minimal'"),
            "{oldest}"
        );
        assert!(reason("builds_for_aarch64-unknown-none").is_some());
        assert!(reason("device_of_our_own: own-1 on own=").is_some());
        assert_eq!(reason("vendored_copy_builds"), None);
    }
}
