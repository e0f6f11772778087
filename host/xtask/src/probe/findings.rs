//! What the guest's lines say: rules and whether they held, algorithms, quirks.
//!
//! For the report, for JSON, and for comparisons. The rule: a line that is cut off or unknown is no
//! finding, and a rule without a finding was not tried.

use std::fmt::{self, Display};

/// Whether a rule was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
    NotOffered,
    NotTried,
}

impl Held {
    const ALL: [Self; 4] = [Self::Yes, Self::No, Self::NotOffered, Self::NotTried];

    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotOffered => "not-offered",
            Self::NotTried => "not-tried",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|held| held.name() == name)
    }
}

impl Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A rule, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub section: String,
    pub statement: String,
    pub held: Held,
    pub seen: String,
}

/// An algorithm with keys of one length, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub service: String,
    pub name: String,
    pub key_bits: String,
    pub is_advertised: bool,
    /// `yes`, `no`, `refused`, `wrong`, `untried`, `not-tried`.
    pub works: String,
    pub note: String,
}

impl Algorithm {
    pub fn has_worked(&self) -> bool {
        self.works == "yes"
    }
}

/// All that a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub rows: Vec<Row>,
    pub algorithms: Vec<Algorithm>,
    /// Names and values of what no rule speaks of.
    pub quirks: Vec<(String, String)>,
    /// Where the device broke or was silent.
    pub events: Vec<String>,
    /// Why the run ended before its end, if it did.
    pub cut_short: Option<String>,
}

impl Findings {
    /// Reads the guest's lines; `end` is why the run ended before its end.
    pub fn read(guest: &str, end: Option<&str>) -> Self {
        let mut findings = Self::default();
        let mut trying = None;
        for line in guest
            .lines()
            .filter_map(|line| line.strip_prefix("probe: "))
        {
            if let Some(id) = line.strip_prefix("trying=") {
                trying = Some(id);
            }
            if findings.take(line).is_some() && line.starts_with("row=") {
                trying = None;
            }
        }
        findings.cut_short = end.map(str::to_owned);
        if let Some(reason) = end {
            findings.end_early(trying, reason);
        }
        findings
    }

    /// Takes a line's finding, if there is one.
    fn take(&mut self, line: &str) -> Option<()> {
        let (key, _) = line.split_once('=')?;
        match key {
            "rule" => {
                let [id, section, statement] = fields(line, ["rule=", "section=", "statement="])?;
                self.rows.push(Row {
                    id,
                    section: section.replace(',', ", "),
                    statement,
                    held: Held::NotTried,
                    seen: String::new(),
                });
            }
            "row" => {
                let [id, held, seen] = fields(line, ["row=", "held=", "seen="])?;
                let row = self.rows.iter_mut().find(|row| row.id == id)?;
                row.held = Held::from_name(&held)?;
                row.seen = seen;
            }
            "service" => {
                let keys = [
                    "service=",
                    "algorithm=",
                    "key_bits=",
                    "advertised=",
                    "works=",
                    "note=",
                ];
                let [service, name, key_bits, advertised, works, note] = fields(line, keys)?;
                self.algorithms.push(Algorithm {
                    service,
                    name,
                    key_bits,
                    is_advertised: advertised == "yes",
                    works,
                    note,
                });
            }
            "quirk" => {
                let [name, value] = fields(line, ["quirk=", "value="])?;
                self.quirks.push((name, value));
            }
            "broke" | "silent" | "stopped" | "no_recovery" | "dangerous" => {
                self.events.push(line.to_owned());
            }
            _ => return None,
        }
        Some(())
    }

    /// The run ended while a rule was tried, which did that, or between two.
    fn end_early(&mut self, trying: Option<&str>, reason: &str) {
        for row in &mut self.rows {
            if trying == Some(&row.id) {
                row.held = Held::No;
                row.seen = format!("the run ended here: {reason}");
            } else if row.held == Held::NotTried && row.seen.is_empty() {
                row.seen = "the run had ended".to_owned();
            }
        }
    }

