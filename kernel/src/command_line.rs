//! The words after `-append`.

use crate::{boot, testing};

/// A word that the binary does not know.
#[derive(Clone, Copy, Debug)]
struct UnknownWord<'a> {
    word: &'a str,
    /// Those that it knows; one that ends in `=` takes a value.
    known: &'a [&'a str],
}

impl core::fmt::Display for UnknownWord<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "unknown word `{}` on the command line; known:",
            self.word
        )?;
        for word in self.known {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

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

/// Checks that every word is known; the first one that is not ends the run.
pub fn expect(known: &'static [&'static str]) {
    if let Err(unknown) = check(known) {
        testing::give_up(format_args!("{unknown}"));
    }
}

fn check(known: &'static [&'static str]) -> Result<(), UnknownWord<'static>> {
    let is_known = |word: &str| match word.split_once('=') {
        Some((key, _)) => known
            .iter()
            .any(|known| known.strip_suffix('=') == Some(key)),
        None => known.contains(&word),
    };
    match words().find(|word| !is_known(word)) {
        Some(word) => Err(UnknownWord { word, known }),
        None => Ok(()),
    }
}
