//! What all requests of the run show together.

use alloc::{format, vec::Vec};

use crate::{
    report::found::Found,
    requests::{statuses::Seen, trouble::status_name},
    rules::{
        row::{NO_LIFE, Row},
        subject::Subject,
    },
};

const SECTION: &str = "5.9.7.1";
const BADMSG: u32 = 2;
const NOSPC: u32 = 5;
const KEY_REJECTED: u32 = 6;
const AEAD_DECRYPT: u32 = 0x301;
const VERIFY: u32 = 0x403;

pub const ROWS: &[Row] = &[
    Row {
        id: "status-written",
        section: SECTION,
        statement: "Each request that is used has a status.",
        features: NO_LIFE,
        trial: |subject| Ok(none_is(subject, |seen| seen.is_unwritten())),
    },
    Row {
        id: "status-defined",
        section: SECTION,
        statement: "Each status is one of the specification's.",
        features: NO_LIFE,
        trial: |subject| {
            Ok(none_is(subject, |seen| {
                seen.status > KEY_REJECTED && !seen.is_unwritten()
            }))
        },
    },
    Row {
        id: "badmsg-for-authentication-only",
        section: SECTION,
        statement: "BADMSG comes from AEAD decryption alone.",
        features: NO_LIFE,
        trial: |subject| {
            Ok(none_is(subject, |seen| {
                seen.status == BADMSG && seen.opcode != AEAD_DECRYPT
            }))
        },
    },
    Row {
        id: "key-rejected-for-verification-only",
        section: SECTION,
        statement: "KEY_REJECTED comes from the verification of signatures alone.",
        features: NO_LIFE,
        trial: |subject| {
            Ok(none_is(subject, |seen| {
                seen.status == KEY_REJECTED && seen.opcode != VERIFY
            }))
        },
    },
    Row {
        id: "nospc-with-revision-1-only",
        section: SECTION,
        statement: "NOSPC comes from a create, and with REVISION_1 alone.",
        features: NO_LIFE,
        trial: |subject| {
            Ok(none_is(subject, |seen| {
                let is_create = matches!(seen.opcode & 0xff, 2) || seen.opcode == 0x404;
                seen.status == NOSPC && !(seen.has_revision_1 && is_create)
            }))
        },
    },
    Row {
        id: "used-length-within-writable",
        section: "2.7.8.2",
        statement: "A used length is not longer than what was writable.",
        features: NO_LIFE,
        trial: |subject| {
            let overlong = subject.raw.overlong;
            let seen = overlong.map_or_else(Default::default, |bytes| format!("{bytes}"));
            Ok(Found::new(overlong.is_none(), seen))
        },
    },
    Row {
        id: "readable-untouched",
        section: "2.7.5.1",
        statement: "The device writes nothing that it may only read.",
        features: NO_LIFE,
        trial: |subject| {
            let has_written = subject.raw.has_written_readable;
            let seen = if has_written { "written" } else { "" };
            Ok(Found::new(!has_written, seen))
        },
    },
    Row {
        id: "no-reset-asked-for",
        section: "2.1.2",
        statement: "No request of these trials makes the device ask for a reset.",
        features: NO_LIFE,
        trial: |subject| {
            let asked = &subject.raw.resets_asked;
            Ok(Found::new(asked.is_empty(), asked.join(" ")))
        },
    },
];

/// Holds where no status of the run is of a kind.
fn none_is(subject: &Subject, kind: impl Fn(Seen) -> bool) -> Found {
    let statuses = subject.raw.statuses.iter();
    let of_kind: Vec<_> = statuses
        .filter(|seen| kind(*seen))
        .map(|seen| {
            let name = match seen.status {
                status if seen.is_unwritten() => format!("unwritten ({status:#x})"),
                status @ 0..=KEY_REJECTED => status_name(status).into(),
                status => format!("{status}"),
            };
            format!("opcode {:#x}: {name}", seen.opcode)
        })
        .collect();
    Found::new(of_kind.is_empty(), of_kind.join(", "))
}
