//! Maxima: of sessions, and of what a request holds (Virtio 1.3, 5.9.5.2 and 5.9.7.2.1).

use alloc::format;

use crate::{
    report::found::{Found, Verdict},
    requests::{
        config::MAX_SIZE,
        features::REVISION_1,
        raw::Raw,
        trouble::{Trouble, status_name},
        work::Work,
    },
    rules::{
        boundaries::{aes_cbc, open_aes_cbc},
        row::Row,
        subject::{Subject, name_of},
    },
};

const ERR: u32 = 1;
const NOSPC: u32 = 5;
/// Sessions that are opened at most to find the limit.
const MOST_SESSIONS: usize = 1100;
/// Bytes of the longest request that is tried, its result included.
const LONGEST: u64 = 1 << 20;
const BLOCK: u64 = 16;

pub const ROWS: &[Row] = &[
    Row {
        id: "session-limit-status",
        section: "5.9.7.2.1",
        statement: "Past the limit of sessions a create answers NOSPC with REVISION_1, else ERR.",
        features: 0,
        trial: session_limit,
    },
    Row {
        id: "destroy-frees-its-place",
        section: "5.9.7.2.1",
        statement: "At the limit of sessions a destroy makes room for a create.",
        features: 0,
        trial: |subject| {
            let work = subject.work()?;
            fill(&mut subject.raw, work)?;
            let Some(session) = subject.raw.sessions().next() else {
                return Err(Found::not_tried("no session"));
            };
            subject.raw.destroy(session)?;
            let answer = work.open(&mut subject.raw);
            Ok(Found::new(answer.is_ok(), name_of(&answer)))
        },
    },
    Row {
        id: "max-size-serves",
        section: "5.9.5.1",
        statement: "A request whose IV, source and result have max_size bytes together is served.",
        features: 0,
        trial: |subject| {
            let most = match subject.config.u64(MAX_SIZE) {
                0 => return Err(Found::not_offered("no maximum")),
                most => most.min(LONGEST),
            };
            let Some(len) = len_within(most) else {
                return Err(Found::not_tried(format!("max_size is {most}")));
            };
            let session = open_aes_cbc(subject)?;
            let answer = aes_cbc(
                &mut subject.raw,
                session,
                &[9; 16],
                &alloc::vec![7; len as usize],
            );
            let seen = format!("{most} bytes: {}", name_of(&answer));
            Ok(Found::new(answer.is_ok(), seen))
        },
    },
    Row {
        id: "beyond-max-size-fails",
        section: "5.9.5.2",
        statement: "A request beyond max_size fails.",
        features: 0,
        trial: beyond_max_size,
    },
];

/// Returns the most whole blocks that are source and result beside an IV.
fn len_within(most: u64) -> Option<u64> {
    let len = most.checked_sub(BLOCK)? / 2 / BLOCK * BLOCK;
    (len > 0).then_some(len)
}

/// Opens sessions until the device refuses; returns by what.
fn fill(raw: &mut Raw, work: &Work) -> Result<u32, Found> {
    for _ in 0..MOST_SESSIONS {
        match work.open(raw) {
            Ok(_) => {}
            Err(Trouble::Status(status)) => return Ok(status),
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Err(Found::not_tried(format!(
        "more than {MOST_SESSIONS} sessions"
    )))
}

fn session_limit(subject: &mut Subject) -> Verdict {
    let work = subject.work()?;
    let plain = fill(&mut subject.raw, work)?;
    subject.raw.destroy_all();
    let seen = format!("{} without REVISION_1", status_name(plain));
    if subject.offered & REVISION_1 == 0 {
        return Ok(Found::new(plain == ERR, seen));
    }
    subject.raw.bring_up_with(REVISION_1)?;
    let with = fill(&mut subject.raw, work)?;
    let seen = format!("{seen}, {} with it", status_name(with));
    Ok(Found::new(plain == ERR && with == NOSPC, seen))
}

fn beyond_max_size(subject: &mut Subject) -> Verdict {
    let most = subject.config.u64(MAX_SIZE);
    if !(1..=4 * LONGEST).contains(&most) {
        return Err(Found::not_tried(format!("max_size is {most}")));
    }
    let len = len_within(most).unwrap_or(0) + BLOCK;
    let session = open_aes_cbc(subject)?;
    let raw = &mut subject.raw;
    let answer = aes_cbc(raw, session, &[9; 16], &alloc::vec![7; len as usize]);
    // The driver is to reset the device afterwards: a device that asks for it does as it should.
    let step = &raw.step;
    raw.resets_asked.retain(|asked| asked != step);
    let failed = matches!(answer, Err(Trouble::Status(_) | Trouble::NeedsReset));
    raw.destroy_all();
    if raw.stopped.is_none() {
        raw.bring_up()?;
    }
    let size = BLOCK + 2 * len;
    Ok(Found::new(
        failed,
        format!("{size} bytes: {}", name_of(&answer)),
    ))
}
