//! What came of all targets.
//!
//! The rule: nothing that was found is lost, whatever comes after it.

use std::path::PathBuf;

use crate::report::{Failure, Result, fail, quote};

/// How a job of a target ended that should have gone on.
#[derive(Debug, PartialEq, Eq)]
pub enum Find {
    /// By this input.
    Input(PathBuf),
    /// Without one.
    None(Failure),
}

/// What came of the targets until now.
#[derive(Debug, Default)]
pub struct Outcomes {
    executions: u64,
    found: Vec<(String, Find)>,
}

impl Outcomes {
    /// Takes note of a target: how many executions there were, and what its jobs found.
    pub fn add(&mut self, target: &str, outcome: Result<(u64, Vec<Find>)>) {
        let finds = match outcome {
            Ok((executions, finds)) => {
                self.executions += executions;
                finds
            }
            Err(failure) => vec![Find::None(failure)],
        };
        let finds = finds.into_iter().map(|find| (target.to_owned(), find));
        self.found.extend(finds);
    }

    /// Returns the lines at the end.
    fn lines(&self) -> Vec<String> {
        if self.found.is_empty() {
            return vec![format!("fuzz: pass executions={}", self.executions)];
        }
        let line = |(name, find): &(String, Find)| match find {
            Find::Input(file) => {
                let file = quote(&file.to_string_lossy());
                format!("fuzz: found by {name}: ./run.sh fuzz {name} replay={file}")
            }
            Find::None(failure) => format!("fuzz: {name}: {}", failure.reason()),
        };
        self.found.iter().map(line).collect()
    }

    /// Says it.
    ///
    /// # Errors
    ///
    /// Fails where anything was found.
    pub fn tell(&self) -> Result {
        self.lines().iter().for_each(|line| println!("{line}"));
        let mut names: Vec<_> = self.found.iter().map(|(name, _)| name).collect();
        names.dedup();
        match names.len() {
            0 => Ok(()),
            count => fail(format_args!("fuzz: {count} of the targets found something")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_found_is_lost() {
        let mut outcomes = Outcomes::default();
        outcomes.add("pci", Ok((7, Vec::new())));
        assert_eq!(outcomes.tell(), Ok(()));
        let inputs = ["a", "b"].map(|file| Find::Input(file.into()));
        outcomes.add("queue", Ok((5, inputs.into())));
        outcomes.add("answers", fail("it ended with status 1"));
        outcomes.add("split", Ok((1, Vec::new())));
        let lines = [
            "fuzz: found by queue: ./run.sh fuzz queue replay=a",
            "fuzz: found by queue: ./run.sh fuzz queue replay=b",
            "fuzz: answers: it ended with status 1",
        ];
        assert_eq!(outcomes.lines(), lines);
        assert_eq!(
            outcomes.tell(),
            fail("fuzz: 2 of the targets found something")
        );
    }

    #[test]
    fn executions_are_told_where_nothing_was_found() {
        let mut outcomes = Outcomes::default();
        outcomes.add("pci", Ok((7, Vec::new())));
        outcomes.add("split", Ok((1, Vec::new())));
        assert_eq!(outcomes.lines(), ["fuzz: pass executions=8"]);
    }
}
