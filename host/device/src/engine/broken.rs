//! The rule that is broken, as far as requests go.
//!
//! Everything that the engine does wrong on purpose is said here, or asks `breaks` where it is.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    engine::refusals::{
        NO_CONTROL_OPERATION, NO_DATA_OPERATION, NO_SESSION, NOT_OFFERED, UNKNOWN_ALGORITHM,
    },
    rules::Rule,
    services::{
        Session,
        refusals::{BAD_KEY, FORGED, IV_LEN, KEY_LEN, NOT_SIGNED},
    },
    wire::{
        algorithm::Service,
        config::Config,
        header::{ControlOperation, Form},
        parameters::{AkcipherParameters, ChainHash, Key, KeyType, Parameters},
        reader::Unused,
        status::{Refusal, Status},
    },
};

/// The generator of P-256, a public key that anybody may have.
const SOME_POINT: [u8; 33] = [
    0x03, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96,
];

/// What an engine does wrong on purpose.
#[derive(Debug)]
pub(super) struct Broken {
    rule: Option<Rule>,
    config_reads: AtomicU64,
    data_requests: AtomicU64,
}

impl Broken {
    pub(super) fn new(rule: Option<Rule>) -> Self {
        Self {
            rule,
            config_reads: AtomicU64::new(0),
            data_requests: AtomicU64::new(0),
        }
    }

    /// Tells whether a rule is broken.
    pub(super) fn breaks(&self, rule: Rule) -> bool {
        self.rule == Some(rule)
    }

    /// Changes what the configuration says.
    pub(super) fn config(&self, mut config: Config) -> Config {
        match self.rule {
            Some(Rule::HwReady) => config.status = 0,
            Some(Rule::StatusBitsDefined) => config.status |= 1 << 1,
            Some(Rule::MaxDataqueuesInRange) => config.max_dataqueues = 0,
            Some(Rule::ServicesDefined) => config.crypto_services |= 1 << 20,
            Some(Rule::AlgorithmsDefined) => config.hash_algo |= 1 << 30,
            Some(Rule::ServicesHaveAlgorithms) => config.mac_algo = 0,
            Some(Rule::MaxSizeSet) => config.max_size = 0,
            Some(Rule::CipherKeyLengthSet) => config.max_cipher_key_len = 0,
            Some(Rule::AuthKeyLengthSet) => config.max_auth_key_len = 0,
            Some(Rule::ConfigStable) => {
                let reads = self.config_reads.fetch_add(1, Ordering::Relaxed);
                config.max_size = config.max_size.wrapping_add(reads);
            }
            _ => {}
        }
        config
    }

    /// Returns which of every 50 data requests this one is.
    pub(super) fn count_data_request(&self) -> u64 {
        self.data_requests.fetch_add(1, Ordering::Relaxed) % 50
    }

