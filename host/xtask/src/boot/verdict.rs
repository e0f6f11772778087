//! How an exit status and what was printed become the reason why a run failed.
//!
//! For [`boot`](super::boot). The rule: a run that ended well has a closing line that says so; a
//! status alone proves nothing.

use super::machine::{Ending, Machine};
use crate::child::Run;

/// What `isa-debug-exit` makes of the kernel's verdicts: 2 * code + 1.
const SUCCESS: i32 = 33;
const FAILURE: i32 = 35;
/// What `timeout` ends with when QEMU's time was over, the second when QEMU had to be killed.
const TIME_OVER: [i32; 2] = [124, 137];

/// Returns why a run failed; `None` for one that passed.
pub fn reason(run: &Run, machine: &Machine, qemu: &str) -> Option<String> {
    let guest = run.guest.as_str();
    match run.status {
        SUCCESS if has_closing_line(guest) => None,
        SUCCESS => Some("the run ended well, but without its closing line".to_owned()),
        FAILURE => Some(told_reason(guest)),
        0 if machine.ending == Ending::PowerOff => {
            let passed = guest.lines().any(|line| line.starts_with("bench: pass"));
            (!passed).then(|| "Linux ended without its closing line".to_owned())
        }
        0 if guest.is_empty() => Some(format!(
            "{qemu} ended without running the kernel, or the machine reset (a triple fault)"
        )),
        0 => Some("the machine reset (a triple fault)".to_owned()),
        status if TIME_OVER.contains(&status) => {
            Some(format!("no end after {} s", machine.timeout_s))
        }
        _ if lacks_the_device(&run.qemu) => Some(format!(
            "{qemu} was built without virtio-crypto: name another by QEMU="
        )),
        status => {
            let said = run.qemu.lines().last().or(guest.lines().last());
            let said = said.unwrap_or("it says nothing");
            Some(format!("QEMU ended with status {status}: {said}"))
        }
    }
}

/// Judges a run that has to fail: returns its reason, or why that is another than `expected`.
pub fn unexpected(reason: Option<String>, expected: &str) -> Result<String, String> {
    match reason {
        Some(reason) if reason.contains(expected) => Ok(reason),
        other => {
            let got = other.unwrap_or_else(|| "success".to_owned());
            Err(format!(
                "expected a run that fails with '{expected}', got '{got}'"
            ))
        }
    }
}

/// Tells whether a line says `N passed, 0 failed` or `name: pass`.
fn has_closing_line(guest: &str) -> bool {
    guest.lines().any(|line| {
        let counted = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let named = line.trim_start_matches(|c: char| c.is_ascii_lowercase());
        (counted.len() < line.len() && counted.starts_with(" passed, 0 failed"))
            || (named.len() < line.len() && named.starts_with(": pass"))
    })
}

/// Returns the reason that the kernel gave last.
fn told_reason(guest: &str) -> String {
    let mut lines = guest.lines().rev();
    let told = lines.find(|line| line.contains("FAILED") || line.starts_with("failed:"));
    let told = told.map(|line| line.strip_prefix("failed: ").unwrap_or(line));
    told.unwrap_or("the kernel says that it failed").to_owned()
}

fn lacks_the_device(qemu: &str) -> bool {
    qemu.contains("virtio-crypto-pci' is not a valid")
        || qemu.contains("type: cryptodev-backend-builtin")
}

#[cfg(test)]
mod tests {
    use super::{super::machine::Variables, *};

    fn judge(status: i32, guest: &str, qemu: &str, words: &str) -> Option<String> {
        let variables = Variables::default().with("ACCEL", "tcg");
        let machine = Machine::new(words, &variables).unwrap();
        let run = Run {
            status,
            guest: guest.to_owned(),
            qemu: qemu.to_owned(),
        };
        reason(&run, &machine, "qemu")
    }

    fn failed(status: i32, guest: &str, qemu: &str) -> String {
        judge(status, guest, qemu, "").expect("a reason")
    }

    #[test]
    fn success_needs_a_closing_line() {
        assert_eq!(
            judge(33, "test a ... ok\n12 passed, 0 failed\n", "", ""),
            None
        );
        assert_eq!(judge(33, "demo: pass\n", "", ""), None);
        let missing = "the run ended well, but without its closing line";
        let others = [
            "",
            "12 passed, 1 failed",
            " passed, 0 failed",
            ": pass",
            "a 1 passed, 0 failed",
        ];
        for guest in others {
            assert_eq!(failed(33, guest, ""), missing, "{guest}");
        }
    }

    #[test]
    fn failure_is_what_the_kernel_said_last() {
        assert_eq!(failed(35, "failed: no device\n", ""), "no device");
        let guest = "failed: early\ntest a FAILED: panic: b\n3 passed, 1 failed\n";
        assert_eq!(failed(35, guest, ""), "test a FAILED: panic: b");
        assert_eq!(
            failed(35, "it failed: x\n", ""),
            "the kernel says that it failed"
        );
    }

    #[test]
    fn end_without_a_verdict_is_a_reset() {
        assert_eq!(
            failed(0, "hello\n", ""),
            "the machine reset (a triple fault)"
        );
        let silent = failed(0, "", "");
        assert!(
            silent.starts_with("qemu ended without running the kernel, or"),
            "{silent}"
        );
    }

    #[test]
    fn linux_switches_the_machine_off() {
        assert_eq!(judge(0, "bench: pass\n", "", "ends=poweroff"), None);
        let reason = judge(0, "bench: name=a\n", "", "ends=poweroff");
        assert_eq!(
            reason.as_deref(),
            Some("Linux ended without its closing line")
        );
        assert!(judge(0, "bench: pass\n", "", "").is_some());
    }

    #[test]
    fn time_limit_is_named() {
        for status in [124, 137] {
            let reason = judge(status, "1 passed, 0 failed\n", "", "timeout=3");
            assert_eq!(reason.as_deref(), Some("no end after 3 s"));
        }
    }

    #[test]
    fn other_statuses_come_with_qemus_last_words() {
        let qemu = "qemu: warning\nqemu: no such option\n";
        assert_eq!(
            failed(1, "guest", qemu),
            "QEMU ended with status 1: qemu: no such option"
        );
        assert_eq!(
            failed(134, "guest\n", ""),
            "QEMU ended with status 134: guest"
        );
        assert_eq!(
            failed(139, "", ""),
            "QEMU ended with status 139: it says nothing"
        );
    }

    #[test]
    fn qemu_without_the_device_is_named() {
        let lines = [
            "qemu: -device x: 'virtio-crypto-pci' is not a valid device model name",
            "qemu: -object x: invalid object type: cryptodev-backend-builtin",
        ];
        for line in lines {
            let reason = failed(1, "", line);
            assert_eq!(
                reason,
                "qemu was built without virtio-crypto: name another by QEMU="
            );
        }
    }

    #[test]
    fn run_that_must_fail_fails_for_its_own_reason() {
        let reason = || Some("panic: on purpose".to_owned());
        assert_eq!(
            unexpected(reason(), "on purpose"),
            Ok("panic: on purpose".to_owned())
        );
        let other = unexpected(reason(), "page fault").unwrap_err();
        assert_eq!(
            other,
            "expected a run that fails with 'page fault', got 'panic: on purpose'"
        );
        assert!(
            unexpected(None, "x")
                .unwrap_err()
                .ends_with("got 'success'")
        );
    }
}
