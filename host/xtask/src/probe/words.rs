//! What a device is good for, in words.
//!
//! For whoever reads a report: its first lines. The rule: what is said is what was tried, whatever
//! the device advertises.

use super::findings::{Algorithm, Findings, Held};

/// Services by their words, in the specification's order.
const SERVICES: [(&str, &str); 6] = [
    ("CIPHER", "ciphers"),
    ("HASH", "hashes"),
    ("MAC", "MACs"),
    ("AEAD", "authenticated encryption"),
    ("CHAIN", "chains of a cipher and a hash"),
    ("AKCIPHER", "public keys"),
];

/// Says in a few lines what the device is good for.
pub fn good_for(findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut good, mut without) = (Vec::new(), Vec::new());
    for (service, word) in SERVICES {
        let of_service = |it: &&Algorithm| it.service == service && it.has_worked();
        let working = names(findings.algorithms.iter().filter(of_service));
        if working.is_empty() {
            without.push(word);
        } else {
            good.push(format!("{word} ({})", working.join(", ")));
        }
    }
    lines.push(match good.len() {
        0 if findings.algorithms.is_empty() => "No algorithm was tried.".to_owned(),
        0 => "This device is good for nothing that was tried.".to_owned(),
        _ => format!("This device is good for {}.", good.join("; ")),
    });
    if !good.is_empty() && !without.is_empty() {
        lines.push(format!("It is of no use for {}.", without.join(", ")));
    }
    let all = &findings.algorithms;
    let silent = names(all.iter().filter(|it| !it.is_advertised && it.has_worked()));
    if !silent.is_empty() {
        lines.push(format!("It does not advertise {}.", silent.join(", ")));
    }
    // What was not tried, or has no known answer here, is no lie.
    let has_failed = |it: &Algorithm| ["no", "refused", "wrong"].contains(&it.works.as_str());
    let claims = |it: &&Algorithm| it.is_advertised && has_failed(it);
    let lies = names(all.iter().filter(claims));
    if !lies.is_empty() {
        let lies = lies.join(", ");
        lines.push(format!("It advertises what does not work: {lies}."));
    }
    lines.extend(numbers(findings));
    let (held, failed) = (findings.count(Held::Yes), findings.count(Held::No));
    let others = findings.rows.len() - held - failed;
    let tried = held + failed;
    lines.push(format!(
        "Of {tried} rules that were tried it keeps {held} and breaks {failed}; {others} could not \
         be tried."
    ));
    if let Some(reason) = &findings.cut_short {
        lines.push(format!("The run did not come to its end: {reason}."));
    }
    lines
}

/// Returns each algorithm once, with its key lengths.
fn names<'a>(algorithms: impl Iterator<Item = &'a Algorithm>) -> Vec<String> {
    let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
    for it in algorithms {
        match names.iter_mut().find(|(name, _)| *name == it.name) {
            Some((_, lens)) => lens.push(&it.key_bits),
            None => names.push((&it.name, vec![&it.key_bits])),
        }
    }
    let with_lens = |(name, lens): (&str, Vec<&str>)| {
        if lens == ["0"] {
            name.to_owned()
        } else {
            format!("{name} {}", lens.join("/"))
        }
    };
    names.into_iter().map(with_lens).collect()
}

fn numbers(findings: &Findings) -> Option<String> {
    let queues = findings.quirk("data_queues")?;
    let sessions = findings.quirk("session_limit")?;
    let framing = findings.quirk("framing")?;
    Some(format!(
        "Its data queues: {queues}; sessions: {sessions}; framing: {framing}."
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::findings::tests::GUEST, *};

    #[test]
    fn words_tell_what_works_and_what_is_only_said() {
        let more = "\
probe: service=CIPHER algorithm=AesCbc key_bits=256 advertised=yes works=yes note=
probe: service=CIPHER algorithm=AesEcb key_bits=256 advertised=no works=yes note=
probe: quirk=data_queues value=1, all served
probe: quirk=framing value=either
";
        let findings = Findings::read(&(GUEST.to_owned() + more), None);
        assert_eq!(
            good_for(&findings),
            [
                "This device is good for ciphers (AesCbc 128/256, AesEcb 256).",
                "It is of no use for hashes, MACs, authenticated encryption, chains of a cipher \
                 and a hash, public keys.",
                "It does not advertise AesEcb 256.",
                "It advertises what does not work: Sha1.",
                "Its data queues: 1, all served; sessions: 256; framing: either.",
                "Of 2 rules that were tried it keeps 1 and breaks 1; 1 could not be tried.",
            ]
        );
    }

    #[test]
    fn run_that_was_cut_short_says_why_whatever_was_broken() {
        let reason = "no end after 300 s";
        let findings = Findings::read(GUEST, Some(reason));
        assert_eq!(findings.count(Held::No), 1);
        let last = "The run did not come to its end: no end after 300 s.";
        assert_eq!(good_for(&findings).last().map(String::as_str), Some(last));
    }

    #[test]
    fn device_that_does_nothing_is_good_for_nothing() {
        let mut findings = Findings::read(GUEST, None);
        for algorithm in &mut findings.algorithms {
            algorithm.works = "refused".to_owned();
        }
        let lines = good_for(&findings);
        assert_eq!(lines[0], "This device is good for nothing that was tried.");
        let lines = good_for(&Findings::default());
        assert_eq!(lines[0], "No algorithm was tried.");
        assert_eq!(lines.len(), 2);
    }
}
