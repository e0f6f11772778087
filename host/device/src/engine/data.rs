//! Data requests.

use crate::{
    engine::{
        Engine,
        answer::{self, DataAnswer},
        chain::{Answer, Chain},
        contained::contained,
        framing,
        refusals::{NO_DATA_OPERATION, NO_SESSION},
    },
    rules::Rule,
    services::{Session, SessionKind},
    wire::{
        algorithm::Service,
        data::Input,
        header::{DataHeader, Form, Mode, Operation, stateless_mode},
        parameters::Parameters,
        reader::Reader,
        stateless,
        status::Refusal,
    },
};

impl Engine {
    pub(super) fn serve_data(&self, chain: &Chain, readable: &[u8]) -> Answer {
        let readable = self.broken.data_bytes(readable, Form::of(self.features()));
        let unused = self.broken.unused_data_fields(self.options.unused);
        let mut reader = Reader::new(&readable, unused);
        let Ok(header) = DataHeader::read(&mut reader) else {
            return Answer::NeedsReset;
        };
        let Some(destination_bytes) = chain.writable_bytes().checked_sub(answer::STATUS_BYTES)
        else {
            return Answer::NeedsReset;
        };
        let outcome = contained(|| self.data(chain, &header, reader));
        let outcome = outcome.map_err(|refusal| {
            log::debug!("data request {:#x}: {}", header.opcode, refusal.why);
            self.broken.refusal(refusal)
        });
        let answer = DataAnswer {
            outcome,
            destination_bytes,
            service: header.operation().map(Operation::service),
            framing: self.options.framing,
        };
        answer.written(&self.broken)
    }

    /// Computes what goes before the status.
    fn data(
        &self,
        chain: &Chain,
        header: &DataHeader,
        mut reader: Reader<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let form = Form::of(self.features());
        let operation = header.operation().ok_or(NO_DATA_OPERATION)?;
        match self.mode(header, operation.service(), form)? {
            Mode::Session => {
                let session = self.sessions.get(header.session_id)?;
                let operation = self.broken_operation(operation, &session);
                if session.service() != operation.service() {
                    return Err(NO_SESSION);
                }
                let form = self.broken.data_form(form);
                let input = Input::read(&mut reader, operation, form)?;
                self.check_request(chain, reader, &input)?;
                self.compute(&session, operation, &input)
            }
            Mode::Stateless => {
                let (parameters, input) = stateless::read(&mut reader, operation)?;
                self.check_request(chain, reader, &input)?;
                self.check_stateless(&parameters)?;
                self.check(&parameters)?;
                let session = self.broken.open(parameters)?;
                self.compute(&session, operation, &input)
            }
        }
    }

    /// Decides in which mode a request is, and whether it may be.
    fn mode(&self, header: &DataHeader, service: Service, form: Form) -> Result<Mode, Refusal> {
        let has_stateless_mode = self.features() & stateless_mode(service) != 0;
        let needs_flag = self.broken.breaks(Rule::FlagIgnoredWithoutRevision1);
        if needs_flag && form == Form::Padded && header.flag == 0 {
            return Err(Refusal::error("a broken rule"));
        }
        match header.mode(form) {
            Mode::Session if has_stateless_mode && self.broken.breaks(Rule::FlagDecidesMode) => {
                Err(Refusal::error("a broken rule"))
            }
            Mode::Stateless if !has_stateless_mode => {
                if self.broken.breaks(Rule::StatelessRefusedUnlessNegotiated) {
                    return Ok(Mode::Session);
                }
                Err(Refusal::not_supported(
                    "stateless mode was not negotiated for this service",
                ))
            }
            mode => Ok(mode),
        }
    }

    fn broken_operation(&self, operation: Operation, session: &Session) -> Operation {
        let takes_mac = self.broken.breaks(Rule::SessionOfAnotherServiceRefused);
        match (operation, session.kind()) {
            (Operation::Hash, SessionKind::Mac) if takes_mac => Operation::Mac,
            _ => operation,
        }
    }

    /// Refuses stateless requests of a service, if that rule is broken.
    fn check_stateless(&self, parameters: &Parameters<'_>) -> Result<(), Refusal> {
        let rule = match parameters {
            Parameters::Cipher(_) => Rule::CipherStateless,
            Parameters::Chain(_) => Rule::ChainStateless,
            Parameters::Hash(_) => Rule::HashStateless,
            Parameters::Mac(_) => Rule::MacStateless,
            Parameters::Aead(_) => Rule::AeadStateless,
            Parameters::Akcipher(_) => Rule::AkcipherStateless,
        };
        if self.broken.breaks(rule) {
            return Err(Refusal::error("a broken rule"));
        }
        Ok(())
    }

    /// Checks what a request has room for and how long it is.
    fn check_request(
        &self,
        chain: &Chain,
        reader: Reader<'_>,
        input: &Input<'_>,
    ) -> Result<(), Refusal> {
        let framing = self.options.framing;
        let readable = framing::fields(framing, reader)?;
        let results = input.writable().map(|len| len as usize);
        let result_bytes = results.iter().sum::<usize>();
        let needed_bytes = result_bytes + answer::STATUS_BYTES;
        if !framing::fits(framing, chain.writable_bytes(), needed_bytes) {
            return Err(Refusal::error("not as much is writable as the lengths say"));
        }
        // Header and fixed-length parameters come first, and do not count.
        let content_bytes = readable.iter().skip(1).sum::<usize>() + result_bytes;
        self.check_size(content_bytes as u64)?;
        let [destination, result] = results;
        let writable = [destination, result, answer::STATUS_BYTES];
        framing::check(framing, chain, &readable, &writable)?;
        framing::check_broken(&self.broken, chain, &readable)
    }

    /// QEMU asks for a reset where this answers ERR: the text has the request fail, and the driver
    /// reset the device (5.9.5.2).
    fn check_size(&self, content_bytes: u64) -> Result<(), Refusal> {
        let max_size = match self.broken.breaks(Rule::MaxSizeServes) {
            true => self.config.max_size / 2,
            false => self.config.max_size,
        };
        if content_bytes > max_size && !self.broken.breaks(Rule::BeyondMaxSizeFails) {
            return Err(Refusal::error("more than max_size"));
        }
        Ok(())
    }

    fn compute(
        &self,
        session: &Session,
        operation: Operation,
        input: &Input<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let result = self.broken.compute(session, operation, input)?;
        Ok(match session.kind() {
            SessionKind::Rsa => self.options.results.shorten(operation, result),
            _ => result,
        })
    }
}
