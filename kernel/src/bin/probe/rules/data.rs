//! What a data request is answered, whichever service it is for (Virtio 1.3, 5.9.7.3).

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::Services;

use crate::{
    report::found::{Found, Verdict, refusal, served, status},
    requests::{
        catalog,
        features::{REVISION_1, STATELESS},
        ids::Session,
        known::{Given, Known, stateless_feature},
        raw::Queue,
        trouble::Trouble,
        words::{ENCRYPT, IV_AND_BLOCK},
        work::Work,
    },
    rules::{
        answers::sum_up,
        creates::with,
        row::Row,
        sessions::each_work,
        subject::{Subject, name_of},
    },
};

const NOTSUPP: u32 = 3;
const INVSESS: u32 = 4;

pub const ROWS: &[Row] = &[
    Row {
        id: "session-of-another-service-refused",
        section: "5.9.7.4-8",
        statement: "A request of one service in a session of another is refused.",
        features: 0,
        trial: session_of_another_service,
    },
    Row {
        id: "destroy-by-another-service",
        section: "5.9.7.2.1",
        statement: "A destroy by another service's opcode does what its status says.",
        features: 0,
        trial: destroy_by_another_service,
    },
    Row {
        id: "flag-ignored-without-revision-1",
        section: "5.9.7.3",
        statement: "Without REVISION_1 the flag of a request is ignored.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                Ok(status(ask_with(subject, work, session, &[(16, 0)]), 0))
            })
        },
    },
    Row {
        id: "unknown-data-opcode-answers-notsupp",
        section: "5.9.7.3",
        statement: "A data request of an unknown opcode answers NOTSUPP.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                let opcode = (0, work.words_opcode() | 0x7f);
                let answer = ask_with(subject, work, session, &[opcode]);
                Ok(status(answer, NOTSUPP))
            })
        },
    },
    Row {
        id: "unknown-data-op-type-refused",
        section: "5.9.7.6",
        statement: "A symmetric request of an unknown op_type is refused.",
        features: 0,
        trial: |subject| {
            let work = subject.work_of(Services::CIPHER)?;
            let session = served(work.open(&mut subject.raw), work.name)?;
            Ok(refusal(ask_with(subject, work, session, &[(64, 3)])))
        },
    },
    Row {
        id: "unused-data-fields-ignored",
        section: "5.9.7.6",
        statement: "The unused part of a symmetric request's fixed-length fields is ignored.",
        features: 0,
        trial: |subject| {
            let work = subject.work_of(Services::CIPHER)?;
            let session = served(work.open(&mut subject.raw), work.name)?;
            let unused: Vec<_> = (40..64).step_by(4).map(|at| (at, 0xa5a5_a5a5)).collect();
            let words = with(ENCRYPT, &unused);
            let raw = &mut subject.raw;
            let plain = raw.data_on(Queue::Data(0), session, ENCRYPT, &IV_AND_BLOCK, 16)?;
            let answer = raw.data_on(Queue::Data(0), session, &words, &IV_AND_BLOCK, 16)?;
            Ok(Found::new(answer.0 == plain.0, ""))
        },
    },
    Row {
        id: "revision-1-control-fields",
        section: "5.9.7.2",
        statement: "With REVISION_1 a create's fixed-length fields have their own length.",
        features: REVISION_1,
        trial: |subject| {
            sum_up(&mut subject.raw, &one_each(), |known, raw| {
                let created = raw.create(&known.create, &known.key);
                match created.and_then(|session| raw.destroy(session)) {
                    Ok(_) => Given::Right,
                    Err(trouble @ Trouble::Status(NOTSUPP)) => Given::Refused(trouble),
                    Err(trouble) => Given::Failed(trouble),
                }
            })
        },
    },
    Row {
        id: "revision-1-data-fields",
        section: "5.9.7.3",
        statement: "With REVISION_1 a data request's fixed-length fields have their own length.",
        features: REVISION_1,
        trial: |subject| sum_up(&mut subject.raw, &one_each(), |known, raw| known.ask(raw)),
    },
    Row {
        id: "stateless-refused-unless-negotiated",
        section: "5.9.7.3",
        statement: "With REVISION_1 alone a request without the session flag is refused.",
        features: REVISION_1,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                Ok(refusal(ask_with(subject, work, session, &[(16, 0)])))
            })
        },
    },
    Row {
        id: "flag-decides-mode",
        section: "5.9.7.4.2-8.2",
        statement: "With a stateless mode, the flag decides: requests of both modes are served.",
        features: REVISION_1,
        trial: flag_decides,
    },
];

