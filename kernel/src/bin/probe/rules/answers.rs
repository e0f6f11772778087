//! Known answers of CIPHER, HASH, MAC and AEAD, in sessions and stateless.

use alloc::{format, string::String, vec::Vec};

use crate::{
    report::found::{Found, Verdict},
    requests::{
        catalog,
        features::{
            AEAD_STATELESS, AKCIPHER_STATELESS, CIPHER_STATELESS, HASH_STATELESS, MAC_STATELESS,
            REVISION_1,
        },
        known::{Given, Known},
        raw::Raw,
        trouble::Trouble,
    },
    rules::{row::Row, subject::Subject},
};

pub const ROWS: &[Row] = &[
    Row {
        id: "cipher-answers",
        section: "5.9.7.6.2",
        statement: "Ciphers that open a session give the known answers, in both directions.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::ciphers()),
    },
    Row {
        id: "cipher-stateless",
        section: "5.9.7.6.2",
        statement: "Stateless cipher requests give the same answers.",
        features: REVISION_1 | CIPHER_STATELESS,
        trial: |subject| stateless(subject, catalog::ciphers()),
    },
    Row {
        id: "hash-answers",
        section: "5.9.7.4.2",
        statement: "Hashes that open a session give the known answers.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::hashes()),
    },
    Row {
        id: "hash-stateless",
        section: "5.9.7.4.2",
        statement: "Stateless hash requests give the same answers.",
        features: REVISION_1 | HASH_STATELESS,
        trial: |subject| stateless(subject, catalog::hashes()),
    },
    Row {
        id: "mac-answers",
        section: "5.9.7.5.2",
        statement: "MACs that open a session give the known answers.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::macs()),
    },
    Row {
        id: "mac-stateless",
        section: "5.9.7.5.2",
        statement: "Stateless MAC requests give the same answers.",
        features: REVISION_1 | MAC_STATELESS,
        trial: |subject| stateless(subject, catalog::macs()),
    },
    Row {
        id: "aead-stateless",
        section: "5.9.7.7.2",
        statement: "Stateless requests of AEAD give the same answers as those in sessions.",
        features: REVISION_1 | AEAD_STATELESS,
        trial: |subject| stateless(subject, catalog::aeads()),
    },
    Row {
        id: "chain-answers-plain",
        section: "5.9.7.6.2",
        statement: "Chains with a hash give result and digest, in both orders and directions.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::chains(1)),
    },
    Row {
        id: "chain-answers-mac",
        section: "5.9.7.6.2",
        statement: "Chains with a MAC give result and tag, in both orders and directions.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::chains(2)),
    },
    Row {
        id: "chain-answers-nested",
        section: "5.9.7.6.2",
        statement: "Chains with a nested hash give result and the hash of the hash.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::chains(3)),
    },
    Row {
        id: "chain-offsets",
        section: "5.9.7.6",
        statement: "Offsets and lengths of cipher and hash within the source are obeyed.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::chains_of_parts()),
    },
    Row {
        id: "chain-additional-data",
        section: "5.9.7.6.2",
        statement: "Additional data of a chain is hashed in front of the rest.",
        features: 0,
        trial: |subject| in_sessions(subject, catalog::chains_with_additional_data()),
    },
    Row {
        id: "chain-stateless",
        section: "5.9.7.6.2",
        statement: "Stateless requests of chains give the same answers as those in sessions.",
        features: REVISION_1 | CIPHER_STATELESS,
        trial: |subject| {
            let mut all: Vec<_> = (1..=3).flat_map(catalog::chains).collect();
            all.extend(catalog::chains_of_parts());
            all.extend(catalog::chains_with_additional_data());
            stateless(subject, all)
        },
    },
    Row {
        id: "akcipher-stateless",
        section: "5.9.7.8.2",
        statement: "Stateless public-key requests give the same answers as those in sessions.",
        features: REVISION_1 | AKCIPHER_STATELESS,
        trial: |subject| stateless(subject, catalog::signatures()),
    },
];

pub fn in_sessions(subject: &mut Subject, list: Vec<Known>) -> Verdict {
    sum_up(&mut subject.raw, &list, |known, raw| known.ask(raw))
}

/// In stateless mode an algorithm that the device does not serve answers NOTSUPP.
pub fn stateless(subject: &mut Subject, list: Vec<Known>) -> Verdict {
    const NOTSUPP: Trouble = Trouble::Status(3);
    sum_up(&mut subject.raw, &list, |known, raw| {
        match known.ask_stateless(raw, 0) {
            Given::Failed(NOTSUPP) => Given::Refused(NOTSUPP),
            given => given,
        }
    })
}

/// Asks for each; those that the device refuses to begin with are none of the rule's.
pub fn sum_up(raw: &mut Raw, list: &[Known], ask: impl Fn(&Known, &mut Raw) -> Given) -> Verdict {
    let (mut right, mut refused) = (0, None);
    let mut faults: Vec<String> = Vec::new();
    for known in list {
        match ask(known, raw) {
            Given::Right => right += 1,
            Given::Wrong => faults.push(format!("{}: another answer", known.name)),
            Given::Failed(trouble) => faults.push(format!("{}: {trouble}", known.name)),
            Given::Refused(Trouble::Status(status)) => {
                refused.get_or_insert(Trouble::Status(status));
            }
            Given::Refused(Trouble::NotTried) => return Err(Trouble::NotTried.into()),
            Given::Refused(trouble) => faults.push(format!("{} create: {trouble}", known.name)),
        }
    }
    let count = list.len();
    if !faults.is_empty() {
        return Ok(Found::new(false, name_some(faults)));
    }
    match (right, refused) {
        (0, Some(trouble)) => Err(Found::not_offered(format!("none of {count}: {trouble}"))),
        (right, _) => Ok(Found::new(true, format!("{right} of {count}"))),
    }
}

/// Names faults, and how many more there are.
pub fn name_some(mut faults: Vec<String>) -> String {
    let more = faults.len().saturating_sub(MOST_FAULTS);
    faults.truncate(MOST_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults.join(", ")
}

/// Faults that are named at most.
const MOST_FAULTS: usize = 4;
