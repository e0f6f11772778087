//! Lengths around the blocks of hashes, MACs and ciphers, and lengths that are none.

use alloc::{format, string::String, vec, vec::Vec};

use virtio_crypto::Services;

use crate::{
    answers::{
        boundaries::{CMAC, CMAC_LENS, HASH_LENS, HASHES, KEY_LENS, MAC_LENS, MACS},
        bytes,
    },
    report::found::{Found, Verdict, refusal, served},
    requests::{
        config::{MAX_AUTH_KEY, MAX_SIZE},
        ids::Session,
        raw::{Queue, Raw},
        trouble::Trouble,
    },
    rules::{row::Row, subject::Subject},
};

/// Bytes that the table has of an answer.
const FOLDED: usize = 4;

/// Folds an answer into as many: no single byte of it can be another.
fn fold(answer: &[u8]) -> [u8; FOLDED] {
    let mut folded = [0; FOLDED];
    for (at, byte) in answer.iter().enumerate() {
        folded[at % FOLDED] ^= byte;
    }
    folded
}

pub const ROWS: &[Row] = &[
    Row {
        id: "hash-boundaries",
        section: "5.9.7.4.2",
        statement: "Hashes are right for messages of lengths around their blocks, 0 included.",
        features: 0,
        trial: hashes,
    },
    Row {
        id: "mac-boundaries",
        section: "5.9.7.5.2",
        statement: "MACs are right for messages and keys of lengths around their blocks.",
        features: 0,
        trial: macs,
    },
    Row {
        id: "cipher-long",
        section: "5.9.7.6.2",
        statement: "A long request gives what its parts give one by one.",
        features: 0,
        trial: long,
    },
    Row {
        id: "wrong-iv-length-refused",
        section: "5.9.7.6",
        statement: "AES-CBC refuses an IV that is no block long.",
        features: 0,
        trial: |subject| {
            let session = open_aes_cbc(subject)?;
            Ok(refusal(aes_cbc(
                &mut subject.raw,
                session,
                &[9; 8],
                &[0; 16],
            )))
        },
    },
    Row {
        id: "partial-block-refused",
        section: "5.9.7.6",
        statement: "AES-CBC refuses a source that is no whole number of blocks.",
        features: 0,
        trial: |subject| {
            let session = open_aes_cbc(subject)?;
            Ok(refusal(aes_cbc(
                &mut subject.raw,
                session,
                &[9; 16],
                &[0; 20],
            )))
        },
    },
];

/// A message or a key of the table.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + 3) as u8).collect()
}

/// What differs from a table.
#[derive(Default)]
struct Faults {
    first: Option<String>,
    count: u32,
    right: u32,
}

impl Faults {
    fn take(&mut self, answer: Result<(Vec<u8>, u32), Trouble>, folded: &[u8], what: String) {
        let fault = match answer {
            Ok((result, _)) if fold(&result) == folded => {
                self.right += 1;
                return;
            }
            Ok(_) => String::from("another answer"),
            Err(trouble) => format!("{trouble}"),
        };
        self.count += 1;
        self.first.get_or_insert(format!("{what}: {fault}"));
    }

    fn verdict(self) -> Verdict {
        match self.first {
            Some(first) => Ok(Found::new(false, format!("{first}, {} in all", self.count))),
            None if self.right == 0 => Err(Found::not_offered("none opens a session")),
            None => Ok(Found::new(true, format!("{} answers", self.right))),
        }
    }
}

fn hashes(subject: &mut Subject) -> Verdict {
    let mut faults = Faults::default();
    for (algorithm, answers) in HASHES {
        let number = *algorithm as u32;
        let len = algorithm.digest_len_bytes().unwrap_or(32);
        let create = [(0, 0x102), (4, number), (16, number), (20, len as u32)];
        let Some(session) = opened(subject.raw.create(&create, &[]))? else {
            continue;
        };
        for (message_len, folded) in HASH_LENS.iter().zip(bytes(answers).chunks(FOLDED)) {
            let message = text(*message_len);
            let words = [(4, number), (24, message.len() as u32), (28, len as u32)];
            let answer = subject.raw.data(0x100, session, &words, &[&message], len);
            faults.take(answer, folded, format!("{algorithm:?} of {message_len}"));
        }
        subject.raw.destroy_all();
    }
    faults.verdict()
}

