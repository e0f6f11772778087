//! Every request whose answer is known, by service.

use alloc::{format, vec, vec::Vec};

use virtio_crypto::Services;

use crate::{
    answers::{
        aeads::AEADS,
        bytes,
        chains::{ADDITIONAL, AUTH_KEY_LEN, DIGESTS, Digests, LEN, PART, WHOLE},
        ciphers::CIPHERS,
        digests::{HASHES, MACS},
        keys::RSA,
    },
    requests::{
        known::{self, Known},
        shared::{PKCS1, PRIVATE},
    },
};

/// Ciphers, with each key length in both directions.
pub fn ciphers() -> Vec<Known> {
    let mut list = Vec::new();
    for (algorithm, texts) in CIPHERS {
        let [key, iv, plain, sealed] = texts.map(bytes);
        if plain.is_empty() {
            continue;
        }
        let name = format!("{algorithm:?}");
        let named = (*algorithm as u32, &*name);
        list.push(known::cipher(named, true, [&key, &iv, &plain, &sealed]));
        list.push(known::cipher(named, false, [&key, &iv, &sealed, &plain]));
    }
    list
}

pub fn hashes() -> Vec<Known> {
    let known = HASHES.iter().map(|(algorithm, digest)| {
        let name = format!("{algorithm:?}");
        known::hash((*algorithm as u32, &name), b"abc", &bytes(digest))
    });
    known.collect()
}

pub fn macs() -> Vec<Known> {
    let message: Vec<u8> = (0..24).collect();
    let with_answer = MACS.iter().filter(|(_, [_, tag])| !tag.is_empty());
    let known = with_answer.map(|(algorithm, texts)| {
        let [key, tag] = texts.map(bytes);
        let name = format!("{algorithm:?}");
        known::mac((*algorithm as u32, &name), &key, &message, &tag)
    });
    known.collect()
}

/// Authenticated encryption, in both directions.
pub fn aeads() -> Vec<Known> {
    let mut list = Vec::new();
    for (algorithm, texts) in AEADS {
        let [key, iv, aad, plain, sealed] = texts.map(bytes);
        let name = format!("{algorithm:?}");
        let named = (*algorithm as u32, &*name);
        list.push(known::aead(named, true, [&key, &iv, &aad, &plain, &sealed]));
        list.push(known::aead(
            named,
            false,
            [&key, &iv, &aad, &sealed, &plain],
        ));
    }
    list
}

/// What a chain does, beside its cipher and its hash.
#[derive(Clone, Copy, Debug)]
struct Shape {
    is_hash_first: bool,
    encrypts: bool,
    /// Where cipher and hash begin, and how many bytes they are about.
    cipher: (usize, usize),
    hash: (usize, usize),
    additional: &'static [u8],
}

/// Where the whole message lies.
const ALL: (usize, usize) = (0, LEN);

/// Chains of a mode: 1 plain, 2 MAC, 3 nested. Both orders, both directions.
pub fn chains(mode: usize) -> Vec<Known> {
    let mut list = Vec::new();
    for digests in DIGESTS {
        for (encrypts, whole) in [true, false].into_iter().zip(WHOLE) {
            let cipher_first = if encrypts {
                digests.encrypted
            } else {
                digests.decrypted
            };
            for (is_hash_first, digest) in [(true, digests.before), (false, cipher_first)] {
                let shape = Shape {
                    is_hash_first,
                    encrypts,
                    cipher: ALL,
                    hash: ALL,
                    additional: &[],
                };
                list.push(chain(digests, mode, shape, [whole, digest[mode - 1]]));
            }
        }
    }
    list
}

/// Chains of which cipher and hash are about a part of the message each.
pub fn chains_of_parts() -> Vec<Known> {
    let shape = Shape {
        is_hash_first: false,
        encrypts: true,
        cipher: (16, 32),
        hash: (8, 40),
        additional: &[],
    };
    both_modes(shape, PART, |digests| digests.part)
}

/// Chains with additional data.
pub fn chains_with_additional_data() -> Vec<Known> {
    let shape = Shape {
        is_hash_first: false,
        encrypts: true,
        cipher: ALL,
        hash: ALL,
        additional: ADDITIONAL,
    };
    both_modes(shape, WHOLE[0], |digests| digests.additional)
}

