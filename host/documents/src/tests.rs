//! What the documents promise about themselves.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
};

use crate::markdown::{Document, top};

/// Where a path in code style may begin, beside the document's own folder.
const ROOTS: [&str; 6] = [
    "",
    "driver/src",
    "driver/src/service",
    "driver/src/wire",
    "driver/examples",
    "kernel/src",
];
/// Beginnings of paths that are not in the repository: made by a build, or by somebody else.
const ELSEWHERE: [&str; 3] = ["target", "/dev", "crates.io"];

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// Tells whether a word in code style is a path. Placeholders and options are none.
fn is_path(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
    let ends_like_one = [".rs", ".md", ".svg", ".toml", ".sh", ".s"]
        .iter()
        .any(|end| word.ends_with(end));
    word.chars().all(is_plain)
        && !word.contains("NAME")
        && !word.contains("...")
        && (word.contains('/') || ends_like_one)
        && !ELSEWHERE.iter().any(|start| word.starts_with(start))
}

#[test]
fn paths_that_documents_name_exist() {
    let mut missing = Vec::new();
    let mut seen = 0;
    // What has been is named in the changelog, too.
    let documents = Document::all().into_iter();
    for document in documents.filter(|document| !document.path.ends_with("CHANGELOG.md")) {
        let own = document.path.parent().unwrap_or(Path::new(""));
        for (number, word) in document.code_words().filter(|(_, word)| is_path(word)) {
            seen += 1;
            let mut roots = ROOTS.iter().map(Path::new).chain([own]);
            if !roots.any(|root| top().join(root).join(word).exists()) {
                missing.push(format!("{}:{number}: {word}", document.path.display()));
            }
        }
    }
    assert!(seen > 50, "{seen} paths seen");
    assert_none("paths that do not exist", &missing);
}

#[test]
fn commands_that_documents_name_have_help_of_their_own() {
    let mut commands = HashSet::new();
    for document in Document::all() {
        for rest in document.text.split("./run.sh ").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            let command = &rest[..end.unwrap_or(rest.len())];
            if !command.is_empty() && !command.starts_with('-') {
                commands.insert(command.to_owned());
            }
        }
    }
    assert!(commands.len() > 5, "commands: {commands:?}");
    // The program of that says what it takes, and has to be built first.
    commands.remove("device");
    let has_none = |command: &&String| {
        let mut run = Command::new(top().join("run.sh"));
        let told = run.args([command, "--help"]).output();
        let told = told.unwrap().stdout;
        !told.starts_with(format!("./run.sh {command}").as_bytes())
    };
    let without: Vec<_> = commands.iter().filter(has_none).cloned().collect();
    assert_none("commands without help", &without);
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut broken = Vec::new();
    let documents = Document::all();
    for document in &documents {
        let folder = document.path.parent().unwrap_or(Path::new(""));
        for (number, link) in document.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => document.path.clone(),
                file => folder.join(file),
            };
            let is_there = top().join(&target).exists()
                && (anchor.is_empty()
                    || Document::read(&target)
                        .anchors()
                        .contains(&anchor.to_owned()));
            if !is_there {
                broken.push(format!("{}:{number}: {link}", document.path.display()));
            }
        }
    }
    assert_none("links that lead nowhere", &broken);
}

/// Collects every identifier of the sources.
fn identifiers(folder: &Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            identifiers(&path, found);
        } else if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "toml")
        {
            let text = std::fs::read_to_string(&path).expect("a source");
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            found.extend(words.map(str::to_owned));
        }
    }
}

/// Tells whether a word in code style is a name in Rust, and no other kind of word.
fn is_name(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let has_case = word.contains(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase());
    word.chars().all(is_plain) && (has_case || word.contains("::"))
}

