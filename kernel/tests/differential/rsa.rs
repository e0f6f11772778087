//! Requests of RSA with the padding of PKCS #1 v1.5, and what software makes of them.
//!
//! No QEMU of Debian has both RSA of its own and room for the project's device. So each device is
//! compared with the same software, by the same requests, and by that with the other. The one rule:
//! what only one of the devices does is not in here: RSA without padding, SHA-224 and SHA-384, no
//! hash at all, a digest that has another length than the hash's, which QEMU signs.
//!
//! Results that begin with a zero are left out: QEMU 7.2 cuts off their last byte.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;

use rsa::{
    BoxedUint, Pkcs1v15Encrypt, Pkcs1v15Sign, PrivateKey, PublicKey,
    hazmat::rsa_encrypt,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey},
    traits::PublicKeyParts,
};

use crate::{
    compare::{Class, status},
    draft::Draft,
    hand::{Answer, Hand},
    random::Random,
};

/// Keys of 1024 to 3072 bits, the shorter ones more often, since they take less time.
const KEYS: [&[u8]; 6] = [
    include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/2048.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/2048.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/3072.pkcs1.der"),
];

/// A hash: its number in 5.9.7.2.1, its length, and what stands in front of it in a signature (RFC
/// 8017, 9.2, note 1).
struct Hash {
    number: u32,
    len_bytes: usize,
    prefix: &'static [u8],
}

const HASHES: [Hash; 4] = [
    Hash {
        number: 4,
        len_bytes: 16,
        prefix: b"\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10",
    },
    Hash {
        number: 5,
        len_bytes: 20,
        prefix: b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
    },
    Hash {
        number: 6,
        len_bytes: 32,
        prefix: b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
    },
    Hash {
        number: 8,
        len_bytes: 64,
        prefix: b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    },
];

const CREATE: u32 = 0x404;
const DESTROY: u32 = 0x405;
const ENCRYPT: u32 = 0x400;
const DECRYPT: u32 = 0x401;
const SIGN: u32 = 0x402;
const VERIFY: u32 = 0x403;
const PUBLIC: u32 = 1;
const PRIVATE: u32 = 2;
const PKCS1: u32 = 1;

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub valid: u64,
    pub short: u64,
    pub refused: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.valid += other.valid;
        self.short += other.short;
        self.refused += other.refused;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            valid,
            short,
            refused,
        } = self;
        write!(f, "valid={valid} short={short} refused={refused}")
    }
}

/// A device under a stream of requests.
struct Stream<'d> {
    device: &'d mut Hand,
    random: Random,
    tally: Tally,
}

/// Sends a stream of requests about one key.
pub fn run(device: &mut Hand, seed: u64) -> Tally {
    let mut stream = Stream {
        device,
        random: Random::new(seed),
        tally: Tally::default(),
    };
    stream.key();
    stream.tally
}

