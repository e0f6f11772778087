//! Findings for a person to read.

use std::fmt::{self, Display};

use super::findings::{Findings, Held};

/// A report: words first, then rules, algorithms and quirks.
pub struct Table<'a> {
    pub findings: &'a Findings,
    pub device: &'a str,
    pub words: &'a [String],
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.words {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "({})\n", self.device)?;
        self.write_rules(f)?;
        self.write_algorithms(f)?;
        for (name, value) in &self.findings.quirks {
            writeln!(f, "{name:<40}{value}")?;
        }
        for event in &self.findings.events {
            writeln!(f, "{event}")?;
        }
        Ok(())
    }
}

impl Table<'_> {
    /// What was broken stands first, with what the rule says.
    fn write_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || self.findings.rows.iter();
        for row in rows().filter(|row| row.held == Held::No) {
            let (id, section, statement) = (&row.id, &row.section, &row.statement);
            writeln!(
                f,
                "BROKEN {id} ({section}): {statement}\n       seen: {}",
                row.seen
            )?;
        }
        writeln!(f, "\n{:<40}{:<20}{:<13}seen", "rule", "section", "held")?;
        for row in rows() {
            let (id, section, held) = (&row.id, &row.section, row.held);
            let line = format!("{id:<40}{section:<20}{held:<13}{}", row.seen);
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)
    }

    fn write_algorithms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.algorithms.is_empty() {
            return Ok(());
        }
        let head = [
            "service",
            "algorithm",
            "key bits",
            "advertised",
            "works",
            "note",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        let order = ["CIPHER", "CHAIN", "HASH", "MAC", "AEAD", "AKCIPHER"];
        let mut algorithms: Vec<_> = self.findings.algorithms.iter().collect();
        algorithms.sort_by_key(|it| order.iter().position(|known| *known == it.service));
        lines.extend(algorithms.into_iter().map(|it| {
            let key_bits = if it.key_bits == "0" {
                "-"
            } else {
                &it.key_bits
            };
            let advertised = if it.is_advertised { "yes" } else { "no" };
            [
                &it.service,
                &it.name,
                key_bits,
                advertised,
                &it.works,
                &it.note,
            ]
            .map(str::to_owned)
        }));
        for [service, name, key_bits, advertised, works, note] in lines {
            let line =
                format!("{service:<10}{name:<21}{key_bits:>8}  {advertised:<12}{works:<11}{note}");
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::findings::tests::GUEST, *};

    #[test]
    fn report_begins_with_words_and_says_what_is_broken() {
        let findings = Findings::read(GUEST, None);
        let words = ["This is it.".to_owned()];
        let table = Table {
            findings: &findings,
            device: "QEMU 1",
            words: &words,
        };
        let text = table.to_string();
        assert!(text.starts_with("This is it.\n(QEMU 1)\n"), "{text}");
        let broken = "BROKEN b (2.2.1, 5.9.2): B is not = C.\n       seen: 0x2 held= so\n";
        assert!(text.contains(broken), "{text}");
        assert!(!text.contains("BROKEN a"), "{text}");
        for line in text.lines() {
            assert_eq!(line, line.trim_end());
        }
        let hash =
            "HASH      Sha1                        -  yes         refused    create: NOTSUPP";
        assert!(text.contains(hash), "{text}");
    }
}
