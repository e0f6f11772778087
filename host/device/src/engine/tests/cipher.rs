//! CIPHER by requests of both forms, and what goes for every session.

use super::{
    ERR, INVSESS, NOSPC, NOTSUPP, OK,
    bytes::{Bytes, Requests, hex},
    compute, create, destroy, engine, forms, send,
};
use crate::{engine::QueueKind, feature, options::Framing, wire::header::Form};

const AES_CBC: u32 = 3;

/// NIST SP 800-38A, F.2.1.
#[test]
fn aes_cbc_answers_as_nist_says() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let iv = hex("000102030405060708090a0b0c0d0e0f");
    let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    let sealed = hex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2");
    for (engine, requests) in forms() {
        let encrypt = create(&engine, &requests.create_cipher(AES_CBC, 1, &key)).unwrap();
        let decrypt = create(&engine, &requests.create_cipher(AES_CBC, 2, &key)).unwrap();
        let request = requests.cipher(0x000, encrypt, &iv, &plain);
        assert_eq!(compute(&engine, &request, 32), Ok(sealed.clone()));
        let request = requests.cipher(0x001, decrypt, &iv, &sealed);
        assert_eq!(compute(&engine, &request, 32), Ok(plain.clone()));
    }
}

#[test]
fn what_a_cipher_session_cannot_do_is_refused() {
    for (engine, requests) in forms() {
        let id = create(&engine, &requests.create_cipher(AES_CBC, 1, &[7; 16])).unwrap();
        let answer = |request: Bytes, len| compute(&engine, &request, len).unwrap_err();
        let of =
            |id, opcode, iv_len, len| requests.cipher(opcode, id, &vec![0; iv_len], &vec![0; len]);
        assert_eq!(answer(of(id, 0x000, 16, 15), 15), ERR, "part of a block");
        assert_eq!(answer(of(id, 0x000, 12, 16), 16), ERR, "a short IV");
        assert_eq!(answer(of(id, 0x000, 16, 16), 17), ERR, "more is writable");
        assert_eq!(answer(of(id, 0x000, 16, 16), 15), ERR, "less is writable");
        assert_eq!(
            answer(of(id, 0x000, 16, 16).field(&[0]), 16),
            ERR,
            "more is readable"
        );
        assert_eq!(
            answer(of(id, 0x001, 16, 16), 16),
            ERR,
            "the other direction"
        );
        assert_eq!(answer(of(id + 1, 0x000, 16, 16), 16), INVSESS);
        assert_eq!(answer(of(id, 0x007, 16, 16), 16), NOTSUPP);
        let of_hash = requests.hash(0x100, id, &[0; 16], 16);
        assert_eq!(answer(of_hash, 16), INVSESS, "another service");
    }
}

#[test]
fn surplus_is_neither_read_nor_written() {
    for form in [Form::Padded, Form::Exact] {
        let engine = engine(|options| options.framing = Framing::Surplus);
        if form == Form::Exact {
            engine.set_features(feature::REVISION_1);
        }
        let requests = Requests(form);
        let id = create(&engine, &requests.create_cipher(AES_CBC, 1, &[7; 16])).unwrap();
        let exact = requests.cipher(0x000, id, &[1; 16], &[2; 16]);
        let sealed = compute(&engine, &exact, 16).unwrap();
        // As Linux sends two pieces of eight bytes: the second twice.
        let (written, _) = send(&engine, QueueKind::Data, &exact.field(&[2; 8]), 16 + 8 + 1);
        assert_eq!(written[..16], sealed);
        assert_eq!(written[16..24], [0xee; 8], "what nobody asked for");
        assert_eq!(written[24], OK);
        let less = requests.cipher(0x000, id, &[1; 16], &[2; 16]);
        assert_eq!(compute(&engine, &less, 15), Err(ERR), "less is writable");
    }
}

#[test]
fn what_no_session_can_do_is_refused() {
    for (engine, requests) in forms() {
        let answer = |algo, direction, key_bytes: usize| {
            let request = requests.create_cipher(algo, direction, &vec![7; key_bytes]);
            create(&engine, &request).unwrap_err()
        };
        assert_eq!(answer(AES_CBC, 1, 17), ERR);
        assert_eq!(answer(AES_CBC, 3, 16), NOTSUPP);
        assert_eq!(answer(10, 1, 16), NOTSUPP);
        assert_eq!(answer(99, 1, 16), NOTSUPP);
        assert_eq!(answer(1, 1, 65), ERR, "max_cipher_key_len");
    }
}

#[test]
fn a_session_ends_once_and_by_its_own_service() {
    for (engine, requests) in forms() {
        let request = requests.create_cipher(AES_CBC, 1, &[7; 16]);
        let id = create(&engine, &request).unwrap();
        assert_eq!(destroy(&engine, &requests.destroy(0x103, id)), ERR);
        assert_eq!(destroy(&engine, &requests.destroy(0x003, id)), 0);
        assert_eq!(destroy(&engine, &requests.destroy(0x003, id)), ERR);
        assert_eq!(
            create(&engine, &request),
            Ok(id),
            "an id is given out again"
        );
        engine.reset();
        assert_eq!(destroy(&engine, &requests.destroy(0x003, id)), ERR);
    }
}

#[test]
fn the_last_session_is_followed_by_a_refusal_of_the_form() {
    for ((engine, requests), refusal) in forms().into_iter().zip([ERR, NOSPC]) {
        let request = requests.create_cipher(AES_CBC, 1, &[7; 16]);
        let most = engine.options.max_sessions;
        let ids: Vec<_> = (0..most).map(|_| create(&engine, &request)).collect();
        assert_eq!(ids, (0..most as u64).map(Ok).collect::<Vec<_>>());
        assert_eq!(create(&engine, &request), Err(refusal));
        assert_eq!(destroy(&engine, &requests.destroy(0x003, 100)), 0);
        assert_eq!(create(&engine, &request), Ok(100));
    }
}

#[test]
fn sessions_outlive_a_reset_where_that_is_an_option() {
    let engine = engine(|options| options.sessions_outlive_reset = true);
    let requests = super::PADDED;
    let id = create(&engine, &requests.create_cipher(AES_CBC, 1, &[7; 16])).unwrap();
    engine.reset();
    assert_eq!(destroy(&engine, &requests.destroy(0x003, id)), 0);
}
