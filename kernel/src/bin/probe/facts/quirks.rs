//! What a driver is better off to know, though no requirement says so.

use alloc::{format, string::String, vec::Vec};

use kernel::{println, time};

use crate::{
    answers::{
        bytes,
        keys::{self, RSA},
    },
    report::{Report, outcome::outcome},
    requests::{
        ids::{Session, session_id},
        raw::{Queue, Raw},
        shared::{self, encrypt, encrypt_on},
        trouble::Trouble,
        words::{ANSWER_LEN, CREATE, ENCRYPT, IV_AND_BLOCK},
    },
};

/// Sessions that are opened at most to find the limit.
const MOST_SESSIONS: usize = 1100;

/// Those that the ring alone shows.
pub fn find(raw: &mut Raw, report: &mut Report) {
    data_queues(raw, report);
    used_lengths(raw, report);
    session_limit(raw, report);
    survival(raw, report);
    short_signature(raw, report);
    ecdsa_number(raw, report);
}

/// Which data queues are served, each by a request of its own.
fn data_queues(raw: &mut Raw, report: &mut Report) {
    let mut served = Vec::new();
    let queues = raw.data_queues();
    for queue in 0..queues {
        raw.step = format!("data-queue {queue}");
        let answer = raw.create(CREATE, &[7; 16]);
        let answer = answer.and_then(|session| encrypt_on(raw, queue, session).map(drop));
        println!("probe: queue={queue} answers={}", outcome(answer));
        if answer.is_ok() {
            served.push(queue);
        }
        raw.destroy_all();
    }
    let value = match served.len() {
        count if count == usize::from(queues) => format!("{count}, all served"),
        _ => format!("{queues}, of which {served:?} served"),
    };
    report.quirk("data_queues", value);
}

fn used_lengths(raw: &mut Raw, report: &mut Report) {
    raw.step = "used-lengths".into();
    let created = raw.create_answer(CREATE, &[7; 16]);
    let used = created.as_ref().map(|created| created.used_bytes);
    let value = used.map(|bytes| format!("{bytes} of {ANSWER_LEN}"));
    report.quirk_or("used_bytes_of_create", value.map_err(|trouble| *trouble));
    if let Ok(created) = created {
        raw.note_session(session_id(&created.written), 0x003);
    }
    let session = raw.create(CREATE, &[7; 16]);
    let used = session.and_then(|session| encrypt(raw, session));
    report.quirk_or(
        "used_bytes_of_data",
        used.map(|bytes| format!("{bytes} of 17")),
    );
    // An answer of an error, with its used length, in a request that is right but for its session.
    let parts = raw.data_parts(Session::UNKNOWN, ENCRYPT, &IV_AND_BLOCK, 16);
    let before_ns = time::now_ns();
    let answer = raw.send(Queue::Data(0), &parts);
    report.measured(
        "answer_takes",
        format!("{} us", (time::now_ns() - before_ns) / 1000),
    );
    let value = answer.map(|answer| format!("{} of 17", answer.used_bytes));
    report.quirk_or("used_bytes_of_error", value);
    let ended = session.and_then(|session| raw.destroy(session));
    let value = ended.map(|answer| format!("{} of {ANSWER_LEN}", answer.used_bytes));
    report.quirk_or("used_bytes_of_destroy", value);
    raw.destroy_all();
}

fn session_limit(raw: &mut Raw, report: &mut Report) {
    raw.step = "session-limit".into();
    let mut count = 0;
    let end = loop {
        match raw.create(CREATE, &[7; 16]) {
            Ok(_) if count < MOST_SESSIONS => count += 1,
            Ok(_) => break None,
            Err(trouble) => break Some(trouble),
        }
    };
    match end {
        Some(Trouble::NotTried) => report.quirk("session_limit", String::from("not-tried")),
        Some(trouble) => {
            let beside = match raw.left_behind {
                0 => String::new(),
                left => format!(", beside {left} from before a reset at most"),
            };
            report.quirk("session_limit", format!("{count}{beside}"));
            report.quirk("status_past_session_limit", format!("{trouble}"));
        }
        None => report.quirk("session_limit", format!("more than {count}")),
    }
    raw.destroy_all();
}

fn survival(raw: &mut Raw, report: &mut Report) {
    raw.step = "sessions-and-reset".into();
    let value = match raw.create(CREATE, &[7; 16]) {
        Err(trouble) => Err(trouble),
        Ok(session) => match raw.keep_over_reset(session) {
            Ok(session) => Ok(match encrypt(raw, session) {
                Ok(_) => String::from("yes"),
                Err(trouble) => format!("no ({trouble})"),
            }),
            Err(error) => Ok(error),
        },
    };
    report.quirk_or("sessions_survive_reset", value);
    raw.destroy_all();
}

/// A signature whose first byte is 0: does the device drop a byte? With nettle, QEMU takes the
/// result for one byte shorter than it is, and cuts its end off.
fn short_signature(raw: &mut Raw, report: &mut Report) {
    raw.step = "short-signature".into();
    let key = &RSA[0];
    let digest = [[0; 16], keys::SHORT_DIGEST.to_be_bytes()].concat();
    let session = shared::open_rsa(raw, key, 6, shared::PRIVATE);
    let signed =
        session.and_then(|session| shared::transform(raw, 0x402, session, &digest, key.bits / 8));
    let value = signed.map(|(result, used_bytes)| {
        let signature = bytes(keys::SHORT_SIGNATURE);
        let value = match used_bytes as usize {
            used_bytes if used_bytes == result.len() + 1 && result == signature => "whole",
            used_bytes if used_bytes == result.len() && result.starts_with(&signature[1..]) => {
                "without the zero"
            }
            used_bytes
                if used_bytes == result.len()
                    && result.starts_with(&signature[..signature.len() - 1]) =>
            {
                "without its last byte"
            }
            _ => "wrong",
        };
        String::from(value)
    });
    report.quirk_or("rsa_result_that_begins_with_0", value);
    raw.destroy_all();
}

fn ecdsa_number(raw: &mut Raw, report: &mut Report) {
    raw.step = "ecdsa-number".into();
    let key = bytes(keys::ECDSA_PUBLIC);
    let mut value = String::new();
    for number in [2, 3] {
        let answer = match shared::open_ecdsa(raw, number, &key) {
            Ok(_) => "OK".into(),
            Err(trouble) => format!("{trouble}"),
        };
        value += &format!("{number}:{answer} ");
    }
    raw.destroy_all();
    report.quirk("ecdsa_number", value.trim_end().into());
}

/// How often there was no answer.
pub fn of_silence(raw: &Raw, report: &mut Report) {
    let silences = raw.silences;
    let value = format!(
        "{} dropped, {} never answered, {} late",
        silences.dropped, silences.never_answered, silences.late
    );
    report.quirk("requests_without_answer", value);
}

/// Those of the configuration.
pub fn of_configuration(raw: &Raw, max_size: u64, report: &mut Report) {
    report.quirk("max_size", format!("{max_size}"));
    report.quirk("msix_entries", format!("{}", raw.transport.msix_entries()));
    report.quirk(
        "requests_without_iv",
        "not tried (--dangerous=no-iv)".into(),
    );
}
