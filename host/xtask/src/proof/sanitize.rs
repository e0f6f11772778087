//! The tests of this host with a sanitizer of the compiler's, which watches what the processor
//! does: AddressSanitizer memory that was freed or leaked, ThreadSanitizer accesses that nothing
//! orders.
//!
//! For `./run.sh sanitize`. The rule: nothing is suppressed but leaks that a test is about, which
//! stand in `leaks.txt` with the reason.

use super::{
    crates::{TESTS, Tests},
    nightly::{self, Component},
    progress::{self, Progress},
};
use crate::{
    child,
    project::Project,
    report::{Result, fail, say},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    Thread,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }

    /// The standard library has locks: without seeing those, ThreadSanitizer finds races
    /// everywhere.
    fn needed(self) -> &'static [Component] {
        match self {
            Self::Address => &[],
            Self::Thread => &[Component::Source],
        }
    }
}

/// Runs the tests with a sanitizer, or those whose names contain one of the words behind its name.
///
/// # Errors
///
/// Fails when a test does, or where the sanitizer finds something.
pub fn run(project: &Project, words: &[String]) -> Result {
    let (kind, words) = match words.split_first() {
        Some((kind, words)) if kind == "address" => (Kind::Address, words),
        Some((kind, words)) if kind == "thread" => (Kind::Thread, words),
        _ => return fail("sanitize: address or thread, then parts of tests' names"),
    };
    let is_package = |word: &&String| TESTS.iter().any(|tests| tests.package == **word);
    let (packages, names): (Vec<_>, Vec<_>) = words.iter().partition(is_package);
    if let Some(word) = names.iter().find(|word| word.contains(['=', '-'])) {
        return fail(format_args!(
            "sanitize: '{word}': parts of tests' names, or virtio-crypto, services, device"
        ));
    }
    nightly::get_nightly(project, kind.needed())?;
    let mut tests = 0;
    for ring in ["split", "packed"] {
        let is_named = |tests: &Tests| packages.iter().any(|package| *package == tests.package);
        let is_wanted = |tests: &&Tests| {
            tests.rings.contains(&ring) && (packages.is_empty() || is_named(tests))
        };
        let wanted: Vec<_> = TESTS.iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut cargo = nightly::cargo(project, &["test", "--lib"])?;
        for tests in wanted {
            cargo.args(tests.arguments());
        }
        if kind == Kind::Thread {
            cargo.arg("-Zbuild-std");
        }
        cargo.arg("--").args(&names);
        let word = kind.word();
        cargo.env("RUSTFLAGS", format!("-Zsanitizer={word} --cfg apart"));
        cargo.env(
            "CARGO_TARGET_DIR",
            project.target(format!("sanitize/{word}")),
        );
        let leaks = project.path("host/xtask/src/proof/leaks.txt");
        let leaks = leaks.display();
        let options = format!("suppressions={leaks}:print_suppressions=0");
        cargo.env("LSAN_OPTIONS", options).env("RING", ring);
        let name = format!("sanitize: kind={word} rings={ring}");
        say(format_args!("{name}: building what is not there yet"));
        let mut progress = Progress::new(name.clone());
        let ended = child::tee(&mut cargo, &name, |chunk| {
            progress.read(chunk);
            Ok(())
        })?;
        if ended.status != 0 {
            print!("{}", progress::finding(&ended.output));
            return fail(format_args!(
                "{name}: it ended with status {}",
                ended.status
            ));
        }
        println!("{name} passed={}", progress.passed);
        tests += progress.passed;
    }
    if tests == 0 {
        return fail("sanitize: no test has such a name");
    }
    println!("sanitize: pass kind={} tests={tests}", kind.word());
    Ok(())
}

/// Tells whether the tests can run with AddressSanitizer without anything being fetched.
pub fn has_tools(project: &Project) -> bool {
    nightly::has_nightly(project, Kind::Address.needed())
}
