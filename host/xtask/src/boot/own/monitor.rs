//! QEMU's monitor: by it devices leave and come while the guest runs.
//!
//! For [`Devices`](super::Devices). The one rule: a command has its answer before anything else is
//! done.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long QEMU may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Where QEMU listens.
#[derive(Clone, Debug)]
pub struct Monitor(PathBuf);

impl Monitor {
    /// Makes the monitor of a QEMU that is to listen at this socket.
    pub fn at(socket: &Path) -> Self {
        Self(socket.to_owned())
    }

    /// Returns the arguments that make QEMU listen.
    pub fn arguments(&self) -> [String; 2] {
        let socket = self.0.display();
        let server = format!("unix:{socket},server=on,wait=off");
        ["-qmp".to_owned(), server]
    }

    /// Has QEMU do something; `arguments` are a JSON object.
    ///
    /// # Errors
    ///
    /// Fails with QEMU's answer if that is none of success.
    pub fn execute(&self, command: &str, arguments: &str) -> io::Result<()> {
        self.ask(command, arguments).map(drop)
    }

    /// Has QEMU do something likewise, and returns its answer: a JSON object.
    ///
    /// # Errors
    ///
    /// Fails with QEMU's answer if that is none of success.
    pub fn ask(&self, command: &str, arguments: &str) -> io::Result<String> {
        let mut stream = BufReader::new(UnixStream::connect(&self.0)?);
        stream.get_ref().set_read_timeout(Some(ANSWER))?;
        // What QEMU says of itself.
        stream.read_line(&mut String::new())?;
        exchange(&mut stream, "qmp_capabilities", "{}")?;
        exchange(&mut stream, command, arguments)
    }
}

fn exchange(
    stream: &mut BufReader<UnixStream>,
    command: &str,
    arguments: &str,
) -> io::Result<String> {
    let line = format!(r#"{{"execute":"{command}","arguments":{arguments}}}"#);
    writeln!(stream.get_ref(), "{line}")?;
    loop {
        let mut answer = String::new();
        if stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Each answer is an object of one member in a line of its own; events have more.
        if answer.starts_with(r#"{"return""#) {
            return Ok(answer);
        }
        if answer.starts_with(r#"{"error""#) {
            return Err(io::Error::other(format!(
                "{command}: {}",
                answer.trim_end()
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, thread};

    use super::*;
    use crate::files::scratch;

    /// Stands in for QEMU: answers each line with the next of these.
    fn answering(name: &str, answers: &'static [&str]) -> Monitor {
        let folder = scratch(name).unwrap();
        let socket = folder.join("monitor");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            writeln!(&stream, r#"{{"QMP": {{}}}}"#).unwrap();
            let lines = BufReader::new(&stream).lines();
            for (line, answer) in lines.zip(answers) {
                assert!(line.unwrap().starts_with(r#"{"execute":""#));
                writeln!(&stream, "{answer}").unwrap();
            }
            fs::remove_dir_all(folder).unwrap();
        });
        Monitor::at(&socket)
    }

    #[test]
    fn events_are_no_answers() {
        let answers = &[
            r#"{"return": {}}"#,
            "{\"timestamp\": {}, \"event\": \"X\"}\n{\"return\": {}}",
        ];
        let monitor = answering("monitor-events", answers);
        monitor.execute("device_del", r#"{"id":"a"}"#).unwrap();
    }

    #[test]
    fn what_qemu_refuses_is_told() {
        let answers = &[r#"{"return": {}}"#, r#"{"error": {"desc": "no such"}}"#];
        let refused = answering("monitor-refuses", answers).execute("device_del", "{}");
        let reason = refused.unwrap_err().to_string();
        assert_eq!(reason, r#"device_del: {"error": {"desc": "no such"}}"#);
        let gone = answering("monitor-ends", &[r#"{"return": {}}"#]).execute("x", "{}");
        assert!(gone.is_err());
    }
}
