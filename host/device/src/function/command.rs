//! What somebody outside may tell a running device to do.
//!
//! For the program's lines, and for tests. The one rule: a line that means nothing changes nothing
//! and is answered.

use std::{str::FromStr, sync::atomic::Ordering};

use super::Function;

/// A line to a running device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// HW_READY is set or cleared (5.9.5).
    Ready(bool),
    /// It asks for a reset.
    NeedsReset,
    /// A queue is not served from now on.
    Stall(u16),
    /// It is again.
    Go(u16),
    /// It reads as all ones, as if it had been pulled out.
    Gone,
    /// Its process ends at once.
    Die,
    /// It says what it has done.
    Stats,
}

/// What lines there are, for a person.
pub const COMMANDS: &str = "ready 0|1, needs-reset, stall QUEUE, go QUEUE, gone, die, stats";

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let queue = |word: &str| {
            let number = word.parse();
            number.map_err(|_| format!("'{line}': '{word}' is no queue"))
        };
        Ok(match words[..] {
            ["ready", "0"] => Self::Ready(false),
            ["ready", "1"] => Self::Ready(true),
            ["needs-reset"] => Self::NeedsReset,
            ["stall", word] => Self::Stall(queue(word)?),
            ["go", word] => Self::Go(queue(word)?),
            ["gone"] => Self::Gone,
            ["die"] => Self::Die,
            ["stats"] => Self::Stats,
            _ => return Err(format!("'{line}': one of {COMMANDS}")),
        })
    }
}

impl Function {
    /// Does what a command says, but for [`Command::Die`], which only a process can do. Returns
    /// what there is to say.
    pub fn obey(&self, command: Command) -> String {
        match command {
            Command::Ready(is_ready) => {
                self.is_ready.store(is_ready, Ordering::Relaxed);
                // Release: whoever reads this generation reads the configuration that it counts.
                self.generation.fetch_add(1, Ordering::Release);
                self.tell_of_configuration();
            }
            Command::NeedsReset => self.needs_reset(format_args!("told so")),
            Command::Stall(queue) => self.set_stalled(queue, true),
            Command::Go(queue) => self.set_stalled(queue, false),
            Command::Gone => self.is_gone.store(true, Ordering::Relaxed),
            Command::Die => {}
            Command::Stats => return self.stats.line(),
        }
        "ok".to_owned()
    }

    /// Says in one line what it has done.
    pub fn stats(&self) -> String {
        self.stats.line()
    }

    pub(super) fn set_stalled(&self, index: u16, is_stalled: bool) {
        if let Some(queue) = self.queues.get(usize::from(index)) {
            queue.is_stalled.store(is_stalled, Ordering::Relaxed);
            queue.bell.ring();
        }
    }
}
