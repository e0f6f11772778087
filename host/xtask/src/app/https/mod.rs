//! The HTTPS unikernel's host side: certificate and key by fw_cfg, a port of this host, clients.
//!
//! For `./run.sh app https`, and for the tests. The rule: a key that is made here lies in a folder
//! that nobody else may read, and is removed with it.

mod authority;
pub mod clients;
mod look;
pub mod measure;
mod server;
mod trial;

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    app::{
        folder::Folder,
        program::{Profile, Program},
        words::existing,
    },
    boot::machine::Variables,
    child::Show,
    files::program,
    project::Project,
    report::{Result, fail, say},
    setup,
};
use authority::Identity;
use server::{Plan, Server};

pub use authority::ECDSA;
pub use server::Disk;
pub use trial::{Given, Trial};

/// The machine: two CPUs, and memory for connections.
const MACHINE: &str = "smp=2 mem=512M timeout=86400";
/// Where it is reached unless words say otherwise.
const PORT: u16 = 8443;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    port: u16,
    /// Certificate and key that somebody has.
    given: Option<(PathBuf, PathBuf)>,
    /// The disk whose files are served.
    disk: Option<Disk>,
    /// Where to put pictures of the page, instead of serving.
    look: Option<PathBuf>,
    /// The rest, for the guest.
    guest: Vec<String>,
}

impl Words {
    fn read(words: &[String]) -> Result<Self> {
        let (mut certificate, mut key) = (None, None);
        let (mut image, mut passphrase) = (None, None);
        let mut asked = Self {
            port: PORT,
            given: None,
            disk: None,
            look: None,
            guest: Vec::new(),
        };
        for word in words {
            match word.split_once('=') {
                Some(("port", value)) => match value.parse() {
                    Ok(port) if port > 0 => asked.port = port,
                    _ => return fail(format_args!("app https: '{word}': a number to 65535")),
                },
                Some(("certificate", path)) => certificate = Some(existing("https", word, path)?),
                Some(("key", path)) => key = Some(existing("https", word, path)?),
                Some(("disk", path)) => image = Some(existing("https", word, path)?),
                Some(("passphrase", path)) => passphrase = Some(existing("https", word, path)?),
                Some(("look", folder)) if !folder.is_empty() => asked.look = Some(folder.into()),
                Some((name, value)) if is_for_the_guest(name, value) => {
                    asked.guest.push(word.clone());
                }
                _ => {
                    return fail(format_args!(
                        "app https: '{word}': it takes port=N, certificate=FILE and key=FILE, \
                         disk=FILE and passphrase=FILE, look=FOLDER, sign=device|software, \
                         verify=device|off, log=on|off, sockets=N, handshake=SECONDS, \
                         silence=SECONDS, grace=SECONDS, recover=MILLISECONDS, heap=MIB, tasks=N"
                    ));
                }
            }
        }
        asked.given = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return fail("app https: certificate=FILE and key=FILE belong together"),
        };
        asked.disk = match (image, passphrase) {
            (None, None) => None,
            (Some(image), Some(passphrase)) => Some(Disk { image, passphrase }),
            _ => return fail("app https: disk=FILE and passphrase=FILE belong together"),
        };
        if asked.look.is_some() && (asked.given.is_some() || asked.disk.is_some()) {
            return fail("app https: look=FOLDER has a certificate of its own, and no disk");
        }
        Ok(asked)
    }
}

/// Whether the guest takes that word; which numbers, it says itself.
fn is_for_the_guest(name: &str, value: &str) -> bool {
    match name {
        "sign" => ["device", "software"].contains(&value),
        "verify" => ["device", "off"].contains(&value),
        "log" => ["on", "off"].contains(&value),
        "sockets" | "handshake" | "silence" | "grace" | "recover" | "heap" | "tasks" => {
            value.parse().is_ok_and(|number: u32| number > 0)
        }
        _ => false,
    }
}

