//! A line of results: `bench: name=.. key=value ..`.

use std::fmt;

/// Keys with their values, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(String, String)>);

impl Line {
    /// Reads `PREFIX key=value ..`; `None` for any other line.
    pub fn parse(text: &str, prefix: &str) -> Option<Self> {
        let words = text.trim().strip_prefix(prefix)?.split_whitespace();
        let pair = |word: &str| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        words.map(pair).collect::<Option<_>>().map(Self)
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs.find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Returns the value of `key` as a number.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.parse().ok()
    }

    /// Tells whether every one of `wanted` is so.
    pub fn is(&self, wanted: &[(&str, &str)]) -> bool {
        wanted.iter().all(|(k, v)| self.get(k) == Some(v))
    }

    /// Adds `key=value` at the end.
    pub fn push(&mut self, key: &str, value: impl fmt::Display) {
        self.0.push((key.to_owned(), value.to_string()));
    }

    /// Returns the keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (key, value) in &self.0 {
            write!(f, "{separator}{key}={value}")?;
            separator = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_is_written() {
        let text = "name=control-sessions mode=wait p50_us=12.50";
        let line = Line::parse(&format!("bench: {text}\r\n"), "bench:").unwrap();
        assert_eq!(line.to_string(), text);
        assert_eq!(line.number("p50_us"), Some(12.5));
        assert!(line.is(&[("mode", "wait")]) && !line.is(&[("mode", "poll")]));
    }

    #[test]
    fn other_lines_are_no_results() {
        assert_eq!(Line::parse("bench: pass", "bench:"), None);
        assert_eq!(Line::parse("histogram: name=a", "bench:"), None);
    }
}
