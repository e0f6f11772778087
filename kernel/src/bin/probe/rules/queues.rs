//! Queues and their rings, whichever kind they are (Virtio 1.3, 2.7 and 2.8).

use alloc::{format, vec::Vec};

use virtio_crypto::Services;

use crate::{
    report::found::{Found, Verdict},
    requests::{
        batch::Batch,
        chain::{Chain, Part, UNWRITTEN},
        features::{EVENT_IDX, IN_ORDER},
        ids::{Session, session_id},
        interrupts::wait_in_silence,
        layout::Layout,
        raw::{Queue, Raw},
        trouble::Trouble,
        work::Work,
    },
    rules::{
        row::Row,
        sessions::each_work,
        subject::{Subject, name_of},
    },
};

const DATA: Queue = Queue::Data(0);

pub const ROWS: &[Row] = &[
    Row {
        id: "data-queues-serve",
        section: "5.9.2, 5.9.5",
        statement: "Each data queue answers requests.",
        features: 0,
        trial: |subject| {
            // An answer that says no is an answer, too.
            each_queue(subject, 0, |_, answer| {
                matches!(answer, Ok(_) | Err(Trouble::Status(_)))
            })
        },
    },
    Row {
        id: "sessions-on-every-queue",
        section: "5.9.7.2.1",
        statement: "A session is one on every data queue.",
        features: 0,
        trial: |subject| {
            if subject.raw.data_queues() < 2 {
                return Err(Found::not_offered("1 data queue"));
            }
            each_queue(subject, 1, |expected, answer| {
                answer.as_ref() == Ok(expected)
            })
        },
    },
    Row {
        id: "several-in-flight",
        section: "2.7.13",
        statement: "All requests that one kick tells of are served, on both kinds of queues.",
        features: 0,
        trial: several_in_flight,
    },
    Row {
        id: "used-ids-in-flight",
        section: "2.7.8",
        statement: "Each used element names a chain that is in flight, once.",
        features: 0,
        trial: |subject| {
            let (work, session) = open(subject)?;
            let mut count = 0;
            for _ in 0..4 {
                let batch = many(&mut subject.raw, work, session)?;
                count += subject.raw.collect(&batch)?.len();
            }
            Ok(Found::new(true, format!("{count} requests")))
        },
    },
    Row {
        id: "results-in-their-own-buffers",
        section: "2.7.8",
        statement: "Of several in flight each gets its own result.",
        features: 0,
        trial: own_results,
    },
    Row {
        id: "used-length-is-written",
        section: "2.7.8.2",
        statement: "As many bytes as the used length says have been written.",
        features: 0,
        trial: |subject| {
            each_work(subject, |subject, work| {
                let session = work.open(&mut subject.raw)?;
                used_length_is_written(&mut subject.raw, work, session)
            })
        },
    },
    Row {
        id: "used-flags-defined",
        section: "2.7.10.2",
        statement: "The flags of the used ring are 0 or 1, and 0 with EVENT_IDX.",
        features: 0,
        trial: used_flags,
    },
    Row {
        id: "spurious-kick-ignored",
        section: "2.7.10.2",
        statement: "A kick without a request does nothing.",
        features: 0,
        trial: |subject| {
            let (work, session) = open(subject)?;
            work.ask(&mut subject.raw, session)?;
            for queue in [DATA, Queue::Control] {
                subject.raw.ring(queue)?.kick();
                wait_in_silence();
                if let Some((id, _)) = subject.raw.ring(queue)?.take_used() {
                    subject.raw.start_anew(Trouble::WrongId(id));
                    return Ok(Found::new(false, format!("used element {id}")));
                }
                subject.raw.check_live()?;
            }
            let answer = work.ask(&mut subject.raw, session);
            Ok(Found::new(answer.is_ok(), name_of(&answer)))
        },
    },
    Row {
        id: "index-wraps",
        section: "2.7.6, 2.7.8",
        statement: "The indices of both rings run on past 65535.",
        features: 0,
        trial: index_wraps,
    },
    Row {
        id: "in-order",
        section: "6.2, 2.7.9",
        statement: "With IN_ORDER requests are used in the order in which they became available.",
        features: IN_ORDER,
        trial: in_order,
    },
];

pub fn open(subject: &mut Subject) -> Result<(&'static Work, Session), Found> {
    let work = subject.work()?;
    Ok((work, work.open(&mut subject.raw)?))
}

