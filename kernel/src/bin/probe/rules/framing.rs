//! How a request may be cut into descriptors: by the specification, anyhow.

use alloc::{format, string::String, vec::Vec};

use kernel::println;

use crate::{
    report::{
        Report,
        found::{Found, Verdict},
    },
    requests::{
        chain::Part,
        features::INDIRECT_DESC,
        framing::{Borders, Framing, cut_anew},
        ids::session_id,
        layout::Layout,
        raw::{Answer, Queue, Raw},
        trouble::Trouble,
        work::{WORKS, Work},
    },
    rules::{
        answers::name_some,
        row::Row,
        subject::{Subject, name_of},
    },
};

pub const ROWS: &[Row] = &[
    Row {
        id: "any-framing",
        section: "2.7.4.1",
        statement: "A request may be cut into descriptors anywhere.",
        features: 0,
        trial: |subject| each_border(subject, Raw::send),
    },
    Row {
        id: "one-byte-descriptors",
        section: "2.7.4.1",
        statement: "A request may be cut into descriptors of a byte each, where so many fit.",
        features: 0,
        trial: |subject| borders(subject, &[Borders::EachByte], Raw::send),
    },
    Row {
        id: "indirect-any-framing",
        section: "2.7.5.3",
        statement: "A request in an indirect table may be cut into descriptors anywhere.",
        features: INDIRECT_DESC,
        trial: |subject| each_border(subject, Raw::send_indirect),
    },
    Row {
        id: "direct-then-indirect",
        section: "2.7.5.3.2",
        statement: "A chain may begin in the ring and go on in an indirect table.",
        features: INDIRECT_DESC,
        trial: |subject| {
            each_border(subject, |raw, queue, parts| {
                raw.send_laid(queue, parts, Layout::DirectThenIndirect)
            })
        },
    },
    Row {
        id: "indirect-ignores-write-flag",
        section: "2.7.5.3.2",
        statement: "The write flag of a descriptor that leads to an indirect table is ignored.",
        features: INDIRECT_DESC,
        trial: |subject| {
            each_border(subject, |raw, queue, parts| {
                raw.send_laid(queue, parts, Layout::WritableIndirect)
            })
        },
    },
];

/// Finds out what the device serves, by requests of each service cut both ways. The way that is
/// answered more often is the way of all that follows.
pub fn find(subject: &mut Subject, report: &mut Report) {
    let (mut taken, mut has_no_room) = ([0; 2], false);
    for work in WORKS {
        let known = subject.works.iter();
        if known.clone().any(|own| own.service == work.service) {
            continue;
        }
        let raw = &mut subject.raw;
        let answers = Framing::ALL.map(|framing| {
            raw.step = format!("framing {} {}", work.name, framing.name());
            raw.framing = framing;
            let answer = work.open(raw);
            let answer = answer.and_then(|session| work.ask(raw, session));
            raw.destroy_all();
            answer
        });
        let [fields, joined] = [0, 1].map(|at| name_of(&answers[at]));
        let name = work.name;
        println!("probe: framing request={name} one-per-field={fields} compact={joined}");
        for (taken, answer) in taken.iter_mut().zip(&answers) {
            *taken += u32::from(answer.is_ok());
            has_no_room |= matches!(answer, Err(Trouble::NoRoom));
        }
        if answers.iter().any(Result::is_ok) {
            subject.works.push(work);
        }
    }
    subject.raw.framing = if taken[1] > taken[0] {
        Framing::Joined
    } else {
        Framing::Fields
    };
    subject.wants_fields = taken[0] > taken[1];
    let value = match taken {
        [0, 0] => String::from("no request is served either way"),
        [fields, joined] if fields == joined => String::from("either"),
        _ if has_no_room => format!("{}; no room for the other", subject.raw.framing.name()),
        _ => format!("{} alone", subject.raw.framing.name()),
    };
    report.quirk("framing", value);
}

/// How a data request of this opcode is sent, cut already.
type Send = fn(&mut Raw, Queue, &[Part]) -> Result<Answer, Trouble>;

/// Sends a *create* and a request of each service with every kind of borders; each has to be
/// answered as it is without.
pub fn each_border(subject: &mut Subject, send: Send) -> Verdict {
    borders(subject, &Borders::ALL, send)
}

fn borders(subject: &mut Subject, all: &[Borders], send: Send) -> Verdict {
    subject.work()?;
    let (mut differing, mut is_tried) = (Vec::new(), false);
    for work in subject.works.clone() {
        for borders in all {
            let life = subject.raw.life;
            let answer = with_borders(&mut subject.raw, work, *borders, send);
            is_tried |= answer != Ok(false);
            if let Err(what) = answer {
                differing.push(format!("{} {}: {what}", work.name, borders.name()));
            }
            if subject.raw.life != life {
                // What breaks the device once is not done again.
                return Ok(Found::new(false, differing.join(", ")));
            }
            subject.raw.destroy_all();
        }
    }
    if !is_tried {
        return Err(Trouble::NoRoom.into());
    }
    let (services, ways) = (subject.works.len(), all.len());
    match differing.len() {
        0 => Ok(Found::new(
            true,
            format!("services {services}, ways {ways}"),
        )),
        _ => Ok(Found::new(false, name_some(differing))),
    }
}

/// Tells whether the ring has room for a data request that is cut so, if nothing differs.
fn with_borders(raw: &mut Raw, work: &Work, borders: Borders, send: Send) -> Result<bool, String> {
    let text = |trouble: Trouble| format!("{trouble}");
    let session = work.open(raw).map_err(text)?;
    let expected = work.ask(raw, session).map_err(text)?;
    let create = cut_anew(&raw.control_parts(work.create, &(work.key)()), borders);
    if create.len() <= usize::from(raw.ring(Queue::Control).map_err(text)?.size()) {
        let created = send(raw, Queue::Control, &create).map_err(text)?;
        if created.written.get(8..12) != Some(&[0; 4]) {
            return Err("create is refused".into());
        }
        raw.note_session(session_id(&created.written), work.destroy_opcode());
    }
    let parts = raw.data_parts(session, work.words, work.source, work.result_len);
    let answer = match send(raw, Queue::Data(0), &cut_anew(&parts, borders)) {
        Err(Trouble::NoRoom) => return Ok(false),
        answer => answer.map_err(text)?,
    };
    answer.status_at(work.result_len).map_err(text)?;
    if answer.written[..work.result_len] != expected[..] {
        return Err("another answer".into());
    }
    Ok(true)
}
