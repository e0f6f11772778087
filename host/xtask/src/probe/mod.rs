//! The probe: what a device does, beside what it says.
//!
//! For `./run.sh probe`, its tests, and whoever boots it on another device. The rules: options of
//! the device reach QEMU, names of dangerous requests reach the guest, and nothing else is taken.
//! The exit status tells whether every rule that was tried held (0), one did not (1), or it could
//! not run (2).

mod compare;
mod findings;
mod json;
mod table;
mod words;

use std::fs;

use crate::{
    boot::{self, Image, accelerator, emulator, machine::Variables},
    child::Show,
    project::Project,
    report::{Failure, Result, fail, say},
};
use findings::{Findings, Held};
use table::Table;

/// What cargo calls it.
const SELECTION: [&str; 4] = ["-p", "kernel", "--bin", "probe"];
/// Where cargo builds it.
const BINARY: &str = "x86_64-unknown-none/debug/probe";

/// The exit status of a run in which a rule did not hold.
const NOT_HELD: u8 = 1;
/// The exit status of a run that came to nothing.
pub const COULD_NOT_RUN: u8 = 2;

/// Builds it and runs it with these words.
///
/// # Errors
///
/// Fails where it could not run, or with the exit status where a rule did not hold.
pub fn run(project: &Project, words: &[String]) -> Result {
    let words = Words::parse(words)?;
    let variables = Variables::read(project);
    variables.check()?;
    // Before anything is built: a file that cannot be read would be noticed at the end.
    let earlier = words.compare.map(read).transpose()?;
    say("building the probe, which takes minutes at first");
    project
        .build_kernel("the probe", &[&["build"], &SELECTION[..]].concat())
        .map_err(|_| Failure::Told(COULD_NOT_RUN))?;
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

/// Boots it; returns what the guest said, and why the run ended before its end if it did.
fn boot_it(
    project: &Project,
    words: &Words,
    variables: &Variables,
) -> Result<(String, Option<String>)> {
    let guest_words = words.guest();
    let image = Image {
        kernel: &project.target(BINARY),
        initramfs: None,
        words: &guest_words,
    };
    let shows_all = words.has_lines || words.dangerous.is_some();
    let show = if shows_all { Show::All } else { Show::Nothing };
    let (run, end) = boot::capture(&image, &words.machine(), variables, show)?;
    Ok((run.guest, end))
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

/// The words of the command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words<'a> {
    /// Names of requests that are sent alone.
    dangerous: Option<&'a str>,
    /// Rows that are tried, and nothing else.
    only: Option<&'a str>,
    json: Option<&'a str>,
    compare: Option<&'a str>,
    /// The guest's own lines are shown.
    has_lines: bool,
    /// Options of the device, as QEMU takes them.
    options: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn parse(words: &'a [String]) -> Result<Self> {
        let mut parsed = Self::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let place = match name {
                "--dangerous" => &mut parsed.dangerous,
                "--only" => &mut parsed.only,
                "--json" => &mut parsed.json,
                "--compare" => &mut parsed.compare,
                "--lines" if value.is_none() => {
                    parsed.has_lines = true;
                    continue;
                }
                _ if word.starts_with('-') || word.contains(' ') || value.is_none() => {
                    return refuse(word);
                }
                _ => {
                    parsed.options.push(word);
                    continue;
                }
            };
            let value = value.or_else(|| words.next());
            match value.filter(|value| !value.is_empty()) {
                Some(value) => *place = Some(value),
                None => return refuse(word),
            }
        }
        Ok(parsed)
    }

    /// Returns the guest's words.
    fn guest(&self) -> String {
        let dangerous = self.dangerous.map(|names| format!("dangerous={names}"));
        let only = self.only.map(|ids| format!("only={ids}"));
        let words: Vec<String> = dangerous.into_iter().chain(only).collect();
        words.join(" ")
    }

    /// Returns the machine's words.
    fn machine(&self) -> String {
        match self.options.join(",") {
            options if options.is_empty() => options,
            options => format!("device={options}"),
        }
    }

    /// Says with which options.
    fn described(&self) -> String {
        match self.options.join(",") {
            options if options.is_empty() => options,
            options => format!(", {options}"),
        }
    }
}

fn refuse<T>(word: &str) -> Result<T> {
    fail(format_args!(
        "probe: '{word}'; ./run.sh --help shows what it takes"
    ))
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

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn options_files_and_dangerous_requests_are_told_apart() {
        let given = words(&[
            "--dangerous=no-iv,short-key",
            "event_idx=off",
            "--only=a,b",
            "--json",
            "new.json",
            "--compare=old.json",
            "a=1,b=2",
        ]);
        let parsed = Words::parse(&given).unwrap();
        assert_eq!(parsed.dangerous, Some("no-iv,short-key"));
        assert_eq!(parsed.guest(), "dangerous=no-iv,short-key only=a,b");
        assert_eq!(parsed.json, Some("new.json"));
        assert_eq!(parsed.compare, Some("old.json"));
        assert_eq!(parsed.machine(), "device=event_idx=off,a=1,b=2");
        let none = Words::default();
        assert_eq!(Words::parse(&[]), Ok(Words::default()));
        assert_eq!(none.machine(), "");
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "-x",
            "--dangerous",
            "--json=",
            "--lines=1",
            "a b=c",
            "bogus",
        ] {
            let reason = format!("probe: '{word}'; ./run.sh --help shows what it takes");
            let given = words(&[word]);
            assert_eq!(Words::parse(&given), Err(Failure::Because(reason)));
        }
    }
}
