//! Control requests.

use crate::{
    engine::{
        Engine,
        answer::ControlShape,
        chain::{Answer, Chain},
        contained::contained,
        framing,
        refusals::NO_CONTROL_OPERATION,
    },
    rules::Rule,
    wire::{
        control::Control,
        header::{ControlHeader, Form},
        reader::Reader,
        status::Refusal,
    },
};

impl Engine {
    pub(super) fn serve_control(&self, chain: &Chain, readable: &[u8]) -> Answer {
        let readable = self.broken.control_bytes(readable);
        let unused = self.broken.unused_control_fields(self.options.unused);
        let mut reader = Reader::new(&readable, unused);
        let Ok(header) = ControlHeader::read(&mut reader) else {
            return Answer::NeedsReset;
        };
        let Some(shape) = ControlShape::of(&header, chain.writable_bytes()) else {
            return Answer::NeedsReset;
        };
        let outcome = contained(|| self.control(chain, &header, reader));
        let outcome = outcome.map_err(|refusal| {
            log::debug!("control request {:#x}: {}", header.opcode, refusal.why);
            self.broken.refusal(refusal)
        });
        shape.answer(outcome, &self.broken)
    }

    /// Does what a control request asks for, and returns the id of a session that was made.
    fn control(
        &self,
        chain: &Chain,
        header: &ControlHeader,
        mut reader: Reader<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let operation = header.operation().ok_or(NO_CONTROL_OPERATION)?;
        let operation = self.broken.control_operation(operation);
        let form = Form::of(self.features());
        let control = Control::read(&mut reader, operation, self.broken.control_form(form))?;
        let fields = framing::fields(self.options.framing, reader)?;
        let outcome_bytes = chain.writable_bytes();
        framing::check(self.options.framing, chain, &fields, &[outcome_bytes])?;
        framing::check_broken(&self.broken, chain, &fields)?;
        match control {
            Control::Create(parameters) => {
                self.check(&parameters)?;
                let session = self.broken.open(parameters)?;
                self.sessions.insert(session, form).map(Some)
            }
            Control::Destroy {
                service,
                session_id,
            } => {
                self.sessions.remove(session_id, service)?;
                if self.broken.breaks(Rule::DestroyAnswersOk) {
                    return Err(Refusal::error("a broken rule"));
                }
                Ok(None)
            }
        }
    }
}
