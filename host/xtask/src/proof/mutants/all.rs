//! What the list misses: `cargo mutants` over the rooms on which every promise rests.
//!
//! For `./run.sh mutants all=yes`, which takes hours. It goes file by file and keeps what came of
//! each, so that the next run goes on where this one was ended. `cargo-mutants.toml` beside this
//! says what is left out, and why.
//!
//! The rule: a file is tried anew once it has changed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{super::tools::MUTANTS, tree::Tree};
use crate::{
    child,
    files::files_below,
    project::Project,
    report::{Failure, Result},
};

const ROOMS: [&str; 5] = ["virtqueue", "dma", "sync", "queue", "transport"];

/// Tests that take long and notice little that others do not: they run once the others have let a
/// change pass.
const SLOW: [&str; 6] = [
    "memory_that_is_refused_at_any_time",
    "caller_that_never_comes_costs",
    "others_that_were_answered",
    "unasked_wrap_of",
    "pollers_that_come_and_go",
    "batches_cross_the_wrap",
];

/// Ends a program of tests with the first one that fails.
const RUNNER: &str = r#"#!/usr/bin/env bash
exec 3< <(exec "$@" 2>&1)
program=$!
status=101
while IFS= read -r line <&3; do
    printf '%s\n' "$line"
    case $line in
    *"... FAILED") kill -9 $program && break ;;
    "test result: ok"*) status=0 ;;
    esac
done
exit $status
"#;

/// Tries every file, as far as the time goes.
///
/// # Errors
///
/// Fails when a change is not noticed, or where cargo-mutants cannot be had.
pub fn run(project: &Project, tree: &Tree, minutes: u64) -> Result {
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let runner = project.target("mutants/runner.sh");
    fs::write(&runner, RUNNER)?;
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o755))?;
    let (mut missed, mut is_over) = (Vec::new(), false);
    for room in ROOMS {
        let mut counts = [0; 2];
        for file in files_below(&tree.path("driver/src").join(room))? {
            let path = file.strip_prefix(tree.path("")).unwrap_or(&file);
            let tried = Tried {
                project,
                tree,
                path,
                out: out(project, path),
                runner: &runner,
            };
            is_over |= !tried.is_done()? && !tried.go_on(end)?;
            let noticed = tried.lines("previously_caught") + tried.lines("caught");
            counts[0] += noticed + tried.lines("timeout");
            let text = fs::read_to_string(tried.list("missed")).unwrap_or_default();
            counts[1] += text.lines().count();
            missed.extend(text.lines().map(str::to_owned));
        }
        let [caught, survived] = counts;
        println!("mutants: all: {room}: caught={caught} survived={survived}");
    }
    for line in &missed {
        println!("survived: {line}");
    }
    if is_over {
        println!(
            "mutants: all: not all were tried in {minutes} min; the same words go on from here"
        );
    }
    println!("mutants: all: survived={}", missed.len());
    match missed.len() {
        0 => Ok(()),
        _ => Err(Failure::Told(1)),
    }
}

/// Where what came of a file is kept.
fn out(project: &Project, path: &Path) -> PathBuf {
    let name = path.to_string_lossy().replace('/', "+");
    project.target("mutants/all").join(name)
}

/// A file of which each line is changed.
#[derive(Debug)]
struct Tried<'t> {
    project: &'t Project,
    tree: &'t Tree,
    /// As seen from the top of the copy.
    path: &'t Path,
    out: PathBuf,
    runner: &'t Path,
}

impl Tried<'_> {
    fn list(&self, name: &str) -> PathBuf {
        self.out.join("mutants.out").join(format!("{name}.txt"))
    }

    fn lines(&self, name: &str) -> usize {
        let text = fs::read_to_string(self.list(name));
        text.map_or(0, |text| text.lines().count())
    }

    /// Tells whether it has been tried as it is; what came of it as it was goes.
    fn is_done(&self) -> Result<bool> {
        let (text, tried) = (self.tree.read(self.path)?, self.out.join("tried.rs"));
        if fs::read_to_string(&tried).unwrap_or_default() != text {
            let _ = fs::remove_dir_all(&self.out);
            fs::create_dir_all(&self.out)?;
            fs::write(&tried, text)?;
        }
        Ok(self.out.join("done").exists())
    }

    /// Tries what is left; `false` if the time is over before.
    fn go_on(&self, end: Instant) -> Result<bool> {
        // First the quick tests on the rings that it is about, then the others for what is left.
        let is_packed = ["packed", "position"]
            .iter()
            .any(|it| self.path.ends_with(format!("{it}.rs")));
        let rings = if is_packed {
            ["packed", "split"]
        } else {
            ["split", "packed"]
        };
        let passes = [(rings[0], &SLOW[..]), (rings[1], &[])];
        for (ring, skipped) in passes {
            let left_s = end.saturating_duration_since(Instant::now()).as_secs();
            if left_s == 0 || !self.pass(ring, skipped, left_s)? {
                return Ok(false);
            }
            if self.lines("missed") == 0 {
                break;
            }
        }
        fs::write(self.out.join("done"), "")?;
        Ok(true)
    }

    fn pass(&self, ring: &str, skipped: &[&str], left_s: u64) -> Result<bool> {
        let tool = MUTANTS.get(self.project)?;
        let mut command = self.project.host("timeout");
        command.args(["-s", "INT", "-k", "10", &left_s.to_string()]);
        command
            .arg(tool)
            .args(["mutants", "--in-place", "--iterate", "--baseline", "skip"]);
        command.args([
            "--timeout",
            "30",
            "--build-timeout",
            "300",
            "--cap-lints",
            "true",
        ]);
        let config = self
            .project
            .path("host/xtask/src/proof/mutants/cargo-mutants.toml");
        command.arg("--config").arg(config);
        command.args(["-p", "virtio-crypto", "--all-features", "--file"]);
        command.arg(self.path).arg("-o").arg(&self.out);
        command.arg("-C=--target=host-tuple");
        for option in super::suites::QUICK {
            let option = format!("profile.dev.package.virtio-crypto.{option}");
            command.arg(format!("-C=--config={option}"));
        }
        let runner = self.runner.display();
        command.arg(format!("-C=--config=target.'cfg(unix)'.runner='{runner}'"));
        command.args(["--", "--lib", "--"]);
        command.args(skipped.iter().flat_map(|name| ["--skip", name]));
        command.env("CARGO_TARGET_DIR", self.project.target(""));
        command.env("RUST_BACKTRACE", "0").env("RING", ring);
        command.current_dir(self.tree.path(""));
        let what = format!("mutants: all: {}", self.path.display());
        let ended = child::tee(&mut command, &what, child::to_stdout)?;
        // Of cargo-mutants: 2 says that some survived, 3 that some did not end.
        Ok([0, 2, 3].contains(&ended.status))
    }
}
