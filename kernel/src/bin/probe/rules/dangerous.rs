//! Requests that are known to break a device or to end a QEMU, each by its name alone. The driver's
//! safe API cannot express one of them.

use alloc::{format, string::String, vec, vec::Vec};

use kernel::println;

use crate::{
    answers::keys::RSA,
    requests::{
        chain::Part,
        ids::Session,
        raw::{Queue, Raw},
        shared::{self, PRIVATE, PUBLIC, encrypt},
        trouble::{Trouble, status_name},
        words::{CREATE, HEAD_LEN, head},
    },
};

/// What it does to QEMU's builtin backend, and how it is sent.
type Danger = (
    &'static str,
    &'static str,
    fn(&mut Raw) -> Result<String, Trouble>,
);

const ALL: &[Danger] = &[
    ("short-header", "breaks it", short_header),
    ("short-answer", "breaks it", short_answer),
    ("short-key", "breaks it", short_key),
    ("unequal-lengths", "breaks it", unequal_lengths),
    ("short-source", "breaks it", short_source),
    ("empty-descriptor", "breaks it", empty_descriptor),
    ("writable-first", "breaks it", writable_first),
    ("over-max-size", "breaks those with a limit", over_max_size),
    (
        "verify-without-digest",
        "ends QEMU 7.2, breaks later ones",
        verify_without_digest,
    ),
    ("no-iv", "goes on with the state of the last request", no_iv),
    ("cipher-on-akcipher", "ends QEMU", cipher_on_akcipher),
    ("akcipher-on-cipher", "ends QEMU", akcipher_on_cipher),
    ("empty-digest", "ends QEMU", empty_digest),
    (
        "short-digest",
        "reads beyond the digest in QEMU's memory",
        short_digest,
    ),
];

/// Runs one by its name; `false` if there is none.
pub fn run(raw: &mut Raw, name: &str) -> bool {
    let Some((name, known, send)) = ALL.iter().find(|(known, ..)| *known == name) else {
        return false;
    };
    println!("probe: dangerous={name} known={known}");
    raw.step = String::from(*name);
    let outcome = match send(raw) {
        Ok(outcome) => outcome,
        Err(trouble) => format!("{trouble}"),
    };
    println!("probe: dangerous={name} outcome={outcome}");
    raw.destroy_all();
    true
}

/// Lists the names.
pub fn names() -> String {
    let names: Vec<&str> = ALL.iter().map(|(name, ..)| *name).collect();
    names.join(" ")
}

/// Words of an encryption of `source` bytes in a session of [`CREATE`].
fn words(session: Session, iv: u32, source: u32, destination: u32) -> Vec<u8> {
    let id = session.id;
    head(
        &[
            (4, 3),
            (8, id as u32),
            (12, (id >> 32) as u32),
            (16, 1),
            (24, iv),
            (28, source),
            (32, destination),
            (64, 1),
        ],
        HEAD_LEN,
    )
}

/// Sends a data request of which the last byte that is written is the status.
fn send(raw: &mut Raw, parts: &[Part]) -> Result<String, Trouble> {
    let answer = raw.send(Queue::Data(0), parts)?;
    let status = answer.written.last().copied().unwrap_or(u8::MAX);
    Ok(format!("answered {}", status_name(u32::from(status))))
}

fn readable(parts: &[&[u8]]) -> Part {
    Part::Readable(parts.concat())
}

fn short_header(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    let header = &words(session, 16, 16, 16)[..40];
    send(raw, &[readable(&[header]), Part::Writable(17)])
}

fn short_answer(raw: &mut Raw) -> Result<String, Trouble> {
    let parts = [
        readable(&[&head(CREATE, HEAD_LEN), &[7; 16]]),
        Part::Writable(8),
    ];
    raw.send(Queue::Control, &parts)?;
    Ok(String::from("answered"))
}

fn short_key(raw: &mut Raw) -> Result<String, Trouble> {
    raw.create(CREATE, &[7; 8])?;
    Ok(String::from("opened"))
}

fn unequal_lengths(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    let parts = [
        readable(&[&words(session, 16, 16, 32), &[0; 32]]),
        Part::Writable(33),
    ];
    send(raw, &parts)
}

fn short_source(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    send(
        raw,
        &[
            readable(&[&words(session, 16, 16, 16), &[0; 20]]),
            Part::Writable(17),
        ],
    )
}

fn empty_descriptor(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    let parts = [
        readable(&[&words(session, 16, 16, 16), &[0; 32]]),
        Part::Readable(Vec::new()),
        Part::Writable(17),
    ];
    send(raw, &parts)
}

fn writable_first(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    send(
        raw,
        &[
            Part::Writable(17),
            readable(&[&words(session, 16, 16, 16), &[0; 32]]),
        ],
    )
}

/// 2 MiB: beyond the limit of those that have one.
fn over_max_size(raw: &mut Raw) -> Result<String, Trouble> {
    const LEN: usize = 2 << 20;
    let session = raw.create(CREATE, &[7; 16])?;
    let parts = [
        readable(&[&words(session, 16, LEN as u32, LEN as u32), &[0; 16]]),
        Part::Readable(vec![0; LEN]),
        Part::Writable(LEN + 1),
    ];
    send(raw, &parts)
}

fn verify_without_digest(raw: &mut Raw) -> Result<String, Trouble> {
    let session = shared::open_rsa(raw, &RSA[0], 6, PUBLIC)?;
    raw.data(
        0x403,
        session,
        &[(4, 1), (24, 128), (28, 0)],
        &[&[1; 128]],
        0,
    )?;
    Ok(String::from("verified"))
}

/// Whether a block without an IV is encrypted as if it followed the one before.
fn no_iv(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    let whole = |raw: &mut Raw, iv: &[u8], len: usize| {
        let words = [
            (4, 3),
            (24, iv.len() as u32),
            (28, len as u32),
            (32, len as u32),
            (64, 1),
        ];
        raw.data(0x000, session, &words, &[iv, &[0; 32][..len]], len)
    };
    let (two, _) = whole(raw, &[9; 16], 32)?;
    whole(raw, &[9; 16], 16)?;
    let (second, _) = whole(raw, &[], 16)?;
    let chained = second == two[16..];
    Ok(String::from(if chained {
        "chained"
    } else {
        "encrypted, not chained"
    }))
}

fn cipher_on_akcipher(raw: &mut Raw) -> Result<String, Trouble> {
    let session = shared::open_rsa(raw, &RSA[0], 6, PRIVATE)?;
    encrypt(raw, session)?;
    Ok(String::from("answered OK"))
}

fn akcipher_on_cipher(raw: &mut Raw) -> Result<String, Trouble> {
    let session = raw.create(CREATE, &[7; 16])?;
    shared::transform(raw, 0x402, session, &[1; 32], 128)?;
    Ok(String::from("answered OK"))
}

fn empty_digest(raw: &mut Raw) -> Result<String, Trouble> {
    let session = shared::open_rsa(raw, &RSA[0], 6, PRIVATE)?;
    shared::transform(raw, 0x402, session, &[], 128)?;
    Ok(String::from("signed"))
}

fn short_digest(raw: &mut Raw) -> Result<String, Trouble> {
    let session = shared::open_rsa(raw, &RSA[0], 6, PRIVATE)?;
    shared::transform(raw, 0x402, session, &[1; 16], 128)?;
    Ok(String::from("signed"))
}
