//! Requests that open, use and end sessions. None names a session of a life that has ended.

use alloc::{string::String, vec::Vec};

use crate::requests::{
    chain::Part,
    ids::{Session, id_words, session_id},
    layout::Layout,
    raw::{Answer, Queue, Raw},
    trouble::Trouble,
    words::{Form, head, word_at},
};

impl Raw {
    /// Opens a session: words of the *create*, whose first is the opcode; key or keys.
    pub fn create(&mut self, words: &[(usize, u32)], key: &[u8]) -> Result<Session, Trouble> {
        let answer = self.create_answer(words, key)?;
        match create_status(&answer.written) {
            0 => Ok(self.note_session(session_id(&answer.written), word_at(words, 0) + 1)),
            status => Err(Trouble::Status(status)),
        }
    }

    /// Takes note of a session that is open, and of what ends it.
    pub fn note_session(&mut self, id: u64, destroy_opcode: u32) -> Session {
        let life = Some(self.life);
        let session = Session { id, life };
        self.sessions.push((session, destroy_opcode));
        session
    }

    /// Like [`create`](Self::create), as the device wrote it.
    pub fn create_answer(&mut self, words: &[(usize, u32)], key: &[u8]) -> Result<Answer, Trouble> {
        let parts = self.control_parts(words, key);
        let answer = self.send(Queue::Control, &parts)?;
        self.note_status(word_at(words, 0), create_status(&answer.written));
        Ok(answer)
    }

    /// Cuts a control request: words, keys.
    pub fn control_parts(&self, words: &[(usize, u32)], key: &[u8]) -> Vec<Part> {
        let len = self.form().control_len(word_at(words, 0));
        self.framing.control(&head(words, len), key)
    }

    /// Cuts a data request in a session, as [`data_on`](Self::data_on) sends it.
    pub fn data_parts(
        &self,
        session: Session,
        words: &[(usize, u32)],
        source: &[&[u8]],
        result_len: usize,
    ) -> Vec<Part> {
        let len = self.form().data_len(word_at(words, 0));
        let head = head(&[&id_words(session.id), words].concat(), len);
        self.framing.data(&head, source, result_len)
    }

    /// Returns the sessions that are open.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = Session> {
        self.sessions.iter().map(|(session, _)| *session)
    }

    /// Tells whether a session may be named to the device: it is of this life, or was never opened.
    pub fn is_of_this_life(&self, session: Session) -> bool {
        session.life.is_none_or(|life| life == self.life)
    }

    /// Ends a session.
    pub fn destroy(&mut self, session: Session) -> Result<Answer, Trouble> {
        if !self.is_of_this_life(session) {
            return Err(Trouble::NotTried);
        }
        let place = self.sessions().position(|open| open == session);
        let opcode = match place {
            Some(place) => self.sessions.swap_remove(place).1,
            None => 0x003,
        };
        self.destroy_by(opcode, session)
    }

    /// Sends a *destroy* of this opcode, whatever the session is.
    pub fn destroy_by(&mut self, opcode: u32, session: Session) -> Result<Answer, Trouble> {
        if !self.is_of_this_life(session) {
            return Err(Trouble::NotTried);
        }
        let id = session.id;
        let words = [(0, opcode), (16, id as u32), (20, (id >> 32) as u32)];
        let parts = self.control_parts(&words, &[]);
        let answer = self.send(Queue::Control, &parts)?;
        let status = answer.status_at(0);
        self.note_status(opcode, code(status));
        status.map(|()| answer)
    }

    /// Ends every session that is open.
    pub fn destroy_all(&mut self) {
        while let Some(&(session, _)) = self.sessions.last() {
            let _ = self.destroy(session);
        }
    }

    /// Takes a device through a reset with a session of the life before, on purpose: to see whether
    /// it is still there.
    pub fn keep_over_reset(&mut self, session: Session) -> Result<Session, String> {
        let place = self.sessions().position(|open| open == session);
        let kept = place.map(|place| self.sessions.swap_remove(place));
        self.bring_up()?;
        let opcode = kept.map_or(0x003, |(_, opcode)| opcode);
        Ok(self.note_session(session.id, opcode))
    }

    /// Sends a data request: words beside opcode and session id, what is read, how much is written
    /// before the status. Returns that, and the used element's length.
    pub fn data(
        &mut self,
        opcode: u32,
        session: Session,
        words: &[(usize, u32)],
        source: &[&[u8]],
        result_len: usize,
    ) -> Result<(Vec<u8>, u32), Trouble> {
        let header = [(0, opcode), (16, 1)];
        let words = [&header, words].concat();
        self.data_on(Queue::Data(0), session, &words, source, result_len)
    }

    /// Like [`data`](Self::data), on any queue, with all the words but the session id.
    pub fn data_on(
        &mut self,
        queue: Queue,
        session: Session,
        words: &[(usize, u32)],
        source: &[&[u8]],
        result_len: usize,
    ) -> Result<(Vec<u8>, u32), Trouble> {
        if !self.is_of_this_life(session) {
            return Err(Trouble::NotTried);
        }
        let parts = self.data_parts(session, words, source, result_len);
        self.ask(queue, word_at(words, 0), &parts)
    }

    /// Sends a data request of which the last byte that is written is the status. Returns what is
    /// written in front of that, and the used element's length.
    pub fn ask(
        &mut self,
        queue: Queue,
        opcode: u32,
        parts: &[Part],
    ) -> Result<(Vec<u8>, u32), Trouble> {
        let mut answer = self.send(queue, parts)?;
        let result_len = answer.written.len().saturating_sub(1);
        let status = answer.status_at(result_len);
        self.note_status(opcode, code(status));
        status?;
        answer.written.truncate(result_len);
        Ok((answer.written, answer.used_bytes))
    }

    /// Sends parts in an indirect table.
    pub fn send_indirect(&mut self, queue: Queue, parts: &[Part]) -> Result<Answer, Trouble> {
        self.send_laid(queue, parts, Layout::Indirect)
    }

    pub fn note_status(&mut self, opcode: u32, status: u32) {
        let has_revision_1 = self.form() == Form::Exact;
        self.statuses.note(opcode, status, has_revision_1);
    }
}

/// The status of the answer to a *create*.
fn create_status(written: &[u8]) -> u32 {
    let status = written.iter().skip(8).take(4).rev();
    status.fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// A status by its number.
fn code(status: Result<(), Trouble>) -> u32 {
    match status {
        Err(Trouble::Status(status)) => status,
        _ => 0,
    }
}
