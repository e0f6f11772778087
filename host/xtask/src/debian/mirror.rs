//! Where Debian's archive is fetched from: the mirrors that this machine uses, and Debian's own.
//!
//! For [`fetch`](super::fetch). The rule: what this machine's apt says is read and never changed.

use std::{fs, path::Path};

/// The archive that is always there.
const DEFAULT: &str = "http://deb.debian.org/debian";

/// Returns mirrors of Debian's archive, in the order in which to try them. `apt` is the folder with
/// what apt is told of this machine's sources; it may be missing.
pub fn mirrors(apt: &Path) -> Vec<String> {
    let mut mirrors = Vec::new();
    let mut files = vec![apt.join("sources.list")];
    let further = fs::read_dir(apt.join("sources.list.d"));
    let mut further: Vec<_> = further
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    further.sort();
    files.extend(further);
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let found = match file.extension().and_then(|kind| kind.to_str()) {
            Some("list") => in_lines(&text),
            Some("sources") => in_stanzas(&text),
            _ => Vec::new(),
        };
        mirrors.extend(found);
    }
    mirrors.push(DEFAULT.to_owned());
    let mut seen = Vec::new();
    mirrors.retain(|mirror| {
        let is_new = !seen.contains(mirror);
        seen.push(mirror.clone());
        is_new
    });
    mirrors
}

/// One line a source: `deb [options] http://deb.debian.org/debian bookworm main`.
fn in_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start);
    let sources = lines.filter(|line| line.starts_with("deb"));
    sources.flat_map(archives).collect()
}

/// A stanza a source, in the form of Debian's control files.
fn in_stanzas(text: &str) -> Vec<String> {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let stanzas = lines.split(|line| line.is_empty());
    let enabled = stanzas.filter(|stanza| !stanza.iter().any(|line| is_disabled(line)));
    enabled.flatten().flat_map(|line| archives(line)).collect()
}

fn is_disabled(line: &str) -> bool {
    let field = line.split_once(':');
    field.is_some_and(|(name, value)| {
        let value = value.trim().to_ascii_lowercase();
        name.eq_ignore_ascii_case("enabled")
            && ["no", "false", "off", "without", "disable"].contains(&value.as_str())
    })
}

/// Returns the words that name Debian's whole archive, which ends in this name on every mirror.
fn archives(line: &str) -> impl Iterator<Item = String> {
    let words = line
        .split_whitespace()
        .map(|word| word.trim_end_matches('/'));
    let is_archive = |word: &&str| {
        let has_scheme = word.starts_with("http://") || word.starts_with("https://");
        has_scheme && word.ends_with("/debian")
    };
    words.filter(is_archive).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch;

    #[test]
    fn one_line_sources_are_read() {
        let text = "# deb http://no.example/debian bookworm main\n\
            deb http://security.example/debian-security bookworm-security main\n\
            deb [arch=amd64 signed-by=/x] https://a.example/debian/ bookworm main\n\
            deb http://apt.example/ stable main\n\
            deb-src http://b.example/debian bookworm main\n";
        assert_eq!(
            in_lines(text),
            ["https://a.example/debian", "http://b.example/debian"]
        );
    }

    #[test]
    fn stanzas_are_read_unless_they_are_disabled() {
        let text = "Types: deb\n# URIs: http://no.example/debian\nURIs: http://a.example/debian\n \
            http://b.example/debian/\nSuites: bookworm\n\n\
            Enabled: No\nURIs: http://off.example/debian\n\n\
            URIs: http://a.example/debian-security\n";
        assert_eq!(
            in_stanzas(text),
            ["http://a.example/debian", "http://b.example/debian"]
        );
    }

    #[test]
    fn debians_own_archive_comes_last_and_each_once() {
        let apt = scratch("mirrors").unwrap();
        assert_eq!(mirrors(&apt), [DEFAULT]);
        let further = apt.join("sources.list.d");
        fs::create_dir(&further).unwrap();
        let list = "deb http://a.example/debian bookworm main\n";
        fs::write(apt.join("sources.list"), list).unwrap();
        fs::write(further.join("a.list"), list).unwrap();
        fs::write(further.join("b.sources"), "URIs: http://b.example/debian\n").unwrap();
        fs::write(
            further.join("c.list.save"),
            "deb http://c.example/debian x\n",
        )
        .unwrap();
        let all = [
            "http://a.example/debian",
            "http://b.example/debian",
            DEFAULT,
        ];
        assert_eq!(mirrors(&apt), all);
        fs::remove_dir_all(apt).unwrap();
    }
}
