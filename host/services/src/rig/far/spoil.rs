//! Answers that break the rules, made of the device's honest ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use device::engine::{Answer, Chain, QueueKind};
use virtio_crypto::CipherAlgorithm;

/// How the device breaks the rules, at the next request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Says that it wrote so much.
    Length(u32),
    /// Does not write the status.
    NoStatus,
    /// Writes the output, but answers with this status.
    Status(u8),
}

/// What becomes of the results of RSA that are numbers with leading zeros, beside decrypted
/// messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Results {
    /// All of it, as it should be.
    #[default]
    Whole,
    /// As QEMU with nettle does it: written in full, but only as many bytes of it as the number has
    /// without the zeros.
    Cut,
    /// The leading zeros are left out.
    Stripped,
    /// Always one byte short, zeros or not.
    AlwaysCut,
    /// Signatures have a wrong bit.
    Faulty,
}

/// What the device did for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It made a session.
    Create,
    /// It made none.
    Refused,
    /// It ended a session.
    Destroy,
    /// It answered a data request of a session.
    Data,
    /// It answered a data request without a session.
    Stateless,
    /// It did not like the request, and never answers.
    Dropped,
}

/// What to do to answers, and what they were.
#[derive(Debug, Default)]
pub(super) struct Spoiler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    results: Results,
    wants_whole_blocks: bool,
    drops_what_is_refused: bool,
    log: Vec<Served>,
    refused: usize,
}

/// Statuses (Virtio 1.3, 5.9.7.1).
const OK: u8 = 0;
const ERR: u8 = 1;

/// Opcodes of data requests (5.9.7.3).
const ENCRYPT: u32 = 0x000;
const DECRYPT: u32 = 0x001;
const AKCIPHER_ENCRYPT: u32 = 0x400;
const AKCIPHER_SIGN: u32 = 0x402;

impl Spoiler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> Vec<Served> {
        self.state().log.clone()
    }

    pub(super) fn refused(&self) -> usize {
        self.state().refused
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    pub(super) fn set_results(&self, results: Results) {
        self.state().results = results;
    }

    pub(super) fn want_whole_blocks(&self) {
        self.state().wants_whole_blocks = true;
    }

    pub(super) fn drop_what_is_refused(&self) {
        self.state().drops_what_is_refused = true;
    }

    /// Changes an answer as tests want it.
    pub(super) fn spoil(&self, kind: QueueKind, chain: &Chain, answer: Answer) -> Answer {
        let Answer::Used {
            writes,
            written_bytes,
        } = answer
        else {
            return answer;
        };
        let mut state = self.state();
        let request = Request::new(kind, chain);
        let mut answer = Written {
            writes,
            written_bytes,
            status_at: request.status_at(),
        };
        if state.wants_whole_blocks && request.ends_in_a_block() {
            answer.writes = vec![(answer.status_at, vec![ERR])];
            answer.written_bytes = request.writable_bytes as u32;
        }
        let is_refused = answer.status() != OK;
        state.refused += usize::from(is_refused);
        if is_refused && state.drops_what_is_refused {
            state.log.push(Served::Dropped);
            return Answer::Withheld;
        }
        state.log.push(request.served(is_refused));
        if request.is_signed_or_encrypted() && !is_refused {
            answer.change_result(request.opcode, state.results);
        }
        if let Some(fault) = state.fault.take() {
            answer.break_by(fault);
        }
        Answer::Used {
            writes: answer.writes,
            written_bytes: answer.written_bytes,
        }
    }
}

/// A request as far as its head says what it is.
struct Request {
    kind: QueueKind,
    head: Vec<u8>,
    opcode: u32,
    writable_bytes: usize,
}

impl Request {
    fn new(kind: QueueKind, chain: &Chain) -> Self {
        let mut request = Self {
            kind,
            head: chain.readable.concat(),
            opcode: 0,
            writable_bytes: chain.writable.iter().sum(),
        };
        request.opcode = request.u32(0);
        request
    }

    fn u32(&self, at: usize) -> u32 {
        let bytes = self.head.get(at..at + 4).expect("a head");
        u32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    /// Returns where the status stands in what is writable.
    fn status_at(&self) -> usize {
        match self.kind {
            QueueKind::Control if self.is_destroy() => 0,
            // Behind the id of a session.
            QueueKind::Control => 8,
            QueueKind::Data => self.writable_bytes - 1,
        }
    }

    /// Tells whether a control request ends a session: those opcodes are odd (5.9.7.2).
    fn is_destroy(&self) -> bool {
        self.opcode & 1 == 1
    }

    fn served(&self, is_refused: bool) -> Served {
        match self.kind {
            QueueKind::Control if self.is_destroy() => Served::Destroy,
            QueueKind::Control if is_refused => Served::Refused,
            QueueKind::Control => Served::Create,
            // The flag of session mode, which is said without REVISION_1, too.
            QueueKind::Data if self.u32(16) & 1 == 0 => Served::Stateless,
            QueueKind::Data => Served::Data,
        }
    }

    /// Tells whether the source of a cipher request in a session ends within a block.
    fn ends_in_a_block(&self) -> bool {
        let is_cipher = matches!(self.opcode, ENCRYPT | DECRYPT);
        let mut all = CipherAlgorithm::ALL.into_iter();
        let algorithm = all.find(|algorithm| *algorithm as u32 == self.u32(4));
        let block = algorithm.map_or(1, CipherAlgorithm::block_len_bytes);
        self.kind == QueueKind::Data && is_cipher && !self.u32(28).is_multiple_of(block as u32)
    }

    fn is_signed_or_encrypted(&self) -> bool {
        let has_result = matches!(self.opcode, AKCIPHER_ENCRYPT | AKCIPHER_SIGN);
        self.kind == QueueKind::Data && has_result
    }
}

/// An answer as it goes out.
struct Written {
    writes: Vec<(usize, Vec<u8>)>,
    written_bytes: u32,
    status_at: usize,
}

impl Written {
    /// Returns what is written at an offset last.
    fn byte(&self, at: usize) -> Option<u8> {
        let mut writes = self.writes.iter().rev();
        writes.find_map(|(offset, bytes)| bytes.get(at.checked_sub(*offset)?).copied())
    }

    fn status(&self) -> u8 {
        self.byte(self.status_at).expect("a status")
    }

    fn change_result(&mut self, opcode: u32, results: Results) {
        if results == Results::Whole {
            return;
        }
        // Without the status.
        let len = self.written_bytes as usize - 1;
        let mut result: Vec<u8> = (0..len).map_while(|at| self.byte(at)).collect();
        let zeros = result.iter().take_while(|byte| **byte == 0).count();
        match results {
            Results::Cut => result.truncate(len - zeros),
            Results::Stripped => drop(result.drain(..zeros)),
            Results::AlwaysCut => drop(result.pop()),
            Results::Faulty if opcode == AKCIPHER_SIGN => {
                *result.last_mut().expect("a signature") ^= 1;
            }
            Results::Whole | Results::Faulty => {}
        }
        self.written_bytes = result.len() as u32 + 1;
        self.writes = vec![(0, result), (self.status_at, vec![OK])];
    }

    fn break_by(&mut self, fault: Fault) {
        match fault {
            Fault::Length(bytes) => self.written_bytes = bytes,
            Fault::Status(status) => self.writes.push((self.status_at, vec![status])),
            Fault::NoStatus => {
                for (offset, bytes) in &mut self.writes {
                    bytes.truncate(self.status_at.saturating_sub(*offset));
                }
            }
        }
    }
}
