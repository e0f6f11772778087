//! What is written for an outcome, and how much of it counts.
//!
//! The used length tells a driver how many bytes from the first writable one on it may read
//! (2.7.8.2), so that many are always written.

use crate::{
    engine::chain::Answer,
    wire::{
        control::{CREATED_BYTES, DESTROYED_BYTES, created},
        header::{ControlHeader, ControlOperation},
        status::{Refusal, Status},
    },
};

/// Bytes of `struct virtio_crypto_inhdr`.
pub(super) const STATUS_BYTES: usize = 1;

/// Most bytes that are written for nothing but a refusal.
const MOST_ZEROS_BYTES: usize = 1 << 24;

/// What the answer to a control request looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlShape {
    /// `struct virtio_crypto_create_session_input`.
    Created,
    /// `struct virtio_crypto_destroy_session_input`.
    Destroyed,
}

impl ControlShape {
    /// Returns that of an opcode, if there is room for it. That of an unknown opcode depends on the
    /// room.
    pub(super) fn of(header: &ControlHeader, writable_bytes: usize) -> Option<Self> {
        let shape = match header.operation() {
            Some((_, ControlOperation::Create)) => Self::Created,
            Some((_, ControlOperation::Destroy)) => Self::Destroyed,
            None if writable_bytes >= CREATED_BYTES => Self::Created,
            None => Self::Destroyed,
        };
        (shape.len_bytes() <= writable_bytes).then_some(shape)
    }

    fn len_bytes(self) -> usize {
        match self {
            Self::Created => CREATED_BYTES,
            Self::Destroyed => DESTROYED_BYTES,
        }
    }

    /// Answers with the id of a session that was made.
    pub(super) fn answer(self, outcome: Result<Option<u64>, Refusal>) -> Answer {
        let status = status(&outcome);
        let write = match (self, outcome) {
            (Self::Created, Ok(id)) => (0, created(id.unwrap_or_default(), status)),
            // The session_id is written for a session alone (5.9.7.2.1).
            (Self::Created, Err(_)) => (8, created(0, status).split_off(8)),
            (Self::Destroyed, _) => (0, vec![status as u8]),
        };
        Answer::Used {
            writes: vec![write],
            written_bytes: self.len_bytes() as u32,
        }
    }
}

/// Answers a data request: a result, what is left of the destination, the status behind it.
///
/// Of a refused request the destination is cleared, so that nothing in it looks like a result. QEMU
/// counts all that is writable then, and so does this.
pub(super) fn data(outcome: Result<Vec<u8>, Refusal>, destination_bytes: usize) -> Answer {
    let status = status(&outcome);
    let result = match outcome {
        Ok(result) if result.len() <= destination_bytes => result,
        Ok(_) => {
            return data(
                Err(Refusal::error("no room for the result")),
                destination_bytes,
            );
        }
        Err(_) if destination_bytes <= MOST_ZEROS_BYTES => vec![0; destination_bytes],
        Err(_) => Vec::new(),
    };
    let written_bytes = (result.len() + STATUS_BYTES) as u32;
    let mut writes = Vec::new();
    if result.len() == destination_bytes {
        let mut all = result;
        all.push(status as u8);
        writes.push((0, all));
    } else {
        // The driver learns the length of a result from what counts as written, the status
        // included (5.9.7.8). The byte behind the result stands for it there.
        let mut padded = result;
        padded.push(0);
        writes.push((0, padded));
        writes.push((destination_bytes, vec![status as u8]));
    }
    Answer::Used {
        writes,
        written_bytes,
    }
}

fn status<T>(outcome: &Result<T, Refusal>) -> Status {
    match outcome {
        Ok(_) => Status::Ok,
        Err(refusal) => refusal.status,
    }
}
