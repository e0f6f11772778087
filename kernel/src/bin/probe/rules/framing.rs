//! Which ways of cutting a request into descriptors a device takes: by the specification, all.

use alloc::{format, string::String};

use kernel::println;

use crate::{
    answers::{bytes, keys::RSA},
    report::{Report, outcome::Held},
    requests::{
        framing::Framing,
        raw::Raw,
        shared::{self, PRIVATE},
        trouble::Trouble,
        words::{CREATE, ENCRYPT, IV_AND_BLOCK},
    },
};

/// A request of one kind in a session of its own: whether it is answered, and what.
type Ask = fn(&mut Raw) -> Result<(), Trouble>;

/// Those of which a device may serve one. An answer that says no is an answer, too.
const KINDS: &[(&str, Ask)] = &[
    ("CIPHER", |raw| {
        let session = raw.create(CREATE, &[7; 16])?;
        raw.data(0x000, session, ENCRYPT, &IV_AND_BLOCK, 16)
            .map(drop)
    }),
    ("HASH", |raw| {
        let session = raw.create(&[(0, 0x102), (4, 2), (16, 2), (20, 20)], &[])?;
        let words = [(4, 2), (24, 3), (28, 20)];
        raw.data(0x100, session, &words, &[b"abc"], 20).map(drop)
    }),
    ("MAC", |raw| {
        let words = [(0, 0x202), (4, 2), (16, 2), (20, 20), (24, 16)];
        let session = raw.create(&words, &[7; 16])?;
        let words = [(4, 2), (24, 3), (28, 20)];
        raw.data(0x200, session, &words, &[b"abc"], 20).map(drop)
    }),
    ("AEAD", |raw| {
        let words = [
            (0, 0x302),
            (4, 1),
            (16, 1),
            (20, 16),
            (24, 16),
            (28, 4),
            (32, 1),
        ];
        let session = raw.create(&words, &[7; 16])?;
        let words = [(4, 1), (24, 12), (28, 4), (32, 16), (36, 32), (40, 16)];
        let source: [&[u8]; 3] = [&[1; 12], &[2; 16], &[3; 4]];
        raw.data(0x300, session, &words, &source, 32).map(drop)
    }),
    ("AKCIPHER", |raw| {
        let session = shared::open_rsa(raw, &RSA[0], 6, PRIVATE)?;
        let digest = bytes("00").repeat(32);
        shared::transform(raw, 0x402, session, &digest, 128).map(drop)
    }),
];

/// Sends each kind of request both ways, and lets the one that is answered more often be the way of
/// all that follows. Returns how the driver is to send: compactly, unless that costs answers.
pub fn find(raw: &mut Raw, report: &mut Report) -> virtio_crypto::Framing {
    let mut taken = [0; 2];
    let (mut same, mut notes) = (true, String::new());
    for (kind, ask) in KINDS {
        let mut answers = [Err(Trouble::NotTried); 2];
        for (answer, framing) in answers.iter_mut().zip(Framing::ALL) {
            raw.step = format!("framing {kind} {}", framing.name());
            raw.framing = framing;
            *answer = ask(raw);
            raw.destroy_all();
        }
        let [fields, joined] = answers.map(|answer| match answer {
            Ok(()) => String::from("OK"),
            Err(trouble) => format!("{trouble}"),
        });
        println!("probe: framing request={kind} one-per-field={fields} compact={joined}");
        if answers[0] != answers[1] {
            same = false;
            notes += &format!("{kind} ");
        }
        for (taken, answer) in taken.iter_mut().zip(answers) {
            *taken += u32::from(answer.is_ok());
        }
    }
    raw.framing = if taken[1] > taken[0] {
        Framing::Joined
    } else {
        Framing::Fields
    };
    let held = if raw.stopped.is_some() {
        Held::NotTried
    } else {
        same.into()
    };
    report.requirement("any-framing", "2.7.4.1", held, notes.trim_end().into());
    report.quirk(
        "framing",
        match taken {
            [0, 0] => String::from("no request is served either way"),
            [fields, joined] if fields == joined => String::from("either"),
            _ => format!("{} alone", raw.framing.name()),
        },
    );
    if taken[0] > taken[1] {
        virtio_crypto::Framing::OnePerField
    } else {
        virtio_crypto::Framing::Compact
    }
}
