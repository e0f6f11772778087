//! The list: lines that keep a promise, what each is changed to, and the test that notices.
//!
//! For whoever adds one, which takes five lines of a file in `list/`:
//!
//! ```text
//! The device may use more than it was sent.
//! in driver/src/queue/guarded/drain.rs, fn take_all
//! - if pending > self.in_flight {
//! + if false {
//! by driver split packed tests::hostile::index_that_jumps_breaks_the_device
//! ```
//!
//! First what goes wrong, a name that no other has. `fn` narrows the place down where the line
//! stands in the file more than once. A `+` alone takes the line away. `by` names the tests,
//! `driver`, `services` or `loom`; behind the first two come the rings, split ones without a word.
//! `hangs` at its end says that the test does not end with the change, which counts as noticed.
//!
//! The rule: a line that is changed is found exactly once, so the list cannot go stale.

use std::iter;

use crate::report::{Failure, Result};

/// What the list is divided into, and each of its files.
pub const KINDS: [(&str, &str); 8] = [
    ("bounds", include_str!("list/bounds.txt")),
    ("ids", include_str!("list/ids.txt")),
    ("fences", include_str!("list/fences.txt")),
    ("uses", include_str!("list/uses.txt")),
    ("wipes", include_str!("list/wipes.txt")),
    ("masks", include_str!("list/masks.txt")),
    ("kicks", include_str!("list/kicks.txt")),
    ("ends", include_str!("list/ends.txt")),
];

/// A line that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    pub kind: &'static str,
    /// What goes wrong; its name.
    pub title: String,
    pub file: String,
    /// The function in which the line stands.
    pub function: Option<String>,
    pub line: String,
    /// Empty if the line goes.
    pub becomes: String,
    pub tests: Vec<Test>,
}

/// A test that fails with the change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    pub suite: Suite,
    /// What `RING` says.
    pub ring: Option<String>,
    pub name: String,
    /// With the change it does not end.
    pub hangs: bool,
}

/// Whose test it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// The driver's own.
    Driver,
    /// Of `host/services`.
    Services,
    /// The driver's models of interleavings.
    Loom,
}

impl Suite {
    pub const ALL: [Self; 3] = [Self::Driver, Self::Services, Self::Loom];

    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Services => "services",
            Self::Loom => "loom",
        }
    }
}

/// Returns the whole list.
///
/// # Errors
///
/// Fails with the first entry that cannot be read.
pub fn read() -> Result<Vec<Mutant>> {
    let mut list = Vec::new();
    for (kind, text) in KINDS {
        list.extend(entries(kind, text)?);
    }
    Ok(list)
}

/// Reads the entries of a file, between which there are empty lines. Lines behind `#` say more.
fn entries(kind: &'static str, text: &str) -> Result<Vec<Mutant>> {
    let entries = text.split("\n\n").map(|entry| {
        let lines = entry.lines().filter(|line| !line.starts_with('#'));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>()
    });
    let entries = entries.filter(|lines| !lines.is_empty());
    entries
        .map(|lines| {
            let because = |reason| {
                let title = lines.first().unwrap_or(&"");
                Failure::Because(format!("mutants: {kind}: '{title}': {reason}"))
            };
            entry(kind, &lines).map_err(because)
        })
        .collect()
}

fn entry(kind: &'static str, lines: &[&str]) -> std::result::Result<Mutant, String> {
    let [title, place, line, becomes, tests @ ..] = lines else {
        return Err("a title, in, -, + and by".to_owned());
    };
    let behind = |line: &str, word: &str| {
        let rest = line.strip_prefix(word).map(str::trim);
        rest.map(str::to_owned)
            .ok_or_else(|| format!("'{line}' does not begin with '{word}'"))
    };
    let place = behind(place, "in ")?;
    let (file, function) = match place.split_once(", fn ") {
        Some((file, function)) => (file.to_owned(), Some(function.to_owned())),
        None => (place, None),
    };
    let mut mutant = Mutant {
        kind,
        title: title.trim_end_matches('.').to_owned(),
        file,
        function,
        line: behind(line, "- ")?,
        becomes: behind(becomes, "+")?,
        tests: Vec::new(),
    };
    for test in tests {
        mutant.tests.extend(self::tests(&behind(test, "by ")?)?);
    }
    match mutant.tests[..] {
        [] => Err("no test".to_owned()),
        _ => Ok(mutant),
    }
}

