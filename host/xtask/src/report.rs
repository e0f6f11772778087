//! How this tool speaks: lines on standard error behind `run: `, and one reason for a failure.
//!
//! For every room. The rule: a command fails with one line that says what is wrong and what to do,
//! and never with a panic.

use std::fmt::Display;

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// A reason that nobody has told yet.
    Because(String),
    /// What ran has said it already; the status to end with.
    Told(u8),
}

impl Failure {
    /// Returns the reason in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Because(reason) => reason,
            Self::Told(_) => "for the reason above",
        }
    }
}

/// What a step of a command gives back.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Because(error.to_string())
    }
}

/// Fails with this reason.
pub fn fail<T>(reason: impl Display) -> Result<T> {
    Err(Failure::Because(reason.to_string()))
}

/// Says a line of this tool's own.
pub fn say(line: impl Display) {
    eprintln!("run: {line}");
}

/// Writes a word as a shell reads it back.
pub fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_shell_reads_back_what_is_quoted() {
        for word in ["", "a", "a b", "it's", "$x", "--x=1,y=2", "a\"b", "\\"] {
            let command = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh")
                .args(["-c", &command])
                .output();
            assert_eq!(output.unwrap().stdout, word.as_bytes());
        }
    }
}
