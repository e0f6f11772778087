//! The one list of tests that need what not every device or machine offers.
//!
//! For every part of the tests. A test asks the device and says, in the words of this list, what it
//! lacks. The rule: a test that says so and is not in this list has failed, and so has one on a
//! QEMU that is known to offer it.

use crate::boot::emulator::{OLDEST, Version};

/// What a device may lack.
struct Lack {
    /// What a test says of it.
    says: &'static str,
    /// The first QEMU that may lack it.
    from: Version,
    /// The tests that need it.
    tests: &'static [&'static str],
}

const LACKS: &[Lack] = &[
    // QEMU offers public keys where a library that it was built with has them: Debian's 7.2 does,
    // its 10.0 and 11.1 do not.
    Lack {
        says: "the device offers no AKCIPHER",
        from: Version(8, 0),
        tests: &[
            "signatures_are_the_known_ones",
            "ciphertexts_decrypt_to_the_known_message",
            "messages_come_back",
            "short_results_are_never_passed_on",
            "moduli_of_any_length_serve",
            "signatures_are_verified_first",
            "what_does_not_verify_is_an_error",
            "wrong_ciphertexts_are_errors",
            "wycheproof_rsa_pkcs1_vectors",
            "wycheproof_rsa_signatures_vectors",
            "encryptions_that_come_short_are_made_anew",
            "rsa_results_are_those_of_software",
        ],
    },
    // What a machine of a test's own list leaves out on purpose; that the others have it is
    // `interrupts_come_as_they_should`'s to say.
    Lack {
        says: "this machine's queues have no vectors of their own",
        from: OLDEST,
        tests: &[
            "queues_interrupt_the_cpus_that_use_them",
            "vectors_move_between_cpus_and_lose_nothing",
        ],
    },
    Lack {
        says: "this machine's device has no vector",
        from: OLDEST,
        tests: &["spurious_interrupts_are_counted_exactly"],
    },
];

/// Checks that a test may say that it does not apply on this QEMU.
///
/// # Errors
///
/// Fails with why it may not.
pub fn check(test: &str, says: &str, qemu: Version) -> Result<(), String> {
    let is_listed = |lack: &&Lack| lack.says == says && lack.tests.contains(&test);
    let Some(lack) = LACKS.iter().find(is_listed) else {
        return Err(format!(
            "it says that it does not apply, as {says}: host/xtask/src/suite/not_applying.rs does \
             not list that"
        ));
    };
    if qemu < lack.from {
        let Version(major, minor) = lack.from;
        return Err(format!(
            "it says that it does not apply, as {says}: it has to apply before QEMU {major}.{minor}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYS: &str = "the device offers no AKCIPHER";

    #[test]
    fn only_what_is_listed_may_not_apply() {
        let qemu = Version(11, 1);
        assert!(check("messages_come_back", SAYS, qemu).is_ok());
        for (test, says) in [
            ("nist_vectors", SAYS),
            ("messages_come_back", "the device offers no CIPHER"),
            ("messages", SAYS),
        ] {
            let refused = check(test, says, qemu).unwrap_err();
            assert!(refused.ends_with("does not list that"), "{refused}");
        }
    }

    #[test]
    fn qemu_that_offers_it_is_held_to_it() {
        assert!(check("messages_come_back", SAYS, Version(8, 0)).is_ok());
        let refused = check("messages_come_back", SAYS, Version(7, 2)).unwrap_err();
        assert!(
            refused.ends_with("it has to apply before QEMU 8.0"),
            "{refused}"
        );
    }
}
