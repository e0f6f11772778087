//! What the device does for one chain.

use super::{Served, State};
use crate::fake::{
    ring::Chain,
    services::{INVALID_SESSION, NOT_SUPPORTED, OK, Request, no_space},
    setup::Fault,
};

impl State {
    fn create(&mut self, request: Request<'_>) -> Result<u64, u8> {
        let session = request.create()?;
        if self.sessions.len() >= self.session_limit {
            return Err(no_space(self.features));
        }
        // The lowest free id, at once, as QEMU does: an id that comes back too early is seen.
        let id = (0..).find(|id| !self.sessions.contains_key(id)).unwrap();
        self.sessions.insert(id, session);
        Ok(id)
    }

    fn destroy(&mut self, request: Request<'_>) -> u64 {
        let id = request.u64(16);
        // What is still in a data queue for it would meet the id's next owner.
        let data = self.rings.range(..self.control);
        for other in data.flat_map(|(_, ring)| &ring.taken) {
            let bytes = other.read();
            let other = Request {
                bytes: &bytes,
                writable_bytes: 0,
                features: self.features,
            };
            let uses = !other.is_stateless() && other.u64(8) == id;
            assert!(!uses, "destroyed with a request queued");
        }
        let session = self.sessions.remove(&id);
        let session = session.expect("a session was destroyed that is not there");
        assert_eq!(session.destroy_opcode(), request.opcode());
        id
    }

    /// Does what a chain asks for, and returns what to log and how much was written.
    pub(super) fn serve(
        &mut self,
        queue: usize,
        chain: &Chain,
        fault: Option<Fault>,
    ) -> (Served, u32) {
        chain.check_live();
        let bytes = chain.read();
        let request = Request {
            bytes: &bytes,
            writable_bytes: chain.writable() as usize,
            features: self.features,
        };
        let status_as = |status: u8| match fault {
            Some(Fault::Status(status)) => status,
            _ => status,
        };
        let silent = fault == Some(Fault::NoStatus);
        if queue == self.control {
            // Destroys have odd opcodes.
            if request.opcode() & 1 == 1 {
                let named = self.sessions.get(&request.u64(16));
                let is_own = named.is_some_and(|own| own.destroy_opcode() == request.opcode());
                if self.bears_strays && !is_own {
                    chain.write(0, &[INVALID_SESSION]);
                    return (Served::Refused, 1);
                }
                let id = self.destroy(request);
                if !silent {
                    chain.write(0, &[status_as(OK)]);
                }
                return (Served::Destroy(id), 1);
            }
            let created = self.create(request);
            let mut answer = created.unwrap_or(0).to_le_bytes().to_vec();
            answer.extend(u32::from(status_as(created.err().unwrap_or(OK))).to_le_bytes());
            if !silent {
                chain.write(0, &answer);
            }
            return (created.map_or(Served::Refused, Served::Create), 12);
        }
        let id = request.u64(8);
        let (served, outcome) = if self.refusing.contains(&queue) {
            (Served::Refused, Err(NOT_SUPPORTED))
        } else if request.is_stateless() {
            (Served::Stateless, request.serve_stateless())
        } else {
            let served = Served::Data(id, request.first_source_byte());
            let outcome = match self.sessions.get(&id) {
                Some(session) => session.serve(request),
                None => Err(INVALID_SESSION),
            };
            (served, outcome)
        };
        let last = request.writable_bytes - 1;
        let written = match &outcome {
            Ok(output) => {
                chain.write(0, output);
                // QEMU counts all that is writable where it writes nothing.
                match output.len() {
                    0 => request.writable_bytes as u32,
                    len => len as u32 + 1,
                }
            }
            Err(_) => request.writable_bytes as u32,
        };
        if !silent {
            chain.write(last, &[status_as(outcome.err().unwrap_or(OK))]);
        }
        (served, written)
    }
}
