//! What is written and counted, and what breaks the device.

use std::thread;

use super::{
    ERR, EXACT, NOTSUPP, PADDED, bytes::stateless, compute, create, destroy, engine, forms, send,
};
use crate::{
    engine::{Answer, Chain, QueueKind, contained::contained},
    feature,
    options::Framing,
    wire::{
        reader::Unused,
        status::{Refusal, Status},
    },
};

const AES_CTR: u32 = 4;

fn chain(readable: &[&[u8]], writable: &[usize]) -> Chain {
    Chain {
        readable: readable.iter().map(|part| part.to_vec()).collect(),
        writable: writable.to_vec(),
    }
}

#[test]
fn what_cannot_be_understood_breaks_the_device() {
    let engine = engine(|_| ());
    let create = PADDED.create_cipher(AES_CTR, 1, &[7; 16]).0;
    let destroy = PADDED.destroy(0x003, 0).0;
    let data = PADDED.cipher(0x000, 0, &[0; 16], b"").0;
    let serve = |queue, bytes: &[u8], writable| engine.serve(queue, &chain(&[bytes], &[writable]));
    let breaks = [
        serve(QueueKind::Control, &create[..15], 16),
        serve(QueueKind::Control, &create, 15),
        serve(QueueKind::Control, &destroy, 0),
        serve(QueueKind::Data, &data[..23], 16),
        serve(QueueKind::Data, &data, 0),
    ];
    assert_eq!(breaks, [const { Answer::NeedsReset }; 5]);
    // With a header there is an answer.
    let refused = |queue, bytes: &[u8], writable, status: Vec<(usize, Vec<u8>)>| {
        let Answer::Used { writes, .. } = serve(queue, bytes, writable) else {
            panic!("not used");
        };
        assert_eq!(writes, status);
    };
    refused(
        QueueKind::Control,
        &create[..16],
        16,
        vec![(8, vec![ERR, 0, 0, 0, 0, 0, 0, 0])],
    );
    refused(QueueKind::Control, &destroy[..16], 1, vec![(0, vec![ERR])]);
    refused(QueueKind::Data, &data[..24], 1, vec![(0, vec![4])]);
}

#[test]
fn an_unknown_control_opcode_is_answered_where_there_is_room() {
    let engine = engine(|_| ());
    for opcode in [0x004, 0x402, 0x502, 0xffff_0002] {
        let request = PADDED.destroy(opcode, 0);
        let (written, written_bytes) = send(&engine, QueueKind::Control, &request, 16);
        assert_eq!((written[8], written_bytes), (NOTSUPP, 16));
        let (written, written_bytes) = send(&engine, QueueKind::Control, &request, 1);
        assert_eq!((written, written_bytes), (vec![NOTSUPP], 1));
    }
}

#[test]
fn a_result_that_is_shorter_than_its_room_is_told_by_the_used_length() {
    for (engine, requests) in forms() {
        let key = [7; 16];
        let id = create(&engine, &requests.create_aead(1, [16, 0], 1, &key)).unwrap();
        let request = requests.aead((0x300, id), (&[0; 12], b"abc", b""), (30, 16));
        let (written, written_bytes) = send(&engine, QueueKind::Data, &request, 31);
        assert_eq!(written_bytes, 3 + 16 + 1);
        assert_eq!(written[19], 0, "counted, so written");
        assert_eq!(written[20..30], [0xee; 10]);
        assert_eq!(written[30], 0, "the status is the last byte");
    }
}

#[test]
fn requests_may_be_cut_anywhere_unless_each_field_has_to_begin_a_descriptor() {
    let request = PADDED.cipher(0x000, 0, &[0; 16], b"abcde");
    let (head, rest) = request.0.split_at(72);
    let (iv, source) = rest.split_at(16);
    let whole = chain(&[&request.0], &[6]);
    let bytes: Vec<&[u8]> = request.0.chunks(1).collect();
    let cut = chain(&bytes, &[1, 1, 1, 1, 1, 1]);
    let fields = chain(&[head, iv, source], &[5, 1]);
    let outcomes = |framing| {
        let engine = engine(|options| options.framing = framing);
        create(&engine, &PADDED.create_cipher(AES_CTR, 1, &[7; 16])).ok();
        let create = PADDED.create_cipher(AES_CTR, 1, &[7; 16]).0;
        let (head, key) = create.split_at(72);
        engine.serve(QueueKind::Control, &chain(&[head, key], &[16]));
        [&whole, &cut, &fields].map(|chain| {
            let Answer::Used { writes, .. } = engine.serve(QueueKind::Data, chain) else {
                panic!("not used");
            };
            writes.last().unwrap().1[0]
        })
    };
    assert_eq!(outcomes(Framing::Any), [0, 0, 0]);
    // Cut into bytes, each field begins a descriptor, too.
    assert_eq!(outcomes(Framing::OnePerField), [ERR, 0, 0]);
}