fn both_modes(
    shape: Shape,
    text: &'static str,
    answers: fn(&Digests) -> [&'static str; 2],
) -> Vec<Known> {
    let of = |digests: &'static Digests| {
        let digest = answers(digests);
        [1, 2].map(|mode| chain(digests, mode, shape, [text, digest[mode - 1]]))
    };
    DIGESTS.iter().flat_map(of).collect()
}

/// A request of a chain, by its words (Virtio 1.3, 5.9.7.2.1.3 and 5.9.7.6).
fn chain(digests: &Digests, mode: usize, shape: Shape, result: [&str; 2]) -> Known {
    const AES_CBC: u32 = 3;
    const KEY_LEN: u32 = 16;
    let message: Vec<u8> = (0..LEN).map(|at| (at * 7 + 3) as u8).collect();
    let auth_key: Vec<u8> = match mode {
        2 => (0..AUTH_KEY_LEN as u8).collect(),
        _ => Vec::new(),
    };
    let (key, iv): (Vec<u8>, Vec<u8>) = ((0..16).collect(), (16..32).collect());
    let (op, bit) = if shape.encrypts { (1, 0) } else { (2, 1) };
    let order = if shape.is_hash_first { 1 } else { 2 };
    let (mode, auth_key_len) = (mode as u32, auth_key.len() as u32);
    let (number, digest_len) = (digests.number, digests.len as u32);
    let aad_len = shape.additional.len() as u32;
    let lens = |at: usize| {
        let (cipher, hash) = (shape.cipher, shape.hash);
        let words = [16, LEN, LEN, cipher.0, cipher.1, hash.0, hash.1];
        let words = words.map(|word| word as u32);
        let words = words.into_iter().chain([aad_len, digest_len]);
        (0..).map(move |word| at + 4 * word).zip(words)
    };
    let create = [
        (0, 0x002),
        (4, AES_CBC),
        (16, order),
        (20, mode),
        (24, AES_CBC),
        (28, KEY_LEN),
        (32, op),
        (40, number),
        (44, digest_len),
        (48, auth_key_len),
        (56, aad_len),
        (64, 2),
    ];
    let session = [
        (24, order),
        (28, aad_len),
        (32, AES_CBC),
        (36, KEY_LEN),
        (40, op),
        (44, number),
        (48, auth_key_len),
        (52, mode),
        (96, 2),
    ];
    let words = [(0, bit), (4, AES_CBC), (16, 1), (64, 2)];
    let aad = shape.additional.to_vec();
    Known {
        name: format!("{} mode {mode} order {order} op {op}", digests.name),
        service: Services::CIPHER,
        number: AES_CBC,
        create: create.to_vec(),
        key: [&key[..], &auth_key].concat(),
        words: words.into_iter().chain(lens(24)).collect(),
        source: vec![iv.clone(), message.clone(), aad.clone()],
        stateless: session.into_iter().chain(lens(56)).collect(),
        stateless_source: vec![key, auth_key, iv, aad, message],
        result: result.map(bytes).concat(),
    }
}

/// RSA signatures with PKCS#1 v1.5, of the first key.
pub fn signatures() -> Vec<Known> {
    let key = &RSA[0];
    let der = bytes(key.private);
    let known = key.signatures.iter().map(|(hash, signature)| {
        let digest: Vec<u8> = (0..hash.digest_len_bytes() as u8).collect();
        let (der_len, len) = (der.len() as u32, key.bits as u32 / 8);
        let digest_len = digest.len() as u32;
        let scheme = [PRIVATE, der_len, PKCS1, *hash as u32];
        let at = |first: usize| (0..).map(move |word| first + 4 * word).zip(scheme);
        Known {
            name: format!("RSA {hash:?}"),
            service: Services::AKCIPHER,
            number: 1,
            create: [(0, 0x404), (4, 1), (16, 1)]
                .into_iter()
                .chain(at(20))
                .collect(),
            key: der.clone(),
            words: vec![(0, 0x402), (4, 1), (16, 1), (24, digest_len), (28, len)],
            source: vec![digest.clone()],
            stateless: [(24, 1), (44, digest_len), (48, len)]
                .into_iter()
                .chain(at(28))
                .collect(),
            stateless_source: vec![der.clone(), digest],
            result: bytes(signature),
        }
    });
    known.collect()
}
