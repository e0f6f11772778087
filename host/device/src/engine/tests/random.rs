//! Chains of anything.

use std::{cell::Cell, panic};

use super::{bytes::Requests, engine};
use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    feature,
    random::Random,
    times,
    wire::header::Form,
};

const CHAINS: usize = times(100_000, 200);

/// Numbers that fields have, and others.
fn word(random: &mut Random) -> u32 {
    match random.number() % 8 {
        0 => random.number() as u32,
        1 => u32::MAX - (random.number() % 4) as u32,
        _ => (random.number() % 70) as u32,
    }
}

/// A request that begins like one, most of the time.
fn request(random: &mut Random, queue: QueueKind) -> Vec<u8> {
    let service = (random.number() % 6) as u32;
    let operation = (random.number() % 6) as u32;
    let opcode = match random.number() % 16 {
        0 => random.number() as u32,
        _ => service << 8 | operation,
    };
    let mut words = vec![opcode, word(random)];
    match queue {
        QueueKind::Control => words.extend([0, 0]),
        // The ids that are given out first, mostly.
        QueueKind::Data => words.extend([(random.number() % 12) as u32, 0, word(random) & 1, 0]),
    }
    let count = random.number() % 30;
    words.extend((0..count).map(|_| word(random)));
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let count = random.number() % 200;
    bytes.extend((0..count).map(|_| random.number() as u8));
    bytes
}

/// A request that is whole, of a session that may be there.
fn sound(random: &mut Random, form: Form, queue: QueueKind) -> (Vec<u8>, usize) {
    let requests = Requests(form);
    let id = random.number() % 12;
    let len = (random.number() % 80) as usize;
    let part = |len: usize| vec![len as u8; len];
    let (algo, op) = ((random.number() % 15) as u32, (random.number() % 3) as u32);
    match (queue, random.number() % 5) {
        (QueueKind::Control, 0) => (requests.create_cipher(algo, op, &part(16)).0, 16),
        (QueueKind::Control, 1) => (requests.create_mac(algo, 16, &part(len)).0, 16),
        (QueueKind::Control, 2) => (requests.create_aead(algo % 4, [16, 4], op, &part(32)).0, 16),
        (QueueKind::Control, 3) => (requests.create_hash(algo, 32).0, 16),
        (QueueKind::Control, _) => (requests.destroy(op << 8 | 3, id).0, 1),
        (QueueKind::Data, 0 | 1) => {
            let request = requests.cipher(op & 1, id, &part(16), &part(len));
            (request.0, len + 1)
        }
        (QueueKind::Data, 2) => (requests.hash(0x100, id, &part(len), 32).0, 33),
        (QueueKind::Data, 3) => (requests.hash(0x200, id, &part(len), 16).0, 17),
        (QueueKind::Data, _) => {
            let parts = (&part(12)[..], &part(len)[..], &part(4)[..]);
            let request = requests.aead((0x300, id), parts, (len as u32 + 16, 16));
            (request.0, len + 17)
        }
    }
}

fn cut(random: &mut Random, bytes: &[u8]) -> Vec<Vec<u8>> {
    let at = random.number() as usize % (bytes.len() + 1);
    let (one, other) = bytes.split_at(at);
    vec![one.to_vec(), other.to_vec()]
}

/// Every chain has an answer, which writes nothing beyond what is writable and counts no more.
fn check(engine: &Engine, queue: QueueKind, chain: &Chain) -> bool {
    let writable_bytes: usize = chain.writable.iter().sum();
    let header_bytes = match queue {
        QueueKind::Control => 16,
        QueueKind::Data => 24,
    };
    match engine.serve(queue, chain) {
        Answer::Used {
            writes,
            written_bytes,
        } => {
            assert!(written_bytes as usize <= writable_bytes, "{chain:?}");
            for (at, bytes) in &writes {
                assert!(at + bytes.len() <= writable_bytes, "{chain:?}");
            }
            assert!(!writes.is_empty());
            let (at, bytes) = writes.last().unwrap();
            queue == QueueKind::Data
                && bytes.last() == Some(&0)
                && at + bytes.len() == writable_bytes
        }
        Answer::NeedsReset => {
            let readable_bytes: usize = chain.readable.iter().map(Vec::len).sum();
            assert!(
                readable_bytes < header_bytes || writable_bytes < 16,
                "{chain:?}"
            );
            false
        }
        Answer::Kept { .. } | Answer::Withheld => panic!("not answered: {chain:?}"),
    }
}

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of this thread, of which an engine makes statuses.
fn count_panics() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        previous(info);
    }));
}

#[test]
fn every_chain_has_an_answer() {
    count_panics();
    let features = [
        0,
        feature::REVISION_1,
        feature::REVISION_1 | feature::STATELESS,
    ];
    let mut random = Random::new(20);
    let (mut computed, mut engines) = (0, Vec::new());
    for features in features {
        let engine = engine(|options| options.max_sessions = 16);
        engine.set_features(features);
        engines.push((engine, Form::of(features)));
    }
    for _ in 0..CHAINS {
        let (engine, form) = &engines[random.number() as usize % engines.len()];
        let queue = match random.number() % 4 {
            0 => QueueKind::Control,
            _ => QueueKind::Data,
        };
        let (bytes, writable) = match random.number() % 2 {
            0 => sound(&mut random, *form, queue),
            _ => {
                let bytes = request(&mut random, queue);
                (bytes, (random.number() % 100) as usize)
            }
        };
        let chain = Chain {
            readable: cut(&mut random, &bytes),
            writable: vec![writable / 2, writable - writable / 2],
        };
        computed += usize::from(check(engine, queue, &chain));
    }
    assert_eq!(PANICS.get(), 0, "mistakes of our own");
    // Not all of it is refused.
    assert!(computed > CHAINS / 50, "{computed} of {CHAINS}");
}