fn each_queue(
    subject: &mut Subject,
    first: u16,
    is_right: fn(&Vec<u8>, &Result<Vec<u8>, Trouble>) -> bool,
) -> Verdict {
    let (work, mut session) = open(subject)?;
    let expected = work.ask(&mut subject.raw, session)?;
    let (mut faults, queues) = (Vec::new(), subject.raw.data_queues());
    for queue in first..queues {
        if !subject.raw.is_of_this_life(session) {
            session = work.open(&mut subject.raw)?;
        }
        let answer = work.ask_on(&mut subject.raw, queue, session);
        if !is_right(&expected, &answer) {
            faults.push(format!("{queue}: {}", name_of(&answer)));
        }
    }
    let seen = match faults.len() {
        0 => format!("{queues} data queues"),
        _ => faults.join(", "),
    };
    Ok(Found::new(faults.is_empty(), seen))
}

/// Returns a request that differs from others by a number, if it has something to differ in.
fn numbered(raw: &Raw, work: &Work, session: Session, number: u8) -> Vec<Part> {
    let mut source: Vec<Vec<u8>> = work.source.iter().map(|part| part.to_vec()).collect();
    // Of a cipher the block, of all others the message.
    let varied = if work.source.len() > 1 { 1 } else { 0 };
    source[varied][0] ^= number;
    let source: Vec<&[u8]> = source.iter().map(Vec::as_slice).collect();
    raw.data_parts(session, work.words, &source, work.result_len)
}

/// Publishes as many requests as find room.
pub fn many(raw: &mut Raw, work: &Work, session: Session) -> Result<Batch, Trouble> {
    let descriptors = numbered(raw, work, session, 0).len();
    let room = raw.room(DATA, descriptors)?;
    let requests: Vec<_> = (0..room)
        .map(|number| numbered(raw, work, session, number as u8))
        .collect();
    raw.publish_all(DATA, &requests)
}

pub fn several_in_flight(subject: &mut Subject) -> Verdict {
    let (work, session) = open(subject)?;
    let raw = &mut subject.raw;
    let batch = many(raw, work, session)?;
    let data = raw.collect(&batch)?;
    let served = data
        .iter()
        .filter(|answer| answer.status_at(work.result_len).is_ok());
    let served = served.count();
    let create = raw.control_parts(work.create, &(work.key)());
    let room = raw.room(Queue::Control, create.len())?.min(MOST_CREATES);
    let batch = raw.publish_all(Queue::Control, &alloc::vec![create; room])?;
    let created = raw.collect(&batch)?;
    let mut opened = 0;
    for answer in &created {
        if answer.written[8..12] == [0; 4] {
            raw.note_session(session_id(&answer.written), work.destroy_opcode());
            opened += 1;
        }
    }
    let seen = format!("{served} requests, {opened} creates");
    let all = served == data.len() && opened == created.len();
    Ok(Found::new(all, seen))
}

/// Fewer than any device has sessions.
const MOST_CREATES: usize = 8;

fn own_results(subject: &mut Subject) -> Verdict {
    let (work, session) = open(subject)?;
    let raw = &mut subject.raw;
    let batch = many(raw, work, session)?;
    let answers = raw.collect(&batch)?;
    let mut faults = 0;
    // One by one, each for itself.
    for (number, answer) in (0..MOST_COMPARED).zip(&answers) {
        let alone = raw.send(DATA, &numbered(raw, work, session, number))?;
        faults += u32::from(alone.written != answer.written);
    }
    let count = answers.len().min(MOST_COMPARED.into());
    let seen = match faults {
        0 => format!("{count} results"),
        _ => format!("{faults} of {count} belong to others"),
    };
    Ok(Found::new(faults == 0, seen))
}

const MOST_COMPARED: u8 = 16;

/// Sends one request twice, into memory that holds something else each time: what is the same as
/// before both times has not been written.
fn used_length_is_written(raw: &mut Raw, work: &Work, session: Session) -> Verdict {
    let parts = raw.data_parts(session, work.words, work.source, work.result_len);
    let mut written = Vec::new();
    let mut least = usize::MAX;
    for fill in [UNWRITTEN, !UNWRITTEN] {
        let chain = Chain::new(&parts);
        chain.refill(fill);
        let ring = raw.ring(DATA)?;
        ring.add(0, &chain, Layout::Direct);
        ring.expose();
        ring.kick();
        let Some((_, len)) = raw.wait(DATA)? else {
            raw.start_anew(Trouble::NeverAnswered);
            return Err(Trouble::NeverAnswered.into());
        };
        least = least.min(len as usize);
        written.push(chain.written());
    }
    let [first, second] = &written[..] else {
        return Err(Trouble::NotTried.into());
    };
    let fills = |(a, b): (&u8, &u8)| (*a, *b) == (UNWRITTEN, !UNWRITTEN);
    let unwritten = first.iter().zip(second).take(least).position(fills);
    let seen = match unwritten {
        None => format!("{least} bytes"),
        Some(at) => format!("byte {at} of {least} is not"),
    };
    Ok(Found::new(unwritten.is_none(), seen))
}

