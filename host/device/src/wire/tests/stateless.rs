use super::{Request, exactly, words};
use crate::wire::{
    data::{AeadInput, AkcipherInput, ChainInput, CipherInput, HashInput, Input},
    header::{DataHeader, Direction},
    parameters::{
        AeadParameters, AkcipherParameters, ChainHash, ChainOrder, ChainParameters,
        CipherParameters, HashParameters, Key, KeyType, MacParameters, Parameters,
    },
    reader::{Reader, Unused},
    stateless,
    status::{Refusal, Status},
};

fn read(reader: &mut Reader<'_>) -> Result<String, Refusal> {
    let header = DataHeader::read(reader)?;
    let operation = header.operation().expect("a known opcode");
    let (parameters, input) = stateless::read(reader, operation)?;
    Ok(details(&parameters, &input))
}

/// Keys do not print themselves.
fn details(parameters: &Parameters<'_>, input: &Input<'_>) -> String {
    let keys = match parameters {
        Parameters::Cipher(cipher) => vec![cipher.key.0],
        Parameters::Chain(chain) => match chain.hash {
            ChainHash::Authenticated(mac) => vec![chain.cipher.key.0, mac.key.0],
            _ => vec![chain.cipher.key.0],
        },
        Parameters::Hash(_) => vec![],
        Parameters::Mac(mac) => vec![mac.key.0],
        Parameters::Aead(aead) => vec![aead.key.0],
        Parameters::Akcipher(akcipher) => vec![akcipher.key.0],
    };
    format!("{parameters:?} {keys:?} {input:?}")
}

/// Checks a request whose header and fixed-length parameters have so many bytes.
fn check(request: &Request, (parameters, input): (Parameters<'_>, Input<'_>), fields: &[usize]) {
    let (read, lens) = exactly(request, read).unwrap();
    assert_eq!(read, details(&parameters, &input));
    assert_eq!(lens, fields);
}

const fn header(opcode: u32) -> [u32; 6] {
    [opcode, 0x99, 0, 0, 0, 0]
}

#[test]
fn a_cipher_request() {
    // algo, key_len, op, iv_len, src_data_len, dst_data_len
    let head = Request::of(&header(0x000), &[0x21, 1, 2, 3, 4, 0x26]).pad(24 + 72);
    let request = head.field(&words(&[1])).field(b"abbbcccc");
    let parameters = Parameters::Cipher(CipherParameters {
        algo: 0x21,
        direction: Direction::Decrypt,
        key: Key(b"a"),
    });
    let input = Input::Cipher(CipherInput {
        iv: b"bbb",
        source: b"cccc",
        destination_len: 0x26,
    });
    check(&request, (parameters, input), &[24 + 76, 1, 3, 4]);
}

fn chain(order: u32, hash_mode: u32, op_type: u32) -> Request {
    let fixed = [
        // alg_chain_order, aad_len
        order, 0x22, //
        // cipher: algo, key_len, op
        0x23, 2, 1, //
        // hash: algo, auth_key_len, hash_mode
        0x26, 3, hash_mode, //
        // iv_len, src_data_len, dst_data_len
        4, 6, 0x2b, //
        // cipher_start_src_offset, len_to_cipher, hash_start_src_offset, len_to_hash
        0x2c, 0x2d, 0x2e, 0x2f, //
        // aad_len, hash_result_len, reserved
        5, 0x31, 0, //
        op_type,
    ];
    let request = Request::of(&header(0x001), &fixed);
    // Keys, IV, additional data, source.
    request.field(b"aabbbccccdddddeeeeee")
}

