//! The packed ring (Virtio 1.3, 2.8).

use alloc::format;

use crate::{
    report::found::{Found, Verdict},
    requests::{
        features::{INDIRECT_DESC, RING_PACKED},
        framing::{Borders, cut_anew},
        layout::Layout,
        raw::{Queue, Raw},
    },
    rules::{
        framing::each_border,
        queues::{many, open, several_in_flight},
        row::Row,
        sessions::each_work,
        subject::Subject,
    },
};

pub const ROWS: &[Row] = &[
    Row {
        id: "packed-serves",
        section: "2.8",
        statement: "On a packed ring each service serves.",
        features: RING_PACKED,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                work.ask(&mut subject.raw, session)?;
                Ok(Found::new(true, ""))
            })
        },
    },
    Row {
        id: "packed-several-in-flight",
        section: "2.8.9.1",
        statement: "Several in flight on a packed ring are all served, each by its own id.",
        features: RING_PACKED,
        trial: several_in_flight,
    },
    Row {
        id: "packed-any-framing",
        section: "2.8.5",
        statement: "On a packed ring a request may be cut into descriptors anywhere.",
        features: RING_PACKED,
        trial: |subject| each_border(subject, Raw::send),
    },
    Row {
        id: "packed-indirect",
        section: "2.8.7",
        statement: "On a packed ring a request may lie in an indirect table.",
        features: RING_PACKED | INDIRECT_DESC,
        trial: |subject| each_border(subject, Raw::send_indirect),
    },
    Row {
        id: "packed-wraps",
        section: "2.8.1",
        statement: "A packed ring goes round, also in the middle of a chain.",
        features: RING_PACKED,
        trial: wraps,
    },
];

/// Goes round several times, by chains of which no whole number fits, and by many at a time.
fn wraps(subject: &mut Subject) -> Verdict {
    const ROUNDS: usize = 3;
    let (work, session) = open(subject)?;
    let raw = &mut subject.raw;
    let expected = work.ask(raw, session)?;
    let parts = raw.data_parts(session, work.words, work.source, work.result_len);
    let parts = cut_anew(&parts, Borders::Regular);
    let size = usize::from(raw.ring(Queue::Data(0))?.size());
    for count in 0..ROUNDS * size / parts.len() {
        let answer = raw.send_laid(Queue::Data(0), &parts, Layout::Direct)?;
        if answer.written.get(..work.result_len) != Some(&expected) {
            return Ok(Found::new(false, format!("another answer after {count}")));
        }
    }
    for _ in 0..ROUNDS {
        let batch = many(raw, work, session)?;
        raw.collect(&batch)?;
    }
    Ok(Found::new(true, format!("{ROUNDS} times {size} entries")))
}
