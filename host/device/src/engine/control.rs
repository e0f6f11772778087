//! Control requests.

use crate::{
    engine::{
        Engine,
        answer::ControlShape,
        chain::{Answer, Chain},
        contained::contained,
        framing,
    },
    services::Session,
    wire::{control::Control, header::ControlHeader, reader::Reader, status::Refusal},
};

impl Engine {
    pub(super) fn serve_control(
        &self,
        chain: &Chain,
        header: ControlHeader,
        reader: Reader<'_>,
    ) -> Answer {
        let Some(shape) = ControlShape::of(&header, chain.writable_bytes()) else {
            return Answer::NeedsReset;
        };
        let outcome = contained(|| self.control(chain, &header, reader));
        if let Err(refusal) = &outcome {
            log::debug!("control request {:#x}: {}", header.opcode, refusal.why);
        }
        shape.answer(outcome)
    }

    /// Does what a control request asks for, and returns the id of a session that was made.
    fn control(
        &self,
        chain: &Chain,
        header: &ControlHeader,
        mut reader: Reader<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let operation = header
            .operation()
            .ok_or(Refusal::not_supported("no such control operation"))?;
        let control = Control::read(&mut reader, operation, self.form())?;
        let fields = reader.finish()?;
        let outcome_bytes = chain.writable_bytes();
        framing::check(self.options.framing, chain, &fields, &[outcome_bytes])?;
        match control {
            Control::Create(parameters) => {
                self.check(&parameters)?;
                let session = Session::new(&parameters)?;
                self.sessions.insert(session, self.form()).map(Some)
            }
            Control::Destroy {
                service,
                session_id,
            } => self.sessions.remove(session_id, service).map(|()| None),
        }
    }
}