/// A session; `None` where a status says that there is none.
fn opened(answer: Result<Session, Trouble>) -> Result<Option<Session>, Found> {
    match answer {
        Ok(session) => Ok(Some(session)),
        Err(Trouble::Status(_)) => Ok(None),
        Err(trouble) => Err(trouble.into()),
    }
}

fn macs(subject: &mut Subject) -> Verdict {
    /// `VIRTIO_CRYPTO_MAC_CMAC_AES`.
    const CMAC_AES: u32 = 26;
    let mut faults = Faults::default();
    for (algorithm, answers) in MACS {
        let answers = bytes(answers);
        let number = *algorithm as u32;
        for (key_len, answers) in KEY_LENS.iter().zip(answers.chunks(FOLDED * MAC_LENS.len())) {
            let lens = (*key_len, algorithm.result_len_bytes());
            mac(subject, number, lens, (MAC_LENS, answers), &mut faults)?;
        }
    }
    mac(
        subject,
        CMAC_AES,
        (16, 16),
        (CMAC_LENS, &bytes(CMAC)),
        &mut faults,
    )?;
    faults.verdict()
}

fn mac(
    subject: &mut Subject,
    number: u32,
    (key_len, len): (usize, usize),
    (message_lens, answers): (&[usize], &[u8]),
    faults: &mut Faults,
) -> Result<(), Found> {
    if key_len as u64 > u64::from(subject.config.u32(MAX_AUTH_KEY)) {
        return Ok(());
    }
    let (key, len_word) = (text(key_len), len as u32);
    let sizes = [(20, len_word), (24, key_len as u32)];
    let create = [&[(0, 0x202), (4, number), (16, number)][..], &sizes].concat();
    let Some(session) = opened(subject.raw.create(&create, &key))? else {
        return Ok(());
    };
    for (message_len, folded) in message_lens.iter().zip(answers.chunks(FOLDED)) {
        let message = text(*message_len);
        let words = [(4, number), (24, message.len() as u32), (28, len_word)];
        let answer = subject.raw.data(0x200, session, &words, &[&message], len);
        faults.take(
            answer,
            folded,
            format!("MAC {number} key {key_len} of {message_len}"),
        );
    }
    subject.raw.destroy_all();
    Ok(())
}

/// Opens a session that encrypts with AES-128-CBC.
pub fn open_aes_cbc(subject: &mut Subject) -> Result<Session, Found> {
    let work = subject.work_of(Services::CIPHER)?;
    served(work.open(&mut subject.raw), "AES-CBC")
}

/// Encrypts in such a session.
pub fn aes_cbc(
    raw: &mut Raw,
    session: Session,
    iv: &[u8],
    source: &[u8],
) -> Result<Vec<u8>, Trouble> {
    let len = source.len() as u32;
    let words = [
        (0, 0x000),
        (4, 3),
        (16, 1),
        (24, iv.len() as u32),
        (28, len),
        (32, len),
        (64, 1),
    ];
    let answer = raw.data_on(Queue::Data(0), session, &words, &[iv, source], source.len());
    answer.map(|(result, _)| result)
}

fn long(subject: &mut Subject) -> Verdict {
    const LEN: usize = 3 * 4096 + 16;
    let most = subject.config.u64(MAX_SIZE);
    if most > 0 && most < 2 * LEN as u64 + 16 {
        return Err(Found::not_tried(format!("max_size is {most}")));
    }
    let session = open_aes_cbc(subject)?;
    let message = text(LEN);
    let whole = aes_cbc(&mut subject.raw, session, &[9; 16], &message)?;
    let mut iv = vec![9; 16];
    let mut parts = Vec::new();
    for part in message.chunks(4096) {
        parts.extend(aes_cbc(&mut subject.raw, session, &iv, part)?);
        iv = parts[parts.len() - 16..].to_vec();
    }
    Ok(Found::new(whole == parts, format!("{LEN} bytes")))
}
