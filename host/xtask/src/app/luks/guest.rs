//! One run of the unikernel on a disk.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
};

use crate::{
    app::program::Program,
    boot::{self, machine::Variables, option_value},
    child::{Run, SILENCE, Show},
    report::{Failure, Result, say},
};

/// The machine. Key slots ask for memory of their own: most of it is heap.
const MACHINE: &str = "mem=256M";
const MEMORY_MIB: u64 = 256;

/// A disk, as QEMU is told of it.
#[derive(Clone, Debug)]
pub struct Disk(String);

impl Disk {
    /// A file that is written.
    pub fn writable(image: &Path) -> Self {
        Self(format!("format=raw,file={}", option_value(image)))
    }

    /// A file that is not.
    pub fn read_only(image: &Path) -> Self {
        let Self(disk) = Self::writable(image);
        Self(disk + ",readonly=on")
    }

    /// A file of which something fails: an event of QEMU's `blkdebug`, and a sector if it is about
    /// one.
    pub fn failing(image: &Path, event: &str, sector: Option<u64>) -> Self {
        let image = option_value(image);
        let mut disk = format!(
            "format=raw,file.driver=blkdebug,file.image.filename={image},\
             file.inject-error.0.event={event}"
        );
        if let Some(sector) = sector {
            disk += &format!(",file.inject-error.0.sector={sector}");
        }
        Self(disk)
    }
}

/// The unikernel, and what it is given.
#[derive(Debug)]
pub struct Guest<'a> {
    pub program: &'a Program,
    pub variables: Variables,
    pub passphrase: PathBuf,
    pub disk: Disk,
    pub words: String,
    pub show: Show,
}

impl Guest<'_> {
    /// Boots it; returns what it printed.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the run failed, or where there is no such machine.
    pub fn succeed(&self) -> Result<Run> {
        match self.boot()? {
            (run, None) => Ok(run),
            (_, Some(reason)) => Err(Failure::Because(reason)),
        }
    }

    /// Boots it; returns what it printed, and why it failed if it did.
    ///
    /// # Errors
    ///
    /// Fails where there is no such machine.
    pub fn boot(&self) -> Result<(Run, Option<String>)> {
        let passphrase = option_value(&self.passphrase);
        let Disk(disk) = &self.disk;
        let arguments = [
            "-drive".to_owned(),
            format!("if=none,id=luks,{disk}"),
            "-device".to_owned(),
            // A disk that fails says so; by itself QEMU would stop the guest where it is full.
            "virtio-blk-pci,drive=luks,werror=report,rerror=report".to_owned(),
            "-fw_cfg".to_owned(),
            format!("name=opt/luks/passphrase,file={passphrase}"),
        ];
        let memory_mib = self.variables.get("MEM").and_then(mib);
        let heap_mib = memory_mib.unwrap_or(MEMORY_MIB) / 4 * 3;
        let words = format!("{} heap={heap_mib}", self.words);
        let image = self.program.image(words.trim_start(), &arguments);
        thread::scope(|scope| {
            let (heard, lines) = mpsc::channel();
            if self.show == Show::All {
                scope.spawn(move || tell_while_silent(&lines));
            }
            // Nobody listens where nothing is shown.
            let hear = |_: &str| {
                let _ = heard.send(());
            };
            let ended = boot::attend(&image, MACHINE, &self.variables, self.show, hear);
            drop(heard);
            ended
        })
    }
}

/// Says that the guest is at work when it prints nothing for long, until it has ended.
fn tell_while_silent(lines: &Receiver<()>) {
    let mut silent_s = 0;
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(()) => silent_s = 0,
            Err(RecvTimeoutError::Timeout) => {
                silent_s += SILENCE.as_secs();
                say(format_args!(
                    "luks: at work, nothing said for {silent_s} s: a key derivation takes as long \
                     as the container's header asks for"
                ));
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Returns how many MiB QEMU means.
fn mib(memory: &str) -> Option<u64> {
    let digits = memory.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &memory[digits.len()..] {
        "G" | "g" => number.checked_mul(1024),
        "" | "M" | "m" => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_commas() {
        let Disk(disk) = Disk::read_only(Path::new("/a,b"));
        assert_eq!(disk, "format=raw,file=/a,,b,readonly=on");
    }

    #[test]
    fn memory_is_counted_as_qemu_does() {
        let found = ["512", "256M", "2G", "x", "3T"].map(mib);
        assert_eq!(found, [Some(512), Some(256), Some(2048), None, None]);
    }
}
