//! The words of `./run.sh fuzz`.
//!
//! The rule: a word that means nothing ends the command, before anything is built.

use std::path::PathBuf;

use super::targets::Target;
use crate::report::{Result, fail};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub targets: Vec<Target>,
    /// For each target.
    pub seconds: u64,
    /// For each target and job, at most.
    pub executions: Option<u64>,
    /// How many processes run a target at once.
    pub jobs: usize,
    pub task: Task,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    Run,
    /// One input, once.
    Replay(PathBuf),
    /// Keep in the repository what is needed of what was reached.
    Keep,
}

impl Words {
    /// # Errors
    ///
    /// Fails with a word that means nothing.
    pub fn read(words: &[String], all: &[Target]) -> Result<Self> {
        let mut read = Self {
            targets: Vec::new(),
            seconds: 60,
            executions: None,
            jobs: 1,
            task: Task::Run,
        };
        for word in words {
            if let Some(target) = all.iter().find(|target| target.name == *word) {
                read.targets.push(target.clone());
                continue;
            }
            let number = |value: &str| value.parse().ok().filter(|number| *number > 0);
            match word
                .split_once('=')
                .map(|(key, value)| (key, value, number(value)))
            {
                Some(("seconds", _, Some(seconds))) => read.seconds = seconds,
                Some(("executions", _, Some(count))) => read.executions = Some(count),
                Some(("jobs", _, Some(jobs @ 1..=64))) => read.jobs = jobs as usize,
                Some(("keep", "yes", _)) => read.task = Task::Keep,
                Some(("replay", file, _)) if !file.is_empty() => {
                    read.task = Task::Replay(file.into());
                }
                _ => return refuse(word, all),
            }
        }
        match read.task {
            Task::Replay(_) if read.targets.len() != 1 => {
                fail("fuzz: replay=FILE needs the name of its target, as in: fuzz pci replay=FILE")
            }
            _ if read.targets.is_empty() => {
                read.targets = all.to_vec();
                Ok(read)
            }
            _ => Ok(read),
        }
    }
}

fn refuse<T>(word: &str, all: &[Target]) -> Result<T> {
    let names: Vec<_> = all.iter().map(|target| &*target.name).collect();
    let names = names.join(" ");
    fail(format_args!(
        "fuzz: '{word}': a target ({names}), seconds=N, executions=N, jobs=N, \
         replay=FILE, keep=yes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Words> {
        let target = |name: &str| Target {
            name: name.to_owned(),
            needs_services: false,
        };
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Words::read(&words, &[target("pci"), target("split")])
    }

    #[test]
    fn all_targets_run_where_none_is_named() {
        let words = read(&["seconds=5", "jobs=2"]).unwrap();
        assert_eq!(words.targets.len(), 2);
        assert_eq!((words.seconds, words.jobs), (5, 2));
        assert_eq!(read(&["split"]).unwrap().targets[0].name, "split");
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for word in ["other", "seconds=0", "seconds=x", "jobs=65", "replay="] {
            let reason = read(&[word]).unwrap_err();
            assert!(reason.reason().contains(word), "{reason:?}");
        }
        assert!(read(&["replay=file"]).is_err());
        assert!(read(&["pci", "replay=file"]).is_ok());
    }
}
