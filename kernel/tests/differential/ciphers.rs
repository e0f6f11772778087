//! Random requests of CIPHER, as far as QEMU's builtin backend answers them by a status.
//!
//! For the comparison. The one rule: what ends QEMU, or what only one of the devices has, is not
//! in here: CTR and XTS with a part of a block, sessions used by the other direction's opcode, a
//! CBC request without its IV.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use crate::{draft::Draft, hand::MOST_TOGETHER, random::Random};

/// Most sessions that are open at a time: far from any device's limit.
const MOST_SESSIONS: usize = 40;

/// A cipher by its number, and what it takes.
#[derive(Debug, PartialEq, Eq)]
struct Algorithm {
    name: &'static str,
    number: u32,
    key_bytes: &'static [usize],
    iv_bytes: usize,
    block_bytes: usize,
    /// A part of a block is an error.
    whole_blocks: bool,
}

const fn aes(name: &'static str, number: u32, iv_bytes: usize, whole_blocks: bool) -> Algorithm {
    Algorithm {
        name,
        number,
        key_bytes: &[16, 24, 32],
        iv_bytes,
        block_bytes: 16,
        whole_blocks,
    }
}

const fn triple_des(
    name: &'static str,
    number: u32,
    iv_bytes: usize,
    whole_blocks: bool,
) -> Algorithm {
    Algorithm {
        name,
        number,
        key_bytes: &[24],
        iv_bytes,
        block_bytes: 8,
        whole_blocks,
    }
}

const ALGORITHMS: [Algorithm; 7] = [
    aes("AES-ECB", 2, 0, true),
    aes("AES-CBC", 3, 16, true),
    aes("AES-CTR", 4, 16, false),
    triple_des("3DES-ECB", 7, 0, true),
    triple_des("3DES-CBC", 8, 8, true),
    triple_des("3DES-CTR", 9, 8, false),
    Algorithm {
        name: "AES-XTS",
        number: 13,
        key_bytes: &[32, 64],
        iv_bytes: 16,
        block_bytes: 16,
        whole_blocks: false,
    },
];

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    algorithm: &'static Algorithm,
    /// 1 encrypts, 2 decrypts.
    direction: u32,
    key_bytes: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            algorithm,
            direction,
            key_bytes,
        } = self;
        let direction = if *direction == 1 {
            "encrypt"
        } else {
            "decrypt"
        };
        write!(f, "{}-{} {direction}", algorithm.name, 8 * key_bytes)
    }
}

/// A session that every device has open.
#[derive(Clone, Debug)]
struct Session {
    kind: Kind,
    ids: Vec<u64>,
}

/// Requests from a seed.
#[derive(Debug)]
pub struct Stream {
    random: Random,
    devices: usize,
    sessions: Vec<Session>,
}

impl Stream {
    /// Makes a stream for so many devices.
    pub fn new(seed: u64, devices: usize) -> Self {
        Self {
            random: Random::new(seed),
            devices,
            sessions: Vec::new(),
        }
    }

    /// Returns requests that are to be sent together.
    pub fn batch(&mut self) -> Vec<Draft<Kind>> {
        let count = match self.random.below(3) {
            0 => 1,
            _ => 1 + self.random.below(MOST_TOGETHER),
        };
        let is_control = self.sessions.len() < 3 || self.random.below(6) == 0;
        let drafts = (0..count).map(|_| {
            let draft = match is_control {
                true => self.control(),
                false => self.data(),
            };
            draft.cut(&mut self.random)
        });
        drafts.collect()
    }

    /// Returns what ends all that is open, a batch at a time.
    pub fn end(&mut self) -> Vec<Draft<Kind>> {
        let count = self.sessions.len().min(MOST_TOGETHER);
        self.sessions.drain(..count).map(destroy).collect()
    }

    /// Takes note of the numbers that devices gave a session.
    pub fn open(&mut self, kind: Kind, ids: Vec<u64>) {
        self.sessions.push(Session { kind, ids });
    }

    fn control(&mut self) -> Draft<Kind> {
        let random = &mut self.random;
        let count = self.sessions.len();
        if count > 0 && (count >= MOST_SESSIONS - MOST_TOGETHER || random.below(4) == 0) {
            let at = random.below(count);
            return destroy(self.sessions.swap_remove(at));
        }
        if random.below(5) == 0 {
            return self.wrong_create();
        }
        let kind = any_kind(random);
        let key = random.bytes(kind.key_bytes);
        let what = format!("create {kind}");
        Draft::create(what, &create_words(kind, 1), &key).opens(kind)
    }

