//! Which tests have threads, and so run another way with another seed.

use std::{fs, path::Path};

use crate::{files::files_below, report::Result};

/// What shows that a test has threads: its own, or those by which a rig's device serves.
const SIGNS: [&str; 3] = ["thread::scope", "thread::spawn", ".go()"];

/// Returns the names of the tests below a folder that have threads and contain one of the words.
///
/// # Errors
///
/// Fails where a file cannot be read.
pub fn names(folder: &Path, words: &[String]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in files_below(folder)? {
        names.extend(names_in(&fs::read_to_string(file)?));
    }
    names.retain(|name| words.is_empty() || words.iter().any(|word| name.contains(last(word))));
    Ok(names)
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// Returns the names of a file's tests that have threads.
fn names_in(text: &str) -> Vec<String> {
    let tests = text.split("#[test]\n").skip(1);
    let threaded = tests.filter(|test| SIGNS.iter().any(|sign| test.contains(sign)));
    let name = |test: &str| {
        let (_, rest) = test.split_once("fn ")?;
        let (name, _) = rest.split_once('(')?;
        Some(name.to_owned())
    };
    threaded.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::names_in;

    #[test]
    fn tests_with_threads_are_found() {
        let text = "#[test]\nfn a() {\n    rig.go();\n}\n#[test]\nfn b() {}\n\
            #[test]\n#[should_panic]\nfn c() {\n    thread::scope(|s| 1);\n}\n";
        assert_eq!(names_in(text), ["a", "c"]);
    }
}
