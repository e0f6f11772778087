//! Devices of our own: host/device as a program, a process for each device of a machine.
//!
//! For [`boot`](super::boot) and for `./run.sh device`. The rule: no process outlives its run, and
//! none that is dead or hangs makes a run wait.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    child,
    files::{self, scratch},
    project::Project,
    report::{Result, fail, say},
};

/// The device of QEMU at whose other end such a process is.
pub const QEMU_DEVICE: &str = "vfio-user-pci";
/// What cargo calls it.
const NAME: &str = "virtio-crypto-device";
/// What stands in a line of the guest that is for one of them.
const TO_DEVICE: &str = "to device ";

/// How long a process may take until its socket is there.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end once QEMU has.
const END: Duration = Duration::from_secs(5);
/// How long it may take to answer a line.
const ANSWER: Duration = Duration::from_secs(5);

/// Returns where the program is once it is built; `None` before. Its directory is its own: cargo
/// may be at work in the other one, and holds its lock.
pub fn program(project: &Project) -> Option<PathBuf> {
    // Cargo makes a folder for the host's triple, which nobody here need know.
    let folders = fs::read_dir(directory(project)).ok()?.flatten();
    let mut programs = folders.map(|folder| folder.path().join("program").join(NAME));
    programs.find(|program| program.is_file())
}

/// Builds the program, if anything of it has changed.
///
/// # Errors
///
/// Fails with cargo's status.
pub fn build(project: &Project) -> Result {
    let mut cargo = project.host_cargo(&["build", "-p", "device", "--features", "program"]);
    cargo.args([
        "--target",
        "host-tuple",
        "--profile",
        "program",
        "--target-dir",
    ]);
    cargo.arg(directory(project));
    child::build(&mut cargo, "the device")
}

fn directory(project: &Project) -> PathBuf {
    project.target("device")
}

/// The processes of a run.
#[derive(Debug, Default)]
pub struct Devices {
    processes: Vec<Process>,
    /// Where their sockets are.
    folder: Option<PathBuf>,
}

/// A process that is a device.
#[derive(Debug)]
struct Process {
    child: Child,
    socket: PathBuf,
    control: PathBuf,
    /// What it has said so far.
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Devices {
    /// Starts a process for each of these words, and waits until QEMU can be started.
    ///
    /// # Errors
    ///
    /// Fails with what a process says that cannot be such a device.
    pub fn start(program: Option<&Path>, own: &[String]) -> Result<Self> {
        if own.is_empty() {
            return Ok(Self::default());
        }
        // QEMU's other half of another protocol is another device, and the lines have their socket.
        let mut words = own.iter().flat_map(|words| words.split(','));
        if let Some(word) =
            words.find(|word| word.starts_with("protocol=") || word.starts_with("control="))
        {
            return fail(format_args!(
                "'{word}' is for a guest that somebody else starts: ./run.sh device --help"
            ));
        }
        let Some(program) = program else {
            return fail("the device of our own is not built: './run.sh device --build' does it");
        };
        // One process may have several runs at a time.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = scratch(&format!("devices-{run}"))?;
        let mut devices = Self {
            processes: Vec::new(),
            folder: Some(folder.clone()),
        };
        for (number, words) in own.iter().enumerate() {
            let socket = folder.join(format!("{number}"));
            let control = folder.join(format!("{number}.control"));
            let process = Process::start(program, words, socket, control)?;
            devices.processes.push(process);
        }
        for process in &mut devices.processes {
            process.wait_for_socket()?;
        }
        Ok(devices)
    }

    /// Returns the sockets, in the order of the words.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let processes = self.processes.iter();
        processes.map(|process| process.socket.clone()).collect()
    }

    /// Hears a line of the guest. `to device N COMMAND` is a command for one of them.
    pub fn hear(&self, line: &str) {
        // A test's name may stand in front of it.
        let Some((_, rest)) = line.split_once(TO_DEVICE) else {
            return;
        };
        let Some((number, command)) = rest.split_once(' ') else {
            return say(format_args!("'{line}': {TO_DEVICE}NUMBER COMMAND"));
        };
        let process = number
            .parse()
            .ok()
            .and_then(|index: usize| self.processes.get(index));
        match process.map(|process| process.tell(command)) {
            Some(Ok(())) => {}
            Some(Err(error)) => say(format_args!("device {number}: {error}")),
            None => say(format_args!("device {number}: there is none")),
        }
    }

