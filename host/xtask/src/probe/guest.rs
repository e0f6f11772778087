//! The guest: what the words of the command ask of it, how it is built and booted.
//!
//! For the commands of this room. The rule: options of the device reach QEMU, names of dangerous
//! requests and of rows reach the guest, and nothing else is taken.

use crate::{
    boot::{self, Image, machine::Variables},
    child::Show,
    project::Project,
    report::{Failure, Result, fail, say},
};

/// What cargo calls it.
const SELECTION: [&str; 4] = ["-p", "kernel", "--bin", "probe"];
/// Where cargo builds it.
const BINARY: &str = "x86_64-unknown-none/debug/probe";

/// The exit status of a run in which a rule did not hold.
pub const NOT_HELD: u8 = 1;
/// The exit status of a run that came to nothing.
pub const COULD_NOT_RUN: u8 = 2;

/// Builds it.
///
/// # Errors
///
/// Fails with the status of a probe that could not run; why has been said.
pub fn build(project: &Project) -> Result {
    say("building the probe, which takes minutes at first");
    let built = project.build_kernel("the probe", &[&["build"], &SELECTION[..]].concat());
    built.map_err(|_| Failure::Told(COULD_NOT_RUN))
}

/// Boots it; returns what the guest said, and why the run ended before its end if it did.
///
/// # Errors
///
/// Fails where there is no such machine.
pub fn boot_it(
    project: &Project,
    words: &Words,
    variables: &Variables,
) -> Result<(String, Option<String>)> {
    let guest_words = words.guest();
    let image = Image {
        kernel: &project.target(BINARY),
        initramfs: None,
        words: &guest_words,
        arguments: &[],
    };
    let shows_all = words.has_lines || words.dangerous.is_some();
    let show = if shows_all { Show::All } else { Show::Nothing };
    let (run, end) = boot::capture(&image, &words.machine(), variables, show)?;
    Ok((run.guest, end))
}

/// The words of the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words<'a> {
    /// Names of requests that are sent alone.
    pub dangerous: Option<&'a str>,
    /// Rows that are tried, and nothing else.
    pub only: Option<&'a str>,
    /// Rules that the project's own device is to break, one at a time.
    pub broken: Option<&'a str>,
    pub json: Option<&'a str>,
    pub compare: Option<&'a str>,
    /// The guest's own lines are shown.
    pub has_lines: bool,
    /// Options of the device, as QEMU takes them.
    pub options: Vec<&'a str>,
}

impl<'a> Words<'a> {
    /// Takes them apart.
    ///
    /// # Errors
    ///
    /// Fails when a word is none of the command's.
    pub fn parse(words: &'a [String]) -> Result<Self> {
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
                "--broken" => &mut parsed.broken,
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
    pub fn described(&self) -> String {
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
