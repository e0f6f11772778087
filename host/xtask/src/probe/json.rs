//! Findings as JSON, and back.
//!
//! For machines, and for comparisons with an earlier run. The rule: what is written is read back as
//! it was, and a file that was written by something else is refused in one line.

use std::fmt::Write;

use super::findings::{Algorithm, Findings, Held, Row};

/// The number of this shape of the file.
const FORMAT: &str = "1";

/// Writes findings; `device` says what they were found on.
pub fn write(findings: &Findings, device: &str, words: &[String]) -> String {
    let rows = findings.rows.iter().map(|row| {
        object(&[
            ("id", text(&row.id)),
            ("section", text(&row.section)),
            ("statement", text(&row.statement)),
            ("held", text(row.held.name())),
            ("seen", text(&row.seen)),
        ])
    });
    let algorithms = findings.algorithms.iter().map(|it| {
        object(&[
            ("service", text(&it.service)),
            ("algorithm", text(&it.name)),
            ("key_bits", text(&it.key_bits)),
            ("advertised", it.is_advertised.to_string()),
            ("works", text(&it.works)),
            ("note", text(&it.note)),
        ])
    });
    let quirks = findings
        .quirks
        .iter()
        .map(|(name, value)| object(&[("name", text(name)), ("value", text(value))]));
    let mut json = String::from("{\n");
    let _ = writeln!(json, "\"format\": {FORMAT},\n\"device\": {},", text(device));
    let lists: [(&str, Vec<String>); 5] = [
        ("good_for", words.iter().map(|line| text(line)).collect()),
        ("rows", rows.collect()),
        ("algorithms", algorithms.collect()),
        ("quirks", quirks.collect()),
        (
            "events",
            findings.events.iter().map(|line| text(line)).collect(),
        ),
    ];
    let lists = lists.map(|(name, items)| {
        let items = items.join(",\n  ");
        format!("\"{name}\": [\n  {items}\n]")
    });
    json + &lists.join(",\n") + "\n}\n"
}

fn object(members: &[(&str, String)]) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

fn text(value: &str) -> String {
    let mut quoted = String::from('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Reads findings back.
///
/// # Errors
///
/// Fails with what is wrong with the text.
pub fn read(json: &str) -> Result<Findings, String> {
    let whole = Value::parse(json)?;
    if whole.member("format")? != &Value::Number(FORMAT.to_owned()) {
        return Err(format!("not of format {FORMAT}"));
    }
    let row = |value: &Value| {
        let held = value.text("held")?;
        Ok(Row {
            id: value.text("id")?,
            section: value.text("section")?,
            statement: value.text("statement")?,
            held: Held::from_name(&held).ok_or(format!("held: {held}"))?,
            seen: value.text("seen")?,
        })
    };
    let algorithm = |value: &Value| {
        Ok(Algorithm {
            service: value.text("service")?,
            name: value.text("algorithm")?,
            key_bits: value.text("key_bits")?,
            is_advertised: value.member("advertised")? == &Value::Bool(true),
            works: value.text("works")?,
            note: value.text("note")?,
        })
    };
    let quirk = |value: &Value| Ok((value.text("name")?, value.text("value")?));
    let event = |value: &Value| match value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err("an event is no text".to_owned()),
    };
    Ok(Findings {
        rows: whole.list("rows", row)?,
        algorithms: whole.list("algorithms", algorithm)?,
        quirks: whole.list("quirks", quirk)?,
        events: whole.list("events", event)?,
        // Told in the report's words, which nobody compares.
        cut_short: None,
    })
}

/// A JSON value.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Null,
    Bool(bool),
    /// As it is written: no number is computed with.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    fn parse(json: &str) -> Result<Self, String> {
        let mut reader = Reader(json);
        let value = reader.value(0)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err("more behind the end".to_owned()),
        }
    }

    fn member(&self, name: &str) -> Result<&Self, String> {
        let found = match self {
            Self::Object(members) => members.iter().find(|(own, _)| own == name),
            _ => None,
        };
        found.map(|(_, value)| value).ok_or(format!("no '{name}'"))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        match self.member(name)? {
            Self::Text(text) => Ok(text.clone()),
            _ => Err(format!("'{name}' is no text")),
        }
    }

    fn list<T>(
        &self,
        name: &str,
        item: impl Fn(&Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        match self.member(name)? {
            Self::List(items) => items.iter().map(item).collect(),
            _ => Err(format!("'{name}' is no list")),
        }
    }
}

