//! The engine as a driver sees it: bytes in, bytes out.

mod answers;
mod bytes;
mod cipher;
mod random;
mod rules;
mod shown;

use std::sync::Arc;

use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    feature,
    options::Options,
    wire::header::Form,
};
use bytes::{Bytes, Requests};

const OK: u8 = 0;
const ERR: u8 = 1;
const NOTSUPP: u8 = 3;
const INVSESS: u8 = 4;
const NOSPC: u8 = 5;

const PADDED: Requests = Requests(Form::Padded);
const EXACT: Requests = Requests(Form::Exact);

fn engine(change: impl FnOnce(&mut Options)) -> Engine {
    let mut options = Options::default();
    change(&mut options);
    Engine::new(Arc::new(options))
}

/// Engines without and with REVISION_1, and their requests.
fn forms() -> [(Engine, Requests); 2] {
    let exact = engine(|_| ());
    exact.set_features(feature::REVISION_1);
    [(engine(|_| ()), PADDED), (exact, EXACT)]
}

/// Sends a chain of one readable and one writable descriptor. Returns what is written, with `0xee`
/// where nothing is, and how much counts as written.
fn send(
    engine: &Engine,
    queue: QueueKind,
    request: &Bytes,
    writable_bytes: usize,
) -> (Vec<u8>, usize) {
    let chain = Chain {
        readable: vec![request.0.clone()],
        writable: vec![writable_bytes],
    };
    let Answer::Used {
        writes,
        written_bytes,
    } = engine.serve(queue, &chain)
    else {
        panic!("not used");
    };
    let mut written = vec![0xee; writable_bytes];
    for (at, bytes) in writes {
        written[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    (written, written_bytes as usize)
}

/// Sends a *create*, and returns the session's id or the status.
fn create(engine: &Engine, request: &Bytes) -> Result<u64, u8> {
    let (written, _) = send(engine, QueueKind::Control, request, 16);
    match written[8] {
        OK => Ok(u64::from_le_bytes(written[..8].try_into().unwrap())),
        status => {
            assert_eq!(written[..8], [0xee; 8], "no session, no id");
            Err(status)
        }
    }
}

/// Sends a *destroy*, and returns the status.
fn destroy(engine: &Engine, request: &Bytes) -> u8 {
    send(engine, QueueKind::Control, request, 1).0[0]
}

/// Sends a data request, and returns what is written before the status, or the status.
fn compute(engine: &Engine, request: &Bytes, destination_bytes: usize) -> Result<Vec<u8>, u8> {
    let (mut written, written_bytes) =
        send(engine, QueueKind::Data, request, destination_bytes + 1);
    match written.pop().unwrap() {
        OK => {
            written.truncate(written_bytes - 1);
            Ok(written)
        }
        status => {
            assert_eq!(written, vec![0; destination_bytes], "nothing like a result");
            assert_eq!(written_bytes, destination_bytes + 1);
            Err(status)
        }
    }
}
