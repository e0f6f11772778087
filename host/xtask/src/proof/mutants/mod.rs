//! Lines changed on purpose, each to be noticed by a test.
//!
//! For `./run.sh mutants`. A list in this folder names lines of the driver that keep a promise.
//! Each is changed in a copy of the checkout, and the tests that are named beside it have to fail;
//! without the change they have to pass.
//!
//! The rule: a change that no test notices fails the command, and so does an entry that proves
//! nothing.

mod all;
mod list;
mod suites;
mod tree;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Instant,
};

use self::{
    list::{KINDS, Mutant, Suite, Test},
    suites::{Outcome, Program},
    tree::Tree,
};
use crate::{
    project::Project,
    report::{Failure, Result, fail, quote},
};

/// Runs the entries that the words are about, or all.
///
/// # Errors
///
/// Fails when a change is not noticed, or when an entry proves nothing.
pub fn run(project: &Project, words: &[String]) -> Result {
    let (options, words): (Vec<_>, Vec<_>) = words.iter().partition(|word| is_option(word));
    if let Some(minutes) = minutes(&options)? {
        return match words[..] {
            [] => all::run(project, &Tree::of(project)?, minutes),
            _ => fail("mutants: all=yes takes minutes=N and nothing else"),
        };
    }
    let list = list::read()?;
    for word in &words {
        if !list.iter().any(|mutant| mutant.matches(word)) {
            let kinds = KINDS.map(|(kind, _)| kind).join(" ");
            return fail(format_args!(
                "mutants: '{word}' is neither a kind ({kinds}) nor part of an entry"
            ));
        }
    }
    let is_wanted =
        |mutant: &&Mutant| words.is_empty() || words.iter().any(|word| mutant.matches(word));
    let wanted: Vec<_> = list.iter().filter(is_wanted).collect();
    let faults = try_all(project, &wanted)?;
    for fault in &faults {
        println!("{fault}");
    }
    let survivors = |kind: &str| faults.iter().filter(|it| it.mutant.kind == kind).count();
    for (kind, _) in KINDS {
        let count = wanted.iter().filter(|mutant| mutant.kind == kind).count();
        if count > 0 {
            let survived = survivors(kind);
            println!(
                "mutants: {kind}: caught={} survived={survived}",
                count - survived
            );
        }
    }
    let (count, survived) = (wanted.len(), faults.len());
    println!("mutants: caught={} survived={survived}", count - survived);
    match survived {
        0 => Ok(()),
        _ => Err(Failure::Told(1)),
    }
}

fn is_option(word: &str) -> bool {
    word.starts_with("all=") || word.starts_with("minutes=")
}

/// Returns for how many minutes all is tried; `None` if the list is.
fn minutes(options: &[&String]) -> Result<Option<u64>> {
    let (mut is_all, mut minutes) = (false, 60);
    let number = |value: &str| value.parse().ok().filter(|number| *number > 0);
    for option in options {
        match option.split_once('=') {
            Some(("all", "yes")) => is_all = true,
            Some(("minutes", value)) if let Some(number) = number(value) => minutes = number,
            _ => return fail(format_args!("mutants: '{option}': all=yes and minutes=N")),
        }
    }
    match (is_all, options) {
        (false, [_, ..]) => fail("mutants: minutes=N is for all=yes"),
        _ => Ok(is_all.then_some(minutes)),
    }
}

/// An entry whose change was not noticed as it says.
#[derive(Debug)]
struct Fault<'m> {
    mutant: &'m Mutant,
    because: String,
}

impl std::fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mutant {
            kind,
            title,
            file,
            line,
            becomes,
            ..
        } = self.mutant;
        write!(
            f,
            "survived: {kind}: {title}\n    {file}: '{line}' -> '{becomes}': {}\n    \
            alone: ./run.sh mutants {}",
            self.because,
            quote(title)
        )
    }
}

