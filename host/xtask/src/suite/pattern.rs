//! Patterns of lines that a program has to print.
//!
//! For whole programs. The rule: a pattern matches a line from its beginning; `*` stands for any
//! text and `[ab]` for one of these characters, and nothing else is special.

/// Tells whether a line begins as the pattern says.
pub fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => true,
        Some('*') => {
            let pattern = rest.as_str();
            let mut starts = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            starts.any(|at| matches(pattern, &line[at..]))
        }
        Some('[') => {
            let Some((any, pattern)) = rest.as_str().split_once(']') else {
                return false;
            };
            let mut line = line.chars();
            line.next().is_some_and(|c| any.contains(c)) && matches(pattern, line.as_str())
        }
        Some(own) => line
            .strip_prefix(own)
            .is_some_and(|line| matches(rest.as_str(), line)),
    }
}

/// Returns the patterns that no line of a text matches.
pub fn missing<'a>(patterns: &[&'a str], text: &str) -> Vec<&'a str> {
    let is_missing = |pattern: &&str| !text.lines().any(|line| matches(pattern, line));
    patterns.iter().copied().filter(is_missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_from_their_beginning() {
        assert!(matches("probe: pass", "probe: pass, and more"));
        assert!(!matches("probe: pass", " probe: pass"));
        assert!(!matches("probe: pass", "probe: pas"));
    }

    #[test]
    fn stars_and_sets_stand_for_other_text() {
        assert!(matches("a * held=yes", "a section=2.7 held=yes"));
        assert!(!matches("a * held=yes", "a section=2.7 held=no"));
        assert!(matches("note=[67] lengths", "note=7 lengths"));
        assert!(!matches("note=[67] lengths", "note=8 lengths"));
        assert!(matches("Rsa(Sha256) x|y 2.7", "Rsa(Sha256) x|y 2.7"));
        assert!(!matches("2.7", "2x7"));
    }

    #[test]
    fn missing_lines_are_named() {
        assert_eq!(missing(&["a", "b", "c"], "c1\na2\n"), ["b"]);
    }
}
