//! What a driver is better off to know, though no requirement says so.

use alloc::{format, string::String};

use kernel::time;
use virtio_crypto::transport::Transport;

use crate::{
    keys::{self, RSA},
    raw::{ANSWER_LEN, Part, Queue, Raw, Trouble, head},
    report::Report,
    services::{self, bytes},
};

/// Words of a *create* for AES-128-CBC, encrypting.
pub const CREATE: &[(usize, u32)] = &[(0, 0x002), (4, 3), (16, 3), (20, 16), (24, 1), (64, 1)];
/// Sessions that are opened at most to find the limit.
const MOST_SESSIONS: usize = 1100;

/// Encrypts a block in a session of [`CREATE`]; returns the used element's length.
pub fn encrypt(raw: &mut Raw, id: u64) -> Result<u32, Trouble> {
    let words = [(4, 3), (24, 16), (28, 16), (32, 16), (64, 1)];
    let (_, used_bytes) = raw.data(0x000, id, &words, &[&[0; 16], &[0; 16]], 16)?;
    Ok(used_bytes)
}

/// Those that the ring alone shows.
pub fn find(raw: &mut Raw, report: &mut Report) {
    used_lengths(raw, report);
    session_limit(raw, report);
    survival(raw, report);
    short_signature(raw, report);
    ecdsa_number(raw, report);
}

fn used_lengths(raw: &mut Raw, report: &mut Report) {
    raw.step = "used-lengths".into();
    let Ok(created) = raw.create_answer(CREATE, &[7; 16]) else {
        return;
    };
    report.quirk(
        "used_bytes_of_create",
        format!("{} of {ANSWER_LEN}", created.used_bytes),
    );
    // Opened twice, so that the id is known here too.
    let Ok(id) = raw.create(CREATE, &[7; 16]) else {
        return;
    };
    let first = created.written.iter().take(8).rev();
    let first = first.fold(0, |id, byte| id << 8 | u64::from(*byte));
    raw.sessions.push((first, 0x003));
    if let Ok(used_bytes) = encrypt(raw, id) {
        report.quirk("used_bytes_of_data", format!("{used_bytes} of 17"));
    }
    // An answer of an error, with its used length, in a request that is right but for its session.
    let words = [
        (0, 0x000),
        (4, 3),
        (8, u32::MAX),
        (12, u32::MAX),
        (16, 1),
        (24, 16),
        (28, 16),
    ];
    let words = [&words[..], &[(32, 16), (64, 1)]].concat();
    let parts = [
        Part::Readable([&head(&words)[..], &[0; 32]].concat()),
        Part::Writable(17),
    ];
    let before_ns = time::now_ns();
    if let Ok(answer) = raw.send(Queue::Data, &parts) {
        report.quirk(
            "used_bytes_of_error",
            format!("{} of 17", answer.used_bytes),
        );
    }
    report.quirk(
        "answer_takes",
        format!("{} us", (time::now_ns() - before_ns) / 1000),
    );
    if let Ok(answer) = raw.destroy(id) {
        report.quirk(
            "used_bytes_of_destroy",
            format!("{} of {ANSWER_LEN}", answer.used_bytes),
        );
    }
    raw.destroy_all();
}

fn session_limit(raw: &mut Raw, report: &mut Report) {
    raw.step = "session-limit".into();
    let mut end = None;
    while end.is_none() && raw.sessions.len() < MOST_SESSIONS {
        end = raw.create(CREATE, &[7; 16]).err();
    }
    let count = raw.sessions.len();
    let mut ids: alloc::vec::Vec<u64> = raw.sessions.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let unique = ids.len() == count;
    report.requirement(
        "session-ids-unique",
        "5.9.7.2.1",
        unique,
        format!("{count} sessions"),
    );
    match end {
        Some(trouble) => {
            report.quirk("session_limit", format!("{count}"));
            report.quirk("status_past_session_limit", format!("{trouble}"));
        }
        None => report.quirk("session_limit", format!("more than {count}")),
    }
    raw.destroy_all();
}

fn survival(raw: &mut Raw, report: &mut Report) {
    raw.step = "sessions-and-reset".into();
    let Ok(id) = raw.create(CREATE, &[7; 16]) else {
        return;
    };
    if raw.bring_up().is_ok() {
        let value = match encrypt(raw, id) {
            Ok(_) => String::from("yes"),
            Err(trouble) => format!("no ({trouble})"),
        };
        report.quirk("sessions_survive_reset", value);
    }
    raw.destroy_all();
}

/// A signature whose first byte is 0: does the device drop a byte? With nettle, QEMU takes the result
/// for one byte shorter than it is, and cuts its end off.
fn short_signature(raw: &mut Raw, report: &mut Report) {
    raw.step = "short-signature".into();
    let key = &RSA[0];
    let digest = [[0; 16], keys::SHORT_DIGEST.to_be_bytes()].concat();
    let Ok(id) = services::open_rsa(raw, key, 6, services::PRIVATE) else {
        return;
    };
    if let Ok((result, used_bytes)) = services::akcipher(raw, 0x402, id, &digest, key.bits / 8) {
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
        report.quirk("rsa_result_that_begins_with_0", value.into());
    }
    raw.destroy_all();
}

fn ecdsa_number(raw: &mut Raw, report: &mut Report) {
    raw.step = "ecdsa-number".into();
    let key = bytes(keys::ECDSA_PUBLIC);
    let mut value = String::new();
    for number in [2, 3] {
        let answer = match services::open_ecdsa(raw, number, &key) {
            Ok(_) => "OK".into(),
            Err(trouble) => format!("{trouble}"),
        };
        value += &format!("{number}:{answer} ");
    }
    raw.destroy_all();
    report.quirk("ecdsa_number", value.trim_end().into());
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
