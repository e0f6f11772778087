//! The probe: what a device does, beside what it says.
//!
//! For `./run.sh probe`, its tests, and whoever boots it on another device. The rules: options of
//! the device reach QEMU, names of dangerous requests reach the guest, and nothing else is taken.
//! The exit status tells whether every rule that was tried held (0), one did not (1), or it could
//! not run (2).

mod compare;
mod findings;
mod guest;
mod json;
mod table;
mod walk;
mod words;

use std::fs;

use crate::{
    boot::{accelerator, emulator, machine::Variables},
    project::Project,
    report::{Failure, Result, fail, say},
};
use findings::{Findings, Held};
pub use guest::COULD_NOT_RUN;
use guest::{NOT_HELD, Words, boot_it, build};
use table::Table;

/// Builds it and runs it with these words.
///
/// # Errors
///
/// Fails where it could not run, or with the exit status where a rule did not hold.
pub fn run(project: &Project, words: &[String]) -> Result {
    let words = Words::parse(words)?;
    if let Some(names) = words.broken {
        return walk::run(project, names);
    }
    let variables = Variables::read(project);
    variables.check()?;
    // Before anything is built: a file that cannot be read would be noticed at the end.
    let earlier = words.compare.map(read).transpose()?;
    build(project)?;
    let own = variables
        .get("OWN")
        .map(|own| format!(", own device {own}"));
    let device = header(project, &variables)? + &own.unwrap_or_default() + &words.described();
    say(format_args!("{device}; it takes some seconds"));
    let (guest, end) = boot_it(project, &words, &variables)?;
    if words.dangerous.is_some() {
        // What is left of the device is no subject for a table.
        return end.map_or(Ok(()), fail);
    }
    let findings = Findings::read(&guest, end.as_deref());
    if findings.rows.is_empty() && words.only.is_some() {
        return fail("no row has such a name; the report without --only shows all of them");
    }
    if findings.rows.is_empty() {
        return fail(end.unwrap_or_else(|| "it says nothing".to_owned()));
    }
    let good_for = words::good_for(&findings);
    let table = Table {
        findings: &findings,
        device: &device,
        words: &good_for,
    };
    print!("{table}");
    if let Some(path) = words.json {
        let json = json::write(&findings, &device, &good_for);
        fs::write(path, json).map_err(|error| Failure::Because(format!("{path}: {error}")))?;
    }
    if let Some(earlier) = earlier {
        tell_differences(&earlier, &findings);
    }
    match end {
        _ if findings.count(Held::No) > 0 => Err(Failure::Told(NOT_HELD)),
        Some(reason) => fail(reason),
        None => Ok(()),
    }
}

fn read(path: &str) -> Result<Findings> {
    let text = fs::read_to_string(path);
    let findings = text
        .map_err(|error| error.to_string())
        .and_then(|text| json::read(&text));
    findings.map_err(|reason| {
        Failure::Because(format!(
            "{path}: {reason}; --json writes what --compare reads"
        ))
    })
}

fn tell_differences(earlier: &Findings, findings: &Findings) {
    let differences = compare::differences(earlier, findings);
    println!("\n{} differences from the earlier run", differences.len());
    for line in differences {
        println!("  {line}");
    }
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
