//! The tests of this host in Miri, which sees undefined behaviour: memory that was freed, accesses
//! that nothing orders, references beside which others write.
//!
//! For `./run.sh miri`. The rule: what it cannot run stands in one list, with the reason.

mod left_out;
mod threaded;
mod words;

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    left_out::{LEFT_OUT, LeftOut},
    words::{Borrows, Words},
};
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

/// What every run is checked for beside Miri's defaults: that no pointer is made of a number. The
/// tests look at `RING` in the environment. Leaks are looked for by `./run.sh sanitize address`,
/// which can be told which ones a test is about. That alignment is no luck is not asked for: the
/// device's half of memory finds out by the number of an address.
const FLAGS: &str = "-Zmiri-strict-provenance -Zmiri-env-forward=RING -Zmiri-ignore-leaks";

const NEEDED: [Component; 2] = [Component::Miri, Component::Source];

/// One run of a crate's tests.
#[derive(Debug)]
struct Run {
    tests: &'static Tests,
    ring: &'static str,
    borrows: Borrows,
    /// Where there are many seeds, which tests those change.
    threaded: Vec<String>,
}

/// Runs the tests, or those whose names contain one of the words.
///
/// # Errors
///
/// Fails when a test does, or where there is undefined behaviour.
pub fn run(project: &Project, words: &[String]) -> Result {
    let words = Words::read(words)?;
    nightly::get_nightly(project, &NEEDED)?;
    let runs = plan(project, &words)?;
    for tests in &TESTS {
        // Before they run beside each other, when one cargo would wait for the other.
        if runs.iter().any(|run| run.tests.package == tests.package) {
            let mut cargo = nightly::cargo(project, &["miri", "test", "--lib", "--no-run"])?;
            cargo.args(tests.arguments());
            child::build(&mut cargo, &format!("{} for Miri", tests.package))?;
        }
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let passed = AtomicUsize::new(0);
    let work = || {
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            match run.run(project, &words) {
                Ok(count) => {
                    passed.fetch_add(count, Ordering::Relaxed);
                }
                Err(because) => {
                    let reason = format!("{run}: {}", because.reason());
                    say(format_args!("{reason}"));
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push(reason);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..words.jobs {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !found.is_empty() {
        let count = (found.len(), runs.len());
        let found = found.join("; ");
        return fail(format_args!(
            "miri: {} of {} runs: {found}",
            count.0, count.1
        ));
    }
    let (tests, seeds) = (passed.into_inner(), words.seeds);
    if tests == 0 {
        return fail("miri: no test has such a name");
    }
    for LeftOut { test, reason } in LEFT_OUT {
        println!("miri: left out: {test}: {reason}");
    }
    let left_out = LEFT_OUT.len();
    println!("miri: pass tests={tests} seeds={seeds} left_out={left_out}");
    Ok(())
}

/// Tells whether it can run without anything being fetched.
pub fn has_tools(project: &Project) -> bool {
    nightly::has_nightly(project, &NEEDED)
}

/// Returns every run, those that take longest first.
fn plan(project: &Project, words: &Words) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for borrows in [Borrows::Stacked, Borrows::Tree] {
        for tests in &TESTS {
            for ring in tests.rings {
                let mut run = Run {
                    tests,
                    ring,
                    borrows,
                    threaded: Vec::new(),
                };
                if !words.wants(tests.package, ring, borrows) {
                    continue;
                }
                if words.seeds > 1 {
                    let folder = project.path(tests.folder);
                    run.threaded = threaded::names(&folder, &words.names)?;
                    if run.threaded.is_empty() {
                        continue;
                    }
                }
                runs.push(run);
            }
        }
    }
    match runs.is_empty() {
        true => fail("miri: no test has such a name"),
        false => Ok(runs),
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (package, ring, borrows) = (self.tests.package, self.ring, self.borrows.word());
        write!(f, "{package} rings={ring} borrows={borrows}")
    }
}

impl Run {
    /// Runs it; returns how many tests passed.
    fn run(&self, project: &Project, words: &Words) -> Result<usize> {
        let mut cargo = nightly::cargo(project, &["miri", "test", "--lib", "-q"])?;
        cargo.args(self.tests.arguments());
        let mut flags = format!("{FLAGS}{}", self.borrows.flag());
        cargo.args(["--", "--format=pretty"]);
        if words.seeds > 1 {
            flags += &format!(" -Zmiri-many-seeds=0..{}", words.seeds);
            cargo.args(&self.threaded);
        } else {
            cargo.args(&words.names);
        }
        for LeftOut { test, .. } in LEFT_OUT {
            cargo.args(["--skip", test]);
        }
        cargo.env("MIRIFLAGS", flags).env("RING", self.ring);
        let mut progress = Progress::new(format!("miri: {self}"));
        let ended = child::tee(&mut cargo, &self.to_string(), |chunk| {
            progress.read(chunk);
            Ok(())
        })?;
        if ended.status != 0 {
            print!("{}", progress::finding(&ended.output));
            return fail(format_args!(
                "it ended with status {}; alone: ./run.sh miri {self} {}",
                ended.status, progress.last
            ));
        }
        println!("miri: {self} passed={}", progress.passed);
        Ok(progress.passed)
    }
}
