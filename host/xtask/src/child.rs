//! Programs that this tool starts, and what they print.
//!
//! For every room. The rule: nothing that is started outlives this tool, and nothing is silent for
//! long: where a program says nothing for a while, a line tells that it is still at work.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    files::program,
    report::{Failure, Result, say},
};

/// How long a program may be silent until this tool says that it is still at work.
pub const SILENCE: Duration = Duration::from_secs(10);

/// How a program ended, and what it printed.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; 128 and the signal's number when one ended it.
    pub status: i32,
    /// What it printed, both streams as they came.
    pub output: String,
}

/// Returns an exit status as a shell counts it.
fn status_number(status: ExitStatus) -> i32 {
    let signal = status.signal().unwrap_or(0);
    status.code().unwrap_or(128 + signal)
}

/// Tells how a command could not be started.
fn not_started(command: &Command, error: &io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    Failure::Because(format!("{program}: {error}"))
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .map_err(|error| not_started(command, &error))
}

/// Runs a command that speaks for itself.
///
/// # Errors
///
/// Fails with its status, as it has said why.
pub fn run(command: &mut Command) -> Result {
    let status = spawn(command)?.wait()?;
    match status_number(status) {
        0 => Ok(()),
        status => Err(Failure::Told(u8::try_from(status).unwrap_or(1))),
    }
}

/// Starts a command with both of its streams in one pipe.
fn spawn_merged(command: &mut Command) -> Result<(Child, io::PipeReader)> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = spawn(command)?;
    // The command keeps the pipe's other end open otherwise.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((child, reader))
}

/// Runs a command and returns what it printed.
///
/// # Errors
///
/// Fails when it cannot be started.
pub fn capture(command: &mut Command) -> Result<Ended> {
    let (mut child, mut reader) = spawn_merged(command)?;
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = status_number(child.wait()?);
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { status, output })
}

/// Runs a command, has what it prints shown as it comes, and returns it.
///
/// # Errors
///
/// Fails when it cannot be started, or when it cannot be shown.
pub fn tee(
    command: &mut Command,
    what: &str,
    show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Ended> {
    capture_chunks(command, what, show)
}

/// Runs a command that takes long and says nothing of use, and returns what it printed.
///
/// # Errors
///
/// Fails when it cannot be started.
pub fn watch(command: &mut Command, what: &str) -> Result<Ended> {
    capture_chunks(command, what, |_| Ok(()))
}

fn capture_chunks(
    command: &mut Command,
    what: &str,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Ended> {
    let (mut child, reader) = spawn_merged(command)?;
    let mut output = Vec::new();
    each_chunk(&chunks(reader), what, |chunk| {
        output.extend_from_slice(chunk);
        show(chunk)
    })?;
    let status = status_number(child.wait()?);
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { status, output })
}

/// Runs a build by cargo and shows what it compiles; `what` names it.
///
/// # Errors
///
/// Fails with cargo's status, as it has said why.
pub fn build(command: &mut Command, what: &str) -> Result {
    build_showing(command, what, |bytes| io::stderr().write_all(bytes))
}

/// The same, with somebody else who shows it.
///
/// # Errors
///
/// Fails with cargo's status, as it has said why, or when it cannot be shown.
pub fn build_showing(
    command: &mut Command,
    what: &str,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result {
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let (mut child, reader) = spawn_merged(command)?;
    let mut line = Vec::new();
    each_chunk(&chunks(reader), what, |chunk| {
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                if !is_only_the_end_of_a_build(&line) {
                    show(&line)?;
                }
                line.clear();
            }
        }
        Ok(())
    })?;
    show(&line)?;
    match status_number(child.wait()?) {
        0 => Ok(()),
        status => Err(Failure::Told(u8::try_from(status).unwrap_or(1))),
    }
}

/// Tells lines of cargo that come even when there was nothing to build.
fn is_only_the_end_of_a_build(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    // A colour may stand in front of the first word, and behind it.
    let mut words = line.split_whitespace().take(2);
    words.any(|word| word.starts_with("Finished") || word.starts_with("Executable"))
}