    fn wrong_create(&mut self) -> Draft<Kind> {
        let random = &mut self.random;
        let kind = any_kind(random);
        let mut words = create_words(kind, 1);
        let mut key = random.bytes(kind.key_bytes);
        let what: String = match random.below(5) {
            0 => {
                let wrong = |len: &usize| !kind.algorithm.key_bytes.contains(len) && *len != 48;
                let lens: Vec<_> = (1..64).filter(wrong).collect();
                let len = random.one_of(&lens);
                key = random.bytes(len);
                set(&mut words, 20, len as u32);
                format!("create {kind} with a key of {len} bytes")
            }
            1 => {
                let len = 65 + random.below(60);
                key = random.bytes(len);
                set(&mut words, 20, len as u32);
                format!("create {kind} with a key beyond the maximum, {len} bytes")
            }
            2 => {
                // KASUMI F8, SNOW3G UEA2, AES F8, ZUC EEA3, and what has no meaning.
                let number = random.one_of(&[0, 10, 11, 12, 14, 15, 31, 32, 64, u32::MAX]);
                set(&mut words, 16, number);
                format!("create for cipher number {number}")
            }
            3 => {
                let op_type = random.one_of(&[0, 3, 77]);
                set(&mut words, 64, op_type);
                format!("create {kind} with op_type {op_type}")
            }
            _ => {
                // HASH, MAC and AEAD, and no service's.
                let opcode = random.one_of(&[0x102, 0x202, 0x302, 0x007, 0x602, u32::MAX]);
                set(&mut words, 0, opcode);
                format!("control request {opcode:#x}")
            }
        };
        Draft::create(what, &words, &key).refused()
    }

    fn data(&mut self) -> Draft<Kind> {
        let random = &mut self.random;
        let at = random.below(self.sessions.len());
        let Session { kind, ids } = self.sessions[at].clone();
        let Kind {
            algorithm,
            direction,
            ..
        } = kind;
        let blocks = match random.below(16) {
            0 => 1 + random.below(1024),
            1..4 => 1 + random.below(64),
            _ => 1 + random.below(8),
        };
        let mut len = blocks * algorithm.block_bytes;
        let mut iv = any_iv(random, algorithm.iv_bytes);
        let mut opcode = direction - 1;
        let mut ids = ids;
        let mut op_type = 1;
        let mut what = format!("{kind} of {len} bytes");
        let wrong = random.below(60);
        match wrong {
            0 => {
                let id = random.one_of(&[256, 255, 1 << 32, u64::MAX, i64::MAX as u64]);
                ids = alloc::vec![id; self.devices];
                what = format!("{what} in no session, {id:#x}");
            }
            1 if algorithm.whole_blocks => {
                len -= 1 + random.below(algorithm.block_bytes - 1);
                what = format!("{kind} of {len} bytes, a part of a block");
            }
            2 => {
                let lens: Vec<_> = (1..33).filter(|len| *len != algorithm.iv_bytes).collect();
                iv = any_iv(random, random.clone().one_of(&lens));
                what = format!("{what} with an IV of {} bytes", iv.len());
            }
            3 => {
                opcode = random.one_of(&[0x002, 0x006, 0x500, 0x900, u32::MAX]);
                what = format!("{what} by opcode {opcode:#x}");
            }
            4 => {
                op_type = random.one_of(&[0, 3, 77]);
                what = format!("{what} with op_type {op_type}");
            }
            _ => {}
        }
        let is_wrong = matches!(wrong, 0 | 2..=4) || wrong == 1 && algorithm.whole_blocks;
        let words = [
            (0, opcode),
            (4, algorithm.number),
            (24, iv.len() as u32),
            (28, len as u32),
            (32, len as u32),
            (64, op_type),
        ];
        let source = random.bytes(len);
        let draft = Draft::data(what, &words, ids, &[&iv, &source], len);
        if is_wrong { draft.refused() } else { draft }
    }
}

fn destroy(session: Session) -> Draft<Kind> {
    let what = format!("destroy {}", session.kind);
    Draft::destroy(what, 0x003, session.ids)
}

fn any_kind(random: &mut Random) -> Kind {
    let algorithm = &ALGORITHMS[random.below(ALGORITHMS.len())];
    Kind {
        algorithm,
        direction: 1 + random.below(2) as u32,
        key_bytes: random.one_of(algorithm.key_bytes),
    }
}

/// Counters end now and then within the data.
fn any_iv(random: &mut Random, len: usize) -> Vec<u8> {
    let mut iv = random.bytes(len);
    if random.below(4) == 0 {
        let ones = random.below(len + 1);
        iv[ones..].fill(0xff);
        if let Some(last) = iv.last_mut() {
            *last = 0xfe;
        }
    }
    iv
}

fn create_words(kind: Kind, op_type: u32) -> [(usize, u32); 6] {
    let number = kind.algorithm.number;
    [
        (0, 0x002),
        (4, number),
        (16, number),
        (20, kind.key_bytes as u32),
        (24, kind.direction),
        (64, op_type),
    ]
}

fn set(words: &mut [(usize, u32)], offset: usize, word: u32) {
    let place = words.iter_mut().find(|(at, _)| *at == offset);
    place.expect("a word of the request").1 = word;
}
