//! What a *create* is answered, by what it asks for (Virtio 1.3, 5.9.7.2.1).

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::Services;

use crate::{
    report::found::{Found, Held, Verdict, refusal},
    requests::{
        catalog,
        config::{MAX_AUTH_KEY, MAX_CIPHER_KEY},
        known::{Given, Known},
        raw::{Queue, Raw},
        trouble::{Trouble, status_name},
        words::CREATE,
        work::WORKS,
    },
    rules::{answers::sum_up, row::Row, subject::Subject},
};

const SECTION: &str = "5.9.7.2.1";
const NOTSUPP: u32 = 3;

pub const ROWS: &[Row] = &[
    Row {
        id: "advertised-opens",
        section: "5.9.5.1",
        statement: "Each advertised algorithm opens a session, with a key of some length.",
        features: 0,
        trial: advertised_opens,
    },
    Row {
        id: "key-within-max-opens",
        section: "5.9.5.1",
        statement: "An algorithm that opens takes each of its key lengths up to the maximum.",
        features: 0,
        trial: each_key_length,
    },
    Row {
        id: "unadvertised-answers-notsupp",
        section: SECTION,
        statement: "A create of what is not advertised answers NOTSUPP, or OK where it works.",
        features: 0,
        trial: unadvertised,
    },
    Row {
        id: "control-opcode-decides",
        section: SECTION,
        statement: "The opcode decides the structure: what opens by a service's opcode serves it.",
        features: 0,
        trial: opcode_decides,
    },
    Row {
        id: "unused-control-fields-ignored",
        section: "5.9.7.2.1.3",
        statement: "The unused part of a symmetric create's fixed-length fields is ignored.",
        features: 0,
        trial: |subject| {
            subject.work_of(Services::CIPHER)?;
            let unused = (32..64).step_by(4).map(|at| (at, 0xa5a5_a5a5));
            let words: Vec<_> = CREATE.iter().copied().chain(unused).collect();
            subject.raw.create(&words, &[7; 16])?;
            Ok(Found::new(true, ""))
        },
    },
    Row {
        id: "unknown-control-opcode-answers-notsupp",
        section: SECTION,
        statement: "A control request of an unknown opcode answers NOTSUPP.",
        features: 0,
        trial: unknown_opcodes,
    },
    Row {
        id: "unknown-op-type-refused",
        section: "5.9.7.2.1.3",
        statement: "A symmetric create whose op_type is none or unknown is refused.",
        features: 0,
        trial: |subject| refused_with(subject, &[&[(64, 0)], &[(64, 3)]]),
    },
    Row {
        id: "unknown-direction-refused",
        section: "5.9.7.2.1.3",
        statement: "A create that neither encrypts nor decrypts is refused.",
        features: 0,
        trial: |subject| refused_with(subject, &[&[(24, 3)], &[(24, 0)]]),
    },
    Row {
        id: "unknown-chain-order-refused",
        section: "5.9.7.2.1.3",
        statement: "A chain of an unknown order is refused.",
        features: 0,
        trial: |subject| refused_chain(subject, (16, 3)),
    },
    Row {
        id: "unknown-hash-mode-refused",
        section: "5.9.7.2.1.3",
        statement: "A chain of an unknown hash mode is refused.",
        features: 0,
        trial: |subject| refused_chain(subject, (20, 4)),
    },
    Row {
        id: "wrong-key-length-refused",
        section: SECTION,
        statement: "A create whose key has none of its algorithm's lengths is refused.",
        features: 0,
        trial: |subject| {
            subject.work_of(Services::CIPHER)?;
            let words = with(CREATE, &[(20, 17)]);
            Ok(refusal(subject.raw.create(&words, &[7; 17])))
        },
    },
    Row {
        id: "key-beyond-max-fails",
        section: "5.9.5.2",
        statement: "A create with a cipher key longer than max_cipher_key_len is refused.",
        features: 0,
        trial: |subject| {
            subject.work_of(Services::CIPHER)?;
            let key = beyond(subject.config.u32(MAX_CIPHER_KEY))?;
            let words = with(CREATE, &[(20, key.len() as u32)]);
            Ok(refusal(subject.raw.create(&words, &key)))
        },
    },
    Row {
        id: "auth-key-beyond-max-fails",
        section: "5.9.5.2",
        statement: "A create with an authentication key longer than max_auth_key_len is refused.",
        features: 0,
        trial: |subject| {
            let work = subject.work_of(Services::MAC)?;
            let key = beyond(subject.config.u32(MAX_AUTH_KEY))?;
            let words = with(work.create, &[(24, key.len() as u32)]);
            Ok(refusal(subject.raw.create(&words, &key)))
        },
    },
];

