//! Requests whose answers are known, each in the forms in which it may be sent: in a session, and
//! stateless.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use virtio_crypto::Services;

use crate::requests::{
    features,
    ids::Session,
    raw::{Queue, Raw},
    trouble::Trouble,
    words::{head, word_at},
};

/// Words at their offsets in a request.
pub type RequestWords = Vec<(usize, u32)>;

/// A request whose answer is known.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: String,
    pub service: Services,
    /// The algorithm's number.
    pub number: u32,
    /// The *create*, and its key or keys.
    pub create: RequestWords,
    pub key: Vec<u8>,
    /// The request in a session, with its opcode, and what it reads.
    pub words: RequestWords,
    pub source: Vec<Vec<u8>>,
    /// The stateless request, without its opcode, and what it reads.
    pub stateless: RequestWords,
    pub stateless_source: Vec<Vec<u8>>,
    pub result: Vec<u8>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The known answer.
    Right,
    /// Another one.
    Wrong,
    /// There is no session for it.
    Refused(Trouble),
    /// There is a session, or none is needed, and the request was not served.
    Failed(Trouble),
}

impl Known {
    pub fn opcode(&self) -> u32 {
        word_at(&self.words, 0)
    }

    /// Asks in a session of its own.
    pub fn ask(&self, raw: &mut Raw) -> Given {
        match raw.create(&self.create, &self.key) {
            Err(trouble) => Given::Refused(trouble),
            Ok(session) => {
                let given = self.ask_in(raw, session);
                if raw.is_of_this_life(session) {
                    let _ = raw.destroy(session);
                }
                given
            }
        }
    }

    /// Asks in a session.
    pub fn ask_in(&self, raw: &mut Raw, session: Session) -> Given {
        let source = slices(&self.source);
        let queue = Queue::Data(0);
        let answer = raw.data_on(queue, session, &self.words, &source, self.result.len());
        self.judge(answer.map(|(result, _)| result))
    }

    /// Asks without a session; `flag` is what the header says, which stands for that if it is 0.
    pub fn ask_stateless(&self, raw: &mut Raw, flag: u32) -> Given {
        let opcode = self.opcode();
        let header = [(0, opcode), (4, self.number), (16, flag)];
        let head = head(
            &[&header, &self.stateless[..]].concat(),
            stateless_len(opcode),
        );
        let source = slices(&self.stateless_source);
        let parts = raw.framing.data(&head, &source, self.result.len());
        let answer = raw.ask(Queue::Data(0), opcode, &parts);
        self.judge(answer.map(|(result, _)| result))
    }