/// Reads a suite, rings, a name and whether it hangs.
fn tests(text: &str) -> std::result::Result<Vec<Test>, String> {
    let (text, hangs) = match text.strip_suffix(" hangs") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let [suite, rings @ .., name] = &words[..] else {
        return Err(format!("'{text}' names no test"));
    };
    let mut suites = Suite::ALL.into_iter();
    let Some(suite) = suites.find(|known| known.name() == *suite) else {
        return Err(format!("'{suite}' is none of driver, services and loom"));
    };
    let test = |ring: Option<&str>| Test {
        suite,
        ring: ring.map(str::to_owned),
        name: (*name).to_owned(),
        hangs,
    };
    let ring = |word: &&str| match *word {
        _ if suite == Suite::Loom => Err("a model has its own rings".to_owned()),
        "split" => Ok(test(None)),
        "packed" | "in_order" | "packed+in_order" => Ok(test(Some(word))),
        other => Err(format!("'{other}' is no ring")),
    };
    match rings {
        [] => Ok(vec![test(None)]),
        rings => rings.iter().map(ring).collect(),
    }
}

impl Mutant {
    /// Finds the line in the text of its file: its number, from 0 on.
    ///
    /// # Errors
    ///
    /// Says that it is not there, or more than once.
    pub fn find(&self, text: &str) -> std::result::Result<usize, String> {
        let lines: Vec<_> = text.lines().collect();
        let places = match &self.function {
            None => iter::once(0..lines.len()).collect(),
            Some(function) => functions(&lines, function),
        };
        let numbers = places.into_iter().flatten();
        let found: Vec<_> = numbers
            .filter(|number| lines[*number].trim() == self.line)
            .collect();
        match found[..] {
            [number] => Ok(number),
            [] => Err(format!("{}: no line '{}'", self.file, self.line)),
            _ => Err(format!("{}: several lines '{}'", self.file, self.line)),
        }
    }

    /// Returns the text of its file with the change.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub fn apply(&self, text: &str) -> std::result::Result<String, String> {
        let number = self.find(text)?;
        let mut changed = String::new();
        for (at, line) in text.lines().enumerate() {
            if at == number {
                let indent = line.len() - line.trim_start().len();
                changed.push_str(&line[..indent]);
                changed.push_str(&self.becomes);
            } else {
                changed.push_str(line);
            }
            changed.push('\n');
        }
        Ok(changed)
    }

    /// Tells whether a word of the command's is about it: its kind, or part of what is said of it.
    pub fn matches(&self, word: &str) -> bool {
        let texts = [&self.title, &self.file, &self.line, &self.becomes];
        let function = self.function.iter();
        let names = self.tests.iter().map(|test| &test.name);
        let mut texts = texts.into_iter().chain(function).chain(names);
        self.kind == word || texts.any(|text| text.contains(word))
    }
}

