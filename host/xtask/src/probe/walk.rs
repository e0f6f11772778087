//! Whether the probe notices each rule that the project's own device breaks on purpose.
//!
//! For whoever changes the probe or that device. The rule: a rule that is broken makes the row of
//! its name red, and no other proof counts.

use std::fs;

use super::{
    findings::{Findings, Held},
    guest::{NOT_HELD, Words, boot_it, build},
};
use crate::{
    boot::{machine::Variables, own},
    project::Project,
    qemu,
    report::{Failure, Result, fail, say},
};

/// Where the device's rules are, each at the beginning of a line in front of its sections.
const RULES: &str = "host/device/src/rules/rules.txt";

/// The device on which every row can be tried.
const DEVICE: &str = "queues=4,packed=on,in_order=on,sessions=300,max_size=65536,batch=16";
/// And where some service is not advertised.
const FEW_SERVICES: &str = "services=cipher+hash";
const UNADVERTISED: &str = "unadvertised-answers-notsupp";

/// Rows that look back on all requests: they need all of them.
const LOOK_BACK: [&str; 8] = [
    "status-written",
    "status-defined",
    "badmsg-for-authentication-only",
    "key-rejected-for-verification-only",
    "nospc-with-revision-1-only",
    "used-length-within-writable",
    "readable-untouched",
    "no-reset-asked-for",
];

/// Breaks rules one at a time: those that are named, with commas between, or `all`.
///
/// # Errors
///
/// Fails where one is not noticed, where there is no such rule, or where the device cannot run.
pub fn run(project: &Project, names: &str) -> Result {
    let known = rules(&fs::read_to_string(project.path(RULES))?);
    let wanted: Vec<&str> = match names {
        "all" => known.iter().map(String::as_str).collect(),
        names => names.split(',').collect(),
    };
    if let Some(other) = wanted
        .iter()
        .find(|name| !known.iter().any(|it| it == *name))
    {
        return fail(format_args!("probe: no rule '{other}' in {RULES}"));
    }
    own::build(project)?;
    let qemu = qemu::with_device(project, own::QEMU_DEVICE)?;
    build(project)?;
    let mut missed = Vec::new();
    for name in &wanted {
        let device = match *name {
            UNADVERTISED => FEW_SERVICES,
            _ => DEVICE,
        };
        let device = format!("{device},broken={name}");
        let variables = Variables::read(project)
            .with("OWN", &device)
            .with("QEMU", &qemu);
        let words = Words {
            only: Some(*name).filter(|name| !LOOK_BACK.contains(name)),
            ..Words::default()
        };
        let (guest, end) = boot_it(project, &words, &variables)?;
        let findings = Findings::read(&guest, end.as_deref());
        let row = findings.rows.iter().find(|row| row.id == *name);
        match row {
            Some(row) if row.held == Held::No => println!("noticed {name}: {}", row.seen),
            Some(row) => {
                println!("MISSED {name}: {} {}", row.held, row.seen);
                missed.push(*name);
            }
            None => {
                println!("MISSED {name}: no row, {}", end.unwrap_or_default());
                missed.push(*name);
            }
        }
    }
    say(format_args!(
        "{} of {} broken rules were noticed",
        wanted.len() - missed.len(),
        wanted.len()
    ));
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(NOT_HELD))
    }
}

/// Returns the names of the rules: what stands at the beginning of a line, in front of ` (`.
fn rules(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let names = text.lines().filter_map(|line| line.split_once(" ("));
    let names = names.filter(|(name, _)| name.contains('-') && name.chars().all(is_part));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stand_in_front_of_their_sections() {
        let text = "# What (this) is\n\nreset-reads-0 (2.4.1)\nA status (8 bits) reads 0.\n\
                    Broken: never.\n\nin-order (6.2, 2.7.9)\n";
        assert_eq!(rules(text), ["reset-reads-0", "in-order"]);
    }
}