impl Stream<'_> {
    fn key(&mut self) {
        let der = self.random.one_of(&KEYS);
        let hash = &HASHES[self.random.below(HASHES.len())];
        let private = PrivateKey::from_pkcs1_der(der).unwrap();
        let public = private.to_public_key();
        let public_der = public.to_pkcs1_der().unwrap();
        self.wrong_creates(der, public_der.as_bytes());
        let signer = self.open(PRIVATE, hash, der);
        let verifier = self.open(PUBLIC, hash, public_der.as_bytes());
        for _ in 0..4 {
            self.signature(&private, hash, signer, verifier);
            self.message(&private, &public, signer, verifier);
        }
        for id in [signer, verifier] {
            let destroy = Draft::<()>::destroy(String::from("destroy"), DESTROY, [id].into());
            self.done(&destroy);
        }
    }

    fn signature(&mut self, private: &PrivateKey, hash: &Hash, signer: u64, verifier: u64) {
        let size = private.size();
        let digest = self.random.bytes(hash.len_bytes);
        let padding = Pkcs1v15Sign {
            hash_len: Some(hash.len_bytes),
            prefix: Box::from(hash.prefix),
        };
        let mut signature = private.sign(padding, &digest).unwrap();
        let name = |what: &str| format!("{what}, hash {}, {} bits", hash.number, 8 * size);
        if let Some(signed) = self.result(&data(name("sign"), SIGN, signer, &digest, size)) {
            assert!(signed == signature, "{}", name("sign"));
        }
        let verify = |what: &str, signature: &[u8], digest: &[u8]| {
            let lens = [(24, signature.len() as u32), (28, digest.len() as u32)];
            let words = [&[(0, VERIFY), (4, 1)][..], &lens].concat();
            let ids = Vec::from([verifier]);
            Draft::<()>::data(name(what), &words, ids, &[signature, digest], 0)
        };
        self.done(&verify("verify", &signature, &digest));
        let at = self.random.below(size);
        signature[at] ^= 1 << self.random.below(8);
        self.refused(&verify("verify what is no signature", &signature, &digest));
    }

    fn message(&mut self, private: &PrivateKey, public: &PublicKey, signer: u64, verifier: u64) {
        let size = public.size();
        let name = |what: &str| format!("{what}, {} bits", 8 * size);
        let len = 1 + self.random.below(size - 11);
        let mut message = self.random.bytes(len);
        message[0] |= 1;
        if let Some(sealed) = self.result(&data(name("encrypt"), ENCRYPT, verifier, &message, size))
        {
            let opened = private.decrypt(Pkcs1v15Encrypt, &sealed).unwrap();
            assert!(opened == message, "{}", name("encrypt"));
        }
        // Padding by hand: what is sealed is the same in every run.
        let padding: Vec<_> = self.random.bytes(size - 3 - len);
        let padding: Vec<_> = padding.iter().map(|byte| byte | 1).collect();
        let padded = [&[0, 2], &padding[..], &[0], &message].concat();
        let draft = data(
            name("decrypt"),
            DECRYPT,
            signer,
            &seal(public, &padded),
            size,
        );
        let Sent { written, .. } = self.done(&draft);
        assert!(written[..len] == message, "{}", draft.what);

        let mut wrong = padded.clone();
        wrong[1] = self.random.one_of(&[0, 1, 3, 0xff]);
        let what = name("decrypt what is padded by another type");
        self.refused(&data(what, DECRYPT, signer, &seal(public, &wrong), size));
        let whole: Vec<_> = padded.iter().map(|byte| byte | 1).collect();
        let endless = [&[0, 2], &whole[2..]].concat();
        let what = name("decrypt what is padding and nothing else");
        self.refused(&data(what, DECRYPT, signer, &seal(public, &endless), size));
        let long = self.random.bytes(size - 10);
        self.refused(&data(
            name("encrypt too much"),
            ENCRYPT,
            verifier,
            &long,
            size,
        ));
        let draft = data(name("encrypt in no session"), ENCRYPT, 255, &message, size);
        assert_eq!(self.send(&draft).class, Class::NoSession, "{}", draft.what);
        self.tally.refused += 1;
    }

    fn wrong_creates(&mut self, private: &[u8], public: &[u8]) {
        let hash = &HASHES[0];
        let cut = 1 + self.random.below(private.len() - 1);
        let mut unknown_hash = words(PRIVATE, hash, private);
        unknown_hash[6].1 = 99;
        let mut unknown_padding = words(PRIVATE, hash, private);
        unknown_padding[5].1 = 2;
        let mut unknown_algorithm = words(PRIVATE, hash, private);
        (unknown_algorithm[1].1, unknown_algorithm[2].1) = (77, 77);
        let wrong = [
            (
                "cut off",
                words(PRIVATE, hash, &private[..cut]),
                &private[..cut],
            ),
            ("public as private", words(PRIVATE, hash, public), public),
            ("private as public", words(PUBLIC, hash, private), private),
            ("of no kind", words(3, hash, private), private),
            ("by no hash", unknown_hash, private),
            ("by no padding", unknown_padding, private),
            ("of no algorithm", unknown_algorithm, private),
        ];
        for (what, words, key) in wrong {
            let what = format!("create with a key {what}");
            self.refused(&Draft::<()>::create(what, &words, key));
        }
    }

    fn open(&mut self, key_type: u32, hash: &Hash, der: &[u8]) -> u64 {
        let what = format!("create, key type {key_type}, hash {}", hash.number);
        let draft = Draft::<()>::create(what, &words(key_type, hash, der), der);
        let Sent { written, .. } = self.done(&draft);
        u64::from_le_bytes(written[..8].try_into().unwrap())
    }

    /// Sends what has to be done.
    fn done(&mut self, draft: &Draft<()>) -> Sent {
        let sent = self.send(draft);
        assert_eq!(sent.class, Class::Done, "{}", draft.what);
        self.tally.valid += 1;
        sent
    }

    /// Sends what has a result as long as the modulus; none if it begins with a zero.
    fn result(&mut self, draft: &Draft<()>) -> Option<Vec<u8>> {
        let sent = self.done(draft);
        let (len, _) = draft.status;
        let is_short = sent.written[0] == 0 || (sent.used_bytes as usize) <= len;
        self.tally.short += u64::from(is_short);
        (!is_short).then(|| sent.written[..len].to_vec())
    }

    fn refused(&mut self, draft: &Draft<()>) {
        assert_eq!(self.send(draft).class, Class::Refused, "{}", draft.what);
        self.tally.refused += 1;
    }

    fn send(&mut self, draft: &Draft<()>) -> Sent {
        let draft = draft.clone().cut(&mut self.random);
        let answers = self.device.exchange(draft.lane, &[draft.chain(0)]);
        let class = Class::of(status(&draft, &answers[0]));
        match answers.into_iter().next() {
            Some(Answer::Used {
                written,
                used_bytes,
            }) => Sent {
                class,
                written,
                used_bytes,
            },
            _ => panic!("{}: the device asks for a reset", draft.what),
        }
    }
}

/// What became of a request.
struct Sent {
    class: Class,
    written: Vec<u8>,
    used_bytes: u32,
}

/// The words of a *create*.
fn words(key_type: u32, hash: &Hash, key: &[u8]) -> [(usize, u32); 7] {
    [
        (0, CREATE),
        (4, 1),
        (16, 1),
        (20, key_type),
        (24, key.len() as u32),
        (28, PKCS1),
        (32, hash.number),
    ]
}

fn data(what: String, opcode: u32, id: u64, source: &[u8], result_bytes: usize) -> Draft<()> {
    let lens = [(24, source.len() as u32), (28, result_bytes as u32)];
    let words = [&[(0, opcode), (4, 1)][..], &lens].concat();
    Draft::data(what, &words, [id].into(), &[source], result_bytes)
}

/// Raises a padded message to the public exponent.
fn seal(public: &PublicKey, padded: &[u8]) -> Vec<u8> {
    let number = BoxedUint::from_be_slice(padded, public.n_bits_precision()).unwrap();
    let sealed = rsa_encrypt(public, &number).unwrap().to_be_bytes();
    sealed[sealed.len() - public.size()..].to_vec()
}