/// Replaces words, or adds them.
pub fn with(words: &[(usize, u32)], others: &[(usize, u32)]) -> Vec<(usize, u32)> {
    let kept = words.iter().copied();
    let kept = kept.filter(|(at, _)| !others.iter().any(|(other, _)| other == at));
    kept.chain(others.iter().copied()).collect()
}

/// Returns a key that is too long by a byte.
fn beyond(most: u32) -> Result<Vec<u8>, Found> {
    const MOST: u32 = 1 << 16;
    match most {
        0 => Err(Found::not_offered("no maximum")),
        MOST.. => Err(Found::not_tried(format!("the maximum is {most}"))),
        most => Ok(alloc::vec![7; most as usize + 1]),
    }
}

/// Every request with a known answer whose *create* is of an algorithm of its own.
fn all() -> Vec<Known> {
    [
        catalog::ciphers(),
        catalog::hashes(),
        catalog::macs(),
        catalog::aeads(),
        catalog::signatures(),
    ]
    .concat()
}

/// Opens a session and ends it.
fn opens(known: &Known, raw: &mut Raw) -> Result<(), Trouble> {
    let answer = raw.create(&known.create, &known.key).map(drop);
    raw.destroy_all();
    answer
}

/// Tells algorithms of the list apart, whatever their keys and directions.
fn algorithms(list: &[Known]) -> Vec<(Services, u32)> {
    let mut algorithms: Vec<_> = list.iter().map(|it| (it.service, it.number)).collect();
    algorithms.dedup();
    algorithms
}

fn advertised_opens(subject: &mut Subject) -> Verdict {
    let list = all();
    let (mut count, mut refused) = (0, Vec::new());
    for (service, number) in algorithms(&list) {
        if !subject.config.advertises(service, number) {
            continue;
        }
        let mut known = list
            .iter()
            .filter(|it| (it.service, it.number) == (service, number));
        let Some(first) = known.clone().next() else {
            continue;
        };
        count += 1;
        if !known.any(|known| opens(known, &mut subject.raw).is_ok()) {
            let answer = opens(first, &mut subject.raw);
            let answer = answer.map_or_else(|trouble| format!("{trouble}"), |()| "OK".into());
            let name = first.name.split(' ').next().unwrap_or_default();
            refused.push(format!("{name}: {answer}"));
        }
    }
    match (count, refused.len()) {
        (0, _) => Err(Found::not_offered(
            "nothing is advertised that is known here",
        )),
        (count, 0) => Ok(Found::new(true, format!("{count} algorithms"))),
        _ => Ok(Found::new(false, refused.join(", "))),
    }
}