/// Asks with some words in the place of others.
fn ask_with(
    subject: &mut Subject,
    work: &Work,
    session: Session,
    change: &[(usize, u32)],
) -> Result<(), Trouble> {
    let words = with(work.words, change);
    let queue = Queue::Data(0);
    let answer = subject
        .raw
        .data_on(queue, session, &words, work.source, work.result_len);
    answer.map(drop)
}

/// One request of each algorithm that the device may know.
fn one_each() -> Vec<Known> {
    let mut all = [
        catalog::ciphers(),
        catalog::hashes(),
        catalog::macs(),
        catalog::aeads(),
        catalog::signatures(),
    ]
    .concat();
    all.dedup_by_key(|it| (it.service, it.number));
    all
}

/// Pairs of services that are served. A public-key request in a cipher's session, or the other way
/// round, ends QEMU: those are dangerous, and none is sent here.
fn pairs(subject: &Subject) -> Vec<(&'static Work, &'static Work)> {
    let works = subject.works.iter().copied();
    let works: Vec<_> = works
        .filter(|work| work.service != Services::AKCIPHER)
        .collect();
    let others = |own: &'static Work| works.iter().copied().map(move |other| (own, other));
    let pairs = works.iter().copied().flat_map(others);
    pairs
        .filter(|(own, other)| own.service != other.service)
        .collect()
}

fn session_of_another_service(subject: &mut Subject) -> Verdict {
    let pairs = pairs(subject);
    if pairs.is_empty() {
        return Err(Found::not_tried("no two services but for public keys"));
    }
    let mut faults = Vec::new();
    for (own, other) in &pairs {
        let session = served(own.open(&mut subject.raw), own.name)?;
        match other.ask(&mut subject.raw, session) {
            Err(Trouble::Status(_)) => {}
            answer => {
                let answer = name_of(&answer);
                faults.push(format!("{} for {}: {answer}", own.name, other.name));
            }
        }
        subject.raw.destroy_all();
    }
    let seen = match faults.len() {
        0 => format!("{} pairs", pairs.len()),
        _ => faults.join(", "),
    };
    Ok(Found::new(faults.is_empty(), seen))
}

fn destroy_by_another_service(subject: &mut Subject) -> Verdict {
    subject.work()?;
    let (mut held, mut seen) = (true, Vec::<String>::new());
    for work in subject.works.clone() {
        // A service that the device may not even have.
        let opcode = match work.service {
            Services::HASH => 0x203,
            _ => 0x103,
        };
        let session = served(work.open(&mut subject.raw), work.name)?;
        let ended = subject.raw.destroy_by(opcode, session).map(drop);
        let after = work.ask(&mut subject.raw, session).map(drop);
        held &= match ended {
            Ok(()) => after == Err(Trouble::Status(INVSESS)),
            Err(Trouble::Status(_)) => after == Ok(()),
            Err(trouble) => return Err(trouble.into()),
        };
        let (ended, after) = (name_of(&ended), name_of(&after));
        seen.push(format!("{} {ended}, then {after}", work.name));
        // It is open still, or a destroy of what is gone is refused.
        subject.raw.destroy_all();
    }
    Ok(Found::new(held, seen.join("; ")))
}

fn flag_decides(subject: &mut Subject) -> Verdict {
    let stateless = subject.offered & STATELESS;
    if stateless == 0 {
        return Err(Found::not_offered("no stateless mode"));
    }
    subject.raw.bring_up_with(REVISION_1 | stateless)?;
    let mut list = one_each();
    list.retain(|it| stateless & stateless_feature(it.service) != 0);
    sum_up(&mut subject.raw, &list, |known, raw| match known.ask(raw) {
        Given::Right => known.ask_stateless(raw, 0),
        given => given,
    })
}