#[test]
fn names_that_documents_use_are_in_the_sources() {
    let mut known = HashSet::new();
    for folder in [
        "driver/src",
        "host/services",
        "kernel/src",
        "apps",
        "kernel/examples",
        "kernel/tests",
    ] {
        identifiers(&top().join(folder), &mut known);
    }
    // Crates, and what the documents say of others' traits.
    known.extend(["core", "mem", "virtio_drivers", "forget"].map(str::to_owned));
    let mut missing = Vec::new();
    let documents = Document::all().into_iter();
    for document in documents.filter(|document| !document.path.ends_with("CHANGELOG.md")) {
        for (number, word) in document.code_words().filter(|(_, word)| is_name(word)) {
            if !word.split("::").all(|part| known.contains(part)) {
                missing.push(format!("{}:{number}: {word}", document.path.display()));
            }
        }
    }
    assert_none("names that the sources do not have", &missing);
}

/// Returns the words in code style of the last column of each row of the table below a heading.
fn last_column(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, below) = text.split_once(heading).expect("the heading");
    let section = below.split("\n#").next().unwrap_or(below);
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    cells
        .map(|cell| {
            let words = cell.split('`').skip(1).step_by(2);
            words.map(str::to_owned).collect()
        })
        .collect()
}

/// Collects what stands behind `mark` up to `end`, in all sources of a folder.
fn marked(folder: &Path, mark: &str, end: char, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            marked(&path, mark, end, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let behind = text.split(mark).skip(1);
            found.extend(behind.filter_map(|text| text.split(end).next().map(str::to_owned)));
        }
    }
}

/// Virtio 1.3 has 34 normative statements for drivers in 5.9, and 36 for devices.
#[test]
fn statements_of_the_specification_have_tests_and_rows() {
    let devices = Document::read(Path::new("docs/DEVICES.md")).text;
    let (mut tests, mut rows) = (HashSet::new(), HashSet::new());
    marked(&top().join("driver/src"), "#[test]\n", '{', &mut tests);
    marked(
        &top().join("host/services/src"),
        "#[test]\n",
        '{',
        &mut tests,
    );
    marked(&top().join("kernel/tests"), "\n", '{', &mut tests);
    marked(
        &top().join("kernel/src/bin/probe/rules"),
        "id: \"",
        '"',
        &mut rows,
    );
    let is_test = |name: &str| {
        let head = format!("fn {name}()");
        tests.iter().any(|text| text.contains(&head))
    };
    let is_row = |name: &str| rows.contains(name);
    let check = |heading: &str, count: usize, is_there: &dyn Fn(&str) -> bool| {
        let statements = last_column(&devices, heading);
        assert_eq!(statements.len(), count, "{heading}");
        let names = statements.iter().flatten();
        let missing: Vec<_> = names.filter(|name| !is_there(name)).cloned().collect();
        assert_none(heading, &missing);
        assert!(
            statements.iter().all(|names| !names.is_empty()),
            "{heading}"
        );
    };
    check("### What section 5.9 asks of the driver", 34, &is_test);
    check("### What section 5.9 asks of the device", 36, &is_row);
}

#[test]
fn readme_is_short() {
    let readme = Document::read(Path::new("README.md"));
    let words = readme.text.split_whitespace().count();
    assert!(words <= 1200, "README.md has {words} words");
}

#[test]
fn both_readmes_show_the_same_code() {
    let ours = Document::read(Path::new("README.md"));
    let drivers = Document::read(Path::new("driver/README.md"));
    assert_eq!(ours.first_code(), drivers.first_code());
}

#[test]
fn prose_keeps_to_a_hundred_columns() {
    let mut long = Vec::new();
    for document in Document::all() {
        for (number, line) in document.prose() {
            // A row of a table is a line, and so is an address.
            let is_whole = line.starts_with('|') || line.starts_with('[') || line.contains("](");
            if !is_whole && line.chars().count() > 100 {
                long.push(format!("{}:{number}", document.path.display()));
            }
        }
    }
    assert_none("lines of more than 100 columns", &long);
}
