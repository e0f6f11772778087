//! What the specification obliges a device to once requests are sent: sessions, their ids, and the
//! lengths of answers.

use alloc::{format, string::String};

use kernel::println;

use crate::{
    report::{
        Report,
        outcome::{Held, outcome},
    },
    requests::{
        ids::Session,
        raw::Raw,
        ring::UNWRITTEN,
        shared::encrypt,
        trouble::{Trouble, status_name},
        words::CREATE,
    },
};

/// What sessions and their ids are obliged to; needs a device that serves AES-128-CBC.
pub fn check(raw: &mut Raw, report: &mut Report) {
    raw.step = "sessions".into();
    let (first, second) = (raw.create(CREATE, &[7; 16]), raw.create(CREATE, &[7; 16]));
    let (Ok(first), Ok(second)) = (first, second) else {
        println!("probe: skipped=sessions reason=no_session_for_AES-128-CBC");
        return;
    };
    let note = format!("{} {}", first.id, second.id);
    report.requirement(
        "session-ids-differ",
        "5.9.7.2.1",
        first.id != second.id,
        note,
    );
    let live = encrypt(raw, first);
    let held = Held::of(&live, live.is_ok());
    report.requirement("session-serves", "5.9.7.1", held, outcome(live.map(drop)));
    let ended = raw.destroy(second).map(drop);
    let held = Held::of(&ended, ended.is_ok());
    report.requirement("destroy-answers-ok", "5.9.7.2.1", held, outcome(ended));
    raw.step = "request-of-an-ended-session".into();
    let late = encrypt(raw, second).map(drop);
    let held = Held::of(&late, late == Err(Trouble::Status(4)));
    report.requirement(
        "ended-session-answers-invsess",
        "5.9.7.1",
        held,
        outcome(late),
    );
    raw.step = "unknown-algorithm".into();
    let words = [(0, 0x002), (4, 63), (16, 63), (20, 16), (24, 1), (64, 1)];
    let answer = raw.create_answer(&words, &[7; 16]);
    let status = answer.as_ref().map(|answer| u32::from(answer.written[8]));
    let note = status.map_or_else(
        |trouble| format!("{trouble}"),
        |status| status_name(status).into(),
    );
    let held = Held::of(&status.map_err(|trouble| *trouble), status == Ok(3));
    report.requirement("unknown-algorithm-answers-notsupp", "5.9.7.2.1", held, note);
    let id = answer.map(|answer| answer.written[..8].to_vec());
    let untouched = matches!(&id, Ok(id) if *id == [UNWRITTEN; 8]);
    let held = Held::of(&id, untouched);
    let note = id.map_or_else(|trouble| format!("{trouble}"), |id| format!("{id:x?}"));
    report.requirement("session-id-only-when-ok", "5.9.7.2.1", held, note);
    raw.destroy_all();
}

/// Ids that the device has not given out, or no more: last of all, because there are devices that
/// do not survive it.
pub fn check_wrong_ids(raw: &mut Raw, report: &mut Report) {
    raw.step = "request-of-no-session".into();
    let unknown = encrypt(raw, Session::UNKNOWN).map(drop);
    let held = Held::of(&unknown, unknown == Err(Trouble::Status(4)));
    report.requirement(
        "unknown-session-answers-invsess",
        "5.9.7.1",
        held,
        outcome(unknown),
    );
    raw.step = "destroy-twice".into();
    let session = raw.create(CREATE, &[7; 16]);
    let ended = session.and_then(|session| raw.destroy(session).map(|_| session));
    let twice = ended.and_then(|session| raw.destroy(session).map(drop));
    let held = Held::of(
        &twice,
        ended.is_ok() && matches!(twice, Err(Trouble::Status(1..=6))),
    );
    report.requirement(
        "second-destroy-is-refused",
        "5.9.7.2.1",
        held,
        outcome(twice),
    );
}

/// What is known once every request has been sent.
pub fn check_answers(raw: &Raw, report: &mut Report) {
    let note = raw
        .overlong
        .map_or(String::new(), |bytes| format!("{bytes}"));
    report.requirement(
        "used-length-within-writable",
        "2.7.8",
        raw.overlong.is_none(),
        note,
    );
    let asked = raw.resets_asked;
    report.requirement(
        "no-reset-asked-for",
        "2.1.2",
        asked == 0,
        format!("{asked}"),
    );
}