#[test]
fn what_is_longer_than_max_size_is_refused() {
    let engine = engine(|options| options.max_size_bytes = 16 + 2 * 100);
    let id = create(&engine, &PADDED.create_cipher(AES_CTR, 1, &[7; 16])).unwrap();
    let outcome = |len: usize| {
        let request = PADDED.cipher(0x000, id, &[0; 16], &vec![0; len]);
        compute(&engine, &request, len).map(|result| result.len())
    };
    assert_eq!(outcome(100), Ok(100));
    assert_eq!(outcome(101), Err(ERR));
}

#[test]
fn algorithms_can_be_refused_though_they_are_offered() {
    let engine = engine(|options| options.refused.cipher = 1 << AES_CTR);
    assert_eq!(engine.config(true)[12], 0b1111_1110);
    let refused = create(&engine, &PADDED.create_cipher(AES_CTR, 1, &[7; 16]));
    assert_eq!(refused, Err(NOTSUPP));
    assert!(create(&engine, &PADDED.create_cipher(3, 1, &[7; 16])).is_ok());
}

#[test]
fn a_service_that_is_not_offered_is_refused() {
    let engine = engine(|options| options.services = 0b11110);
    let refused = create(&engine, &PADDED.create_cipher(AES_CTR, 1, &[7; 16]));
    assert_eq!(refused, Err(NOTSUPP));
}

#[test]
fn fields_that_say_nothing_are_ignored_or_have_to_be_zero() {
    let request = PADDED.create_hash(4, 32).with_word(68, 1);
    assert!(create(&engine(|_| ()), &request).is_ok());
    let engine = engine(|options| options.unused = Unused::Zero);
    assert_eq!(create(&engine, &request), Err(ERR));
    assert!(create(&engine, &PADDED.create_hash(4, 32)).is_ok());
}

#[test]
fn a_service_needs_its_own_stateless_mode() {
    // algo, src_data_len, hash_result_len, reserved
    let request = stateless(0x100, &[4, 3, 32, 0]).field(b"abc");
    let digest = crate::engine::tests::bytes::hex(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    let engine = engine(|_| ());
    engine.set_features(feature::REVISION_1 | feature::HASH_STATELESS);
    assert_eq!(compute(&engine, &request, 32), Ok(digest.clone()));
    engine.set_features(feature::REVISION_1 | (feature::STATELESS & !feature::HASH_STATELESS));
    assert_eq!(compute(&engine, &request, 32), Err(NOTSUPP));
    // And sessions are there beside it.
    engine.set_features(feature::REVISION_1 | feature::STATELESS);
    let id = create(&engine, &EXACT.create_hash(4, 32)).unwrap();
    assert_eq!(
        compute(&engine, &EXACT.hash(0x100, id, b"abc", 32), 32),
        Ok(digest)
    );
}

#[test]
fn a_panic_becomes_a_status() {
    let outcome: Result<(), Refusal> = contained(|| panic!("our own mistake"));
    assert_eq!(outcome.unwrap_err().status, Status::Err);
}

/// Every data queue has a thread of its own, and the control queue another one.
#[test]
fn queues_are_served_at_the_same_time() {
    let engine = engine(|options| options.max_sessions = 100);
    let key = [7; 16];
    let kept = create(&engine, &PADDED.create_cipher(AES_CTR, 1, &key)).unwrap();
    let request = PADDED.cipher(0x000, kept, &[1; 16], &[2; 64]);
    let expected = compute(&engine, &request, 64).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(compute(&engine, &request, 64).as_ref(), Ok(&expected));
                }
            });
            scope.spawn(|| {
                for byte in 0..200 {
                    let create_own = PADDED.create_cipher(AES_CTR, 1, &[byte; 16]);
                    let id = create(&engine, &create_own).unwrap();
                    assert_ne!(id, kept);
                    let request = PADDED.cipher(0x000, id, &[1; 16], &[2; 64]);
                    let own = compute(&engine, &request, 64).unwrap();
                    assert_eq!(own == expected, byte == key[0]);
                    assert_eq!(destroy(&engine, &PADDED.destroy(0x003, id)), 0);
                }
            });
        }
    });
}