#[test]
fn a_chain_request() {
    let hash = HashParameters {
        algo: 0x26,
        result_len: 0x31,
    };
    let mac = MacParameters {
        algo: 0x26,
        result_len: 0x31,
        key: Key(b"bbb"),
    };
    let modes = [
        (1, ChainHash::Plain(hash)),
        (2, ChainHash::Authenticated(mac)),
        (3, ChainHash::Nested(hash)),
    ];
    let orders = [
        (1, ChainOrder::HashThenCipher),
        (2, ChainOrder::CipherThenHash),
    ];
    for (mode, hash) in modes {
        for (number, order) in orders {
            let parameters = Parameters::Chain(ChainParameters {
                order,
                cipher: CipherParameters {
                    algo: 0x23,
                    direction: Direction::Encrypt,
                    key: Key(b"aa"),
                },
                hash,
                aad_len: 0x22,
            });
            let input = Input::Chain(ChainInput {
                iv: b"cccc",
                source: b"eeeeee",
                aad: b"ddddd",
                destination_len: 0x2b,
                cipher: (0x2c, 0x2d),
                hash: (0x2e, 0x2f),
                result_len: 0x31,
            });
            let fields = [24 + 76, 2, 3, 4, 5, 6];
            check(&chain(number, mode, 2), (parameters, input), &fields);
        }
    }
    for unknown in [
        chain(3, 1, 2),
        chain(1, 4, 2),
        chain(1, 1, 3),
        chain(1, 0, 2),
    ] {
        let refused = read(&mut Reader::new(&unknown.0, Unused::Ignored)).unwrap_err();
        assert_eq!(refused.status, Status::NotSupported);
    }
}

#[test]
fn a_hash_request() {
    // algo, src_data_len, hash_result_len, reserved
    let request = Request::of(&header(0x100), &[0x21, 3, 0x23, 0]).field(b"abc");
    let parameters = Parameters::Hash(HashParameters {
        algo: 0x21,
        result_len: 0x23,
    });
    let input = Input::Hash(HashInput {
        source: b"abc",
        result_len: 0x23,
    });
    check(&request, (parameters, input), &[24 + 16, 3]);
}

#[test]
fn a_mac_request() {
    // algo, auth_key_len, src_data_len, hash_result_len
    let request = Request::of(&header(0x200), &[0x21, 2, 3, 0x24]).field(b"abcde");
    let parameters = Parameters::Mac(MacParameters {
        algo: 0x21,
        result_len: 0x24,
        key: Key(b"ab"),
    });
    let input = Input::Hash(HashInput {
        source: b"cde",
        result_len: 0x24,
    });
    check(&request, (parameters, input), &[24 + 16, 2, 3]);
}

#[test]
fn an_aead_request() {
    // algo, key_len, op, iv_len, tag_len, aad_len, src_data_len, dst_data_len
    let request = Request::of(&header(0x301), &[0x21, 1, 2, 3, 0x25, 5, 4, 0x28]);
    let request = request.field(b"abbbccccddddd");
    let parameters = Parameters::Aead(AeadParameters {
        algo: 0x21,
        tag_len: 0x25,
        aad_len: 5,
        direction: Direction::Decrypt,
        key: Key(b"a"),
    });
    let input = Input::Aead(AeadInput {
        iv: b"bbb",
        source: b"cccc",
        aad: b"ddddd",
        destination_len: 0x28,
        tag_len: 0x25,
    });
    check(&request, (parameters, input), &[24 + 32, 1, 3, 4, 5]);
}

#[test]
fn an_akcipher_request() {
    // algo, key_type, key_len, padding_algo or curve_id, hash_algo, src_data_len, dst_data_len
    let fixed = |opcode| Request::of(&header(opcode), &[0x21, 2, 1, 0x24, 0x25, 3, 4]);
    let parameters = Parameters::Akcipher(AkcipherParameters {
        algo: 0x21,
        key_type: KeyType::Private,
        padding_or_curve: 0x24,
        hash_algo: 0x25,
        key: Key(b"a"),
    });
    let input = |signed, destination_len| {
        Input::Akcipher(AkcipherInput {
            source: b"bbb",
            signed,
            destination_len,
        })
    };
    let signing = fixed(0x402).field(b"abbb");
    check(&signing, (parameters, input(b"", 4)), &[24 + 28, 1, 3]);
    let verification = fixed(0x403).field(b"abbbcccc");
    check(
        &verification,
        (parameters, input(b"cccc", 0)),
        &[24 + 28, 1, 3, 4],
    );
}
