//! The words after `-append`: flags, and `key=value`.
//!
//! `messages=asynchronous` says of the machine that its crypto devices are processes of their own,
//! `framing=fields` that they want a descriptor a field
//! ([`crypto::open_crypto`](crate::crypto::open_crypto)); every program takes both.
//!
//! For programs. The one rule: a word that nobody knows ends the run ([`expect`]).

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

/// What is said of the machine, not to a program.
const OF_THE_MACHINE: &[&str] = &["framing=", "messages="];

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
