//! Machines that lack something: `run.sh` has to say so in one line, soon.
//!
//! They are made of links to this machine's programs, and of scripts in place of some; nothing is
//! installed or fetched. The rule: the line is `run.sh`'s own, and neither apt-get nor cargo is
//! heard.

use std::{fs, process::Command};

use super::{part::Part, stubs::Stubs};
use crate::{child, project::Project, report::Result};

/// A run of `run.sh` that has to fail with a line.
struct Refusal {
    test: &'static str,
    line: &'static str,
    /// `NAME=VALUE`, in which `@stubs` and `@root` stand for folders.
    variables: &'static [&'static str],
    words: &'static [&'static str],
    /// Programs with the scripts in their place; no script for one that is not there.
    programs: &'static [(&'static str, &'static str)],
}

const fn refusal(
    test: &'static str,
    line: &'static str,
    variables: &'static [&'static str],
    words: &'static [&'static str],
) -> Refusal {
    Refusal {
        test,
        line,
        variables,
        words,
        programs: &[],
    }
}

/// A machine in which set-up finds these programs, and no QEMU.
const fn lacking(
    test: &'static str,
    line: &'static str,
    programs: &'static [(&'static str, &'static str)],
) -> Refusal {
    Refusal {
        test,
        line,
        variables: &["PATH=@stubs"],
        words: SETUP,
        programs,
    }
}

/// A machine without fetched QEMUs that is to fetch one by these programs.
const fn fetching(
    test: &'static str,
    line: &'static str,
    programs: &'static [(&'static str, &'static str)],
) -> Refusal {
    Refusal {
        test,
        line,
        variables: &["PATH=@stubs", "CARGO_TARGET_DIR=@stubs/target"],
        words: &["qemu", "trixie"],
        programs,
    }
}

/// Any file: no QEMU gets to read it.
const ELF: &[&str] = &["@root/Cargo.toml"];
const SETUP: &[&str] = &["setup"];

const USER: (&str, &str) = ("id", "echo 1000");
const ROOT: (&str, &str) = ("id", "echo 0");

const REFUSALS: &[Refusal] = &[
    refusal(
        "no_such_qemu_is_named",
        "QEMU=nosuch: no such program",
        &["QEMU=nosuch"],
        ELF,
    ),
    refusal(
        "no_such_qemu_is_named_by_setup",
        "QEMU=nosuch: no such program",
        &["QEMU=nosuch"],
        SETUP,
    ),
    refusal(
        "file_that_does_not_run_is_no_qemu",
        "not a program that can be run",
        &["QEMU=@root/README.md"],
        ELF,
    ),
    refusal(
        "other_program_is_no_qemu",
        "does not say that it is a QEMU",
        &["QEMU=@stubs/no-qemu"],
        ELF,
    ),
    refusal(
        "old_qemu_is_named",
        "is QEMU 6.2.0: 7.2 or later",
        &["QEMU=@stubs/old-qemu"],
        ELF,
    ),
    refusal(
        "qemu_without_the_device_is_named",
        "built without virtio-crypto",
        &["QEMU=@stubs/bare-qemu"],
        ELF,
    ),
    refusal(
        "accelerator_is_checked",
        "ACCEL=bogus: kvm or tcg",
        &["ACCEL=bogus"],
        ELF,
    ),
    refusal(
        "number_of_cpus_is_checked",
        "SMP=65: a number from 1 to 64",
        &["SMP=65"],
        ELF,
    ),
    refusal(
        "machine_is_checked_before_the_kernel_is_built",
        "SMP=65: a number from 1 to 64",
        &["SMP=65", "CARGO_PROFILE_DEV_OPT_LEVEL=bogus"],
        &["demo"],
    ),
    refusal(
        "words_of_a_benchmark_are_checked_before_it_is_built",
        "bench luks: 'sizes=x': it takes",
        &["CARGO_PROFILE_PROGRAM_OPT_LEVEL=bogus"],
        &["bench", "luks", "sizes=x"],
    ),
    refusal(
        "memory_too_small_to_boot_is_named",
        "MEM=1M: too little to boot in",
        &["MEM=1M"],
        ELF,
    ),
    refusal(
        "target_that_cannot_be_written_is_named",
        "/proc/none cannot be written",
        &["CARGO_TARGET_DIR=/proc/none"],
        SETUP,
    ),
    refusal(
        "scratch_that_cannot_be_written_is_named",
        "TMPDIR=/proc/none",
        &["TMPDIR=/proc/none"],
        SETUP,
    ),
    refusal(
        "setup_takes_no_words",
        "setup: 'bogus' means nothing",
        &[],
        &["setup", "bogus"],
    ),
    refusal(
        "env_takes_no_words",
        "env: 'bogus' means nothing",
        &[],
        &["env", "bogus"],
    ),
    refusal(
        "lint_takes_no_words",
        "lint: 'bogus' means nothing",
        &[],
        &["lint", "bogus"],
    ),
    refusal(
        "test_takes_no_options",
        "test: '--bogus'",
        &[],
        &["test", "--bogus"],
    ),
    refusal(
        "setup_timeout_is_checked",
        "SETUP_TIMEOUT=0",
        &["SETUP_TIMEOUT=0"],
        SETUP,
    ),
    lacking(
        "full_disk_is_named",
        "has 3 MiB left",
        &[("df", "echo head; echo '/dev/vda 1000 997 3 99% /'")],
    ),
    lacking(
        "who_cannot_install_is_told_what",
        "neither root nor sudo",
        &[USER, ("apt-get", "echo 'E: called' && exit 100")],
    ),
    lacking(
        "sudo_with_a_password_is_not_asked",
        "neither root nor sudo",
        &[
            USER,
            ("apt-get", "echo 'E: called' && exit 100"),
            ("sudo", "exit 1"),
        ],
    ),
    lacking(
        "no_network_is_named",
        "failed: E: Failed to fetch x",
        &[ROOT, ("apt-get", "echo 'E: Failed to fetch x' && exit 100")],
    ),
    Refusal {
        variables: &["PATH=@stubs", "SETUP_TIMEOUT=1"],
        ..lacking(
            "apt_that_hangs_is_given_up",
            "did not end in 1 s",
            &[ROOT, ("apt-get", "exec sleep 100")],
        )
    },
    lacking(
        "no_apt_is_named",
        "no apt-get to install it",
        &[ROOT, ("apt-get", "")],
    ),
    refusal(
        "unknown_suite_is_named",
        "'trixy' is none of its suites: bookworm-backports, trixie",
        &[],
        &["qemu", "trixy"],
    ),
    refusal(
        "unknown_suite_is_named_before_anything_is_built",
        "QEMU=trixy: no such program, nor one of these: bookworm-backports, trixie",
        &["QEMU=trixy", "CARGO_PROFILE_DEV_OPT_LEVEL=bogus"],
        &["demo"],
    ),
    refusal(
        "runner_fetches_no_qemu",
        "not fetched yet: ./run.sh qemu trixie does it",
        &["QEMU=trixie", "CARGO_TARGET_DIR=@stubs/target"],
        ELF,
    ),
    fetching(
        "fetch_without_apt_is_named",
        "QEMU of trixie: no apt-get to fetch it with",
        &[("apt-get", "")],
    ),
    fetching(
        "fetch_without_network_is_named",
        "QEMU of trixie: apt-get update failed: E: Failed to fetch x",
        &[("apt-get", "echo 'E: Failed to fetch x' && exit 100")],
    ),
    Refusal {
        variables: &[
            "PATH=@stubs",
            "CARGO_TARGET_DIR=@stubs/target",
            "SETUP_TIMEOUT=1",
        ],
        ..fetching(
            "fetch_that_hangs_is_given_up",
            "QEMU of trixie: apt-get update did not end in 1 s",
            &[("apt-get", "exec sleep 100")],
        )
    },
    fetching(
        "fetched_qemu_that_does_not_start_is_named",
        "QEMU of trixie: its packages hold no ld-linux",
        &[("apt-get", "exit 0")],
    ),
];

