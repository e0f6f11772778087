//! Interrupts: when they come, and where (Virtio 1.3, 2.7.7, 2.8.10 and 4.1.5).

use alloc::format;

use crate::{
    report::found::{Found, Verdict},
    requests::{
        features::{EVENT_IDX, INDIRECT_DESC, RING_PACKED},
        ids::Session,
        interrupts::{self, DATA},
        layout::{Interrupts, Layout},
        raw::Queue,
        work::Work,
    },
    rules::{queues::open, row::Row, subject::Subject},
};

pub const ROWS: &[Row] = &[
    Row {
        id: "interrupt-when-done",
        section: "2.7.7.2",
        statement: "A completion sends an interrupt where none is suppressed.",
        features: 0,
        trial: |subject| comes(subject, 0, Interrupts::Each, 0),
    },
    Row {
        id: "interrupt-suppressed",
        section: "2.7.7.2",
        statement: "With NO_INTERRUPT a completion sends none.",
        features: 0,
        trial: |subject| stays_away(subject, 0, Interrupts::None),
    },
    Row {
        id: "interrupt-at-event",
        section: "2.7.7.2",
        statement: "With EVENT_IDX the completion that used_event names sends an interrupt.",
        features: EVENT_IDX,
        trial: |subject| comes(subject, EVENT_IDX, Interrupts::After(2), 2),
    },
    Row {
        id: "no-interrupt-before-event",
        section: "2.7.7.2",
        statement: "With EVENT_IDX no completion before that sends one.",
        features: EVENT_IDX,
        trial: |subject| stays_away(subject, EVENT_IDX, Interrupts::After(100)),
    },
    Row {
        id: "interrupt-at-its-vector",
        section: "4.1.5.1.2, 4.1.5.3",
        statement: "A queue's interrupts come at its own vector, and at no other.",
        features: 0,
        trial: |subject| {
            let (work, session) = wired(subject, 0)?;
            let before = interrupts::counts();
            complete(subject, work, session)?;
            let came = interrupts::wait_for_more(DATA, before[DATA]);
            interrupts::wait_in_silence();
            let after = interrupts::counts();
            let others = (0..after.len()).filter(|entry| *entry != DATA);
            let stray = others
                .filter(|entry| after[*entry] != before[*entry])
                .count();
            let seen = match (came, stray) {
                (true, 0) => "",
                (true, _) => "at another one, too",
                (false, 0) => "none came",
                (false, _) => "at another one",
            };
            Ok(Found::new(came && stray == 0, seen))
        },
    },
    Row {
        id: "no-interrupt-without-vector",
        section: "4.1.5.3.1",
        statement: "A queue without a vector sends no interrupt.",
        features: 0,
        trial: |subject| {
            let (work, session) = wired(subject, 0)?;
            subject.raw.unwire_data_queue();
            let before = interrupts::counts();
            complete(subject, work, session)?;
            interrupts::wait_in_silence();
            let came = interrupts::counts() != before;
            Ok(Found::new(!came, if came { "one came" } else { "" }))
        },
    },
    Row {
        id: "packed-interrupt-suppressed",
        section: "2.8.10",
        statement: "On a packed ring with events disabled a completion sends no interrupt.",
        features: RING_PACKED,
        trial: |subject| stays_away(subject, RING_PACKED, Interrupts::None),
    },
    Row {
        id: "packed-interrupt-at-event",
        section: "2.8.10",
        statement: "On a packed ring a completion sends an interrupt where events are enabled.",
        features: RING_PACKED,
        trial: |subject| {
            let found = comes(subject, RING_PACKED, Interrupts::Each, 0)?;
            let with_events = RING_PACKED | EVENT_IDX | INDIRECT_DESC;
            if with_events & !subject.offered != 0 || found != Found::new(true, "") {
                return Ok(found);
            }
            comes(subject, with_events, Interrupts::After(2), 2)
        },
    },
];

/// Sets the device up so that its interrupts are counted, and opens a session.
fn wired(subject: &mut Subject, features: u64) -> Result<(&'static Work, Session), Found> {
    if !subject.raw.bring_up_wired(features)? {
        return Err(Found::not_offered("no 3 MSI-X vectors"));
    }
    let opened = open(subject)?;
    interrupts::settle();
    Ok(opened)
}

/// Completes a request on data queue 0: in one descriptor of the ring, where that can be.
fn complete(subject: &mut Subject, work: &Work, session: Session) -> Result<(), Found> {
    let parts = subject
        .raw
        .data_parts(session, work.words, work.source, work.result_len);
    let layout = if subject.raw.negotiated & INDIRECT_DESC != 0 {
        Layout::Indirect
    } else {
        Layout::Direct
    };
    let answer = subject.raw.send_laid(Queue::Data(0), &parts, layout)?;
    Ok(answer.status_at(work.result_len)?)
}

/// Holds where an interrupt comes with a completion, behind so many others.
fn comes(subject: &mut Subject, features: u64, wanted: Interrupts, others: u32) -> Verdict {
    let (work, session) = wired(subject, features)?;
    let has_event_idx = features & EVENT_IDX != 0;
    let ring = subject.raw.ring(Queue::Data(0))?;
    ring.ask_for(wanted, has_event_idx);
    for _ in 0..others {
        complete(subject, work, session)?;
        interrupts::settle();
    }
    let before = interrupts::counts();
    complete(subject, work, session)?;
    let came = interrupts::wait_for_more(DATA, before[DATA]);
    Ok(Found::new(came, if came { "" } else { "none came" }))
}

/// Holds where completions send none.
fn stays_away(subject: &mut Subject, features: u64, wanted: Interrupts) -> Verdict {
    const COMPLETIONS: u32 = 3;
    let (work, session) = wired(subject, features)?;
    let has_event_idx = features & EVENT_IDX != 0;
    let ring = subject.raw.ring(Queue::Data(0))?;
    ring.ask_for(wanted, has_event_idx);
    let mut sent = 0;
    for _ in 0..COMPLETIONS {
        let before = interrupts::counts();
        complete(subject, work, session)?;
        interrupts::settle();
        sent += u32::from(interrupts::counts() != before);
    }
    let seen = format!("{sent} of {COMPLETIONS} completions sent one");
    Ok(Found::new(sent == 0, seen))
}
