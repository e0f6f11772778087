//! The driver on many mixes of what the project's own device can be, each in QEMU.
//!
//! For `./run.sh device mixes=N seed=S`. The rule: a mix is words that a person can type, and one
//! that fails comes with the line that boots it alone.

use std::path::Path;

use crate::{
    boot::own,
    child,
    project::Project,
    qemu,
    report::{Failure, Result, fail, say},
};

/// The test binary that takes any mix.
const BINARY: [&str; 4] = ["-p", "kernel", "--test", "mixes"];
/// More words of each machine.
const MACHINE: &str = "smp=2";

/// Boots so many mixes, in each few of which every pair of options stands together.
///
/// # Errors
///
/// Fails when one of them does, or with a word that it does not know.
pub fn run(project: &Project, program: &Path, words: &[String]) -> Result {
    let (mut count, mut seed) = (None, 1);
    for word in words {
        let number = |value: &str| value.parse::<u64>().ok().filter(|number| *number > 0);
        match word.split_once('=') {
            Some(("mixes", value)) if number(value).is_some() => count = number(value),
            Some(("seed", value)) if number(value).is_some() => seed = number(value).unwrap_or(1),
            _ => {
                return fail(format_args!(
                    "'{word}': mixes=N and seed=S, and nothing else"
                ));
            }
        }
    }
    let count = count.unwrap_or(1).to_string();
    let mut mixes = project.host(program);
    let mixes = child::capture(mixes.args(["--mixes", &count, &seed.to_string()]))?;
    if mixes.status != 0 {
        return fail(mixes.output.trim_end());
    }
    let mixes = mixes.output.lines();
    // The line's end tells machines from one machine.
    let machines: String = mixes.map(|mix| format!("own={mix} {MACHINE}\n")).collect();
    let qemu = qemu::with_device(project, own::QEMU_DEVICE)?;
    project.build_kernel(
        "the test of mixes",
        &[&["test", "--no-run"], &BINARY[..]].concat(),
    )?;
    let mut cargo = project.kernel_cargo(&[&["test", "-q"], &BINARY[..]].concat());
    cargo.envs([("MACHINE_WORDS", &machines), ("QEMU", &qemu)]);
    match child::run(&mut cargo) {
        Ok(()) => {
            say(format_args!(
                "{count} mixes from seed={seed} on have passed"
            ));
            Ok(())
        }
        // The runner has said which, and how each is booted alone.
        Err(Failure::Told(_)) => Err(Failure::Told(1)),
        Err(because) => Err(because),
    }
}
