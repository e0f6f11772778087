//! Applications: what each is given, where its disks and files come from, and who talks to it.
//!
//! For `./run.sh app`. The rule: what is made here for a run, keys above all, lies in a folder of
//! its own that only this user can read, and goes with the run.

pub mod folder;
pub mod https;
pub mod luks;
pub mod program;
mod words;

use crate::{
    project::Project,
    report::{Result, fail},
};

/// An application: its name, and what runs it with the words behind that.
type Application = (&'static str, fn(&Project, &[String]) -> Result);

const APPLICATIONS: &[Application] = &[("https", https::run), ("luks", luks::run)];

/// Runs the application that the first word names.
///
/// # Errors
///
/// Fails where there is none of that name, or when it does.
pub fn run(project: &Project, words: &[String]) -> Result {
    let names = APPLICATIONS.iter().map(|(name, _)| *name);
    let names = names.collect::<Vec<_>>().join(" ");
    let Some((name, words)) = words.split_first() else {
        return fail(format_args!("app: which one? There are {names}"));
    };
    match APPLICATIONS.iter().find(|(own, _)| own == name) {
        Some((_, run)) => run(project, words),
        None => fail(format_args!(
            "app: no application '{name}'; there are {names}"
        )),
    }
}