fn used_flags(subject: &mut Subject) -> Verdict {
    let mut seen = Vec::new();
    let mut held = true;
    for (features, most) in [(0, 1), (EVENT_IDX, 0)] {
        if features & !subject.offered != 0 {
            continue;
        }
        subject.raw.bring_up_with(features)?;
        let (work, session) = open(subject)?;
        work.ask(&mut subject.raw, session)?;
        for queue in [DATA, Queue::Control] {
            let flags = subject.raw.split(queue)?.used_flags();
            held &= flags <= most;
            seen.push(format!("{flags}"));
        }
    }
    Ok(Found::new(held, seen.join(" ")))
}

/// Runs one round of chains over and over, all of them in flight at a time.
fn index_wraps(subject: &mut Subject) -> Verdict {
    const REQUESTS: u32 = 66_000;
    let (work, session) = open(subject)?;
    if work.service == Services::AKCIPHER {
        return Err(Found::not_tried("public keys alone are too slow"));
    }
    let raw = &mut subject.raw;
    let expected = work.ask(raw, session)?;
    let batch = many(raw, work, session)?;
    raw.collect(&batch)?;
    let mut count = batch.chains.len() as u32;
    while count < REQUESTS {
        let ring = raw.split(DATA)?;
        for (head, _) in &batch.chains {
            ring.add_head(*head);
        }
        ring.expose();
        ring.kick();
        for _ in &batch.chains {
            let known = |id| batch.chains.iter().any(|(own, _)| u32::from(*own) == id);
            let trouble = match raw.wait(DATA)? {
                Some((id, _)) if known(id) => continue,
                Some((id, _)) => Trouble::WrongId(id),
                None => Trouble::NeverAnswered,
            };
            raw.start_anew(trouble);
            let index = count & 0xffff;
            let seen = format!("{trouble} within a round from index {index} on");
            return Ok(Found::new(false, seen));
        }
        count += batch.chains.len() as u32;
    }
    let answer = work.ask(raw, session);
    let same = answer.as_ref() == Ok(&expected);
    Ok(Found::new(same, format!("then {}", name_of(&answer))))
}

/// A batch is used by one element for its last buffer; the index moves by the whole of it. What is
/// skipped then is not written, least of all with buffers of the batch in another order.
fn in_order(subject: &mut Subject) -> Verdict {
    let (work, session) = open(subject)?;
    let raw = &mut subject.raw;
    let mut count = 0;
    for _ in 0..8 {
        let most = raw.ring(DATA)?.size();
        raw.split(DATA)?.mark_used(most);
        let batch = many(raw, work, session)?;
        let (ids, mut done) = (&batch.chains, 0);
        let place = |id: u32| ids.iter().position(|(own, _)| u32::from(*own) == id);
        let mut patience = 0;
        while done < ids.len() {
            let ring = raw.split(DATA)?;
            if ring.used_index() == ring.taken() {
                wait_in_silence();
                patience += 1;
                if patience > MOST_WAITS {
                    raw.start_anew(Trouble::NeverAnswered);
                    return Err(Trouble::NeverAnswered.into());
                }
                continue;
            }
            let first = ring.taken();
            let (id, _) = ring.used_at(first);
            let used = place(id)
                .filter(|last| *last >= done)
                .map_or(0, |last| last - done + 1);
            let mut skipped =
                (1..used as u16).map(|number| ring.used_at(first.wrapping_add(number)));
            if used == 0 || skipped.any(|(id, _)| place(id).is_some()) {
                raw.start_anew(Trouble::WrongId(id));
                return Ok(Found::new(false, format!("{id} after {done} were used")));
            }
            ring.skip(used as u16);
            done += used;
        }
        count += done;
    }
    Ok(Found::new(true, format!("{count} requests")))
}

/// 2 s in all.
const MOST_WAITS: u32 = 200;
