//! What a document names: words in code style, links, headings. For the tests of this crate.
//!
//! Its one rule: it reads Markdown as GitHub shows it, as far as these documents use it.

use std::path::{Path, PathBuf};

/// A document of the repository.
#[derive(Debug)]
pub(crate) struct Document {
    /// Where it is, from the top of the repository on.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Returns the top of the repository.
pub(crate) fn top() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    top.canonicalize().expect("the repository")
}

impl Document {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(top().join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        }
    }

    /// Reads all documents: those at the top, those in `docs`, and the driver's.
    pub(crate) fn all() -> Vec<Self> {
        let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "driver/README.md"]
            .map(PathBuf::from)
            .to_vec();
        for entry in std::fs::read_dir(top().join("docs")).expect("docs") {
            let name = entry.expect("an entry of docs").file_name();
            if Path::new(&name)
                .extension()
                .is_some_and(|kind| kind == "md")
            {
                paths.push(Path::new("docs").join(name));
            }
        }
        assert!(paths.len() > 8, "documents: {paths:?}");
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Returns the lines outside of code blocks, with their numbers from 1 on.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_code = false;
        (1..).zip(self.text.lines()).filter(move |(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        })
    }

    /// Returns what stands in code style within the prose, with the number of its line.
    pub(crate) fn code_words(&self) -> impl Iterator<Item = (usize, &str)> {
        self.prose().flat_map(|(number, line)| {
            let words = line.split('`').skip(1).step_by(2);
            words.map(move |word| (number, word))
        })
    }

    /// Returns the targets of links to files, with the number of their line.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            for rest in line.split("](").skip(1) {
                let target = rest.split(')').next().unwrap_or_default();
                if !target.contains("://") {
                    links.push((number, target.to_owned()));
                }
            }
        }
        links
    }

    /// Returns the anchors of the headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| anchor(line)).collect()
    }

    /// Returns the first block of Rust code.
    pub(crate) fn first_code(&self) -> &str {
        let (_, code) = self.text.split_once("```rust,no_run\n").expect("code");
        code.split("```").next().unwrap_or_default()
    }
}

/// Makes the anchor of a heading, as GitHub does.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
