//! No line is longer than 100 columns.
//!
//! For `./run.sh lint`. The rule: source text and documents alike; only a table's row and a link
//! in a document may be longer, since neither can be broken.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    files::files_below,
    project::Project,
    report::{Result, fail, say},
};

const MOST: usize = 100;

/// Where lines are counted.
const FOLDERS: [&str; 7] = [
    "apps", "driver", "kernel", "host", "docs", ".cargo", ".github",
];
/// And at the top of the project.
const FILES: [&str; 4] = ["run.sh", "Cargo.toml", "README.md", "CHANGELOG.md"];
/// How the names of text that somebody wrote end.
const KINDS: [&str; 8] = ["rs", "md", "sh", "toml", "txt", "yml", "ld", "s"];

/// Finds lines that are too long.
///
/// # Errors
///
/// Fails when there is one, and says where.
pub fn check(project: &Project) -> Result {
    say("lines of at most 100 columns");
    let mut files: Vec<PathBuf> = FILES.iter().map(|file| project.path(file)).collect();
    for folder in FOLDERS.map(|folder| project.path(folder)) {
        if folder.is_dir() {
            files.extend(files_below(&folder)?);
        }
    }
    let mut found = 0;
    for file in files.iter().filter(|file| is_written(file)) {
        let is_document = file.extension().is_some_and(|kind| kind == "md");
        let text = fs::read_to_string(file)?;
        for number in too_long(&text, is_document) {
            let name = file.strip_prefix(project.path("")).unwrap_or(file);
            eprintln!("{}:{number}: more than {MOST} columns", name.display());
            found += 1;
        }
    }
    if found == 0 {
        Ok(())
    } else {
        fail(format_args!("{found} lines of more than {MOST} columns"))
    }
}

fn is_written(file: &Path) -> bool {
    let kind = file.extension().and_then(|kind| kind.to_str());
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

/// Returns the numbers of the lines that are too long, from 1 on.
fn too_long(text: &str, is_document: bool) -> Vec<usize> {
    let may_be = |line: &str| {
        is_document && (line.starts_with('|') || line.starts_with('[') || line.contains("]("))
    };
    let lines = (1..).zip(text.lines());
    let long = lines.filter(|(_, line)| line.chars().count() > MOST && !may_be(line));
    long.map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::too_long;

    #[test]
    fn columns_are_characters() {
        let fits = "\u{fc}".repeat(100);
        assert!(too_long(&fits, false).is_empty());
        assert_eq!(too_long(&format!("a\n{fits}b\n"), false), [2]);
    }

    #[test]
    fn rows_and_links_of_documents_may_be_long() {
        let text = format!("| {0}\n[{0}]: x\nsee [this]({0})\n{0}\n", "a".repeat(100));
        assert!(too_long(&text, true).is_empty());
        let long = text.replace("\naaa", "\naaaa");
        assert_eq!(too_long(&long, true), [4]);
        assert_eq!(too_long(&long, false), [1, 2, 3, 4]);
    }
}
