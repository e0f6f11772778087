//! What every client needs: the server's address, its authority, a time limit.
//!
//! The rule: no client runs for longer than its limit, whatever the server does.

use std::{net::TcpStream, process::Command, time::Duration};

use crate::{
    app::https::{authority::Identity, server::Server},
    child,
    project::Project,
};

/// What a check comes to.
pub type Verdict = Result<(), String>;

/// Those who talk to one server.
#[derive(Debug)]
pub struct Clients<'a> {
    pub project: &'a Project,
    pub server: &'a Server,
    pub identity: &'a Identity,
    /// Another authority, which has signed nothing here.
    pub stranger: &'a Identity,
}

/// How long a client may take.
const LIMIT_S: u32 = 30;

impl Clients<'_> {
    /// Returns where a page is.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.port)
    }

    pub(super) fn authority(&self) -> String {
        let path = self.identity.authority.as_ref();
        path.map_or(String::new(), |path| path.display().to_string())
    }

    pub(super) fn run(&self, command: &mut Command) -> Result<child::Ended, String> {
        child::capture(command).map_err(|failure| format!("{failure:?}"))
    }

    /// Runs a program within a time limit.
    pub(super) fn limited(&self, program: &str) -> Command {
        self.limited_beyond(0, program)
    }

    /// Runs a program that is busy for so long, and within the limit beyond that.
    fn limited_beyond(&self, busy_s: u32, program: &str) -> Command {
        let mut command = self.project.host("timeout");
        command.arg((busy_s + LIMIT_S).to_string()).arg(program);
        command
    }

    /// Runs curl, which believes the server's authority; returns its status and what it printed.
    pub(super) fn curl(&self, words: &[&str], path: &str) -> Result<child::Ended, String> {
        let mut curl = self.limited("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            &LIMIT_S.to_string(),
        ]);
        curl.args(["--cacert", &self.authority()]);
        self.run(curl.args(words).arg(self.url(path)))
    }

    /// Returns what curl says of an answer: its status as three digits, and nothing of its body.
    pub(super) fn status(&self, words: &[&str], path: &str) -> Result<child::Ended, String> {
        let status_alone = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        self.curl(&[&status_alone[..], words].concat(), path)
    }

    /// Runs `openssl s_client`, which says nothing to the server.
    pub(super) fn s_client(&self, words: &[&str]) -> Result<child::Ended, String> {
        let mut openssl = self.limited("openssl");
        openssl.args([
            "s_client",
            "-servername",
            "localhost",
            "-verify_return_error",
        ]);
        openssl.args(["-CAfile", &self.authority(), "-connect"]);
        openssl.arg(format!("127.0.0.1:{}", self.server.port));
        self.run(openssl.args(words))
    }

    /// Runs lines of Python that know `port` and `authority`, and are busy for so long.
    pub(super) fn python(
        &self,
        busy_s: u32,
        script: &str,
        words: &[&str],
    ) -> Result<child::Ended, String> {
        let mut python = self.limited_beyond(busy_s, "python3");
        python.args(["-c", script, &self.server.port.to_string()]);
        self.run(python.arg(self.authority()).args(words))
    }

    pub(super) fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.server.port));
        let stream = stream.map_err(|error| error.to_string())?;
        let limit = stream.set_read_timeout(Some(Duration::from_secs(LIMIT_S.into())));
        limit.map_err(|error| error.to_string())?;
        Ok(stream)
    }

    /// Returns a figure of `/metrics`.
    ///
    /// # Errors
    ///
    /// Fails where there is none.
    pub fn metric(&self, name: &str) -> Result<f64, String> {
        let ended = self.curl(&[], "/metrics")?;
        let mut lines = ended.output.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(own, _)| *own == name);
        let value = found.and_then(|(_, value)| value.trim().parse().ok());
        value.ok_or_else(|| format!("expected: {name} in /metrics\ngot: {}", ended.output))
    }
}

/// Fails unless `is_right`, with what was expected and what came.
pub(super) fn expect(is_right: bool, expected: &str, got: &child::Ended) -> Verdict {
    if is_right {
        return Ok(());
    }
    let child::Ended { status, output } = got;
    Err(format!(
        "expected: {expected}\ngot: status {status} and\n{output}"
    ))
}