/// Returns the lines of all functions of this name. One ends at a brace that stands as far in as it
/// begins.
fn functions(lines: &[&str], name: &str) -> Vec<std::ops::Range<usize>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_one = |line: &str| {
        let (_, rest) = line.split_once("fn ").unwrap_or_default();
        let rest = rest.strip_prefix(name);
        !line.trim_start().starts_with("//") && rest.is_some_and(|it| it.starts_with(['(', '<']))
    };
    let starts = (0..lines.len()).filter(|at| is_one(lines[*at]));
    let end = |start: usize| {
        let is_end = |line: &&str| line.trim() == "}" && indent(line) == indent(lines[start]);
        let rest = lines[start..].iter().position(is_end);
        start..rest.map_or(lines.len(), |len| start + len)
    };
    starts.map(end).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;
    use crate::files::files_below;

    const ENTRY: &str = "# A remark.\nIt goes wrong.\nin a/b.rs, fn f\n- x = 1;\n+\n\
        by driver split packed t::a\nby loom t::b hangs\n";
    const TEXT: &str = "fn g() {\n    x = 1;\n}\n\nfn f<T>() {\n    {\n        x = 1;\n    }\n}\n";

    fn one() -> Mutant {
        entries("bounds", ENTRY).unwrap().remove(0)
    }

    #[test]
    fn an_entry_says_where_what_and_who_notices() {
        let mutant = one();
        assert_eq!(mutant.title, "It goes wrong");
        assert_eq!(
            (&*mutant.file, mutant.function.as_deref()),
            ("a/b.rs", Some("f"))
        );
        assert_eq!((&*mutant.line, &*mutant.becomes), ("x = 1;", ""));
        let test = |suite, ring: Option<&str>, name: &str, hangs| Test {
            suite,
            ring: ring.map(str::to_owned),
            name: name.to_owned(),
            hangs,
        };
        let expected = [
            test(Suite::Driver, None, "t::a", false),
            test(Suite::Driver, Some("packed"), "t::a", false),
            test(Suite::Loom, None, "t::b", true),
        ];
        assert_eq!(mutant.tests, expected);
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
        for (from, to) in [
            ("in a", "at a"),
            ("- x", "x"),
            ("+\n", ""),
            ("driver", "drive"),
            ("packed", "round"),
            ("loom t", "loom packed t"),
        ] {
            let text = ENTRY.replace(from, to);
            let Err(Failure::Because(reason)) = entries("bounds", &text) else {
                panic!("{text} can be read");
            };
            assert!(reason.contains("bounds: 'It goes wrong.'"), "{reason}");
        }
    }

    #[test]
    fn a_line_is_changed_where_it_is_found_once() {
        let mut mutant = one();
        assert_eq!(mutant.find(TEXT), Ok(6));
        let changed = mutant.apply(TEXT).unwrap();
        assert_eq!(changed, TEXT.replace("        x = 1;\n", "        \n"));
        mutant.function = None;
        assert!(mutant.find(TEXT).unwrap_err().contains("several"));
        mutant.line = "y".to_owned();
        assert!(mutant.find(TEXT).unwrap_err().contains("no line"));
    }

    #[test]
    fn the_list_holds_ten_of_each_kind_and_eighty_in_all() {
        let list = read().unwrap();
        for (kind, _) in KINDS {
            let count = list.iter().filter(|mutant| mutant.kind == kind).count();
            assert!(count >= 10, "{kind}: {count}");
        }
        assert!(list.len() >= 80, "{}", list.len());
        let mut titles = HashSet::new();
        for mutant in &list {
            assert!(titles.insert(&mutant.title), "twice: {}", mutant.title);
        }
    }

    #[test]
    fn each_line_of_the_list_is_found_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut faults = Vec::new();
        for mutant in read().unwrap() {
            let text = fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
            faults.extend(mutant.find(&text).err());
            if mutant.line == mutant.becomes {
                faults.push(format!("{}: changes nothing", mutant.title));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// That it is one by its whole path shows when it is run.
    #[test]
    fn each_test_of_the_list_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = |folder: &str| {
            let files = files_below(&root.join(folder)).unwrap();
            let texts = files.iter().map(fs::read_to_string);
            texts.filter_map(|text| text.ok()).collect::<String>()
        };
        let (driver, services) = (text("driver/src"), text("host/services"));
        let mut faults = Vec::new();
        for test in read().unwrap().into_iter().flat_map(|mutant| mutant.tests) {
            let text = match test.suite {
                Suite::Driver | Suite::Loom => &driver,
                Suite::Services => &services,
            };
            let name = test.name.rsplit("::").next().unwrap_or_default();
            let is_model = name.starts_with("loom_") == (test.suite == Suite::Loom);
            if !is_model || !text.contains(&format!("fn {name}()")) {
                faults.push(test.name);
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
