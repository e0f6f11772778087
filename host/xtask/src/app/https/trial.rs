//! A server for the tests and for measuring: on a free port, with a certificate of its own.
//!
//! The rule: each has its own port and folder, so several may run at a time.

use std::path::PathBuf;

use super::{
    authority::{self, Identity},
    clients::Clients,
    server::{Disk, Plan, Server, free_port},
};
use crate::{
    app::{folder::Folder, program::Program},
    boot::machine::Variables,
    child::{self, Show},
    project::Project,
    report::{Result, fail},
};

/// What a server of the tests is given, beside its certificate.
#[derive(Clone, Debug)]
pub struct Given {
    /// Words of its machine.
    pub machine: String,
    /// Words of the guest's command line.
    pub words: String,
    pub variables: Variables,
    /// The certificate's key.
    pub key_kind: &'static str,
    pub disk: Option<Disk>,
}

impl Given {
    /// A machine and words, with an RSA key and no disk.
    pub fn new(project: &Project, machine: &str, words: &str) -> Self {
        Self {
            machine: machine.to_owned(),
            words: words.to_owned(),
            variables: Variables::read(project),
            key_kind: authority::RSA,
            disk: None,
        }
    }
}

/// A server, and all that its clients need.
#[derive(Debug)]
pub struct Trial<'a> {
    project: &'a Project,
    // Ended before its folder goes.
    server: Server,
    identity: Identity,
    stranger: Identity,
    folder: Folder,
}

impl<'a> Trial<'a> {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it does not listen.
    pub fn start(project: &'a Project, program: &Program, given: Given) -> Result<Self> {
        let folder = Folder::new("https")?;
        let of_stranger = folder.path("stranger");
        std::fs::create_dir(&of_stranger)?;
        let stranger = authority::make(project, &of_stranger, authority::RSA)?;
        let identity = authority::make(project, folder.root(), given.key_kind)?;
        let plan = Plan {
            port: free_port()?,
            identity: identity.clone(),
            disk: given.disk,
            words: given.words,
            machine: given.machine,
            variables: given.variables,
            folder: folder.root().to_owned(),
            show: Show::Nothing,
        };
        Ok(Self {
            project,
            server: Server::start(program, plan)?,
            identity,
            stranger,
            folder,
        })
    }

    /// Returns those who talk to it.
    pub fn clients(&self) -> Clients<'_> {
        Clients {
            project: self.project,
            server: &self.server,
            identity: &self.identity,
            stranger: &self.stranger,
        }
    }

    /// Returns a path inside of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Returns the hash of its certificate's key, as browsers take it.
    ///
    /// # Errors
    ///
    /// Fails with what openssl says.
    pub fn key_hash(&self) -> Result<String> {
        const PIPE: &str = "openssl x509 -pubkey -noout -in \"$1\" | openssl pkey -pubin \
            -outform der | openssl dgst -sha256 -binary | openssl base64";
        let mut shell = self.project.host("sh");
        shell
            .args(["-c", PIPE, "sh"])
            .arg(&self.identity.certificate);
        let ended = child::capture(&mut shell)?;
        match ended.status {
            0 => Ok(ended.output.trim().to_owned()),
            _ => fail(ended.output),
        }
    }

    /// Returns the threads of this host that are its virtual CPUs.
    ///
    /// # Errors
    ///
    /// Fails where QEMU does not say.
    pub fn vcpu_threads(&self) -> Result<Vec<u32>> {
        let answer = self.server.monitor().ask("query-cpus-fast", "{}")?;
        // Each CPU's properties hold a number of that name, too, which is its place in a core.
        let ids = answer.split("{\"thread-id\": ").skip(1);
        let digits = ids.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        Ok(digits.filter_map(|id| id?.parse().ok()).collect())
    }

    /// Presses its power button; returns what it printed.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it did not end in order.
    pub fn power_down(self) -> Result<String> {
        self.server.power_down()
    }
}
