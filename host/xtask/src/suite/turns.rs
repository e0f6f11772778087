//! What parts print that run beside each other.
//!
//! For [`run`](super::run). The rule: what two parts print never mixes. The first part that is not
//! over is shown as it comes; what the others print is held until it is their turn.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use crate::child;

/// The parts of a run, in the order in which they are shown.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The part that is shown as it comes.
    shown: usize,
    parts: Vec<Held>,
    /// Nobody reads what is shown, so nothing more need be held.
    is_unread: bool,
}

/// What is held of a part.
#[derive(Clone, Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Turns {
    /// Returns turns for so many parts.
    pub fn new(parts: usize) -> Self {
        let state = State {
            parts: vec![Held::default(); parts],
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Returns by what a part prints.
    pub fn printer(&self, part: usize) -> Printer<'_> {
        Printer { turns: self, part }
    }
}

impl State {
    fn write(
        &mut self,
        part: usize,
        bytes: &[u8],
        show: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.is_unread {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if part == self.shown {
            let shown = show(bytes);
            self.is_unread = shown.is_err();
            return shown;
        }
        if let Some(held) = self.parts.get_mut(part) {
            held.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(
        &mut self,
        part: usize,
        mut show: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(held) = self.parts.get_mut(part) {
            held.is_over = true;
        }
        while self.parts.get(self.shown).is_some_and(|held| held.is_over) {
            self.shown += 1;
            if let Some(held) = self.parts.get_mut(self.shown) {
                show(&std::mem::take(&mut held.bytes))?;
            }
        }
        Ok(())
    }
}

/// By what a part prints.
#[derive(Clone, Copy, Debug)]
pub struct Printer<'a> {
    turns: &'a Turns,
    part: usize,
}

impl Printer<'_> {
    /// Prints these bytes, now or when it is the part's turn.
    ///
    /// # Errors
    ///
    /// Fails when nobody reads what is shown.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| state.write(self.part, bytes, child::to_stdout))
    }

    /// Tells whether what is printed is held.
    pub fn is_held(&self) -> bool {
        self.with(|state| state.shown != self.part)
    }

    /// Ends the part, and with that its turn.
    ///
    /// # Errors
    ///
    /// Fails when nobody reads what is shown.
    pub fn end(&self) -> io::Result<()> {
        self.with(|state| state.end(self.part, child::to_stdout))
    }

    fn with<R>(&self, access: impl FnOnce(&mut State) -> R) -> R {
        let state = self.turns.state.lock();
        access(&mut state.unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what the steps say, `write part text` or `end part`, and returns what was shown.
    fn shown(steps: &[(usize, Option<&str>)]) -> String {
        let turns = Turns::new(3);
        let mut state = turns.state.into_inner().unwrap();
        let mut all = Vec::new();
        for (part, text) in steps {
            let show = |bytes: &[u8]| {
                all.extend_from_slice(bytes);
                Ok(())
            };
            match text {
                Some(text) => state.write(*part, text.as_bytes(), show),
                None => state.end(*part, show),
            }
            .unwrap();
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn first_part_is_shown_as_it_comes_and_others_are_held() {
        let mut steps = vec![
            (1, Some("c")),
            (0, Some("a")),
            (2, Some("e")),
            (0, Some("b")),
        ];
        assert_eq!(shown(&steps), "ab");
        // What was held is shown at once, what comes then as it comes.
        steps.extend([(0, None), (1, Some("d"))]);
        assert_eq!(shown(&steps), "abcd");
        steps.push((1, None));
        assert_eq!(shown(&steps), "abcde");
    }

    #[test]
    fn nothing_is_held_that_nobody_reads() {
        let mut state = Turns::new(2).state.into_inner().unwrap();
        let closed = |_: &[u8]| Err(io::ErrorKind::BrokenPipe.into());
        assert!(state.write(1, b"a", closed).is_ok());
        assert!(state.write(0, b"b", closed).is_err());
        assert!(state.write(1, b"c", closed).is_err());
    }

    #[test]
    fn part_that_ends_early_is_shown_in_its_turn() {
        let steps = [
            (1, Some("b")),
            (1, None),
            (2, Some("c")),
            (0, Some("a")),
            (0, None),
            (2, None),
        ];
        assert_eq!(shown(&steps[..4]), "a");
        assert_eq!(shown(&steps), "abc");
    }
}
