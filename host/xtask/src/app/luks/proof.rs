//! Proves that the guest reads what another has written, and that another reads what the guest has.

use std::process::Command;

use super::{
    guest::{Disk, Guest},
    images::{Container, Format},
};
use crate::{
    app::program::Program,
    boot::machine::Variables,
    child::{self, Show},
    report::{Result, fail},
};

/// What is proven.
#[derive(Debug)]
pub struct Proof<'a> {
    pub program: &'a Program,
    pub variables: Variables,
    pub format: Format,
    /// Bytes of the content: a multiple of 64 KiB, and some of them.
    pub content_len: u64,
    /// More words for the guest.
    pub words: &'a str,
    pub show: Show,
}

impl Proof<'_> {
    /// Makes a container, has the guest hash it and write to it, and reads it back; returns a line
    /// that says what was found.
    ///
    /// # Errors
    ///
    /// Fails with what is not as it should be.
    pub fn run(&self) -> Result<String> {
        let container = Container::make(self.format, self.content_len)?;
        let ranges = ranges(self.content_len);
        let write: Vec<_> = ranges
            .iter()
            .map(|(at, len)| format!("{at}:{len}"))
            .collect();
        let guest = Guest {
            program: self.program,
            variables: self.variables.clone(),
            passphrase: container.passphrase(),
            disk: Disk::writable(&container.image()),
            words: format!("hash write={} {}", write.join(","), self.words),
            show: self.show,
        };
        let run = guest.succeed()?;
        let hash = hash(&container)?;
        let said = run.guest.lines().filter(|line| line.contains("sha256="));
        let expected = format!(" bytes={} sha256={hash} ", self.content_len);
        if said.filter(|line| line.contains(&expected)).count() != 1 {
            return fail(format_args!(
                "the guest has read something else than{expected}"
            ));
        }
        let mut content = container.content.clone();
        for (at, len) in &ranges {
            for offset in *at..at + len {
                content[offset as usize] = byte_at(offset);
            }
        }
        let tool = self.format.tool();
        let found = container.read_back()?;
        let wrong = content.iter().zip(&found).position(|(a, b)| a != b);
        match wrong {
            None if content.len() == found.len() => {}
            _ => {
                let at = wrong.unwrap_or(content.len().min(found.len()));
                return fail(format_args!("{tool} reads something else at byte {at}"));
            }
        }
        let written: u64 = ranges.iter().map(|(_, len)| len).sum();
        Ok(format!(
            "luks: {} of {tool}: the guest has read its {} bytes, and {tool} the {written} bytes \
             that the guest has written",
            self.format, self.content_len
        ))
    }
}

/// Returns what is written: the start, the end, and something between that begins and ends within a
/// piece.
fn ranges(content_len: u64) -> [(u64, u64); 3] {
    [
        (0, 8192),
        (content_len / 4 - 4096, 16 * 8192 + 4096),
        (content_len - 4096, 4096),
    ]
}

/// Returns what the guest writes at an offset of the volume.
fn byte_at(offset: u64) -> u8 {
    (offset / 512 * 31 + offset) as u8
}

/// Returns the SHA-256 of a container's content, by a program that is not ours.
fn hash(container: &Container) -> Result<String> {
    let path = container.path("content");
    std::fs::write(&path, &container.content)?;
    let ended = child::capture(Command::new("sha256sum").arg(path))?;
    match ended.output.split_once(' ') {
        Some((hash, _)) if ended.status == 0 => Ok(hash.to_owned()),
        _ => fail(format_args!("sha256sum: {}", ended.output.trim_end())),
    }
}
