//! What became of the vectors of one source.

use alloc::vec::Vec;
use core::fmt;

/// How many vectors were run, and how many were not, and why.
#[derive(Clone, Debug)]
pub struct Tally {
    file: &'static str,
    run: usize,
    acceptable: usize,
    skipped: Vec<(&'static str, usize)>,
}

impl Tally {
    pub fn new(file: &'static str) -> Self {
        Self {
            file,
            run: 0,
            acceptable: 0,
            skipped: Vec::new(),
        }
    }

    /// Counts a vector that was run.
    pub fn run(&mut self) {
        self.run += 1;
    }

    /// Counts a vector that was run, and that a device may accept or not.
    pub fn run_acceptable(&mut self) {
        self.run += 1;
        self.acceptable += 1;
    }

    /// Counts a vector that does not apply; `true` for the first with this reason.
    pub fn skip(&mut self, why: &'static str) -> bool {
        match self.skipped.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, count)) => *count += 1,
            None => {
                self.skipped.push((why, 1));
                return true;
            }
        }
        false
    }

    /// Checks that all of `total` vectors were looked at, and that some of them were run.
    ///
    /// # Panics
    ///
    /// If not.
    pub fn close(self, total: usize) -> Self {
        assert!(self.run > 0, "{}: no vector matches", self.file);
        let skipped: usize = self.skipped.iter().map(|(_, count)| count).sum();
        assert_eq!(self.run + skipped, total, "{}: vectors", self.file);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: usize = self.skipped.iter().map(|(_, count)| count).sum();
        write!(f, "vectors: file={} run={}", self.file, self.run)?;
        if self.acceptable > 0 {
            write!(f, " acceptable={}", self.acceptable)?;
        }
        write!(f, " skipped={skipped} why=")?;
        if self.skipped.is_empty() {
            return f.write_str("-");
        }
        for (position, (why, count)) in self.skipped.iter().enumerate() {
            let separator = if position > 0 { "," } else { "" };
            write!(f, "{separator}{why}:{count}")?;
        }
        Ok(())
    }
}
