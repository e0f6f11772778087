//! The engine as a driver sees it: bytes in, bytes out.

mod bytes;
mod cipher;

use std::sync::Arc;

use crate::{
    engine::{Answer, Chain, Engine, QueueKind},
    options::Options,
};

const OK: u8 = 0;
const ERR: u8 = 1;
const NOTSUPP: u8 = 3;
const INVSESS: u8 = 4;

fn engine() -> Engine {
    Engine::new(Arc::new(Options::default()))
}

/// Sends a chain that is one readable and one writable descriptor, and returns what is written.
fn send(engine: &Engine, queue: QueueKind, readable: &[u8], writable_bytes: usize) -> Vec<u8> {
    let chain = Chain {
        readable: vec![readable.to_vec()],
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
    assert!(written_bytes as usize <= writable_bytes);
    written
}

/// Sends a *create*, and returns the session's id or the status.
fn create(engine: &Engine, request: &[u8]) -> Result<u64, u8> {
    let written = send(engine, QueueKind::Control, request, 16);
    match written[8] {
        OK => Ok(u64::from_le_bytes(written[..8].try_into().unwrap())),
        status => {
            assert_eq!(written[..8], [0xee; 8], "no session, no id");
            Err(status)
        }
    }
}

/// Sends a *destroy*, and returns the status.
fn destroy(engine: &Engine, opcode: u32, session_id: u64) -> u8 {
    let request = bytes::control(opcode, 0).le64(session_id).pad(72);
    send(engine, QueueKind::Control, &request.0, 1)[0]
}

/// Sends a data request, and returns what is written before the status, or the status.
fn compute(engine: &Engine, request: &[u8], destination_bytes: usize) -> Result<Vec<u8>, u8> {
    let mut written = send(engine, QueueKind::Data, request, destination_bytes + 1);
    match written.pop().unwrap() {
        OK => Ok(written),
        status => Err(status),
    }
}
