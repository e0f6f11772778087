//! The words of `./run.sh miri`.
//!
//! The rule: a word with `=` that means nothing ends the command, before anything is built.

use std::thread;

use crate::{
    proof::crates::TESTS,
    report::{Result, fail},
};

/// Whose rules say which pointers reach what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borrows {
    Stacked,
    Tree,
}

impl Borrows {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stacked => "stacked",
            Self::Tree => "tree",
        }
    }

    pub fn flag(self) -> &'static str {
        match self {
            Self::Stacked => "",
            Self::Tree => " -Zmiri-tree-borrows",
        }
    }
}

/// What is to be run.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// Parts of tests' names.
    pub names: Vec<String>,
    /// How many orders of what threads do are tried, of the tests that have threads alone where
    /// there is more than one.
    pub seeds: u32,
    /// How many runs go on beside each other.
    pub jobs: usize,
    package: Option<&'static str>,
    ring: Option<&'static str>,
    borrows: Option<Borrows>,
}

impl Words {
    /// # Errors
    ///
    /// Fails with a word that means nothing.
    pub fn read(words: &[String]) -> Result<Self> {
        let mut read = Self {
            names: Vec::new(),
            seeds: 1,
            jobs: thread::available_parallelism().map_or(1, usize::from),
            package: None,
            ring: None,
            borrows: None,
        };
        for word in words {
            if let Some(tests) = TESTS.iter().find(|tests| tests.package == word) {
                read.package = Some(tests.package);
                continue;
            }
            let number = |value: &str| value.parse().ok().filter(|number| *number > 0);
            match word.split_once('=') {
                Some(("rings", "split")) => read.ring = Some("split"),
                Some(("rings", "packed")) => read.ring = Some("packed"),
                Some(("borrows", "stacked")) => read.borrows = Some(Borrows::Stacked),
                Some(("borrows", "tree")) => read.borrows = Some(Borrows::Tree),
                Some(("seeds", value)) if let Some(seeds) = number(value) => read.seeds = seeds,
                Some(("jobs", value)) if let Some(jobs) = number(value) => {
                    read.jobs = jobs as usize;
                }
                None if !word.starts_with('-') => read.names.push(word.clone()),
                _ => {
                    return fail(format_args!(
                        "miri: '{word}': parts of tests' names, virtio-crypto, services or device, \
                         rings=split|packed, borrows=stacked|tree, seeds=N, jobs=N"
                    ));
                }
            }
        }
        Ok(read)
    }

    /// Tells whether a run is to be done.
    pub fn wants(&self, package: &str, ring: &str, borrows: Borrows) -> bool {
        self.package.is_none_or(|own| own == package)
            && self.ring.is_none_or(|own| own == ring)
            && self.borrows.is_none_or(|own| own == borrows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Words> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        Words::read(&words)
    }

    #[test]
    fn words_say_what_is_run() {
        let words = read(&["ring", "virtio-crypto", "borrows=tree", "seeds=8", "jobs=3"]).unwrap();
        assert_eq!(words.names, ["ring"]);
        assert_eq!((words.seeds, words.jobs), (8, 3));
        assert!(words.wants("virtio-crypto", "packed", Borrows::Tree));
        assert!(!words.wants("virtio-crypto", "split", Borrows::Stacked));
        assert!(!words.wants("services", "split", Borrows::Tree));
    }

    #[test]
    fn other_words_are_refused() {
        for word in ["seeds=0", "seeds=x", "rings=round", "borrows=", "-x", "a=b"] {
            assert!(read(&[word]).is_err(), "{word}");
        }
    }
}