fn each_key_length(subject: &mut Subject) -> Verdict {
    let most = subject.config.u32(MAX_CIPHER_KEY) as usize;
    let mut list = all();
    list.retain(|it| {
        let has_cipher_key = [Services::CIPHER, Services::AEAD].contains(&it.service);
        has_cipher_key && it.key.len() <= most
    });
    let mut serving = Vec::new();
    for algorithm in algorithms(&list) {
        let mut known = list
            .iter()
            .filter(|it| (it.service, it.number) == algorithm);
        if known.any(|known| opens(known, &mut subject.raw).is_ok()) {
            serving.push(algorithm);
        }
    }
    list.retain(|it| serving.contains(&(it.service, it.number)));
    if list.is_empty() {
        return Err(Found::not_offered("no cipher"));
    }
    sum_up(&mut subject.raw, &list, |known, raw| {
        match opens(known, raw) {
            Ok(()) => Given::Right,
            Err(trouble) => Given::Failed(trouble),
        }
    })
}

fn unadvertised(subject: &mut Subject) -> Verdict {
    let mut list = all();
    list.retain(|it| !subject.config.advertises(it.service, it.number));
    if list.is_empty() {
        return Err(Found::not_tried("everything is advertised"));
    }
    sum_up(&mut subject.raw, &list, |known, raw| {
        match opens(known, raw) {
            Ok(()) | Err(Trouble::Status(NOTSUPP)) => Given::Right,
            Err(trouble) => Given::Failed(trouble),
        }
    })
}

/// What opens need not be advertised here.
fn opcode_decides(subject: &mut Subject) -> Verdict {
    let (mut serving, mut faults) = (Vec::new(), Vec::new());
    for work in WORKS {
        let session = match work.open(&mut subject.raw) {
            Ok(session) => session,
            Err(Trouble::Status(_)) => continue,
            Err(trouble) => return Err(trouble.into()),
        };
        match work.ask(&mut subject.raw, session) {
            Ok(_) => serving.push(work.name),
            Err(trouble) => faults.push(format!("{}: {trouble}", work.name)),
        }
        subject.raw.destroy_all();
    }
    match (serving.len(), faults.len()) {
        (0, 0) => Err(Found::not_offered("nothing opens")),
        (_, 0) => Ok(Found::new(true, serving.join(", "))),
        _ => Ok(Found::new(false, faults.join(", "))),
    }
}

/// The status lies where that of a *create* or of a *destroy* does: which is meant, nobody knows.
fn unknown_opcodes(subject: &mut Subject) -> Verdict {
    let (mut held, mut seen) = (true, Vec::new());
    for opcode in [0x07f, 0x1f02] {
        let words = [(0, opcode), (16, 3), (20, 16)];
        let parts = subject.raw.control_parts(&words, &[]);
        let answer = subject.raw.send(Queue::Control, &parts)?;
        let word = answer.written[8..12].iter().rev();
        let word = word.fold(0, |word, byte| word << 8 | u32::from(*byte));
        let byte = u32::from(answer.written[0]);
        let status = if word <= 6 { word } else { byte };
        held &= status == NOTSUPP;
        seen.push(format!("{opcode:#x} {}", status_name(status)));
    }
    Ok(Found::new(held, seen.join(", ")))
}

/// Opens AES-CBC with each of these words in the place of others, which has to be refused.
fn refused_with(subject: &mut Subject, changes: &[&[(usize, u32)]]) -> Verdict {
    subject.work_of(Services::CIPHER)?;
    let (mut held, mut seen) = (true, Vec::<String>::new());
    for change in changes {
        let found = refusal(subject.raw.create(&with(CREATE, change), &[7; 16]));
        held &= found.held == Held::Yes;
        seen.push(format!("{}: {}", change[0].1, found.seen));
    }
    Ok(Found::new(held, seen.join(", ")))
}

/// Opens a chain that the device serves, but for one word.
fn refused_chain(subject: &mut Subject, change: (usize, u32)) -> Verdict {
    let chains = [catalog::chains(1), catalog::chains(2)].concat();
    let served = chains
        .iter()
        .find(|known| opens(known, &mut subject.raw).is_ok());
    let Some(known) = served else {
        return Err(Found::not_offered("no chain"));
    };
    let words = with(&known.create, &[change]);
    Ok(refusal(subject.raw.create(&words, &known.key)))
}
