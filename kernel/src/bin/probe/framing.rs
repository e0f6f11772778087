//! How a request is cut into descriptors, which is to make no difference (Virtio 1.3, 2.7.4.1), and
//! which of the ways a device takes.

use alloc::{format, string::String, vec, vec::Vec};

use kernel::println;

use crate::{
    akcipher::{self, PRIVATE},
    keys::RSA,
    raw::{ANSWER_LEN, Raw, head},
    report::{Held, Report},
    ring::Part,
    services::bytes,
    session::{CREATE, ENCRYPT, IV_AND_BLOCK},
    trouble::Trouble,
};

/// How a request is cut into descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each field begins one, as most drivers send and some devices want it.
    Fields,
    /// One for all that is read, one for all that is written.
    Joined,
}

impl Framing {
    pub const ALL: [Self; 2] = [Self::Fields, Self::Joined];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fields => "one-per-field",
            Self::Joined => "compact",
        }
    }

    /// Cuts a control request: words, keys.
    pub fn create(self, words: &[(usize, u32)], key: &[u8]) -> Vec<Part> {
        self.cut(&[&head(words), key], &[ANSWER_LEN])
    }

    /// Cuts a data request: header, what is read, how much is written before the status.
    pub fn data(self, head: &[u8], source: &[&[u8]], result_len: usize) -> Vec<Part> {
        self.cut(&[&[head], source].concat(), &[result_len, 1])
    }

    fn cut(self, readable: &[&[u8]], writable: &[usize]) -> Vec<Part> {
        if self == Self::Joined {
            let writable = writable.iter().sum();
            return vec![Part::Readable(readable.concat()), Part::Writable(writable)];
        }
        // No descriptor may be empty.
        let readable = readable.iter().filter(|part| !part.is_empty());
        let readable = readable.map(|part| Part::Readable(part.to_vec()));
        let writable = writable.iter().filter(|len| **len > 0);
        let writable = writable.map(|len| Part::Writable(*len));
        readable.chain(writable).collect()
    }
}

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
        let session = akcipher::open_rsa(raw, &RSA[0], 6, PRIVATE)?;
        let digest = bytes("00").repeat(32);
        akcipher::transform(raw, 0x402, session, &digest, 128).map(drop)
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
