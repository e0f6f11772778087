//! Algorithm chaining, of the CIPHER service.

use alloc::vec::Vec;

use super::{ERROR, Request, cipher, hash, mac};
use crate::wire::HashAlgorithm;

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    hash_first: bool,
    cipher: cipher::Session,
    digester: Digester,
    digest_len: usize,
    aad_len: usize,
}

#[derive(Clone, Debug)]
enum Digester {
    Plain(HashAlgorithm),
    Authenticated(mac::Session),
    Nested(HashAlgorithm),
}

impl Digester {
    fn new(mode: u32, number: u32, key: &[u8], digest_len: usize) -> Self {
        if mode != 2 {
            assert!(key.is_empty(), "a key for a hash");
        }
        match mode {
            1 => Self::Plain(hash::parse(number, digest_len)),
            2 => Self::Authenticated(mac::Session::new(number, key, digest_len)),
            3 => Self::Nested(hash::parse(number, digest_len)),
            other => panic!("hash mode {other}"),
        }
    }

    fn digest(&self, data: &[u8], len: usize) -> Result<Vec<u8>, u8> {
        match self {
            Self::Plain(algorithm) => Ok(hash::digest(*algorithm, data, len)),
            Self::Authenticated(session) => session.tag(data),
            Self::Nested(algorithm) => {
                let inner = hash::digest(*algorithm, data, len);
                Ok(hash::digest(*algorithm, &inner, len))
            }
        }
    }
}

fn is_hash_first(order: u32) -> bool {
    match order {
        1 => true,
        2 => false,
        other => panic!("order {other}"),
    }
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.cipher.algorithm()
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        let [cipher_key, key] = request.parts([request.usize(28), request.usize(48)]);
        let digest_len = request.usize(44);
        Ok(Self {
            hash_first: is_hash_first(request.u32(16)),
            cipher: cipher::Session::new(request.u32(24), request.u32(32), cipher_key),
            digester: Digester::new(request.u32(20), request.u32(40), key, digest_len),
            digest_len,
            aad_len: request.usize(56),
        })
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        assert_eq!(request.u32(64), 2, "a chain");
        let lens = Lens::read(request, 24);
        let [iv, source, aad] = request.parts([lens.iv, lens.source, lens.aad]);
        self.compute(request, &lens, (iv, aad, source))
    }

    fn compute(
        &self,
        request: Request<'_>,
        lens: &Lens,
        (iv, aad, source): (&[u8], &[u8], &[u8]),
    ) -> Result<Vec<u8>, u8> {
        assert_eq!(lens.destination, lens.source, "destination length");
        assert_eq!((lens.aad, lens.digest), (self.aad_len, self.digest_len));
        assert_eq!(lens.iv, self.cipher.iv_len(), "IV length");
        let opcode = u32::from(!self.cipher.is_encrypting());
        assert_eq!(request.opcode(), opcode, "opcode and direction");
        request.check_room(lens.source + lens.digest);
        let mut data = source.to_vec();
        let cipher = data.get(lens.cipher.clone()).ok_or(ERROR)?;
        let transformed = self.cipher.transform(iv, cipher)?;
        let digest = |data: &[u8]| {
            let part = data.get(lens.hash.clone()).ok_or(ERROR)?;
            self.digester.digest(&[aad, part].concat(), self.digest_len)
        };
        let before = digest(&data)?;
        data[lens.cipher.clone()].copy_from_slice(&transformed);
        let after = digest(&data)?;
        data.extend(if self.hash_first { before } else { after });
        Ok(data)
    }
}

/// The fixed-length fields of a request.
struct Lens {
    iv: usize,
    source: usize,
    destination: usize,
    cipher: core::ops::Range<usize>,
    hash: core::ops::Range<usize>,
    aad: usize,
    digest: usize,
}

impl Lens {
    fn read(request: Request<'_>, start: usize) -> Self {
        let word = |index: usize| request.usize(start + 4 * index);
        assert_eq!(word(9), 0, "a reserved field");
        Self {
            iv: word(0),
            source: word(1),
            destination: word(2),
            cipher: word(3)..word(3) + word(4),
            hash: word(5)..word(5) + word(6),
            aad: word(7),
            digest: word(8),
        }
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let lens = Lens::read(request, 56);
    let (cipher_key_len, key_len) = (request.usize(36), request.usize(48));
    let parts = [cipher_key_len, key_len, lens.iv, lens.aad, lens.source];
    let [cipher_key, key, iv, aad, source] = request.parts(parts);
    assert_eq!(request.usize(28), lens.aad, "additional data");
    let session = Session {
        hash_first: is_hash_first(request.u32(24)),
        cipher: cipher::Session::new(request.u32(32), request.u32(40), cipher_key),
        digester: Digester::new(request.u32(52), request.u32(44), key, lens.digest),
        digest_len: lens.digest,
        aad_len: lens.aad,
    };
    session.compute(request, &lens, (iv, aad, source))
}