pub fn run(part: &mut Part) -> Result {
    let Some(wanted) = part.begin_with(REFUSALS, |it| it.test) else {
        return Ok(());
    };
    let stubs = Stubs::new(part.project)?;
    let ran = wanted.into_iter().try_for_each(|refusal| {
        for (program, script) in refusal.programs {
            stubs.put(program, script)?;
        }
        let mut command = refusal.command(part.project, &stubs);
        part.check(refusal.test, || refusal.judge(&mut command));
        refusal
            .programs
            .iter()
            .try_for_each(|(program, _)| stubs.put_back(program))
    });
    fs::remove_dir_all(&stubs.folder)?;
    ran
}

impl Refusal {
    /// Calls `run.sh`, as machines on which nothing is set do.
    fn command(&self, project: &Project, stubs: &Stubs) -> Command {
        let (root, stubs) = (project.path(""), stubs.folder.to_string_lossy());
        let root = root.to_string_lossy();
        let root = root.trim_end_matches('/');
        let full = |word: &str| word.replace("@root", root).replace("@stubs", &stubs);
        let mut command = Command::new("timeout");
        command.arg("60").arg(project.path("run.sh"));
        command.args(self.words.iter().map(|word| full(word)));
        command.env_remove("QEMU");
        for (name, value) in self.variables.iter().filter_map(|it| it.split_once('=')) {
            command.env(name, full(value));
        }
        command
    }

    fn judge(&self, command: &mut Command) -> std::result::Result<(), String> {
        const OTHERS: [&str; 8] = [
            "E", "error", "warning", "mktemp", "mkdir", "rustup", "timeout", "thread",
        ];
        let ended = child::capture(command).map_err(|failure| format!("{failure:?}"))?;
        let is_told = |own: &str| own.starts_with("run: failed: ") && own.contains(self.line);
        let is_heard = |own: &str| OTHERS.iter().any(|other| own.starts_with(other));
        let lines = || ended.output.lines();
        if ended.status == 1 && lines().any(is_told) && !lines().any(is_heard) {
            return Ok(());
        }
        Err(format!(
            "expected: status 1 and the line \"run: failed: .. {}\"\ngot: status {} and\n{}",
            self.line, ended.status, ended.output
        ))
    }
}
