//! The words after `-append`: flags, and `key=value`.
//!
//! Every program takes these:
//!
//! | word | |
//! |---|---|
//! | `messages=asynchronous` | crypto devices are processes of their own, see [`crypto`] |
//! | `framing=fields` | and want a descriptor a field |
//! | `heap=64` | MiB of the heap, instead of an eighth of memory, see [`memory::heap`] |
//! | `tasks=4096` | live tasks of a CPU at most, see [`task`] |
//!
//! [`crypto`]: crate::crypto
//! [`memory::heap`]: crate::memory::heap
//! [`task`]: crate::task
//!
//! For programs. The one rule: a word that nobody knows ends the run ([`expect`]).

use core::ops::RangeInclusive;

use crate::{boot, exit};

/// Returns all words.
pub fn words() -> impl Iterator<Item = &'static str> {
    boot::command_line().split_ascii_whitespace()
}

/// Returns the value of the last `key=value`.
pub fn value(key: &str) -> Option<&'static str> {
    words()
        .filter_map(|word| word.split_once('='))
        .filter(|(k, _)| *k == key)
        .last()
        .map(|(_, v)| v)
}

/// Returns the number of the word `key=1`, or `default`; one that is not of `range`, or none, ends
/// the run.
pub fn number_in(key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
    let Some(text) = value(key) else {
        return default;
    };
    match text.parse() {
        Ok(number) if range.contains(&number) => number,
        _ => exit::fail(format_args!(
            "{key}={text}: a number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// Returns which of `names` the word `key=name` gives, or the first; another name ends the run.
pub fn choice(key: &str, names: &[&'static str]) -> &'static str {
    let Some(wanted) = value(key) else {
        return names[0];
    };
    match names.iter().find(|name| **name == wanted) {
        Some(name) => name,
        None => exit::fail(format_args!("{key}={wanted}: known are {names:?}")),
    }
}

/// What is said of the machine and the kernel, not to a program.
const OF_THE_MACHINE: &[&str] = &["framing=", "heap=", "messages=", "tasks="];

/// Checks that every word is known; the first one that is not ends the run. One that ends in `=`
/// takes a value.
pub fn expect(known: &[&str]) {
    let is_known = |word: &str| match word.split_once('=') {
        Some((key, _)) => known
            .iter()
            .chain(OF_THE_MACHINE)
            .any(|known| known.strip_suffix('=') == Some(key)),
        None => known.contains(&word),
    };
    if let Some(word) = words().find(|word| !is_known(word)) {
        exit::fail(format_args!(
            "unknown word `{word}` on the command line; known: {}",
            known.join(" ")
        ));
    }
}
