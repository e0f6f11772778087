//! Data requests.

use std::sync::atomic::Ordering;

use crate::{
    engine::{
        Engine, answer,
        chain::{Answer, Chain},
        contained::contained,
        framing,
    },
    services::Session,
    wire::{
        data::Input,
        header::{DataHeader, Form, Mode, Operation, stateless_mode},
        reader::Reader,
        stateless,
        status::{Refusal, Status},
    },
};

impl Engine {
    pub(super) fn serve_data(&self, chain: &Chain, mut reader: Reader<'_>) -> Answer {
        let Ok(header) = DataHeader::read(&mut reader) else {
            return Answer::NeedsReset;
        };
        let Some(destination_bytes) = chain.writable_bytes().checked_sub(answer::STATUS_BYTES)
        else {
            return Answer::NeedsReset;
        };
        let outcome = contained(|| self.data(chain, &header, reader));
        if let Err(refusal) = &outcome {
            log::debug!("data request {:#x}: {}", header.opcode, refusal.why);
        }
        answer::data(outcome, destination_bytes)
    }

    /// Computes what goes before the status.
    fn data(
        &self,
        chain: &Chain,
        header: &DataHeader,
        mut reader: Reader<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let features = self.features.load(Ordering::Relaxed);
        let form = Form::of(features);
        let operation = header
            .operation()
            .ok_or(Refusal::not_supported("no such data operation"))?;
        let service = operation.service();
        match header.mode(form) {
            Mode::Session => {
                let session = self.sessions.get(header.session_id)?;
                if session.service() != service {
                    return Err(Refusal {
                        status: Status::InvalidSession,
                        why: "the session is another service's",
                    });
                }
                let input = Input::read(&mut reader, operation, form)?;
                self.check_request(chain, reader, &input)?;
                self.compute(&session, operation, &input)
            }
            Mode::Stateless if features & stateless_mode(service) == 0 => Err(
                Refusal::not_supported("stateless mode was not negotiated for this service"),
            ),
            Mode::Stateless => {
                let (parameters, input) = stateless::read(&mut reader, operation)?;
                self.check_request(chain, reader, &input)?;
                self.check(&parameters)?;
                self.compute(&Session::new(&parameters)?, operation, &input)
            }
        }
    }

    /// Checks what a request has room for and how long it is.
    fn check_request(
        &self,
        chain: &Chain,
        reader: Reader<'_>,
        input: &Input<'_>,
    ) -> Result<(), Refusal> {
        let readable = reader.finish()?;
        let results = input.writable().map(|len| len as usize);
        let result_bytes = results.iter().sum::<usize>();
        if chain.writable_bytes() != result_bytes + answer::STATUS_BYTES {
            return Err(Refusal::error("not as much is writable as the lengths say"));
        }
        // Header and fixed-length parameters come first, and do not count.
        let content_bytes = readable.iter().skip(1).sum::<usize>() + result_bytes;
        if content_bytes as u64 > self.config.max_size {
            return Err(Refusal::error("more than max_size"));
        }
        let [destination, result] = results;
        let writable = [destination, result, answer::STATUS_BYTES];
        framing::check(self.options.framing, chain, &readable, &writable)
    }

    fn compute(
        &self,
        session: &Session,
        operation: Operation,
        input: &Input<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        session.compute(operation, input)
    }
}
