//! Targets of fuzzing, run by libFuzzer: `cargo fuzz` builds them, and they are run from here.
//!
//! For `./run.sh fuzz`. The rule: what was found before is tried again first, and whatever is found
//! comes with the line that repeats it.

mod outcomes;
mod output;
mod targets;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

use self::{
    outcomes::{Find, Outcomes},
    output::Progress,
    targets::Target,
    words::{Task, Words},
};
use super::tools::FUZZ;
use crate::{
    child::{self, Ended},
    files::program,
    project::Project,
    report::{Failure, Result, fail},
    setup,
};

/// Seconds after which one execution counts as a hang.
const HANG_S: u32 = 10;
/// Bytes of an input at most.
const MAX_LEN: u32 = 1024;

/// Runs targets, or one of them on one input.
///
/// # Errors
///
/// Fails with what was found, with a word that means nothing, or where a target is not built.
pub fn run(project: &Project, words: &[String]) -> Result {
    let all = targets::read(project)?;
    let words = Words::read(words, &all)?;
    let programs = build(project, &words)?;
    let targets = words.targets.iter().zip(&programs);
    let mut runs = targets.map(|(target, program)| Run {
        project,
        words: &words,
        target,
        program,
    });
    match &words.task {
        Task::Replay(file) => replay(project, &programs[0], file),
        Task::Keep => runs.try_for_each(|run| run.keep()),
        Task::Run => run_all(runs),
    }
}

/// Runs targets one after the other, whatever is found in one of them.
fn run_all<'a>(runs: impl Iterator<Item = Run<'a>>) -> Result {
    let mut outcomes = Outcomes::default();
    for run in runs {
        outcomes.add(&run.target.name, run.run());
    }
    outcomes.tell()
}

/// Tells whether targets can be built without anything being fetched.
pub fn has_tools(project: &Project) -> bool {
    FUZZ.find(project).is_some() && program("c++").is_some()
}

/// Builds the targets, and returns where they are.
fn build(project: &Project, words: &Words) -> Result<Vec<PathBuf>> {
    // libFuzzer is written in it.
    if program("c++").is_none() {
        setup::install(project, "no C++ compiler", &["g++"])?;
    }
    let mut cargo = FUZZ.command(project)?;
    let folder = project.target("fuzz/build");
    cargo.args(["build", "--fuzz-dir", "host/fuzz", "--sanitizer", "none"]);
    cargo.arg("--target-dir").arg(&folder);
    if words.targets.iter().any(|target| target.needs_services) {
        cargo.args(["--features", "services"]);
    }
    // One at a time is all that it builds, or all that there are.
    if let [target] = &words.targets[..] {
        cargo.arg(&target.name);
    }
    // The kernel's release is optimised as a whole.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
    child::build(&mut cargo, "the targets of fuzzing")?;
    let program = |target: &Target| {
        let triple = fs::read_dir(&folder)?.filter_map(std::result::Result::ok);
        let mut paths = triple.map(|entry| entry.path().join("release").join(&target.name));
        let path = paths.find(|path| path.is_file());
        path.ok_or_else(|| Failure::Because(format!("{}: cargo fuzz built none", target.name)))
    };
    words.targets.iter().map(program).collect()
}

/// Runs a target on one input, and shows all that it says.
fn replay(project: &Project, program: &Path, file: &Path) -> Result {
    if !file.is_file() {
        return fail(format_args!("fuzz: no file {}", file.display()));
    }
    let mut command = project.host(program);
    command.arg(format!("-timeout={HANG_S}")).arg(file);
    let ended = child::tee(&mut command, "fuzz", child::to_stdout)?;
    match ended.status {
        0 => {
            println!("fuzz: pass executions=1");
            Ok(())
        }
        _ => fail("fuzz: what stands above was found"),
    }
}

/// The run of one target.
struct Run<'a> {
    project: &'a Project,
    words: &'a Words,
    target: &'a Target,
    program: &'a Path,
}

