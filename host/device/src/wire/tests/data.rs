use super::{Request, exactly, forms, words};
use crate::wire::{
    data::{AeadInput, AkcipherInput, ChainInput, CipherInput, HashInput, Input},
    header::{DataHeader, Form},
    reader::{Reader, Unused},
    status::{Refusal, Status},
};

/// Bytes of header and fixed-length parameters without REVISION_1.
const PADDED_BYTES: usize = 24 + 48;

fn read(reader: &mut Reader<'_>, form: Form) -> Result<String, Refusal> {
    let header = DataHeader::read(reader)?;
    let operation = header.operation().expect("a known opcode");
    let input = Input::read(reader, operation, form)?;
    Ok(format!("{input:?} {:?}", input.writable()))
}

fn check(forms: [(Form, Request); 2], expected: &Input<'_>, fields: &[usize], writable: [u32; 2]) {
    for (form, request) in forms {
        let (read, mut lens) = exactly(&request, |reader| read(reader, form)).unwrap();
        assert_eq!(read, format!("{expected:?} {writable:?}"));
        let head_bytes = lens.remove(0);
        assert_eq!(lens, fields);
        assert_eq!(head_bytes + fields.iter().sum::<usize>(), request.0.len());
    }
}

const fn header(opcode: u32) -> [u32; 6] {
    [opcode, 0x99, 0x98, 0x97, 1, 0]
}

#[test]
fn a_cipher_request() {
    for opcode in [0x000, 0x001] {
        let head = Request::of(&header(opcode), &[2, 3, 0x23, 0]).pad(24 + 40);
        let head = head.field(&words(&[1, 0]));
        let expected = Input::Cipher(CipherInput {
            iv: b"ab",
            source: b"cde",
            destination_len: 0x23,
        });
        check(
            forms(PADDED_BYTES, head, b"abcde"),
            &expected,
            &[2, 3],
            [0x23, 0],
        );
    }
}

#[test]
fn a_chain_request() {
    // iv_len, src_data_len, dst_data_len, cipher_start_src_offset, len_to_cipher,
    // hash_start_src_offset, len_to_hash, aad_len, hash_result_len, reserved, op_type, padding
    let fixed = [2, 3, 0x23, 0x24, 0x25, 0x26, 0x27, 4, 0x29, 0, 2, 0];
    let head = Request::of(&header(0x001), &fixed);
    let expected = Input::Chain(ChainInput {
        iv: b"ab",
        source: b"cde",
        aad: b"fghi",
        destination_len: 0x23,
        cipher: (0x24, 0x25),
        hash: (0x26, 0x27),
        result_len: 0x29,
    });
    let forms = forms(PADDED_BYTES, head, b"abcdefghi");
    check(forms, &expected, &[2, 3, 4], [0x23, 0x29]);
    let unknown = [2, 3, 0x23, 0x24, 0x25, 0x26, 0x27, 4, 0x29, 0, 3, 0];
    let request = Request::of(&header(0x001), &unknown).field(b"abcdefghi");
    let refused = read(&mut Reader::new(&request.0, Unused::Ignored), Form::Exact).unwrap_err();
    assert_eq!(refused.status, Status::NotSupported);
}

#[test]
fn hash_and_mac_requests() {
    for opcode in [0x100, 0x200] {
        let head = Request::of(&header(opcode), &[3, 0x22]);
        let expected = Input::Hash(HashInput {
            source: b"abc",
            result_len: 0x22,
        });
        check(
            forms(PADDED_BYTES, head, b"abc"),
            &expected,
            &[3],
            [0x22, 0],
        );
    }
}

#[test]
fn an_aead_request() {
    for opcode in [0x300, 0x301] {
        // iv_len, aad_len, src_data_len, dst_data_len, tag_len, reserved
        let head = Request::of(&header(opcode), &[2, 4, 3, 0x24, 0x25, 0]);
        let expected = Input::Aead(AeadInput {
            iv: b"ab",
            source: b"cde",
            aad: b"fghi",
            destination_len: 0x24,
            tag_len: 0x25,
        });
        let forms = forms(PADDED_BYTES, head, b"abcdefghi");
        check(forms, &expected, &[2, 3, 4], [0x24, 0]);
    }
}

#[test]
fn an_akcipher_request() {
    for opcode in [0x400, 0x401, 0x402] {
        let head = Request::of(&header(opcode), &[3, 0x22]);
        let expected = Input::Akcipher(AkcipherInput {
            source: b"abc",
            signed: b"",
            destination_len: 0x22,
        });
        check(
            forms(PADDED_BYTES, head, b"abc"),
            &expected,
            &[3],
            [0x22, 0],
        );
    }
    let head = Request::of(&header(0x403), &[3, 2]);
    let expected = Input::Akcipher(AkcipherInput {
        source: b"abc",
        signed: b"de",
        destination_len: 0,
    });
    check(
        forms(PADDED_BYTES, head, b"abcde"),
        &expected,
        &[3, 2],
        [0, 0],
    );
}
