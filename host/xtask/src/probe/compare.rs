//! What differs between two runs, row by row.
//!
//! For a device author who has changed something. The rule: whatever a report holds is compared,
//! and what is equal is not mentioned.

use super::findings::Findings;

/// Returns a line for each difference; `new` may have what `old` lacks, and the other way round.
pub fn differences(old: &Findings, new: &Findings) -> Vec<String> {
    [
        lines("rule", &rows(old), &rows(new)),
        lines("algorithm", &algorithms(old), &algorithms(new)),
        lines("quirk", &old.quirks, &new.quirks),
        events(old, new),
    ]
    .concat()
}

/// What something is called, and what was found of it.
type Named = (String, String);

fn rows(findings: &Findings) -> Vec<Named> {
    let rows = findings.rows.iter();
    rows.map(|row| (row.id.clone(), with(row.held.name(), &row.seen)))
        .collect()
}

fn algorithms(findings: &Findings) -> Vec<Named> {
    let named = findings.algorithms.iter().map(|it| {
        let name = format!("{} {} {}", it.service, it.name, it.key_bits);
        let advertised = if it.is_advertised {
            "advertised"
        } else {
            "not advertised"
        };
        (name, with(&format!("{advertised}, {}", it.works), &it.note))
    });
    named.collect()
}

fn with(word: &str, note: &str) -> String {
    if note.is_empty() {
        word.to_owned()
    } else {
        format!("{word} ({note})")
    }
}

fn lines(kind: &str, old: &[Named], new: &[Named]) -> Vec<String> {
    let of = |all: &[Named], name: &str| {
        let found = all.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone())
    };
    let mut lines = Vec::new();
    for (name, value) in new {
        match of(old, name) {
            Some(before) if before == *value => {}
            Some(before) => lines.push(format!("{kind} {name}: was {before}, is {value}")),
            None => lines.push(format!("{kind} {name}: is new, {value}")),
        }
    }
    let gone = old.iter().filter(|(name, _)| of(new, name).is_none());
    lines.extend(gone.map(|(name, value)| format!("{kind} {name}: is gone, was {value}")));
    lines
}

fn events(old: &Findings, new: &Findings) -> Vec<String> {
    let only = |these: &Findings, those: &Findings, word: &str| {
        let these = these.events.iter();
        let own = these.filter(|event| !those.events.contains(event));
        own.map(|event| format!("{word} {event}"))
            .collect::<Vec<_>>()
    };
    [only(new, old, "now:"), only(old, new, "no more:")].concat()
}

#[cfg(test)]
mod tests {
    use super::{super::findings::tests::GUEST, *};

    #[test]
    fn equal_runs_do_not_differ() {
        let findings = Findings::read(GUEST, None);
        assert!(differences(&findings, &findings).is_empty());
    }

    #[test]
    fn whatever_differs_is_named() {
        let old = Findings::read(GUEST, None);
        let guest = GUEST
            .replace("row=a held=yes seen=", "row=a held=no seen=5")
            .replace("section=6.2 statement=C", "section=6.2 statement=D")
            .replace("rule=c", "rule=d")
            .replace("row=c", "row=d")
            .replace("works=refused note=create: NOTSUPP", "works=yes note=")
            .replace("value=256", "value=255")
            .replace("broke=needs-reset step=b", "silent=late step=b");
        let new = Findings::read(&guest, None);
        assert_eq!(
            differences(&old, &new),
            [
                "rule a: was yes, is no (5)",
                "rule d: is new, not-offered (no MSI-X)",
                "rule c: is gone, was not-offered (no MSI-X)",
                "algorithm HASH Sha1 0: was advertised, refused (create: NOTSUPP), is advertised, \
                 yes",
                "quirk session_limit: was 256, is 255",
                "now: silent=late step=b",
                "no more: broke=needs-reset step=b",
            ]
        );
    }
}
