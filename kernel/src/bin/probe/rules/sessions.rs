//! Sessions: how they begin, what their ids are, how they end (Virtio 1.3, 5.9.7.2.1).

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::Services;

use crate::{
    report::found::{Found, Held, Verdict, status},
    requests::{chain::UNWRITTEN, ids::Session, trouble::Trouble, work::Work},
    rules::{
        row::Row,
        subject::{Subject, name_of},
    },
};

const SECTION: &str = "5.9.7.2.1";
const ERR: u32 = 1;
const NOTSUPP: u32 = 3;
const INVSESS: u32 = 4;

pub const ROWS: &[Row] = &[
    Row {
        id: "session-serves",
        section: SECTION,
        statement: "A session that was opened serves, and so does the next one beside it.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let first = work.open(&mut subject.raw)?;
                let second = work.open(&mut subject.raw)?;
                let answer = work.ask(&mut subject.raw, first)?;
                let same = work.ask(&mut subject.raw, second)? == answer;
                Ok(Found::new(same, if same { "" } else { "they differ" }))
            })
        },
    },
    Row {
        id: "sessions-keep-their-keys",
        section: SECTION,
        statement: "Of several sessions each keeps its own key.",
        features: 0,
        trial: |subject| {
            let keyed = [Services::CIPHER, Services::MAC, Services::AEAD];
            let mut works = subject.works.clone();
            works.retain(|work| keyed.contains(&work.service));
            each_of(subject, works, |subject, work| {
                let raw = &mut subject.raw;
                let first = work.open(raw)?;
                let answer = work.ask(raw, first)?;
                let other = raw.create(work.create, &[8; 16])?;
                let answers = [work.ask(raw, first)?, work.ask(raw, other)?];
                let own = answers[0] == answer && answers[1] != answer;
                Ok(Found::new(own, if own { "" } else { "mixes them" }))
            })
        },
    },
    Row {
        id: "session-ids-unique",
        section: SECTION,
        statement: "No two open sessions have one id.",
        features: 0,
        trial: ids_unique,
    },
    Row {
        id: "session-id-only-when-ok",
        section: SECTION,
        statement: "session_id is written only where the status is OK.",
        features: 0,
        trial: |subject| {
            let refused = subject.raw.create_answer(UNKNOWN_CIPHER, &[7; 16])?;
            let id = &refused.written[..8];
            let untouched = id.iter().all(|byte| *byte == UNWRITTEN);
            let seen = if untouched { "" } else { "written" };
            Ok(Found::new(untouched, seen))
        },
    },
    Row {
        id: "unknown-algorithm-answers-notsupp",
        section: SECTION,
        statement: "A create of an algorithm without a meaning answers NOTSUPP, in each service.",
        features: 0,
        trial: unknown_algorithms,
    },
    Row {
        id: "destroy-answers-ok",
        section: SECTION,
        statement: "The destroy of an open session answers OK.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                Ok(status(subject.raw.destroy(session), 0))
            })
        },
    },
    Row {
        id: "destroy-ends-the-session",
        section: SECTION,
        statement: "After its destroy a session's id answers INVSESS.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                subject.raw.destroy(session)?;
                Ok(status(work.ask(&mut subject.raw, session), INVSESS))
            })
        },
    },
    Row {
        id: "second-destroy-is-refused",
        section: SECTION,
        statement: "A second destroy of a session answers ERR.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                subject.raw.destroy(session)?;
                let again = subject.raw.destroy_by(work.destroy_opcode(), session);
                Ok(status(again, ERR))
            })
        },
    },
    Row {
        id: "unknown-destroy-answers-err",
        section: SECTION,
        statement: "The destroy of an id that was never given out answers ERR.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let opcode = work.destroy_opcode();
                Ok(status(
                    subject.raw.destroy_by(opcode, Session::UNKNOWN),
                    ERR,
                ))
            })
        },
    },
    Row {
        id: "unknown-session-answers-invsess",
        section: "5.9.7.4-8",
        statement: "A request in a session that was never opened answers INVSESS, in each service.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let answer = work.ask(&mut subject.raw, Session::UNKNOWN);
                Ok(status(answer, INVSESS))
            })
        },
    },
];

/// Sums up the trials of all services.
pub fn each_work(
    subject: &mut Subject,
    trial: fn(&mut Subject, &'static Work) -> Verdict,
) -> Verdict {
    let works = subject.works.clone();
    each_of(subject, works, trial)
}

fn each_of(
    subject: &mut Subject,
    works: Vec<&'static Work>,
    trial: fn(&mut Subject, &'static Work) -> Verdict,
) -> Verdict {
    if works.is_empty() {
        return Err(Found::not_offered("no service that is asked for here"));
    }
    let (mut held, mut seen) = (true, Vec::new());
    for work in works {
        let (Ok(found) | Err(found)) = trial(subject, work);
        subject.raw.destroy_all();
        held &= found.held == Held::Yes;
        seen.push(match found.seen.as_str() {
            "" => String::from(work.name),
            seen => format!("{} {seen}", work.name),
        });
    }
    Ok(Found::new(held, seen.join(", ")))
}

/// A *create* of a cipher that the specification does not number.
const UNKNOWN_CIPHER: &[(usize, u32)] =
    &[(0, 0x002), (4, 63), (16, 63), (20, 16), (24, 1), (64, 1)];

/// The same of each service.
const UNKNOWN: &[(&str, &[(usize, u32)])] = &[
    ("CIPHER", UNKNOWN_CIPHER),
    ("HASH", &[(0, 0x102), (4, 31), (16, 31), (20, 20)]),
    ("MAC", &[(0, 0x202), (4, 60), (16, 60), (20, 20), (24, 16)]),
    (
        "AEAD",
        &[(0, 0x302), (4, 31), (16, 31), (20, 16), (24, 16), (32, 1)],
    ),
    (
        "AKCIPHER",
        &[(0, 0x404), (4, 31), (16, 31), (20, 1), (24, 16)],
    ),
];

fn unknown_algorithms(subject: &mut Subject) -> Verdict {
    let (mut held, mut seen) = (true, Vec::new());
    for (service, words) in UNKNOWN {
        // A hash has no key.
        let key: &[u8] = if *service == "HASH" { &[] } else { &[7; 16] };
        let answer = subject.raw.create(words, key);
        held &= matches!(answer, Err(Trouble::Status(NOTSUPP)));
        seen.push(format!("{service} {}", name_of(&answer)));
    }
    Ok(Found::new(held, seen.join(", ")))
}

fn ids_unique(subject: &mut Subject) -> Verdict {
    let work = subject.work()?;
    let mut ids = Vec::new();
    for _ in 0..64 {
        match work.open(&mut subject.raw) {
            Ok(session) => ids.push(session.id),
            // Fewer may be its limit.
            Err(Trouble::Status(_)) if ids.len() > 1 => break,
            Err(trouble) => return Err(trouble.into()),
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    Ok(Found::new(ids.len() == count, format!("{count} sessions")))
}
