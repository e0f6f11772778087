//! What is written for an outcome, and how much of it counts.
//!
//! The used length tells a driver how many bytes from the first writable one on it may read
//! (2.7.8.2), so that many are always written.

use crate::{
    engine::{broken::Broken, chain::Answer},
    options::Framing,
    rules::Rule,
    wire::{
        algorithm::Service,
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
    pub(super) fn answer(self, outcome: Result<Option<u64>, Refusal>, broken: &Broken) -> Answer {
        let status = broken.status_number(status(&outcome));
        let write = match (self, outcome) {
            (Self::Created, Ok(id)) => (0, created(id.unwrap_or_default(), status)),
            (Self::Created, Err(_)) if broken.breaks(Rule::SessionIdOnlyWhenOk) => {
                (0, created(0, status))
            }
            // The session_id is written for a session alone (5.9.7.2.1).
            (Self::Created, Err(_)) => (8, created(0, status).split_off(8)),
            (Self::Destroyed, _) => (0, vec![status]),
        };
        Answer::Used {
            writes: vec![write],
            written_bytes: self.len_bytes() as u32,
        }
    }
}

/// The answer to a data request: a result, what is left of the destination, the status behind it.
#[derive(Debug)]
pub(super) struct DataAnswer {
    pub(super) outcome: Result<Vec<u8>, Refusal>,
    /// What is writable before the status.
    pub(super) destination_bytes: usize,
    pub(super) service: Option<Service>,
    pub(super) framing: Framing,
}

impl DataAnswer {
    /// Returns what is written.
    ///
    /// Of a refused request the destination is cleared, so that nothing in it looks like a result.
    /// QEMU counts all that is writable then, and so does this.
    pub(super) fn written(self, broken: &Broken) -> Answer {
        let destination_bytes = self.destination_bytes;
        let status = broken.status_number(status(&self.outcome));
        let is_ok = self.outcome.is_ok();
        let result = match self.outcome {
            Ok(result) => result,
            Err(_) if destination_bytes <= MOST_ZEROS_BYTES => vec![0; destination_bytes],
            Err(_) => Vec::new(),
        };
        let mut written_bytes = result.len() + STATUS_BYTES;
        let mut destination = result;
        let is_akcipher = self.service == Some(Service::Akcipher);
        let is_surplus = self.framing == Framing::Surplus && !is_akcipher;
        if destination.len() < destination_bytes && !is_surplus {
            // The driver learns the length of a result from what counts as written, the status
            // included (5.9.7.8). The byte behind the result stands for it there.
            destination.push(0);
        }
        let mut writes = vec![(0, destination), (destination_bytes, vec![status])];
        if broken.breaks(Rule::UsedLengthTellsTheResult) && is_akcipher {
            written_bytes = destination_bytes + STATUS_BYTES;
        }
        if broken.breaks(Rule::UsedLengthWithinWritable) {
            written_bytes = destination_bytes + STATUS_BYTES + 1;
        }
        if broken.breaks(Rule::UsedLengthIsWritten) && is_ok && destination_bytes > 0 {
            writes[0] = (1, writes[0].1.split_off(1));
        }
        if broken.breaks(Rule::StatusWritten) && broken.count_data_request() == 49 {
            writes.pop();
        }
        writes.retain(|(_, bytes)| !bytes.is_empty());
        Answer::Used {
            writes,
            written_bytes: written_bytes as u32,
        }
    }
}

fn status<T>(outcome: &Result<T, Refusal>) -> Status {
    match outcome {
        Ok(_) => Status::Ok,
        Err(refusal) => refusal.status,
    }
}