    /// Waits for their end, makes it come where it does not, and returns what they said.
    pub fn end(mut self) -> String {
        let processes = self.processes.iter_mut();
        processes.map(Process::end).collect()
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        for process in &mut self.processes {
            process.kill();
        }
        if let Some(folder) = &self.folder {
            // It lies where files do not stay.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl Process {
    fn start(program: &Path, words: &str, socket: PathBuf, control: PathBuf) -> Result<Self> {
        let mut command = match files::program("setpriv") {
            // Ends it with this process, however that ends.
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .arg(&socket)
            .args(words.split(',').filter(|word| !word.is_empty()));
        command.arg(format!("control={}", control.display()));
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let said = Arc::<Mutex<String>>::default();
        let readers = [
            child.stdout.take().map(|pipe| collect(pipe, said.clone())),
            child.stderr.take().map(|pipe| collect(pipe, said.clone())),
        ];
        Ok(Self {
            child,
            socket,
            control,
            said,
            readers: readers.into_iter().flatten().collect(),
        })
    }

    fn wait_for_socket(&mut self) -> Result {
        let start = Instant::now();
        while !self.socket.exists() {
            if let Some(status) = self.child.try_wait()? {
                let said = self.end();
                let line = said.lines().last().unwrap_or("it says nothing");
                return fail(format_args!(
                    "a device of our own ended with {status}: {line}"
                ));
            }
            if start.elapsed() > START {
                return fail("a device of our own makes no socket");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends a command and waits for the answer.
    fn tell(&self, command: &str) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.control)?;
        stream.set_read_timeout(Some(ANSWER))?;
        writeln!(stream, "{command}")?;
        let mut answer = String::new();
        // One that dies of it answers nothing.
        BufReader::new(stream).read_line(&mut answer)?;
        match answer.trim_end() {
            "ok" | "" => Ok(()),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    fn end(&mut self) -> String {
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < END {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        for reader in self.readers.drain(..) {
            // It has taken all that there was.
            let _ = reader.join();
        }
        let said = self.said.lock();
        said.map_or_else(|_| String::new(), |said| said.clone())
    }

    fn kill(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes lines in a thread of its own.
fn collect(pipe: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(io::Result::ok) {
            if let Ok(mut said) = said.lock() {
                said.push_str(&line);
                said.push('\n');
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::report::Failure;

    /// Makes a program that stands in for a device.
    fn stand_in(name: &str, script: &str) -> PathBuf {
        let path = scratch(name).unwrap().join("device");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn failure(program: Option<&Path>) -> String {
        let started = Devices::start(program, &["queues=2".to_owned()]);
        match started {
            Err(Failure::Because(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_device_says_that_does_not_start_is_told() {
        let program = stand_in("own-refuses", "echo $2: no such word >&2; exit 1");
        let reason = failure(Some(&program));
        assert!(
            reason.ends_with("exit status: 1: queues=2: no such word"),
            "{reason}"
        );
        assert!(failure(None).contains("not built"));
    }

    #[test]
    fn words_for_another_guest_are_refused() {
        for word in ["protocol=vhost-user", "control=/dev/null"] {
            let own = ["queues=2".to_owned(), format!("packed=on,{word}")];
            match Devices::start(None, &own) {
                Err(Failure::Because(reason)) => assert!(reason.contains(word), "{reason}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let program = stand_in("own-hangs", "touch $1; echo here; exec sleep 1000");
        let devices = Devices::start(Some(&program), &[String::new(), String::new()]).unwrap();
        assert_eq!(devices.sockets().len(), 2);
        let start = Instant::now();
        devices.hear("test a ... to device 1 ready 0");
        devices.hear("to device 7 ready 0");
        assert_eq!(devices.end(), "here\nhere\n");
        assert!(start.elapsed() < 3 * END);
    }
}