    pub fn count(&self, held: Held) -> usize {
        self.rows.iter().filter(|row| row.held == held).count()
    }

    /// Returns the value of a quirk.
    pub fn quirk(&self, name: &str) -> Option<&str> {
        let mut quirks = self.quirks.iter();
        quirks
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Splits a line at keys, which come in this order.
fn fields<const COUNT: usize>(line: &str, keys: [&str; COUNT]) -> Option<[String; COUNT]> {
    let mut values = keys.map(|_| String::new());
    let mut rest = line.strip_prefix(keys[0])?;
    for (value, next) in values.iter_mut().zip(&keys[1..]) {
        let (own, behind) = rest.split_once(&format!(" {next}"))?;
        *value = own.to_owned();
        rest = behind;
    }
    *values.last_mut()? = rest.trim_end().to_owned();
    Some(values)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const GUEST: &str = "\
boot: words
probe: rule=a section=5.9.1 statement=A is so.
probe: rule=b section=2.2.1,5.9.2 statement=B is not = C.
probe: rule=c section=6.2 statement=C.
probe: trying=a
probe: row=a held=yes seen=
probe: quirk=session_limit value=256
probe: broke=needs-reset step=b
probe: trying=b
probe: row=b held=no seen=0x2 held= so
probe: service=CIPHER algorithm=AesCbc key_bits=128 advertised=yes works=yes note=6 lengths
probe: service=HASH algorithm=Sha1 key_bits=0 advertised=yes works=refused note=create: NOTSUPP
probe: trying=c
probe: row=c held=not-offered seen=no MSI-X
";

    #[test]
    fn lines_become_findings() {
        let findings = Findings::read(GUEST, None);
        let row = |at: usize| {
            let row = &findings.rows[at];
            (row.id.as_str(), row.held, row.seen.as_str())
        };
        assert_eq!(row(0), ("a", Held::Yes, ""));
        assert_eq!(row(1), ("b", Held::No, "0x2 held= so"));
        assert_eq!(row(2), ("c", Held::NotOffered, "no MSI-X"));
        assert_eq!(findings.rows[1].section, "2.2.1, 5.9.2");
        assert_eq!(findings.rows[1].statement, "B is not = C.");
        assert_eq!(findings.quirk("session_limit"), Some("256"));
        assert_eq!(findings.events, ["broke=needs-reset step=b"]);
        assert_eq!(findings.algorithms.len(), 2);
        assert!(findings.algorithms[0].has_worked());
        assert_eq!(findings.algorithms[1].note, "create: NOTSUPP");
    }

    #[test]
    fn run_that_ends_early_blames_what_was_tried() {
        let cut = GUEST.find("probe: row=b").unwrap();
        let findings = Findings::read(&GUEST[..cut], Some("QEMU ended with status 134"));
        let row = |at: usize| (findings.rows[at].held, findings.rows[at].seen.as_str());
        assert_eq!(row(0), (Held::Yes, ""));
        let ended = "the run ended here: QEMU ended with status 134";
        assert_eq!(row(1), (Held::No, ended));
        assert_eq!(row(2), (Held::NotTried, "the run had ended"));
    }

    #[test]
    fn run_that_ends_between_rules_blames_none() {
        let cut = GUEST.find("probe: trying=c").unwrap();
        let findings = Findings::read(&GUEST[..cut], Some("no end after 300 s"));
        assert_eq!(findings.count(Held::No), 1);
        assert_eq!(findings.rows[2].held, Held::NotTried);
    }

    #[test]
    fn line_that_is_cut_off_is_no_finding() {
        for line in [
            "row=a held=yes",
            "row=a held=perhaps seen=",
            "rule=d",
            "row=z held=yes seen=",
        ] {
            let text = format!("probe: rule=a section=1 statement=A.\nprobe: {line}\n");
            let findings = Findings::read(&text, None);
            assert_eq!(findings.rows.len(), 1, "{line}");
            assert_eq!(findings.rows[0].held, Held::NotTried, "{line}");
        }
    }
}
