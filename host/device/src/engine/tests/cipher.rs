//! CIPHER by requests without REVISION_1.

use super::{
    ERR, INVSESS, NOTSUPP,
    bytes::{self, Bytes, hex},
    compute, create, destroy, engine,
};

const AES_CBC: u32 = 3;

fn create_cipher(algo: u32, direction: u32, key: &[u8]) -> Bytes {
    bytes::control(0x002, algo)
        .words(&[algo, key.len() as u32, direction, 0])
        .pad(16 + 48)
        .words(&[1, 0])
        .field(key)
}

fn cipher(opcode: u32, algo: u32, session_id: u64, iv: &[u8], source: &[u8]) -> Bytes {
    let len = source.len() as u32;
    bytes::data(opcode, algo, session_id)
        .words(&[iv.len() as u32, len, len, 0])
        .pad(24 + 40)
        .words(&[1, 0])
        .field(iv)
        .field(source)
}

/// NIST SP 800-38A, F.2.1.
#[test]
fn aes_cbc_answers_as_nist_says() {
    let engine = engine();
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let iv = hex("000102030405060708090a0b0c0d0e0f");
    let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    let sealed = hex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2");

    let encrypt = create(&engine, &create_cipher(AES_CBC, 1, &key).0).unwrap();
    let decrypt = create(&engine, &create_cipher(AES_CBC, 2, &key).0).unwrap();
    let request = cipher(0x000, AES_CBC, encrypt, &iv, &plain);
    assert_eq!(compute(&engine, &request.0, 32), Ok(sealed.clone()));
    let request = cipher(0x001, AES_CBC, decrypt, &iv, &sealed);
    assert_eq!(compute(&engine, &request.0, 32), Ok(plain));
}

#[test]
fn what_a_cipher_session_cannot_do_is_refused() {
    let engine = engine();
    let id = create(&engine, &create_cipher(AES_CBC, 1, &[7; 16]).0).unwrap();
    let answer = |request: Bytes, len| compute(&engine, &request.0, len).unwrap_err();
    let request = |iv_len, len| cipher(0x000, AES_CBC, id, &vec![0; iv_len], &vec![0; len]);
    assert_eq!(answer(request(16, 15), 15), ERR, "part of a block");
    assert_eq!(answer(request(12, 16), 16), ERR, "a short IV");
    assert_eq!(answer(request(16, 16), 17), ERR, "more is writable");
    assert_eq!(answer(request(16, 16), 15), ERR, "less is writable");
    assert_eq!(
        answer(request(16, 16).field(&[0]), 16),
        ERR,
        "more is readable"
    );
    assert_eq!(
        answer(cipher(0x001, AES_CBC, id, &[0; 16], &[0; 16]), 16),
        ERR,
        "direction"
    );
    assert_eq!(
        answer(cipher(0x000, AES_CBC, id + 1, &[0; 16], &[0; 16]), 16),
        INVSESS
    );
    assert_eq!(
        answer(cipher(0x007, AES_CBC, id, &[0; 16], &[0; 16]), 16),
        NOTSUPP
    );
}

#[test]
fn what_no_session_can_do_is_refused() {
    let engine = engine();
    assert_eq!(
        create(&engine, &create_cipher(AES_CBC, 1, &[7; 17]).0),
        Err(ERR)
    );
    assert_eq!(
        create(&engine, &create_cipher(AES_CBC, 3, &[7; 16]).0),
        Err(NOTSUPP)
    );
    assert_eq!(
        create(&engine, &create_cipher(10, 1, &[7; 16]).0),
        Err(NOTSUPP)
    );
    assert_eq!(
        create(&engine, &create_cipher(99, 1, &[7; 16]).0),
        Err(NOTSUPP)
    );
    assert_eq!(
        create(&engine, &create_cipher(1, 1, &[7; 65]).0),
        Err(ERR),
        "max_cipher_key_len"
    );
}

#[test]
fn a_session_ends_once_and_by_its_own_service() {
    let engine = engine();
    let id = create(&engine, &create_cipher(AES_CBC, 1, &[7; 16]).0).unwrap();
    assert_eq!(destroy(&engine, 0x103, id), ERR);
    assert_eq!(destroy(&engine, 0x003, id), 0);
    assert_eq!(destroy(&engine, 0x003, id), ERR);
    assert_eq!(
        create(&engine, &create_cipher(AES_CBC, 1, &[7; 16]).0),
        Ok(id)
    );
    engine.reset();
    assert_eq!(destroy(&engine, 0x003, id), ERR);
}