/// Serves until Enter, or until it is interrupted.
///
/// # Errors
///
/// Fails with a word that it does not know, or when the run does.
pub fn run(project: &Project, words: &[String]) -> Result {
    let asked = Words::read(words)?;
    let variables = Variables::read(project);
    variables.check()?;
    if let Some(folder) = &asked.look {
        return look::run(project, folder, MACHINE, &asked.guest.join(" "));
    }
    expect_free(asked.port)?;
    let built = Program::build(project, "https", Profile::Use)?;
    let folder = Folder::new("https")?;
    let identity = match asked.given {
        Some((certificate, key)) => Identity {
            certificate,
            key,
            authority: None,
        },
        None => throw_away(project, folder.root())?,
    };
    let line = client_line(&identity, asked.port);
    let plan = Plan {
        port: asked.port,
        identity,
        disk: asked.disk,
        words: asked.guest.join(" "),
        machine: MACHINE.to_owned(),
        variables,
        folder: folder.root().to_owned(),
        show: Show::All,
    };
    let mut server = Server::start(&built, plan)?;
    say(format_args!("https: a client: {line}"));
    say("https: Enter presses the machine's power button, which ends it in order");
    let monitor = server.monitor();
    thread::spawn(move || {
        // Where nobody can press Enter it goes on.
        if matches!(io::stdin().read_line(&mut String::new()), Ok(len) if len > 0) {
            let _ = monitor.execute("system_powerdown", "{}");
        }
    });
    server.join().map(drop)
}

/// Fails where this host's port cannot be had, before anything is built.
fn expect_free(port: u16) -> Result {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => fail(format_args!(
            "app https: port={port}: {error}; port=N takes another one"
        )),
    }
}

/// Makes an authority for one run.
fn throw_away(project: &Project, folder: &Path) -> Result<Identity> {
    if program("openssl").is_none() {
        setup::install(project, "no openssl to make a certificate", &["openssl"])?;
    }
    authority::make(project, folder, authority::RSA)
}

/// Returns the line by which a client reaches the server.
fn client_line(identity: &Identity, port: u16) -> String {
    match &identity.authority {
        Some(authority) => format!(
            "curl --cacert {} https://localhost:{port}/status",
            crate::report::quote(&authority.display().to_string())
        ),
        None => format!(
            "curl [--cacert AUTHORITY] --resolve NAME:{port}:127.0.0.1 https://NAME:{port}/status"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    fn read(words: &str) -> std::result::Result<Words, String> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        Words::read(&words).map_err(|failure| match failure {
            Failure::Because(reason) => reason,
            told => panic!("{told:?}"),
        })
    }

    #[test]
    fn words_are_for_the_host_or_the_guest() {
        let asked = read("port=9000 sign=software sockets=8").unwrap();
        assert_eq!((asked.port, asked.given), (9000, None));
        assert_eq!(asked.guest, ["sign=software", "sockets=8"]);
        assert_eq!(read("").unwrap().port, PORT);
    }

    #[test]
    fn port_that_is_taken_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = expect_free(port).unwrap_err().reason().to_owned();
        assert!(refused.contains("port=N takes another one"), "{refused}");
        drop(taken);
        expect_free(port).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (words, reason) in [
            ("port=0", "'port=0': a number"),
            ("port=70000", "'port=70000': a number"),
            ("x", "'x': it takes"),
            ("sign=x", "'sign=x': it takes"),
            ("sockets=0", "'sockets=0': it takes"),
            ("silence=x", "'silence=x': it takes"),
            ("verify=on", "'verify=on': it takes"),
            ("key=/etc/hostname", "belong together"),
            ("key=/no/such", "No such file"),
            ("key=/", "a directory"),
            ("look=x key=/etc/hostname", "belong together"),
            (
                "look=x key=/etc/hostname certificate=/etc/hostname",
                "look=FOLDER",
            ),
        ] {
            let said = read(words).unwrap_err();
            assert!(said.contains(reason), "{words}: {said}");
        }
    }
}