    /// Changes a control request before it is read, where what it says would be refused.
    pub(super) fn control_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let word = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
            field.map_or(0, |field| u32::from_le_bytes(*field))
        };
        let (opcode, op_type) = (word(0), word(64));
        let (at, known, instead) = match (self.rule, opcode) {
            (Some(Rule::UnknownOpTypeRefused), 0x002) => (64, [1, 2], 1),
            (Some(Rule::UnknownDirectionRefused), 0x002) if op_type == 1 => (24, [1, 2], 1),
            (Some(Rule::UnknownDirectionRefused), 0x002 | 0x302) => (32, [1, 2], 1),
            (Some(Rule::UnknownChainOrderRefused), 0x002) if op_type == 2 => (16, [1, 2], 2),
            (Some(Rule::UnknownHashModeRefused), 0x002) if op_type == 2 && word(20) != 3 => {
                (20, [1, 2], 1)
            }
            _ => return bytes.into(),
        };
        replace(bytes, at, (word(at), known), instead)
    }

    /// Changes a data request before it is read.
    pub(super) fn data_bytes<'a>(&self, bytes: &'a [u8], form: Form) -> Cow<'a, [u8]> {
        let word = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
            field.map_or(0, |field| u32::from_le_bytes(*field))
        };
        let is_stateless = form == Form::Exact && word(16) & 1 == 0;
        let at = if is_stateless { 24 + 72 } else { 24 + 40 };
        match (self.rule, word(0)) {
            (Some(Rule::UnknownDataOpTypeRefused), 0x000 | 0x001) => {
                replace(bytes, at, (word(at), [1, 2]), 1)
            }
            _ => bytes.into(),
        }
    }

    pub(super) fn unused_control_fields(&self, honest: Unused) -> Unused {
        match self.rule {
            Some(Rule::UnusedControlFieldsIgnored) => Unused::Zero,
            _ => honest,
        }
    }

    pub(super) fn unused_data_fields(&self, honest: Unused) -> Unused {
        match self.rule {
            Some(Rule::UnusedDataFieldsIgnored) => Unused::Zero,
            _ => honest,
        }
    }

    pub(super) fn control_form(&self, honest: Form) -> Form {
        match self.rule {
            Some(Rule::Revision1ControlFields) => Form::Padded,
            _ => honest,
        }
    }

    /// Only of requests that have a session: nothing is padded without one.
    pub(super) fn data_form(&self, honest: Form) -> Form {
        match self.rule {
            Some(Rule::Revision1DataFields) => Form::Padded,
            _ => honest,
        }
    }

    pub(super) fn control_operation(
        &self,
        honest: (Service, ControlOperation),
    ) -> (Service, ControlOperation) {
        match (self.rule, honest) {
            (Some(Rule::ControlOpcodeDecides), (Service::Hash, ControlOperation::Create)) => {
                (Service::Mac, ControlOperation::Create)
            }
            _ => honest,
        }
    }

    /// Makes a session.
    pub(super) fn open(&self, mut parameters: Parameters<'_>) -> Result<Session, Refusal> {
        match (self.rule, &mut parameters) {
            (Some(Rule::ChainAnswersNested), Parameters::Chain(chain)) => {
                if let ChainHash::Nested(hash) = chain.hash {
                    chain.hash = ChainHash::Plain(hash);
                }
            }
            (Some(Rule::ChainAdditionalData), Parameters::Chain(chain)) => chain.aad_len = 0,
            (Some(Rule::MacBoundaries), Parameters::Mac(mac)) => {
                mac.key = Key(mac.key.0.get(..64).unwrap_or(mac.key.0));
            }
            // It opens, and cannot do anything.
            (Some(Rule::RsaRawAnswers), Parameters::Akcipher(rsa)) if rsa.algo == 1 => {
                rsa.padding_or_curve = 1;
            }
            _ => {}
        }
        match (self.rule, Session::new(&parameters)) {
            (
                Some(Rule::WrongKeyLengthRefused | Rule::KeyBeyondMaxFails),
                Err(refusal @ KEY_LEN),
            ) => open_with_another_key(&parameters).ok_or(refusal),
            (Some(Rule::AkcipherBadKeyRefused), Err(BAD_KEY)) => {
                Session::new(&Parameters::Akcipher(AkcipherParameters {
                    algo: 2,
                    key_type: KeyType::Public,
                    padding_or_curve: 3,
                    hash_algo: 0,
                    key: Key(&SOME_POINT),
                }))
            }
            (_, outcome) => outcome,
        }
    }

    /// Answers a refusal by another status.
    pub(super) fn refusal(&self, refusal: Refusal) -> Refusal {
        let status = match (self.rule, refusal) {
            (Some(Rule::BadmsgForAuthenticationOnly), IV_LEN) => Status::BadMessage,
            (Some(Rule::KeyRejectedForVerificationOnly), BAD_KEY) => Status::KeyRejected,
            (Some(Rule::UnknownAlgorithmAnswersNotsupp), UNKNOWN_ALGORITHM)
            | (Some(Rule::UnadvertisedAnswersNotsupp), NOT_OFFERED)
            | (Some(Rule::UnknownControlOpcodeAnswersNotsupp), NO_CONTROL_OPERATION)
            | (Some(Rule::UnknownDataOpcodeAnswersNotsupp), NO_DATA_OPERATION)
            | (Some(Rule::UnknownSessionAnswersInvsess), NO_SESSION)
            | (Some(Rule::AeadForgeryAnswersBadmsg), FORGED)
            | (Some(Rule::ForgedSignatureAnswersKeyRejected), NOT_SIGNED) => Status::Err,
            _ => refusal.status,
        };
        Refusal { status, ..refusal }
    }

    /// Returns the number of a status.
    pub(super) fn status_number(&self, status: Status) -> u8 {
        match (self.rule, status) {
            (Some(Rule::StatusDefined), Status::Err) => 9,
            _ => status as u8,
        }
    }
}

/// Puts `instead` in place of a number that is not known.
fn replace(bytes: &[u8], at: usize, (word, known): (u32, [u32; 2]), instead: u32) -> Cow<'_, [u8]> {
    let mut changed = Cow::from(bytes);
    if !known.contains(&word)
        && let Some(field) = changed.to_mut().get_mut(at..at + 4)
    {
        field.copy_from_slice(&instead.to_le_bytes());
    }
    changed
}

/// Opens a session with a key that is padded with zeros, or cut, to the next length that exists.
fn open_with_another_key(parameters: &Parameters<'_>) -> Option<Session> {
    let given = parameters.key().0;
    let (longer, shorter): (Vec<usize>, Vec<usize>) = [8, 16, 24, 32, 64]
        .into_iter()
        .partition(|len| *len > given.len());
    longer
        .into_iter()
        .chain(shorter.into_iter().rev())
        .find_map(|len| {
            let mut key = given.to_vec();
            key.resize(len, 0);
            let mut parameters = *parameters;
            parameters.set_key(Key(&key));
            Session::new(&parameters).ok()
        })
}
