//! Benchmarks: builds what is measured and hands over to `host/bench`, which boots and draws it.
//!
//! For `./run.sh bench` and `./run.sh bench-guest`. The rule: instructions are counted without the
//! clock readings of the feature `usage`, which would be counted, too.

use std::fs;

use crate::{
    app,
    boot::{machine::Variables, own},
    child, peer, probe,
    project::Project,
    qemu,
    report::{Failure, Result, fail, say},
};

const EXPERIMENTS: [&str; 7] = [
    "instructions",
    "control-sessions",
    "device-limit",
    "interrupt-race",
    "aes-cbc",
    "akcipher",
    "clock",
];

/// A machine with QEMU's builtin device and the project's own, which has to take surplus bytes: the
/// benchmark makes more of a request writable than it needs.
const BOTH_DEVICES: &str = "devices=1 own=services=cipher,surplus=on";
/// What is compared on it, unless words say otherwise.
const COMPARED: [&str; 4] = ["device=0,1", "size=16,4096", "depth=1,64", "ms=700"];

const INSTRUCTIONS: [&str; 4] = ["-p", "kernel", "--bench", "instructions"];

/// Measures what the words name.
///
/// # Errors
///
/// Fails when they name no experiment, when something does not build, or when a run fails.
pub fn run(project: &Project, words: &[String]) -> Result {
    let variables = Variables::read(project);
    variables.check()?;
    let words = match words.first().map(String::as_str) {
        Some("all") => &words[1..],
        Some("--peer") if words.get(1).is_none_or(|peer| peer != "linux") => {
            return fail("--peer: linux is the one that there is");
        }
        Some("--device") if words.get(1).is_some_and(|device| device == "own") => {
            return compare_devices(project, &words[2..]);
        }
        Some("--device") => return fail("--device: own is the one that there is"),
        Some("luks") => {
            say_machine(&probe::header(project, &variables)?);
            return app::luks::measure::run(project, &words[1..]);
        }
        Some("https") => {
            say_machine(&probe::header(project, &variables)?);
            return app::https::measure::run(project, &words[1..]);
        }
        Some("--peer") | None => words,
        Some(name) if name.contains('=') || EXPERIMENTS.contains(&name) => words,
        Some(name) => {
            return fail(format_args!(
                "no experiment '{name}'; ./run.sh --help lists them"
            ));
        }
    };
    let first = words.first().map_or("", String::as_str);
    if first == "--peer" {
        compare_instructions(project, &variables)?;
    }
    let header = probe::header(project, &variables)?;
    if matches!(first, "" | "instructions") {
        say_machine(&header);
        count_instructions(project, words.get(1..).unwrap_or_default())?;
        if first == "instructions" {
            return Ok(());
        }
    }
    let build = ["bench", "-p", "kernel", "--features", "usage", "--no-run"];
    project.build_kernel("the kernel's benchmarks", &build)?;
    let mut cargo = project.host_cargo(&["build", "--target", "host-tuple", "--release"]);
    child::build(cargo.args(["-p", "bench"]), "the benchmarks' host side")?;
    child::run(project.host_cargo(&["host-bench", &header]).args(words))
}

/// Says what runs are made with.
fn say_machine(header: &str) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    say(format_args!("{header}, {cores} host cores"));
}

/// Floods QEMU's builtin device and the project's own, one after the other in one guest: the data
/// queue, then in another guest the control queue.
fn compare_devices(project: &Project, words: &[String]) -> Result {
    let qemu = qemu::with_device(project, own::QEMU_DEVICE)?;
    let variables = Variables::read(project).with("QEMU", &qemu);
    say_machine(&probe::header(project, &variables)?);
    say("device=0 is QEMU's builtin one, device=1 the project's own");
    let machine = [("MACHINE_WORDS", BOTH_DEVICES), ("QEMU", &qemu)];
    let words = compared(words);
    if words.iter().any(|word| word.starts_with("queue=")) {
        return run_guest(project, "device_limit", &words, &machine);
    }
    ["data", "control"].into_iter().try_for_each(|queue| {
        let words = [&words[..], &[format!("queue={queue}")]].concat();
        run_guest(project, "device_limit", &words, &machine)
    })
}

