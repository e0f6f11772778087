//! What a reset clears, what is written after it, and what is done before DRIVER_OK (Virtio 1.3,
//! 2.1.2 and 2.4.1).

use alloc::{format, vec::Vec};

use crate::{
    report::found::{Found, Verdict},
    requests::{
        chain::Chain,
        features::RING_RESET,
        ids::session_id,
        interrupts::{counts, settle, wait_in_silence},
        layout::Layout,
        raw::Queue,
        trouble::Trouble,
    },
    rules::{
        queues::{many, open},
        row::Row,
        subject::{Subject, name_of},
    },
};

/// How long is waited for what must not come, of [`wait_in_silence`].
const WAITS: u32 = 5;

pub const ROWS: &[Row] = &[
    Row {
        id: "no-work-before-driver-ok",
        section: "2.1.2",
        statement: "No request is consumed before DRIVER_OK.",
        features: 0,
        trial: before_driver_ok,
    },
    Row {
        id: "silent-after-reset",
        section: "2.4.1",
        statement: "Once a reset is done, nothing is written any more, and no interrupt comes.",
        features: 0,
        trial: silent_after_reset,
    },
    Row {
        id: "reset-empties-queues",
        section: "2.4.1",
        statement: "Queues that are set up after a reset begin empty.",
        features: 0,
        trial: empty_after_reset,
    },
    Row {
        id: "queue-reset-empties",
        section: "2.6.1.1",
        statement: "A queue that is reset by itself begins anew, and all else goes on.",
        features: RING_RESET,
        trial: empty_after_queue_reset,
    },
];

fn before_driver_ok(subject: &mut Subject) -> Verdict {
    let work = subject.work()?;
    let raw = &mut subject.raw;
    raw.prepare()?;
    let create = Chain::new(&raw.control_parts(work.create, &(work.key)()));
    let ring = raw.ring(Queue::Control)?;
    ring.add(0, &create, Layout::Direct);
    ring.expose();
    ring.kick();
    wait_in_silence();
    let early = raw.ring(Queue::Control)?.take_used().is_some();
    raw.go_live();
    if !early {
        // It has to be served now, and nothing else may be.
        raw.ring(Queue::Control)?.kick();
        if raw.wait(Queue::Control)?.is_none() {
            raw.start_anew(Trouble::NeverAnswered);
            return Ok(Found::new(false, "it is not served afterwards either"));
        }
    }
    let seen = if early { "it was served" } else { "" };
    let id = session_id(&create.written());
    raw.note_session(id, work.destroy_opcode());
    raw.destroy_all();
    Ok(Found::new(!early, seen))
}

fn silent_after_reset(subject: &mut Subject) -> Verdict {
    let (work, session) = open(subject)?;
    if !subject.raw.bring_up_wired(0)? && subject.raw.transport.msix_entries() > 0 {
        // Fewer vectors than queues: interrupts are not looked at.
        subject.raw.bring_up()?;
    }
    let session = match subject.raw.is_of_this_life(session) {
        true => session,
        false => work.open(&mut subject.raw)?,
    };
    settle();
    let batch = many(&mut subject.raw, work, session)?;
    // No question is asked of the rings in between.
    let rings = subject.raw.take_rings();
    if !subject.raw.reset() {
        return Ok(Found::new(false, "no reset"));
    }
    let state = || {
        let written: Vec<_> = batch
            .chains
            .iter()
            .map(|(_, chain)| chain.written())
            .collect();
        let used = rings.as_ref().map(|rings| rings.data[0].used_bytes());
        (written, used)
    };
    // What was sent before may still be on its way.
    let before = state();
    settle();
    let interrupts = counts();
    for _ in 0..WAITS {
        wait_in_silence();
    }
    let (is_written, has_come) = (state() != before, counts() != interrupts);
    let seen = match (is_written, has_come) {
        (false, false) => "",
        (true, _) => "memory is written",
        (false, true) => "an interrupt comes",
    };
    Ok(Found::new(!is_written && !has_come, seen))
}

fn empty_after_reset(subject: &mut Subject) -> Verdict {
    let (work, session) = open(subject)?;
    let batch = many(&mut subject.raw, work, session)?;
    subject.raw.collect(&batch)?;
    subject.raw.destroy_all();
    subject.raw.bring_up()?;
    wait_in_silence();
    for queue in [Queue::Data(0), Queue::Control] {
        if subject.raw.ring(queue)?.take_used().is_some() {
            subject.raw.start_anew(Trouble::WrongId(0));
            return Ok(Found::new(false, "a used element, without a request"));
        }
    }
    let (work, session) = open(subject)?;
    let answer = work.ask(&mut subject.raw, session);
    let seen = format!("a request answers {}", name_of(&answer));
    Ok(Found::new(answer.is_ok(), seen))
}

fn empty_after_queue_reset(subject: &mut Subject) -> Verdict {
    if !subject.raw.transport.resets_queues() {
        return Err(Found::not_offered("no register for it"));
    }
    let (work, session) = open(subject)?;
    let batch = many(&mut subject.raw, work, session)?;
    subject.raw.collect(&batch)?;
    if !subject.raw.reset_queue(0)? {
        subject.raw.start_anew(Trouble::NeverAnswered);
        return Ok(Found::new(false, "it does not end"));
    }
    for _ in 0..2 {
        let answer = work.ask(&mut subject.raw, session);
        if answer.is_err() {
            let seen = format!("a request answers {}", name_of(&answer));
            return Ok(Found::new(false, seen));
        }
    }
    // On the control queue.
    work.open(&mut subject.raw)?;
    Ok(Found::new(true, "requests answer OK"))
}