impl Run<'_> {
    /// Runs it; returns how many executions there were, and what was found.
    fn run(&self) -> Result<(u64, Vec<Find>)> {
        let Target { name, .. } = self.target;
        let corpus = self.corpus();
        let finds = self.project.target("fuzz/finds");
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&finds)?;
        let progress = Mutex::new(Progress::new(name, self.words.jobs));
        let run_job = |job| {
            let mut command = self.command(&corpus, &finds);
            let mut line = Vec::new();
            child::tee(&mut command, name, |chunk| {
                for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
                    line.extend_from_slice(piece);
                    if line.ends_with(b"\n") {
                        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                        progress.read(job, &String::from_utf8_lossy(&line));
                        line.clear();
                    }
                }
                Ok(())
            })
        };
        let ended: Vec<Result<Ended>> = thread::scope(|scope| {
            let jobs: Vec<_> = (0..self.words.jobs)
                .map(|job| scope.spawn(move || run_job(job)))
                .collect();
            let join = |job: thread::ScopedJoinHandle<'_, _>| {
                job.join().unwrap_or_else(|_| fail("fuzz: a job was lost"))
            };
            jobs.into_iter().map(join).collect()
        });
        let progress = progress
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut finds = Vec::new();
        for ended in ended {
            match ended {
                Ok(Ended { status: 0, .. }) => {}
                Ok(Ended { status, output }) => {
                    output::show_find(&output);
                    finds.push(match output::find(&output) {
                        Some(file) => Find::Input(file.into()),
                        None => {
                            Find::None(Failure::Because(format!("it ended with status {status}")))
                        }
                    });
                }
                Err(failure) => finds.push(Find::None(failure)),
            }
        }
        if finds.is_empty() {
            println!("{}", progress.closing_line());
        }
        Ok((progress.executions(), finds))
    }

    /// Puts the fewest inputs that reach all that was reached into the repository.
    fn keep(&self) -> Result {
        let Target { name, .. } = self.target;
        let kept = self.project.path("host/fuzz/corpus").join(name);
        let fewest = self.project.target(format!("fuzz/fewest/{name}"));
        let _ = fs::remove_dir_all(&fewest);
        fs::create_dir_all(&fewest)?;
        let mut command = self.project.host(self.program);
        command
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(&fewest);
        command.arg(self.corpus());
        if kept.is_dir() {
            command.arg(&kept);
        }
        let ended = child::watch(&mut command, &format!("choosing inputs of {name}"))?;
        if ended.status != 0 {
            return fail(format_args!("fuzz: {name}: no inputs could be chosen"));
        }
        let _ = fs::remove_dir_all(&kept);
        fs::create_dir_all(&kept)?;
        let (mut count, mut bytes) = (0, 0);
        for entry in fs::read_dir(&fewest)? {
            let path = entry?.path();
            bytes += fs::copy(&path, kept.join(path.file_name().unwrap_or_default()))?;
            count += 1;
        }
        println!("fuzz: target={name} kept={count} bytes={bytes}");
        Ok(())
    }

    fn corpus(&self) -> PathBuf {
        self.project
            .target(format!("fuzz/corpus/{}", self.target.name))
    }

    fn command(&self, corpus: &Path, finds: &Path) -> Command {
        let Words {
            seconds,
            executions,
            ..
        } = self.words;
        let mut words: Vec<&str> = Vec::new();
        // Ends it with this process, however that ends.
        if program("setpriv").is_some() {
            words.extend(["setpriv", "--pdeathsig", "TERM"]);
        }
        // By itself it ends on time; one that does not, hangs.
        let limit = (seconds + 120).to_string();
        words.extend(["timeout", "--foreground", "-k", "5", &limit]);
        let mut command = self.project.host(words[0]);
        command.args(&words[1..]).arg(self.program).arg(corpus);
        // What is there at first, which nothing is added to.
        let seeds = self
            .project
            .path("host/fuzz/corpus")
            .join(&self.target.name);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-runs={}", executions.map_or(-1, |count| count as i64)),
            format!("-timeout={HANG_S}"),
            format!("-max_len={MAX_LEN}"),
            format!("-artifact_prefix={}/{}-", finds.display(), self.target.name),
            "-print_final_stats=1".to_owned(),
            // New inputs of another job.
            "-reload=1".to_owned(),
        ]);
        command
    }
}
