//! The probe: what a device does, beside what it says.
//!
//! For `./run.sh probe` and its tests. The rule: options of the device reach QEMU, names of
//! dangerous requests reach the guest, and nothing else is taken.

use std::process::Command;

use crate::{
    boot::{accelerator, emulator, machine::Variables},
    child,
    project::Project,
    report::{Result, fail, say},
};

/// What cargo calls it.
const SELECTION: [&str; 4] = ["-p", "kernel", "--bin", "probe"];

/// Builds it and runs it with these words.
///
/// # Errors
///
/// Fails when a word is none of its, when it does not build, or when the run fails.
pub fn run(project: &Project, words: &[String]) -> Result {
    let variables = Variables::read(project);
    variables.check()?;
    let mut cargo = command(project, words)?;
    say("building the probe, which takes minutes at first");
    project.build_kernel("the probe", &[&["build"], &SELECTION[..]].concat())?;
    let header = header(project, &variables)?;
    say(format_args!(
        "{header}; what QEMU says of its own is expected"
    ));
    child::run(&mut cargo)
}

/// Returns what runs the probe, built, with these words.
///
/// # Errors
///
/// Fails when a word is none of its.
pub fn command(project: &Project, words: &[String]) -> Result<Command> {
    let (guest, options) = parse(words)?;
    let mut cargo = project.kernel_cargo(&[&["run", "-q"], &SELECTION[..], &["--"]].concat());
    cargo.args(guest).env("MACHINE_WORDS", options);
    Ok(cargo)
}

/// Returns the guest's words, and the machine's.
fn parse(words: &[String]) -> Result<(Vec<&str>, String)> {
    let (mut guest, mut options) = (Vec::new(), Vec::new());
    for word in words {
        if word.starts_with("--dangerous=") {
            guest.push(word.trim_start_matches("--"));
        } else if word.starts_with('-') || word.contains(' ') || !word.contains('=') {
            return fail(format_args!(
                "probe: '{word}'; ./run.sh --help shows what it takes"
            ));
        } else {
            options.push(word.as_str());
        }
    }
    let machine = match options.join(",") {
        options if options.is_empty() => options,
        options => format!("device={options}"),
    };
    Ok((guest, machine))
}

/// Returns a line that says which QEMU and which accelerator runs are made with.
///
/// # Errors
///
/// Fails where there is no QEMU that can be used.
pub fn header(project: &Project, variables: &Variables) -> Result<String> {
    let accelerator = variables
        .get("ACCEL")
        .map_or_else(accelerator, str::to_owned);
    Ok(format!(
        "{}, accelerator {accelerator}",
        emulator::version(project, variables)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn options_and_dangerous_requests_are_told_apart() {
        let given = words(&["--dangerous=no-iv,short-key", "event_idx=off", "a=1,b=2"]);
        let (guest, machine) = parse(&given).unwrap();
        assert_eq!(guest, ["dangerous=no-iv,short-key"]);
        assert_eq!(machine, "device=event_idx=off,a=1,b=2");
        assert_eq!(parse(&[]), Ok((vec![], String::new())));
    }

    #[test]
    fn other_words_are_refused() {
        for word in ["-x", "--dangerous", "a b=c", "bogus"] {
            let reason = format!("probe: '{word}'; ./run.sh --help shows what it takes");
            assert_eq!(parse(&words(&[word])), Err(Failure::Because(reason)));
        }
    }
}
