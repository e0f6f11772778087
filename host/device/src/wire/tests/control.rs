use super::{Request, exactly, forms};
use crate::wire::{
    algorithm::Service,
    control::Control,
    header::{ControlHeader, Direction, Form},
    parameters::{
        AeadParameters, AkcipherParameters, ChainHash, ChainOrder, ChainParameters,
        CipherParameters, HashParameters, Key, KeyType, MacParameters, Parameters,
    },
    reader::{Reader, Unused},
    status::{Refusal, Status},
};

/// Bytes of header and fixed-length parameters without REVISION_1.
const PADDED_BYTES: usize = 16 + 56;

/// Reads a request; what comes out is compared as text, because it borrows from the request.
fn read(reader: &mut Reader<'_>, form: Form) -> Result<String, Refusal> {
    let header = ControlHeader::read(reader)?;
    let operation = header.operation().expect("a known opcode");
    Control::read(reader, operation, form).map(|control| details(&control))
}

/// Keys do not print themselves.
fn details(control: &Control<'_>) -> String {
    let keys = match control {
        Control::Create(Parameters::Cipher(cipher)) => vec![cipher.key.0],
        Control::Create(Parameters::Chain(chain)) => match chain.hash {
            ChainHash::Authenticated(mac) => vec![chain.cipher.key.0, mac.key.0],
            _ => vec![chain.cipher.key.0],
        },
        Control::Create(Parameters::Mac(mac)) => vec![mac.key.0],
        Control::Create(Parameters::Aead(aead)) => vec![aead.key.0],
        Control::Create(Parameters::Akcipher(akcipher)) => vec![akcipher.key.0],
        _ => vec![],
    };
    format!("{control:?} {keys:?}")
}

fn check(forms: [(Form, Request); 2], expected: &Control<'_>, fields: &[usize]) {
    for (form, request) in forms {
        let (read, mut lens) = exactly(&request, |reader| read(reader, form)).unwrap();
        assert_eq!(read, details(expected));
        let head_bytes = lens.remove(0);
        assert_eq!(lens, fields);
        assert_eq!(head_bytes + fields.iter().sum::<usize>(), request.0.len());
    }
}

const fn header(opcode: u32) -> [u32; 4] {
    [opcode, 0x99, 0, 0]
}

#[test]
fn a_cipher_session() {
    let head = Request::of(&header(0x002), &[0x21, 5, 2, 0]).pad(16 + 48);
    let head = Request(head.0).field(&super::words(&[1, 0]));
    let expected = Control::Create(Parameters::Cipher(CipherParameters {
        algo: 0x21,
        direction: Direction::Decrypt,
        key: Key(b"abcde"),
    }));
    check(forms(PADDED_BYTES, head, b"abcde"), &expected, &[5]);
}

fn chain(order: u32, hash_mode: u32, op_type: u32) -> Request {
    let fixed = [
        // alg_chain_order, hash_mode
        order, hash_mode, //
        // cipher_hdr: algo, key_len, op, padding
        0x21, 3, 1, 0, //
        // algo_flf: algo, hash_result_len, auth_key_len, padding
        0x31, 0x32, 2, 0, //
        // aad_len, padding
        0x41, 0, //
        // op_type, padding
        op_type, 0,
    ];
    Request::of(&header(0x002), &fixed)
}

#[test]
fn a_chain_session() {
    let cipher = CipherParameters {
        algo: 0x21,
        direction: Direction::Encrypt,
        key: Key(b"abc"),
    };
    let hash = HashParameters {
        algo: 0x31,
        result_len: 0x32,
    };
    let mac = MacParameters {
        algo: 0x31,
        result_len: 0x32,
        key: Key(b"de"),
    };
    let modes = [
        (1, ChainHash::Plain(hash), &b"abc"[..], &[3][..]),
        (2, ChainHash::Authenticated(mac), b"abcde", &[3, 2]),
        (3, ChainHash::Nested(hash), b"abc", &[3]),
    ];
    let orders = [
        (1, ChainOrder::HashThenCipher),
        (2, ChainOrder::CipherThenHash),
    ];
    for (mode, hash, keys, fields) in modes {
        for (number, order) in orders {
            let expected = Control::Create(Parameters::Chain(ChainParameters {
                order,
                cipher,
                hash,
                aad_len: 0x41,
            }));
            check(
                forms(PADDED_BYTES, chain(number, mode, 2), keys),
                &expected,
                fields,
            );
        }
    }
}

