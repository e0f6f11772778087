//! What tests print that run with something that watches them, and what is shown of it.

use std::time::{Duration, Instant};

/// How often a line tells how far it has come.
const EVERY: Duration = Duration::from_secs(5);
/// Lines of what was found that are shown.
const MOST_LINES: usize = 60;

/// How far a run has come.
#[derive(Debug)]
pub struct Progress {
    name: String,
    pub passed: usize,
    /// The test that has begun last.
    pub last: String,
    line: String,
    said: Instant,
}

impl Progress {
    pub fn new(name: String) -> Self {
        Self {
            name,
            passed: 0,
            last: String::new(),
            line: String::new(),
            said: Instant::now(),
        }
    }

    /// Takes note of what the run prints, and tells of it now and then.
    pub fn read(&mut self, chunk: &[u8]) {
        for piece in String::from_utf8_lossy(chunk).split_inclusive('\n') {
            self.line.push_str(piece);
            if let Some((name, result)) = test(&self.line) {
                self.last = name.to_owned();
                if result.trim() == "ok" && self.line.ends_with('\n') {
                    self.passed += 1;
                }
            }
            if self.line.ends_with('\n') {
                self.line.clear();
            }
        }
        if self.said.elapsed() > EVERY && !self.last.is_empty() {
            self.said = Instant::now();
            let Self {
                name, passed, last, ..
            } = self;
            println!("{name} passed={passed} at={last}");
        }
    }
}

/// Returns the name in `test NAME ... RESULT`, and the result.
fn test(line: &str) -> Option<(&str, &str)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // One that has to panic is called so.
    Some((name.trim_end_matches(" - should panic"), result))
}

/// Returns the lines that say what was found.
pub fn finding(output: &str) -> String {
    let signs = ["error", "panicked at", "Sanitizer"];
    let is_first = |line: &&str| signs.iter().any(|sign| line.contains(sign));
    let lines = output.lines().skip_while(|line| !is_first(line));
    let lines: Vec<_> = lines.take(MOST_LINES).collect();
    match lines.is_empty() {
        true => format!("{output}\n"),
        false => lines.join("\n") + "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_however_they_are_cut() {
        let mut progress = Progress::new("a".to_owned());
        for chunk in [
            "test a::b ... o",
            "k\ntest c - should panic ... ",
            "ok\ntest d ... ",
        ] {
            progress.read(chunk.as_bytes());
        }
        assert_eq!((progress.passed, &*progress.last), (2, "d"));
        progress.read(b"FAILED\n");
        assert_eq!(progress.passed, 2);
    }

    #[test]
    fn what_was_found_is_shown_from_its_first_line() {
        let output = "test a ... error: Undefined Behavior: b\nc\n";
        assert_eq!(finding(output), output);
        let output = "x\nerror: Undefined Behavior: b\nc\n";
        assert_eq!(finding(output), "error: Undefined Behavior: b\nc\n");
    }
}
