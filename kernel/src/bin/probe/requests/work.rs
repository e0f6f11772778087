//! A request of each service that a device may serve, for rules that want any.

use alloc::vec::Vec;

use virtio_crypto::Services;

use crate::{
    answers::{bytes, keys::RSA},
    requests::{
        ids::Session,
        raw::{Queue, Raw},
        shared::{PKCS1, PRIVATE},
        trouble::Trouble,
        words::{CREATE, ENCRYPT, IV_AND_BLOCK, word_at},
    },
};

/// What opens a session, and a request in it.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub name: &'static str,
    pub service: Services,
    pub create: &'static [(usize, u32)],
    pub key: fn() -> Vec<u8>,
    pub words: &'static [(usize, u32)],
    pub source: &'static [&'static [u8]],
    pub result_len: usize,
}

const KEY_LEN: u32 = 16;

fn short_key() -> Vec<u8> {
    [7; KEY_LEN as usize].to_vec()
}

fn rsa_key() -> Vec<u8> {
    bytes(RSA[0].private)
}

/// Bytes of [`rsa_key`].
const RSA_KEY_LEN: u32 = (RSA[0].private.len() / 2) as u32;

/// The first of a service that a device serves is what it is asked for.
pub const WORKS: &[Work] = &[
    Work {
        name: "AES-CBC",
        service: Services::CIPHER,
        create: CREATE,
        key: short_key,
        words: ENCRYPT,
        source: &IV_AND_BLOCK,
        result_len: 16,
    },
    Work {
        name: "SHA-256",
        service: Services::HASH,
        create: &[(0, 0x102), (4, 4), (16, 4), (20, 32)],
        key: Vec::new,
        words: &[(0, 0x100), (4, 4), (16, 1), (24, 3), (28, 32)],
        source: &[b"abc"],
        result_len: 32,
    },
    Work {
        name: "SHA-1",
        service: Services::HASH,
        create: &[(0, 0x102), (4, 2), (16, 2), (20, 20)],
        key: Vec::new,
        words: &[(0, 0x100), (4, 2), (16, 1), (24, 3), (28, 20)],
        source: &[b"abc"],
        result_len: 20,
    },
    Work {
        name: "HMAC-SHA-256",
        service: Services::MAC,
        create: &[(0, 0x202), (4, 4), (16, 4), (20, 32), (24, KEY_LEN)],
        key: short_key,
        words: &[(0, 0x200), (4, 4), (16, 1), (24, 3), (28, 32)],
        source: &[b"abc"],
        result_len: 32,
    },
    Work {
        name: "HMAC-SHA-1",
        service: Services::MAC,
        create: &[(0, 0x202), (4, 2), (16, 2), (20, 20), (24, KEY_LEN)],
        key: short_key,
        words: &[(0, 0x200), (4, 2), (16, 1), (24, 3), (28, 20)],
        source: &[b"abc"],
        result_len: 20,
    },
    Work {
        name: "AES-GCM",
        service: Services::AEAD,
        create: &[
            (0, 0x302),
            (4, 1),
            (16, 1),
            (20, KEY_LEN),
            (24, 16),
            (28, 4),
            (32, 1),
        ],
        key: short_key,
        words: &[
            (0, 0x300),
            (4, 1),
            (16, 1),
            (24, 12),
            (28, 4),
            (32, 16),
            (36, 32),
            (40, 16),
        ],
        source: &[&[1; 12], &[2; 16], &[3; 4]],
        result_len: 32,
    },
    Work {
        name: "RSA",
        service: Services::AKCIPHER,
        create: &[
            (0, 0x404),
            (4, 1),
            (16, 1),
            (20, PRIVATE),
            (24, RSA_KEY_LEN),
            (28, PKCS1),
            (32, 6),
        ],
        key: rsa_key,
        words: &[(0, 0x402), (4, 1), (16, 1), (24, 32), (28, 128)],
        source: &[&[0; 32]],
        result_len: 128,
    },
];

impl Work {
    /// Opens a session.
    pub fn open(&self, raw: &mut Raw) -> Result<Session, Trouble> {
        raw.create(self.create, &(self.key)())
    }

    /// Sends the request; returns the result.
    pub fn ask(&self, raw: &mut Raw, session: Session) -> Result<Vec<u8>, Trouble> {
        self.ask_on(raw, 0, session)
    }

    /// Sends the request on a data queue.
    pub fn ask_on(&self, raw: &mut Raw, queue: u16, session: Session) -> Result<Vec<u8>, Trouble> {
        let queue = Queue::Data(queue);
        let answer = raw.data_on(queue, session, self.words, self.source, self.result_len);
        answer.map(|(result, _)| result)
    }

    /// The service's bits of the request's opcode.
    pub fn words_opcode(&self) -> u32 {
        word_at(self.words, 0) & 0xff00
    }

    /// What a session is ended with.
    pub fn destroy_opcode(&self) -> u32 {
        self.create[0].1 + 1
    }
}
