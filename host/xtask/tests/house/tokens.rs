//! A Rust text as tokens: names, marks, and literals of which nobody wants to know more.
//!
//! The one rule: nothing within a comment or a literal is a name.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Name(String),
    /// `::`
    Separator,
    Mark(char),
    /// A number, a string, a character, a lifetime.
    Other,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

/// Splits a text into tokens, without comments.
pub fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let begins = |word: &str| rest.iter().copied().take(word.len()).eq(word.chars());
        let (kind, len) = if begins("//") {
            (None, rest.iter().take_while(|c| **c != '\n').count())
        } else if begins("/*") {
            (None, comment_len(rest))
        } else if let Some(len) = string_len(rest) {
            (Some(Kind::Other), len)
        } else if rest[0] == '\'' {
            (Some(Kind::Other), quote_len(rest))
        } else if rest[0].is_numeric() {
            (
                Some(Kind::Other),
                rest.iter().take_while(|c| is_part(**c)).count(),
            )
        } else if is_part(rest[0]) {
            let prefix = if begins("r#") { 2 } else { 0 };
            let name: String = rest[prefix..].iter().take_while(|c| is_part(**c)).collect();
            let len = prefix + name.chars().count();
            (Some(Kind::Name(name)), len)
        } else if begins("::") {
            (Some(Kind::Separator), 2)
        } else if rest[0].is_whitespace() {
            (None, 1)
        } else {
            (Some(Kind::Mark(rest[0])), 1)
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..len].iter().filter(|c| **c == '\n').count();
        at += len;
    }
    tokens
}

/// Comments nest.
fn comment_len(text: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// Returns the length of a string literal of any kind that begins here.
fn string_len(text: &[char]) -> Option<usize> {
    let prefix = text.iter().take_while(|c| "bcr".contains(**c)).count();
    let is_raw = text[..prefix].contains(&'r');
    let hashes = match is_raw {
        true => text[prefix..].iter().take_while(|c| **c == '#').count(),
        false => 0,
    };
    let start = prefix + hashes;
    if prefix > 2 || text.get(start) != Some(&'"') {
        return None;
    }
    let mut at = start + 1;
    while at < text.len() {
        let after = &text[at + 1..];
        match text[at] {
            '\\' if !is_raw => at += 1,
            '"' if after.iter().take_while(|c| **c == '#').count() >= hashes => {
                return Some(at + 1 + hashes);
            }
            _ => {}
        }
        at += 1;
    }
    Some(text.len())
}

/// Returns the length of a character, or of a lifetime.
fn quote_len(text: &[char]) -> usize {
    match (text.get(1), text.get(2)) {
        (Some('\\'), _) => {
            let rest = text.iter().skip(3).take_while(|c| **c != '\'').count();
            (rest + 4).min(text.len())
        }
        (_, Some('\'')) => 3,
        _ => 1,
    }
}
