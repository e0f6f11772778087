//! Authenticated encryption: result, tag, forgeries (Virtio 1.3, 5.9.7.7).

use alloc::{format, vec::Vec};

use crate::{
    report::found::{Found, Held, Verdict},
    requests::{
        catalog,
        known::{Given, Known},
        raw::{Queue, Raw},
        trouble::Trouble,
    },
    rules::{answers::sum_up, row::Row, subject::Subject},
};

const SECTION: &str = "5.9.7.7.2";
const BADMSG: u32 = 2;
const TAG_LEN: usize = 16;

pub const ROWS: &[Row] = &[
    Row {
        id: "aead-answers",
        section: SECTION,
        statement: "AEADs that open a session give the known ciphertexts and plaintexts.",
        features: 0,
        trial: |subject| part_of_answer(subject, |known| 0..text_len(known)),
    },
    Row {
        id: "aead-tag-follows",
        section: SECTION,
        statement: "The tag lies behind the ciphertext, and is the known one.",
        features: 0,
        trial: |subject| part_of_answer(subject, |known| text_len(known)..known.result.len()),
    },
    Row {
        id: "aead-forgery-is-found",
        section: SECTION,
        statement: "Decryption verifies: a forgery does not answer OK.",
        features: 0,
        trial: |subject| forgeries(subject, |answer| answer.is_err()),
    },
    Row {
        id: "aead-forgery-answers-badmsg",
        section: SECTION,
        statement: "A forged tag, ciphertext, IV or additional data answers BADMSG.",
        features: 0,
        trial: |subject| forgeries(subject, |answer| answer == Err(Trouble::Status(BADMSG))),
    },
];

fn encrypts(known: &Known) -> bool {
    known.opcode() & 1 == 0
}

/// Bytes of the result without the tag, which only an encryption has.
fn text_len(known: &Known) -> usize {
    let tag_len = if encrypts(known) { TAG_LEN } else { 0 };
    known.result.len() - tag_len
}

type Answer = Result<Vec<u8>, Trouble>;

/// Asks in a session of its own, with another source.
fn ask(known: &Known, raw: &mut Raw, source: &[Vec<u8>]) -> Result<Answer, Trouble> {
    let session = raw.create(&known.create, &known.key)?;
    let source: Vec<&[u8]> = source.iter().map(Vec::as_slice).collect();
    let len = known.result.len();
    let answer = raw.data_on(Queue::Data(0), session, &known.words, &source, len);
    raw.destroy_all();
    Ok(answer.map(|(result, _)| result))
}

fn part_of_answer(subject: &mut Subject, part: fn(&Known) -> core::ops::Range<usize>) -> Verdict {
    let mut list = catalog::aeads();
    list.retain(|known| !part(known).is_empty());
    sum_up(&mut subject.raw, &list, |known, raw| {
        match ask(known, raw, &known.source) {
            Err(trouble) => Given::Refused(trouble),
            Ok(Err(trouble)) => Given::Failed(trouble),
            Ok(Ok(result)) if result[part(known)] == known.result[part(known)] => Given::Right,
            Ok(Ok(_)) => Given::Wrong,
        }
    })
}

/// Decrypts what is forged: each part of what is read has one bit changed, the tag too.
fn forgeries(subject: &mut Subject, is_right: fn(Answer) -> bool) -> Verdict {
    let mut list = catalog::aeads();
    list.retain(|known| !encrypts(known));
    let verdict = sum_up(&mut subject.raw, &list, |known, raw| {
        // The ciphertext has its tag at its end.
        let sealed_len = known.source[1].len();
        for (part, at) in [(0, 0), (1, 0), (1, sealed_len - 1), (2, 0)] {
            let mut source = known.source.clone();
            source[part][at] ^= 1;
            match ask(known, raw, &source) {
                Err(trouble) => return Given::Refused(trouble),
                Ok(answer) if is_right(answer.clone()) => {}
                Ok(Ok(_)) => return Given::Wrong,
                Ok(Err(trouble)) => return Given::Failed(trouble),
            }
        }
        Given::Right
    });
    verdict.map(|found| match found.held {
        Held::Yes => Found::new(true, format!("{}, 4 each", found.seen)),
        _ => found,
    })
}
