//! Which QEMUs there are: the machine's own, and Debian's newer ones that were fetched.
//!
//! For `./run.sh qemu`, and for whoever needs a QEMU that has some device. The rule: what is there
//! already is taken before anything is fetched.

use crate::{
    boot::{emulator, machine::Variables},
    child,
    debian::{self, SUITES, Suite},
    project::Project,
    report::{Result, fail},
};

/// Fetches the QEMU of a suite, or one that has a device, and prints its version; lists all without
/// a word.
///
/// # Errors
///
/// Fails when there is no such suite, or with why its QEMU cannot be fetched.
pub fn run(project: &Project, words: &[String]) -> Result {
    let word = match words {
        [] => return list(project),
        [word] => word,
        [_, word, ..] => return fail(format_args!("qemu: '{word}': it takes one word")),
    };
    if let Some(device) = word.strip_prefix("device=") {
        let name = with_device(project, device)?;
        return print(&name, emulator::find(project, &named(project, &name))?);
    }
    let name = word;
    let Some(suite) = Suite::find(name) else {
        let names = debian::names();
        return fail(format_args!(
            "qemu: '{name}' is none of its suites: {names}"
        ));
    };
    suite.fetch(project)?;
    println!("{}", emulator::version(project, &named(project, name))?);
    Ok(())
}

/// Lists what runs without `QEMU=` and what each suite has.
fn list(project: &Project) -> Result {
    let suites = SUITES.iter().map(|suite| suite.name);
    let mut names = [debian::PROGRAM].into_iter().chain(suites);
    names.try_for_each(|name| print(name, emulator::find(project, &named(project, name))?))
}

/// Returns variables by which the QEMU of this name runs.
fn named(project: &Project, name: &str) -> Variables {
    Variables::read(project).with("QEMU", name)
}

fn print(name: &str, version: Option<String>) -> Result {
    println!("{name:<18} {}", version.as_deref().unwrap_or("not there"));
    Ok(())
}

/// Returns what `QEMU=` has to be for a QEMU with this device: the one that is in use if it has it,
/// else the newest that is there, else the newest of all, which is fetched.
///
/// # Errors
///
/// Fails with one line that says why there is none.
pub fn with_device(project: &Project, device: &str) -> Result<String> {
    let variables = Variables::read(project);
    let own = variables.get("QEMU").unwrap_or(debian::PROGRAM).to_owned();
    let has = |name: &str| has_device(project, &named(project, name), device);
    if emulator::find(project, &variables)?.is_some() && has(&own)? {
        return Ok(own);
    }
    let there = |suite: &&Suite| suite.program(project).is_some();
    for suite in SUITES.iter().rev().filter(there) {
        if has(suite.name)? {
            return Ok(suite.name.to_owned());
        }
    }
    let [.., newest] = &SUITES;
    if !there(&newest) {
        newest.fetch(project)?;
        if has(newest.name)? {
            return Ok(newest.name.to_owned());
        }
    }
    fail(format_args!(
        "no QEMU has the device {device}, not even Debian's newest"
    ))
}

/// Tells whether a QEMU can make a device of this name.
fn has_device(project: &Project, variables: &Variables, device: &str) -> Result<bool> {
    let mut qemu = project.bounded(&*variables.qemu());
    let ended = child::capture(qemu.args(["-machine", "none", "-device", "help"]))?;
    Ok(names_device(&ended.output, device))
}

/// Tells whether one of QEMU's lines names a device: `name "vfio-user-pci", bus PCI, ..`.
fn names_device(help: &str, device: &str) -> bool {
    let start = format!("name \"{device}\"");
    help.lines().any(|line| line.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::names_device;

    #[test]
    fn devices_are_known_by_their_whole_name() {
        let help = "Misc devices:\nname \"vfio-user-pci\", bus PCI, desc \"x\"\n\
            name \"virtio-crypto-pci\", bus PCI\n";
        assert!(names_device(help, "vfio-user-pci"));
        assert!(!names_device(help, "vfio-user") && !names_device(help, "pci"));
    }
}