    fn judge(&self, answer: Result<Vec<u8>, Trouble>) -> Given {
        match answer {
            Ok(result) if result == self.result => Given::Right,
            Ok(_) => Given::Wrong,
            Err(trouble) => Given::Failed(trouble),
        }
    }
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

/// Returns the length of a stateless request's header with its fields (Virtio 1.3, 5.9.7.4 to 8).
fn stateless_len(opcode: u32) -> usize {
    match opcode >> 8 {
        0 => 100,
        1 | 2 => 40,
        3 => 56,
        _ => 52,
    }
}

/// Returns the feature of a service's stateless mode.
pub fn stateless_feature(service: Services) -> u64 {
    match service {
        Services::CIPHER => features::CIPHER_STATELESS,
        Services::HASH => features::HASH_STATELESS,
        Services::MAC => features::MAC_STATELESS,
        Services::AEAD => features::AEAD_STATELESS,
        _ => features::AKCIPHER_STATELESS,
    }
}

/// Returns words one after the other from an offset on.
fn from(offset: usize, words: &[usize]) -> RequestWords {
    let words = words.iter().map(|word| *word as u32);
    (0..).map(|at| offset + 4 * at).zip(words).collect()
}

/// A direction: the word for it in a *create*, and the opcode's lowest bits.
fn direction_words(encrypts: bool) -> (usize, u32) {
    if encrypts { (1, 0) } else { (2, 1) }
}

/// A cipher request.
pub fn cipher(
    (number, name): (u32, &str),
    encrypts: bool,
    [key, iv, from_text, to_text]: [&[u8]; 4],
) -> Known {
    let (op, bit) = direction_words(encrypts);
    let (len, iv_len) = (from_text.len(), iv.len());
    let algorithm = number as usize;
    Known {
        name: format!(
            "{name} {} {}",
            key.len() * 8,
            if encrypts { "to" } else { "back" }
        ),
        service: Services::CIPHER,
        number,
        create: [
            vec![(0, 0x002), (4, number)],
            from(16, &[algorithm, key.len(), op]),
            vec![(64, 1)],
        ]
        .concat(),
        key: key.to_owned(),
        words: [
            vec![(0, bit), (4, number), (16, 1)],
            from(24, &[iv_len, len, len]),
            vec![(64, 1)],
        ]
        .concat(),
        source: vec![iv.to_owned(), from_text.to_owned()],
        stateless: [
            from(24, &[algorithm, key.len(), op, iv_len, len, len]),
            vec![(96, 1)],
        ]
        .concat(),
        stateless_source: vec![key.to_owned(), iv.to_owned(), from_text.to_owned()],
        result: to_text.to_owned(),
    }
}

/// A hash request.
pub fn hash((number, name): (u32, &str), message: &[u8], digest: &[u8]) -> Known {
    let algorithm = number as usize;
    Known {
        name: format!("{name} of {}", message.len()),
        service: Services::HASH,
        number,
        create: [
            vec![(0, 0x102), (4, number)],
            from(16, &[algorithm, digest.len()]),
        ]
        .concat(),
        key: Vec::new(),
        words: [
            vec![(0, 0x100), (4, number), (16, 1)],
            from(24, &[message.len(), digest.len()]),
        ]
        .concat(),
        source: vec![message.to_owned()],
        stateless: from(24, &[algorithm, message.len(), digest.len()]),
        stateless_source: vec![message.to_owned()],
        result: digest.to_owned(),
    }
}

/// A MAC request.
pub fn mac((number, name): (u32, &str), key: &[u8], message: &[u8], tag: &[u8]) -> Known {
    let algorithm = number as usize;
    Known {
        name: format!("{name} key {} of {}", key.len(), message.len()),
        service: Services::MAC,
        number,
        create: [
            vec![(0, 0x202), (4, number)],
            from(16, &[algorithm, tag.len(), key.len()]),
        ]
        .concat(),
        key: key.to_owned(),
        words: [
            vec![(0, 0x200), (4, number), (16, 1)],
            from(24, &[message.len(), tag.len()]),
        ]
        .concat(),
        source: vec![message.to_owned()],
        stateless: from(24, &[algorithm, key.len(), message.len(), tag.len()]),
        stateless_source: vec![key.to_owned(), message.to_owned()],
        result: tag.to_owned(),
    }
}

/// A request of authenticated encryption with a tag of 16 bytes.
pub fn aead(
    (number, name): (u32, &str),
    encrypts: bool,
    [key, iv, aad, from_text, to_text]: [&[u8]; 5],
) -> Known {
    const TAG_LEN: usize = 16;
    let (op, bit) = direction_words(encrypts);
    let algorithm = number as usize;
    let [iv_len, aad_len, from_len, to_len] = [iv, aad, from_text, to_text].map(<[u8]>::len);
    Known {
        name: format!(
            "{name} {} {}",
            key.len() * 8,
            if encrypts { "to" } else { "back" }
        ),
        service: Services::AEAD,
        number,
        create: [
            vec![(0, 0x302), (4, number)],
            from(16, &[algorithm, key.len(), TAG_LEN, aad_len, op]),
        ]
        .concat(),
        key: key.to_owned(),
        words: [
            vec![(0, 0x300 | bit), (4, number), (16, 1)],
            from(24, &[iv_len, aad_len, from_len, to_len, TAG_LEN]),
        ]
        .concat(),
        source: [iv, from_text, aad].map(<[u8]>::to_vec).to_vec(),
        stateless: from(
            24,
            &[
                algorithm,
                key.len(),
                op,
                iv_len,
                TAG_LEN,
                aad_len,
                from_len,
                to_len,
            ],
        ),
        stateless_source: [key, iv, from_text, aad].map(<[u8]>::to_vec).to_vec(),
        result: to_text.to_owned(),
    }
}
