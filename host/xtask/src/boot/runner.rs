//! The cargo runner: boots a kernel binary on each machine that it asks for, or once.
//!
//! For cargo, and for whoever names a binary. The rule: it builds nothing in cargo's own directory,
//! since cargo may hold its lock.

use std::{
    env, fs,
    io::{self, BufRead},
    path::Path,
};

use super::{boot, emulator, machine::Variables, own, qemu::Image};
use crate::{
    project::Project,
    qemu,
    report::{Failure, Result, quote, say},
};

/// What a binary's section `.qemu-machine` holds in front of each machine.
const MARK: &[u8] = b"qemu-machine:{";

/// How a line begins that tells of a machine that was left out.
pub const OWN_LEFT_OUT: &str = "left out, no QEMU for a device of our own: ";

/// Boots a binary with these words on its command line.
///
/// # Errors
///
/// Fails when one of its runs does, once all of them are over.
pub fn run(project: &Project, elf: &str, words: &[String]) -> Result {
    // `cargo bench` says so to every binary, behind the caller's own words.
    let words = match words {
        [own @ .., last] if last == "--bench" => own,
        all => all,
    };
    let variables = Variables::read(project);
    emulator::version(project, &variables)?;
    variables.check()?;
    let asked = machines(&fs::read(elf)?)?;
    let given = env::var("MACHINE_WORDS").ok();
    // Whoever gave the machine's words, or names a binary with one machine, has what repeats it.
    let machines = match given {
        // A line for each, or nothing at all for the plain one.
        Some(words) if words.contains('\n') => words.lines().map(str::to_owned).collect(),
        Some(words) => vec![words],
        None if asked.is_empty() => vec![String::new()],
        None => asked,
    };
    let has_choice = machines.len() > 1;
    let command_line = words.join(" ");
    let mut has_failed = false;
    for machine in machines.iter().filter(|machine| is_wanted(machine, words)) {
        let name = Path::new(elf).file_name().unwrap_or_default().display();
        let Some(variables) = for_machine(project, machine, &variables)? else {
            println!("{OWN_LEFT_OUT}{name} on {machine}");
            continue;
        };
        if !machine.is_empty() {
            println!("\n--- {name} on {machine}");
        }
        let image = Image {
            kernel: Path::new(elf),
            initramfs: None,
            words: &command_line,
            arguments: &[],
        };
        match boot(&image, machine, &variables) {
            Ok(()) => continue,
            Err(Failure::Because(reason)) => say(format_args!("failed: {reason}")),
            Err(Failure::Told(_)) => {}
        }
        has_failed = true;
        if has_choice {
            say_alone(elf, machine, &command_line, &variables);
        }
    }
    if has_failed {
        Err(Failure::Told(1))
    } else {
        Ok(())
    }
}

/// Returns variables for a machine. One with a device of our own gets a QEMU that can have it, and
/// the device is built; `None` where there is no such QEMU.
fn for_machine(
    project: &Project,
    machine: &str,
    variables: &Variables,
) -> Result<Option<Variables>> {
    if !variables.has_own(machine) {
        return Ok(Some(variables.clone()));
    }
    let qemu = match qemu::with_device(project, own::QEMU_DEVICE) {
        Ok(qemu) => qemu,
        Err(failure) => {
            say(failure.reason());
            return Ok(None);
        }
    };
    own::build(project)?;
    // Where the program is may be known only now.
    Ok(Some(Variables::read(project).with("QEMU", &qemu)))
}

/// Says how a run is repeated alone.
fn say_alone(elf: &str, machine_words: &str, words: &str, variables: &Variables) {
    let mut line = String::from("alone: ");
    for (name, value) in variables.given() {
        line += &format!("{name}={} ", quote(value));
    }
    line += &format!(
        "MACHINE_WORDS={} ./run.sh {}",
        quote(machine_words),
        quote(elf)
    );
    if !words.is_empty() {
        line += &format!(" {words}");
    }
    say(line);
}

/// Returns the machines that a binary asks for.
fn machines(mut elf: &[u8]) -> io::Result<Vec<String>> {
    let mut machines = Vec::new();
    loop {
        let mut piece = Vec::new();
        if elf.read_until(b'{', &mut piece)? == 0 {
            return Ok(machines);
        }
        if piece.ends_with(MARK)
            && let Some(end) = elf.iter().position(|byte| b"}\n".contains(byte))
            && elf[end] == b'}'
        {
            machines.push(String::from_utf8_lossy(&elf[..end]).into_owned());
        }
    }
}

/// Tells whether a filter lets a machine run: one that names other tests leaves out those whose
/// runs must fail.
fn is_wanted(machine: &str, filter: &[String]) -> bool {
    !machine.contains("fails=")
        || filter.is_empty()
        || filter.iter().any(|word| machine.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_found_in_a_binary() {
        let elf =
            b"\x7fELF\0qemu-machine:{smp=4 vectors=0}qemu-machine:{}\0\xffqemu-machine:{no\n}";
        assert_eq!(machines(elf).unwrap(), ["smp=4 vectors=0", ""]);
        assert!(machines(b"\x7fELF").unwrap().is_empty());
    }

    #[test]
    fn filter_leaves_out_failing_runs_of_other_names() {
        let filter = ["nist".to_owned()];
        assert!(is_wanted("smp=4", &filter));
        assert!(!is_wanted("append=fault=null fails=page_fault", &filter));
        assert!(is_wanted(
            "append=fault=null fails=page_fault",
            &["null".to_owned()]
        ));
        assert!(is_wanted("fails=x", &[]));
    }
}
