//! A process that is a device, from its start to its end.
//!
//! For [`Devices`](super::Devices). The one rule: whatever it does, it ends when it is told to, and
//! what it has said is not lost.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    files,
    report::{Result, fail},
};

/// How long a process may take until its socket is there.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end once QEMU has.
pub const END: Duration = Duration::from_secs(5);
/// How long it may take to answer a line.
const ANSWER: Duration = Duration::from_secs(5);

/// A process that is a device.
#[derive(Debug)]
pub struct Process {
    child: Child,
    socket: PathBuf,
    control: PathBuf,
    /// What it has said so far.
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it. Its socket is there some time later.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started.
    pub fn start<'w>(
        program: &Path,
        words: impl Iterator<Item = &'w str>,
        socket: PathBuf,
        control: PathBuf,
    ) -> Result<Self> {
        let mut command = match files::program("setpriv") {
            // Ends it with this process, however that ends.
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg(&socket).args(words);
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

    /// Waits until QEMU can connect.
    ///
    /// # Errors
    ///
    /// Fails with what it says that ends instead.
    pub fn wait_for_socket(&mut self) -> Result {
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
    ///
    /// # Errors
    ///
    /// Fails with an answer that is none of success.
    pub fn tell(&self, command: &str) -> io::Result<()> {
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

    /// Waits for its end, makes it come where it does not, and returns what it said.
    pub fn end(&mut self) -> String {
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

    /// Makes it end.
    fn kill(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
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
