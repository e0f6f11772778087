//! What libFuzzer prints, and what is shown of it.
//!
//! The rule: nothing that tells of a find is left out.

use std::time::{Duration, Instant};

/// How often a line tells how it goes on.
const EVERY: Duration = Duration::from_secs(5);

/// How far the jobs of a target have come.
#[derive(Debug)]
pub struct Progress {
    target: String,
    jobs: Vec<Job>,
    start: Instant,
    /// When more was reached than before.
    last_new: Instant,
    last_told: Instant,
}

/// What one of them says last.
#[derive(Clone, Copy, Debug, Default)]
struct Job {
    executions: u64,
    coverage: u64,
    corpus: u64,
}

impl Progress {
    pub fn new(target: &str, jobs: usize) -> Self {
        let now = Instant::now();
        Self {
            target: target.to_owned(),
            jobs: vec![Job::default(); jobs],
            start: now,
            last_new: now,
            last_told: now,
        }
    }

    /// Reads a line of a job's, and tells now and then how it goes on.
    pub fn read(&mut self, job: usize, line: &str) {
        let before = self.coverage();
        self.jobs[job].read(line);
        let now = Instant::now();
        if self.coverage() > before {
            self.last_new = now;
        }
        if now - self.last_told >= EVERY {
            self.last_told = now;
            println!("{}", self.line(now));
        }
    }

    fn coverage(&self) -> u64 {
        self.jobs.iter().map(|job| job.coverage).max().unwrap_or(0)
    }

    pub fn executions(&self) -> u64 {
        self.jobs.iter().map(|job| job.executions).sum()
    }

    fn line(&self, now: Instant) -> String {
        let Self { target, .. } = self;
        let seconds = (now - self.start).as_secs();
        let rate = self.executions() / seconds.max(1);
        let last_new = (now - self.last_new).as_secs();
        format!(
            "fuzz: {target}: {seconds} s, {} executions, {rate} a second, coverage {}, \
             new {last_new} s ago",
            self.executions(),
            self.coverage(),
        )
    }

    /// What came of a target in which nothing was found.
    pub fn closing_line(&self) -> String {
        let corpus = self.jobs.iter().map(|job| job.corpus).max().unwrap_or(0);
        format!(
            "fuzz: target={} executions={} coverage={} corpus={corpus} last_new_s={}",
            self.target,
            self.executions(),
            self.coverage(),
            self.last_new.elapsed().as_secs()
        )
    }
}

impl Job {
    fn read(&mut self, line: &str) {
        // "#4096 NEW    cov: 12 ft: 34 corp: 5/67b lim: 4 exec/s: 8 rss: 9Mb ..", and in between
        // "fuzz: executions: 4096".
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or("");
        let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
        if let Some(count) = number(first.strip_prefix('#')) {
            self.executions = self.executions.max(count);
            while let Some(word) = words.next() {
                match word {
                    "cov:" => self.coverage = number(words.next()).unwrap_or(self.coverage),
                    "corp:" => {
                        let inputs = words.next().and_then(|word| word.split('/').next());
                        self.corpus = number(inputs).unwrap_or(self.corpus);
                    }
                    _ => {}
                }
            }
        } else if first == "executions:" || first == "stat::number_of_executed_units:" {
            self.executions = number(words.next()).unwrap_or(self.executions);
        }
    }
}

/// Returns the file with the input that found something.
pub fn find(output: &str) -> Option<&str> {
    let (_, rest) = output.split_once("Test unit written to ")?;
    rest.lines().next()
}

/// Shows what was found: what the target said before it ended, and what libFuzzer calls it.
pub fn show_find(output: &str) {
    let is_progress = |line: &&str| line.starts_with('#') || line.starts_with("executions:");
    let lines = output.lines().filter(|line| !is_progress(line));
    let found = lines.skip_while(|line| !begins_find(line));
    for line in found.take(60) {
        println!("{line}");
    }
}

fn begins_find(line: &str) -> bool {
    line.contains("panicked at") || line.contains("ERROR: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libfuzzer_are_read() {
        let mut progress = Progress::new("pci", 2);
        progress.read(
            0,
            "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n",
        );
        progress.read(
            1,
            "#9\tNEW    cov: 12 ft: 20 corp: 3/9b lim: 4 exec/s: 0 rss: 30Mb L: 2/4\n",
        );
        progress.read(0, "executions: 1000\n");
        let closing = "fuzz: target=pci executions=1009 coverage=12 corpus=3 last_new_s=0";
        assert_eq!(progress.closing_line(), closing);
        progress.read(0, "stat::number_of_executed_units: 2000\n");
        assert_eq!(progress.executions(), 2009);
    }

    #[test]
    fn input_that_found_something_is_named() {
        let output = "thread panicked at x\nartifact_prefix='f/'; Test unit written to f/crash-1\n";
        assert_eq!(find(output), Some("f/crash-1"));
        assert_eq!(find("#2 DONE"), None);
    }
}