/// Tries one after the other, those of a suite together.
fn try_all<'m>(project: &Project, wanted: &[&'m Mutant]) -> Result<Vec<Fault<'m>>> {
    let tree = Tree::of(project)?;
    let failing = failing_unchanged(project, &tree, wanted)?;
    let mut sorted = wanted.to_vec();
    // What was built last is built anew faster.
    sorted.sort_by_key(|mutant| (suite(mutant), &mutant.file));
    let (start, mut faults) = (Instant::now(), Vec::new());
    for (at, mutant) in sorted.iter().enumerate() {
        let broken = mutant.tests.iter().find(|test| failing.contains(test));
        let because = match broken {
            Some(test) => Some(format!("{} does not pass without the change", test.name)),
            None => try_one(project, &tree, mutant)?,
        };
        let (done, all) = (at + 1, sorted.len());
        let left_s = start.elapsed().as_secs() * (all - done) as u64 / done as u64;
        let verdict = because.as_deref().map_or("caught", |_| "SURVIVED");
        let Mutant { kind, title, .. } = mutant;
        println!("mutants: {done} of {all}, about {left_s} s left: {verdict}: {kind}: {title}");
        if let Some(because) = &because {
            println!("    {because}");
        }
        faults.extend(because.map(|because| Fault { mutant, because }));
    }
    Ok(faults)
}

/// The suite that is built for an entry first.
fn suite(mutant: &Mutant) -> Suite {
    let suites = mutant.tests.iter().map(|test| test.suite);
    suites.min().unwrap_or(Suite::Driver)
}

/// Returns the tests that do not pass while nothing is changed, and so prove nothing.
fn failing_unchanged<'m>(
    project: &Project,
    tree: &Tree,
    wanted: &[&'m Mutant],
) -> Result<Vec<&'m Test>> {
    let mut tests: Vec<&Test> = wanted.iter().flat_map(|mutant| &mutant.tests).collect();
    tests.sort();
    tests.dedup();
    let mut failing = Vec::new();
    for suite in Suite::ALL {
        let own: Vec<_> = tests.iter().filter(|test| test.suite == suite).collect();
        if own.is_empty() {
            continue;
        }
        let (name, count) = (suite.name(), own.len());
        println!("mutants: {name}: {count} tests have to pass as things are");
        let program = match suites::build(project, tree, suite)? {
            Ok(program) => program,
            Err(output) => return fail(format_args!("mutants: {name} does not build: {output}")),
        };
        for test in own {
            let in_time = Test {
                hangs: false,
                ..(*test).clone()
            };
            if program.run(tree, &in_time)? != Outcome::Passed {
                failing.push(*test);
            }
        }
    }
    Ok(failing)
}

/// Changes a line, runs its tests, and changes it back. Returns why it was not noticed.
fn try_one(project: &Project, tree: &Tree, mutant: &Mutant) -> Result<Option<String>> {
    let text = tree.read(&mutant.file).unwrap_or_default();
    let changed = match mutant.apply(&text) {
        Ok(changed) => changed,
        Err(reason) => return Ok(Some(reason)),
    };
    tree.write(&mutant.file, changed.as_bytes())?;
    let outcome = run_tests(project, tree, mutant);
    tree.write(&mutant.file, text.as_bytes())?;
    outcome
}

fn run_tests(project: &Project, tree: &Tree, mutant: &Mutant) -> Result<Option<String>> {
    let mut programs: BTreeMap<Suite, Program> = BTreeMap::new();
    for test in &mutant.tests {
        let program = match programs.entry(test.suite) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => match suites::build(project, tree, test.suite)? {
                Ok(program) => place.insert(program),
                Err(output) => {
                    let mut errors = output.lines().filter(|line| line.starts_with("error"));
                    let error = errors.next().unwrap_or("cargo does not end");
                    return Ok(Some(format!("it does not build: {error}")));
                }
            },
        };
        let outcome = program.run(tree, test)?;
        let has_noticed = outcome == Outcome::Failed || outcome == Outcome::Hung && test.hangs;
        if !has_noticed {
            let (name, ring) = (&test.name, test.ring.as_deref().unwrap_or("split"));
            return Ok(Some(format!("{name}, on {ring} rings: {outcome:?}")));
        }
    }
    Ok(None)
}
