//! One run in QEMU: the machine that is asked for, the command line that makes it, how it ended.
//!
//! For the cargo runner and for Linux beside it. The rule: every run has a time limit, and a run
//! that fails ends with one line that says why.

mod accelerator;
pub mod emulator;
pub mod machine;
pub mod own;
pub mod qemu;
pub mod runner;
mod verdict;

use crate::{
    child::{self, Run, Show},
    report::{Failure, Result, fail},
};
use machine::{Machine, Variables};
use own::Devices;
use qemu::Own;

pub use accelerator::accelerator;
pub use qemu::{Image, option_value};

/// Boots an image on the machine that these words ask for, as far as variables say nothing else.
///
/// # Errors
///
/// Fails with the reason why the run failed, or why there is no such machine.
pub fn boot(image: &Image, machine_words: &str, variables: &Variables) -> Result {
    let machine = machine(image, machine_words, variables)?;
    let (_, reason) = run(image, &machine, variables, Show::All, |_| ())?;
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
    attend(image, machine_words, variables, show, |_| ())
}

/// Boots an image likewise, and lets `hear` have each of the guest's lines as it comes.
///
/// # Errors
///
/// Fails where there is no such machine.
pub fn attend(
    image: &Image,
    machine_words: &str,
    variables: &Variables,
    show: Show,
    hear: impl FnMut(&str),
) -> Result<(Run, Option<String>)> {
    let machine = machine(image, machine_words, variables)?;
    run(image, &machine, variables, show, hear)
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
    mut hear: impl FnMut(&str),
) -> Result<(Run, Option<String>)> {
    let mut devices = Devices::start(variables.own_program(), &machine.own, machine.hotplug)?;
    if machine.hotplug {
        devices.put_in_slots(machine.devices, machine.vectors, &machine.device_options)?;
    }
    let own = Own {
        arguments: devices.arguments(),
        words: devices.guest_words(),
    };
    let command = qemu::command(machine, image, variables, own)?;
    let mut lines = Lines::default();
    let listen = |chunk: &[u8]| {
        lines.take(chunk, |line| {
            devices.hear(line);
            hear(line);
        });
    };
    let run = child::run_qemu(&command, machine.timeout_s, show, listen)?;
    let reason = verdict::reason(&run, machine, &command[0]);
    let said = devices.end();
    if reason.is_some() || show == Show::All {
        print!("{said}");
    }
    Ok((run, reason))
}

/// Puts chunks together to lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, chunk: &[u8], mut each: impl FnMut(&str)) {
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.0.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                each(String::from_utf8_lossy(&self.0).trim_end());
                self.0.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole() {
        let (mut lines, mut heard) = (Lines::default(), Vec::new());
        for chunk in ["a", "b\r\nc\n", "\nd"] {
            lines.take(chunk.as_bytes(), |line| heard.push(line.to_owned()));
        }
        assert_eq!(heard, ["ab", "c", ""]);
    }
}
