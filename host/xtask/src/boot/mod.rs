//! One run in QEMU: the machine that is asked for, the command line that makes it, how it ended.
//!
//! For the cargo runner and for Linux beside it. The rule: every run has a time limit, and a run
//! that fails ends with one line that says why.

mod accelerator;
pub mod emulator;
pub mod machine;
mod qemu;
pub mod runner;
mod verdict;

use crate::{
    child::{self, Run, Show},
    report::{Failure, Result, fail},
};
use machine::{Machine, Variables};

pub use accelerator::accelerator;
pub use qemu::Image;

/// Boots an image on the machine that these words ask for, as far as variables say nothing else.
///
/// # Errors
///
/// Fails with the reason why the run failed, or why there is no such machine.
pub fn boot(image: &Image, machine_words: &str, variables: &Variables) -> Result {
    let machine = machine(image, machine_words, variables)?;
    let (_, reason) = run(image, &machine, variables, Show::All)?;
    let Some(expected) = &machine.fails else {
        return reason.map_or(Ok(()), |reason| Err(Failure::Because(reason)));
    };
    match verdict::unexpected(reason, expected) {
        Ok(reason) => {
            println!("failed as it should: {reason}\n1 passed, 0 failed");
            Ok(())
        }
        Err(reason) => {
            println!("0 passed, 1 failed");
            fail(reason)
        }
    }
}

/// Boots an image likewise, for what it prints; returns that, and why the run failed if it did.
///
/// # Errors
///
/// Fails where there is no such machine.
pub fn capture(
    image: &Image,
    machine_words: &str,
    variables: &Variables,
    show: Show,
) -> Result<(Run, Option<String>)> {
    let machine = machine(image, machine_words, variables)?;
    run(image, &machine, variables, show)
}

fn machine(image: &Image, words: &str, variables: &Variables) -> Result<Machine> {
    Machine::new(words, variables).map_err(|refusal| {
        Failure::Because(match refusal {
            machine::Refusal::Word(word) => {
                let name = image.kernel.display();
                format!("{name}: unknown machine word '{word}'")
            }
            machine::Refusal::Value(reason) => reason,
        })
    })
}

fn run(
    image: &Image,
    machine: &Machine,
    variables: &Variables,
    show: Show,
) -> Result<(Run, Option<String>)> {
    let command = qemu::command(machine, image, variables)?;
    let run = child::run_qemu(&command, machine.timeout_s, show)?;
    let reason = verdict::reason(&run, machine, &command[0]);
    Ok((run, reason))
}
