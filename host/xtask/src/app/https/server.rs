//! The unikernel as a server: started, ready, ended by its power button.
//!
//! The rule: a server that is dropped is ended, and nothing waits for one that does not come up.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::authority::Identity;
use crate::{
    app::program::Program,
    boot::{self, machine::Variables, option_value, own::Monitor},
    child::{Run, SILENCE, Show},
    report::{Failure, Result, fail, say},
};

/// How long a server may take to listen.
const READY: Duration = Duration::from_secs(60);
/// The same where it opens a disk first, for a key derivation of some millions of iterations.
const READY_WITH_DISK: Duration = Duration::from_secs(1200);
/// The line by which it says so begins like this.
const LISTENING: &str = "https: listening";

/// What a server is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of this host, where it is reached.
    pub port: u16,
    pub identity: Identity,
    /// The disk whose files are served, if there is one.
    pub disk: Option<Disk>,
    /// Words of the guest's command line.
    pub words: String,
    /// Words of its machine.
    pub machine: String,
    pub variables: Variables,
    /// Where the monitor's socket is to be.
    pub folder: PathBuf,
    pub show: Show,
}

/// An image of a LUKS container, and the file that has its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub image: PathBuf,
    pub passphrase: PathBuf,
}

type Ended = Result<(Run, Option<String>)>;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    monitor: Monitor,
    run: Option<JoinHandle<Ended>>,
}

/// Returns a port of this host that nobody has at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it does not.
    pub fn start(program: &Program, plan: Plan) -> Result<Self> {
        let monitor = Monitor::at(&plan.folder.join("monitor"));
        let mut arguments = arguments(&plan);
        arguments.extend(monitor.arguments());
        let (heard, lines) = mpsc::channel();
        let (program, port, identity) = (program.clone(), plan.port, plan.identity.clone());
        let (limit, at_work) = match plan.disk {
            Some(_) => (READY_WITH_DISK, "deriving the disk's key"),
            None => (READY, "starting"),
        };
        let run = thread::spawn(move || {
            let image = program.image(&plan.words, &arguments);
            let hear = |line: &str| {
                if line.starts_with(LISTENING) {
                    // Whoever waited has given up otherwise.
                    let _ = heard.send(());
                }
            };
            boot::attend(&image, &plan.machine, &plan.variables, plan.show, hear)
        });
        let mut server = Self {
            port,
            monitor,
            run: Some(run),
        };
        let begun = Instant::now();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(()) => return identity.forget_key().map(|()| server),
                Err(RecvTimeoutError::Disconnected) => {
                    return match server.join() {
                        Err(failure) => Err(failure),
                        Ok(_) => fail("the server ended before it listened"),
                    };
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let waited_s = begun.elapsed().as_secs();
            if waited_s >= limit.as_secs() {
                return fail(format_args!(
                    "the server does not listen after {waited_s} s"
                ));
            }
            say(format_args!("https: {at_work}, for {waited_s} s by now"));
        }
    }

    /// Presses the machine's power button, and waits until the server has ended in order; returns
    /// what it printed.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it did not.
    pub fn power_down(mut self) -> Result<String> {
        self.monitor.execute("system_powerdown", "{}")?;
        self.join()
    }

    /// Waits until it ends by itself; returns what it printed.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the run failed.
    pub fn join(&mut self) -> Result<String> {
        let Some(run) = self.run.take() else {
            return fail("the server has ended before");
        };
        let ended = run.join();
        let (run, reason) = ended.unwrap_or_else(|_| fail("the server's thread panicked"))?;
        match reason {
            None => Ok(run.guest),
            Some(reason) => Err(Failure::Because(format!("{reason}\n{}", run.guest))),
        }
    }

    /// Returns what presses its power button.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            // One that has ended has no monitor.
            let _ = self.monitor.execute("quit", "{}");
            let _ = run.join();
        }
    }
}

fn arguments(plan: &Plan) -> Vec<String> {
    let port = plan.port;
    let file = |name: &str, path: &Path| {
        let path = option_value(path);
        let file = format!("name=opt/https/{name},file={path}");
        ["-fw_cfg".to_owned(), file]
    };
    let network = [
        "-netdev".to_owned(),
        format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:443"),
        "-device".to_owned(),
        // Nothing is booted from the network.
        "virtio-net-pci,netdev=net,disable-legacy=on,romfile=".to_owned(),
    ];
    let key = file("key", &plan.identity.key);
    let certificate = file("certificate", &plan.identity.certificate);
    let mut arguments = [&key[..], &certificate, &network].concat();
    if let Some(disk) = &plan.disk {
        let image = option_value(&disk.image);
        arguments.extend([
            "-drive".to_owned(),
            format!("if=none,id=files,format=raw,readonly=on,file={image}"),
            "-device".to_owned(),
            "virtio-blk-pci,drive=files".to_owned(),
        ]);
        arguments.extend(file("passphrase", &disk.passphrase));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_free() {
        let port = free_port().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