/// Returns what is compared: the words, and of the rest what is usual.
fn compared(words: &[String]) -> Vec<String> {
    let name = |word: &str| word.split('=').next().map(str::to_owned);
    let is_given = |usual: &&str| words.iter().any(|word| name(word) == name(usual));
    let usual = COMPARED.into_iter().filter(|usual| !is_given(usual));
    usual
        .map(str::to_owned)
        .chain(words.iter().cloned())
        .collect()
}

fn count_instructions(project: &Project, words: &[String]) -> Result {
    let build = [&["bench", "--no-run"], &INSTRUCTIONS[..]].concat();
    project.build_kernel("the instruction counts", &build)?;
    let mut cargo = project.kernel_cargo(&[&["bench", "-q"], &INSTRUCTIONS[..], &["--"]].concat());
    child::run(cargo.args(words))
}

/// Prints the guest instructions of a request by Linux's driver, and by this one.
fn compare_instructions(project: &Project, variables: &Variables) -> Result {
    peer::build(project)?;
    say("guest instructions, one vCPU, ioeventfd=off:");
    let counting = "-icount shift=0,sleep=off -global virtio-crypto-pci.ioeventfd=off";
    let variables = variables
        .clone()
        .with("ACCEL", "tcg")
        .with("QEMU_ARGS", counting);
    peer::boot(project, &["count=instructions".to_owned()], &variables)?;
    let build = [&["bench", "--no-run"], &INSTRUCTIONS[..]].concat();
    project.build_kernel("the instruction counts", &build)?;
    let mut cargo = project.kernel_cargo(&[&["bench", "-q"], &INSTRUCTIONS[..]].concat());
    let ended = child::capture(&mut cargo)?;
    let lines = ended
        .output
        .lines()
        .filter(|line| line.contains("ioeventfd=off"));
    let lines: Vec<_> = lines.collect();
    println!("{}", lines.join("\n"));
    if ended.status == 0 && !lines.is_empty() {
        return Ok(());
    }
    eprint!("{}", ended.output);
    Err(Failure::Told(1))
}

/// Boots one program of kernel/benches.
///
/// # Errors
///
/// Fails when there is no such program, when it does not build, or when the run fails.
pub fn guest(project: &Project, words: &[String]) -> Result {
    Variables::read(project).check()?;
    let names = programs(project)?;
    let (name, words) = match words.split_first() {
        Some((name, words)) if names.contains(&name.replace('_', "-")) => (name, words),
        Some((name, _)) => {
            let names = names.join(" ");
            return fail(format_args!(
                "bench-guest: no program '{name}'; there are {names}"
            ));
        }
        None => return fail("bench-guest: which one? ./run.sh --help lists them"),
    };
    run_guest(project, &name.replace('-', "_"), words, &[])
}

fn run_guest(
    project: &Project,
    name: &str,
    words: &[String],
    variables: &[(&str, &str)],
) -> Result {
    let selection = ["-p", "kernel", "--features", "usage", "--bench", name];
    let build = [&["bench", "--no-run"], &selection[..]].concat();
    project.build_kernel(name, &build)?;
    let mut cargo = project.kernel_cargo(&[&["bench", "-q"], &selection[..], &["--"]].concat());
    child::run(cargo.args(words).envs(variables.iter().copied()))
}

/// Returns the names of the programs in kernel/benches, as they are typed.
fn programs(project: &Project) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(project.path("kernel/benches"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            names.push(name.replace('_', "-"));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_for_what_is_usual() {
        let words = ["depth=8".to_owned(), "wait=spin".to_owned()];
        let all = compared(&words).join(" ");
        assert_eq!(all, "device=0,1 size=16,4096 ms=700 depth=8 wait=spin");
        assert_eq!(compared(&[]), COMPARED);
    }
}