/// Lists in lists at most.
const DEEPEST: u32 = 16;

/// What is left to read.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        self.0.chars().next()
    }

    fn eat(&mut self, expected: char) -> Result<(), String> {
        match self.peek() {
            Some(found) if found == expected => {
                self.0 = &self.0[found.len_utf8()..];
                Ok(())
            }
            found => Err(format!("{found:?} instead of '{expected}'")),
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err("too deep".to_owned());
        }
        match self.peek() {
            Some('"') => self.text().map(Value::Text),
            Some('[') => {
                let items = self.items(('[', ']'), |reader| reader.value(depth + 1));
                items.map(Value::List)
            }
            Some('{') => {
                let members = self.items(('{', '}'), |reader| {
                    reader.peek();
                    let name = reader.text()?;
                    reader.eat(':')?;
                    Ok((name, reader.value(depth + 1)?))
                });
                members.map(Value::Object)
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        match word {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            number if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Ok(Value::Number(number.to_owned()))
            }
            other => Err(format!("'{other}' is no value")),
        }
    }

    fn items<T>(
        &mut self,
        (open, close): (char, char),
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.eat(open)?;
        let mut items = Vec::new();
        if self.peek() != Some(close) {
            items.push(item(self)?);
            while self.peek() == Some(',') {
                self.eat(',')?;
                items.push(item(self)?);
            }
        }
        self.eat(close)?;
        Ok(items)
    }

    fn text(&mut self) -> Result<String, String> {
        self.eat('"')?;
        let mut text = String::new();
        let mut characters = self.0.chars();
        loop {
            match characters.next().ok_or("a text without an end")? {
                '"' => break,
                '\\' => text.push(match characters.next().ok_or("a text without an end")? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let digits: String = characters.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16);
                        let character = code.ok().and_then(char::from_u32);
                        character.ok_or(format!("\\u{digits}"))?
                    }
                    itself => itself,
                }),
                other => text.push(other),
            }
        }
        self.0 = characters.as_str();
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::findings::tests::GUEST, *};

    #[test]
    fn what_is_written_is_read_back() {
        let mut findings = Findings::read(GUEST, None);
        findings.rows[0].seen = "\"quoted\" \\ and\ttab \u{fc}".to_owned();
        let json = write(&findings, "QEMU \"x\"", &["good".to_owned()]);
        assert_eq!(read(&json), Ok(findings));
        // And so is nothing.
        let none = Findings::default();
        assert_eq!(read(&write(&none, "", &[])), Ok(none));
    }

    #[test]
    fn other_writers_spaces_and_escapes_are_read() {
        let json = r#" { "format":1,"rows":[],"algorithms" : [ ],"quirks":[{"name":"a\u0062",
            "value":"\n\/"}],"events":["x"], "more": [null, true, -1.5e3] }"#;
        let findings = read(json).unwrap();
        assert_eq!(findings.quirks, [("ab".to_owned(), "\n/".to_owned())]);
        assert_eq!(findings.events, ["x"]);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let deep = "[".repeat(100);
        for (json, reason) in [
            ("", "'' is no value"),
            ("{}", "no 'format'"),
            (r#"{"format": 2}"#, "not of format 1"),
            (r#"{"format": 1, "rows": 3}"#, "'rows' is no list"),
            (r#"{"format": 1}"#, "no 'rows'"),
            (r#"{"format": 1} x"#, "more behind the end"),
            ("{\"format\": 1, \"rows\": [\"", "a text without an end"),
            (&deep, "too deep"),
        ] {
            assert_eq!(read(json), Err(reason.to_owned()), "{json}");
        }
    }
}
