//! Which tests a run is about.
//!
//! For every part of the tests. The rule: a part is built only if each `::`-separated piece of a
//! word stands in its source text, comments apart, or in its paths, since every piece of a test's
//! name does.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::files::files_below;

/// The words of `./run.sh test`; without any, every test is wanted.
#[derive(Clone, Debug)]
pub struct Filter {
    words: Vec<String>,
}

impl Filter {
    pub fn new(words: &[String]) -> Self {
        let words = words.to_vec();
        Self { words }
    }

    /// Returns the words as they were given.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns those that are parts of names, not `key=value`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.contains('='))
    }

    /// Tells whether there is no word.
    pub fn lets_all_through(&self) -> bool {
        self.words.is_empty()
    }

    /// Tells whether a test of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.lets_all_through() || self.names().any(|word| name.contains(word))
    }

    /// Tells whether tests in these files or folders can be wanted.
    pub fn may_match(&self, places: &[PathBuf]) -> bool {
        if self.names().next().is_none() {
            return true;
        }
        let mut text = String::new();
        for place in places {
            add_text(place, &mut text);
        }
        self.names().any(|word| may_be_in(word, &text))
    }
}

fn may_be_in(word: &str, text: &str) -> bool {
    let is_path = word
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    // Names of documentation's examples hold more than identifiers.
    !is_path || word.split(':').all(|piece| text.contains(piece))
}

fn add_text(place: &Path, text: &mut String) {
    let files = if place.is_dir() {
        files_below(place).unwrap_or_default()
    } else {
        vec![place.to_owned()]
    };
    for file in files {
        if file.extension().is_some_and(|it| it == "rs") {
            *text += &file.to_string_lossy();
            let source = fs::read_to_string(&file).unwrap_or_default();
            let code = |line: &&str| !line.trim_start().starts_with("//");
            text.extend(source.lines().filter(code).flat_map(|line| [line, "\n"]));
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(words: &[&str]) -> Filter {
        Filter::new(
            &words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn names_are_wanted_by_their_parts() {
        assert!(filter(&[]).wants("a") && filter(&[]).lets_all_through());
        assert!(filter(&["b", "c"]).wants("abc") && !filter(&["d"]).wants("abc"));
        assert!(!filter(&["seed=1"]).wants("abc"));
    }

    #[test]
    fn part_without_a_word_is_not_built() {
        let this = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/suite/filter.rs"));
        let places = [this];
        assert!(filter(&[]).may_match(&places));
        assert!(filter(&["seed=1"]).may_match(&places));
        assert!(filter(&["filter::tests::part_without"]).may_match(&places));
        // This comment does not count: uncommonplace.
        let comment = ["un", "commonplace"].concat();
        assert!(!filter(&[&comment]).may_match(&places));
        // Not written out, or it would stand in this file.
        let missing = ["nosuch", "name"].join("_");
        assert!(!filter(&[&missing]).may_match(&places));
        let inner = ["filter::", &missing].concat();
        assert!(!filter(&[&inner]).may_match(&places));
        assert!(filter(&["a - (line 3)"]).may_match(&places));
    }
}