#[test]
fn unknown_numbers_of_a_symmetric_session_are_not_supported() {
    let refused = |request: Request| {
        let bytes = request.field(&[0; 8]).0;
        read(&mut Reader::new(&bytes, Unused::Ignored), Form::Exact)
            .unwrap_err()
            .status
    };
    assert_eq!(refused(chain(0, 1, 2)), Status::NotSupported);
    assert_eq!(refused(chain(3, 1, 2)), Status::NotSupported);
    assert_eq!(refused(chain(1, 0, 2)), Status::NotSupported);
    assert_eq!(refused(chain(1, 4, 2)), Status::NotSupported);
    assert_eq!(refused(chain(1, 1, 0)), Status::NotSupported);
    assert_eq!(refused(chain(1, 1, 3)), Status::NotSupported);
}

#[test]
fn a_hash_session() {
    let head = Request::of(&header(0x102), &[0x21, 0x22]);
    let expected = Control::Create(Parameters::Hash(HashParameters {
        algo: 0x21,
        result_len: 0x22,
    }));
    check(forms(PADDED_BYTES, head, b""), &expected, &[]);
}

#[test]
fn a_mac_session() {
    let head = Request::of(&header(0x202), &[0x21, 0x22, 4, 0]);
    let expected = Control::Create(Parameters::Mac(MacParameters {
        algo: 0x21,
        result_len: 0x22,
        key: Key(b"abcd"),
    }));
    check(forms(PADDED_BYTES, head, b"abcd"), &expected, &[4]);
}

#[test]
fn an_aead_session() {
    let head = Request::of(&header(0x302), &[0x21, 4, 0x23, 0x24, 1, 0]);
    let expected = Control::Create(Parameters::Aead(AeadParameters {
        algo: 0x21,
        tag_len: 0x23,
        aad_len: 0x24,
        direction: Direction::Encrypt,
        key: Key(b"abcd"),
    }));
    check(forms(PADDED_BYTES, head, b"abcd"), &expected, &[4]);
}

#[test]
fn an_akcipher_session() {
    for (number, key_type) in [(1, KeyType::Public), (2, KeyType::Private)] {
        let head = Request::of(&header(0x404), &[0x21, number, 4, 0x24, 0x25]).pad(16 + 12 + 44);
        let expected = Control::Create(Parameters::Akcipher(AkcipherParameters {
            algo: 0x21,
            key_type,
            padding_or_curve: 0x24,
            hash_algo: 0x25,
            key: Key(b"abcd"),
        }));
        check(forms(PADDED_BYTES, head, b"abcd"), &expected, &[4]);
    }
    for number in [0, 3] {
        let request = Request::of(&header(0x404), &[0x21, number, 0]).pad(PADDED_BYTES);
        let refused = read(&mut Reader::new(&request.0, Unused::Ignored), Form::Exact).unwrap_err();
        assert_eq!(refused.status, Status::NotSupported);
    }
}

#[test]
fn the_end_of_a_session() {
    let opcodes = [0x003, 0x103, 0x203, 0x303, 0x405];
    for (opcode, service) in opcodes.into_iter().zip(Service::ALL) {
        let head = Request::of(&header(opcode), &[0x21, 0x22]);
        let expected = Control::Destroy {
            service,
            session_id: 0x22_0000_0021,
        };
        check(forms(PADDED_BYTES, head, b""), &expected, &[]);
    }
}