/// Reads a pipe in a thread of its own.
fn chunks(mut reader: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn each_chunk(
    chunks: &Receiver<Vec<u8>>,
    what: &str,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut since = Instant::now();
    loop {
        match chunks.recv_timeout(SILENCE) {
            Ok(chunk) => {
                take(&chunk)?;
                since = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => say(format_args!(
                "{what}: still at work, nothing said for {} s",
                since.elapsed().as_secs()
            )),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Shows bytes on standard output.
///
/// # Errors
///
/// Fails when nobody reads them.
pub fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// How a run in QEMU ended.
#[derive(Debug, Default)]
pub struct Run {
    /// The exit status: QEMU's, or 124 or 137 when its time was over.
    pub status: i32,
    /// What the guest printed, without carriage returns.
    pub guest: String,
    /// What QEMU printed.
    pub qemu: String,
}

/// Which of what a run prints is shown while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What the guest prints, and QEMU.
    All,
    /// Nothing but that it is still at work.
    Nothing,
}

/// Runs QEMU for so long at most. `listen` hears what the guest prints as it comes.
///
/// # Errors
///
/// Fails when it cannot be started, or when nobody reads what is shown.
pub fn run_qemu(
    qemu: &[String],
    timeout_s: u32,
    show: Show,
    mut listen: impl FnMut(&[u8]),
) -> Result<Run> {
    let mut words: Vec<&str> = Vec::new();
    // Ends QEMU with this process, however that ends. `timeout` stays in the process group, so that
    // a terminal's interrupt reaches QEMU, too.
    if program("setpriv").is_some() {
        words.extend(["setpriv", "--pdeathsig", "TERM"]);
    }
    let limit = timeout_s.to_string();
    words.extend(["timeout", "--foreground", "-k", "5", &limit]);
    words.extend(qemu.iter().map(String::as_str));
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Failure::Because("QEMU's output is lost".to_owned()));
    };
    let screen = Arc::<Mutex<Screen>>::default();
    let of_messages = screen.clone();
    let messages = thread::spawn(move || take_messages(stderr, show, &of_messages));
    let guest = match show {
        Show::All => show_guest(stdout, &screen, &mut listen),
        Show::Nothing => take_guest(stdout, &mut listen),
    };
    if guest.is_err() {
        child.kill()?;
    }
    let status = status_number(child.wait()?);
    let qemu = messages.join().unwrap_or_default();
    to_stdout(&lock(&screen).end())?;
    let guest = String::from_utf8_lossy(&guest?).replace('\r', "");
    Ok(Run {
        status,
        guest,
        qemu,
    })
}

/// What is shown of a run: QEMU's lines stand between the guest's, never within one.
#[derive(Debug, Default)]
struct Screen {
    is_within_line: bool,
    /// QEMU's lines that came meanwhile.
    held: Vec<u8>,
}

impl Screen {
    /// Returns what is to be shown now that the guest has printed this.
    fn guest(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            shown.extend_from_slice(piece);
            self.is_within_line = !piece.ends_with(b"\n");
            if !self.is_within_line {
                shown.append(&mut self.held);
            }
        }
        shown
    }

    /// Returns what is to be shown now that QEMU has printed this line.
    fn qemu(&mut self, line: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(line);
        if self.is_within_line {
            return Vec::new();
        }
        std::mem::take(&mut self.held)
    }

    /// Returns what is left to show when both have ended.
    fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn show_guest(
    mut stdout: impl Read,
    screen: &Mutex<Screen>,
    listen: &mut impl FnMut(&[u8]),
) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stdout.read(&mut buffer)? {
            0 => return Ok(all),
            len => {
                all.extend_from_slice(&buffer[..len]);
                {
                    let mut screen = lock(screen);
                    to_stdout(&screen.guest(&buffer[..len]))?;
                }
                listen(&buffer[..len]);
            }
        }
    }
}

fn take_guest(
    stdout: impl Read + Send + 'static,
    listen: &mut impl FnMut(&[u8]),
) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    each_chunk(&chunks(stdout), "the guest", |chunk| {
        all.extend_from_slice(chunk);
        listen(chunk);
        Ok(())
    })?;
    Ok(all)
}

/// Takes QEMU's own messages. Shown are all but one that it has of every signature that is wrong on
/// purpose.
fn take_messages(stderr: impl Read, show: Show, screen: &Mutex<Screen>) -> String {
    let mut all = String::new();
    let lines = BufReader::new(stderr).split(b'\n');
    for line in lines.map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line) + "\n";
        // Whether somebody reads it is noticed where the guest's lines are shown.
        if show == Show::All && !line.contains("Failed to verify signature") {
            let mut screen = lock(screen);
            let _ = to_stdout(&screen.qemu(line.as_bytes()));
        }
        all.push_str(&line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn run_tells_guest_and_qemu_apart() {
        for show in [Show::All, Show::Nothing] {
            let mut heard = Vec::new();
            let script = shell("echo guest; echo qemu >&2; exit 33");
            let run = run_qemu(&script, 10, show, |chunk| heard.extend_from_slice(chunk));
            let run = run.unwrap();
            assert_eq!(
                (run.status, &*run.guest, &*run.qemu),
                (33, "guest\n", "qemu\n")
            );
            assert_eq!(heard, b"guest\n");
        }
    }

    #[test]
    fn qemu_speaks_between_the_guests_lines() {
        let mut screen = Screen::default();
        let mut all = screen.guest(b"a\nb");
        all.extend(screen.qemu(b"q\n"));
        all.extend(screen.guest(b"c\nd\ne"));
        all.extend(screen.qemu(b"r\n"));
        all.extend(screen.end());
        assert_eq!(String::from_utf8(all).unwrap(), "a\nbc\nq\nd\ner\n");
    }

    #[test]
    fn run_ends_when_its_time_is_over() {
        let start = Instant::now();
        let run = run_qemu(&shell("exec sleep 30"), 1, Show::All, |_| {}).unwrap();
        assert_eq!(run.status, 124);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn run_that_a_signal_ended_counts_as_a_shell_counts_it() {
        let run = run_qemu(&shell("kill -9 $$"), 10, Show::All, |_| {});
        assert_eq!(run.unwrap().status, 137);
    }

    #[test]
    fn captured_output_holds_both_streams() {
        let ended = capture(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]));
        let ended = ended.unwrap();
        assert_eq!((ended.status, &*ended.output), (3, "a\nb\n"));
    }

    #[test]
    fn ends_of_builds_are_known() {
        let finished = b"\x1b[1m\x1b[92m    Finished\x1b[0m `dev` profile\n";
        assert!(is_only_the_end_of_a_build(finished));
        assert!(is_only_the_end_of_a_build(b"  Executable tests/a.rs (x)\n"));
        assert!(!is_only_the_end_of_a_build(b"   Compiling kernel v0.1.0\n"));
        assert!(!is_only_the_end_of_a_build(b"warning: unused\n"));
    }
}
