//! The HTTPS unikernel in QEMU, used as somebody would use it.
//!
//! The rule: a server is booted once, and each of its clients is a test. What needs another machine
//! has a server of its own.

use std::fs;

use super::part::Part;
use crate::{
    app::{
        folder::Folder,
        https::{
            Disk, ECDSA, Given, Trial,
            clients::{CHECKS, Verdict, at_once, ecdsa_alone, files, reads_no_more, tls_1_3},
        },
        luks::images::{Container, Format},
        program::{Profile, Program},
    },
    boot::{machine::Variables, own},
    child,
    files::program,
    project::Project,
    qemu,
    report::{Failure, Result, fail},
};

/// The machine of the tests' servers.
const SERVER: &str = "smp=2 mem=256M";
/// The same, with the project's own device.
const WITH_OWN: &str = "smp=2 mem=256M own=";
/// One whose heap has room for fewer than 96 connections.
const SMALL: &str = "smp=2 mem=64M";
/// What clients need.
const PROGRAMS: [&str; 3] = ["openssl", "curl", "python3"];

/// It ends in order, though a client keeps its connection.
const IN_ORDER: &str = "https_ends_in_order";

/// A test with a server of its own.
struct Alone {
    test: &'static str,
    needs: Needs,
    run: fn(&Rig) -> Result,
}

/// What such a test needs beside clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A QEMU of which the project's own device is one, and which has no RSA itself.
    NewQemu,
    ImageTools,
}

const ALONE: &[Alone] = &[
    Alone {
        test: "https_device_is_recovered_while_serving",
        needs: Needs::Nothing,
        run: |rig| {
            let trial = rig.start(rig.given(SERVER, "recover=300"))?;
            told(at_once(&trial.clients(), 16, 12))?;
            ends_in_order(trial)
        },
    },
    Alone {
        test: "https_client_that_does_not_read_is_cut_off_at_the_end",
        needs: Needs::Nothing,
        run: |rig| {
            let trial = rig.start(rig.given(SERVER, "grace=2"))?;
            told(reads_no_more(&trial.clients()))?;
            ends_with(trial, &["https: 1 connections were cut off", PASS])
        },
    },
    Alone {
        test: "https_small_machine_has_fewer_places",
        needs: Needs::Nothing,
        run: |rig| {
            let trial = rig.start(rig.given(SMALL, ""))?;
            told(at_once(&trial.clients(), 24, 2))?;
            ends_in_order(trial)?;
            refuses(rig.start(rig.given(SMALL, "sockets=96")), "fewer sockets=")
        },
    },
    Alone {
        test: "https_files_of_an_encrypted_disk",
        needs: Needs::ImageTools,
        run: |rig| {
            let archive = rig.archive()?;
            let container = Container::with(Format::Luks1, archive)?;
            let mut given = rig.given(SERVER, "");
            given.disk = Some(Disk {
                image: container.image(),
                passphrase: container.passphrase(),
            });
            let trial = rig.start(given)?;
            told(files(&trial.clients(), FILE, &content()))?;
            ends_in_order(trial)
        },
    },
    Alone {
        test: "https_tls_1_3_by_pss_on_our_device",
        needs: Needs::NewQemu,
        run: |rig| {
            let trial = rig.start(rig.given(WITH_OWN, ""))?;
            told(tls_1_3(&trial.clients()))?;
            ends_in_order(trial)
        },
    },
    Alone {
        test: "https_ecdsa_on_our_device",
        needs: Needs::NewQemu,
        run: |rig| {
            let mut given = rig.given(WITH_OWN, "");
            given.key_kind = ECDSA;
            let trial = rig.start(given)?;
            told(tls_1_3(&trial.clients()))?;
            told(ecdsa_alone(&trial.clients()))?;
            ends_in_order(trial)
        },
    },
    Alone {
        test: "https_device_without_rsa_is_told",
        needs: Needs::NewQemu,
        run: |rig| refuses(rig.start(rig.given(SERVER, "")), "sign=software"),
    },
];

/// A server does not start, with a line that names what to do.
fn refuses(started: Result<Trial>, word: &str) -> Result {
    match started {
        Ok(_) => fail("expected: a refusal\ngot: a server that listens"),
        Err(failure) if failure.reason().contains(word) => Ok(()),
        Err(failure) => fail(format_args!(
            "expected: a line that names {word}\ngot: {}",
            failure.reason()
        )),
    }
}

/// A file of the archive, and what is in it.
const FILE: &str = "some/file.bin";

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i % 241) as u8).collect()
}

/// The program of the tests, and the machine's variables.
struct Rig<'a> {
    project: &'a Project,
    program: &'a Program,
    variables: Variables,
}

impl<'a> Rig<'a> {
    fn given(&self, machine: &str, words: &str) -> Given {
        Given {
            variables: self.variables.clone(),
            ..Given::new(self.project, machine, words)
        }
    }

    fn start(&self, given: Given) -> Result<Trial<'a>> {
        Trial::start(self.project, self.program, given)
    }

    /// Makes a tar archive with one file.
    fn archive(&self) -> Result<Vec<u8>> {
        let folder = Folder::new("archive")?;
        fs::create_dir(folder.path("some"))?;
        fs::write(folder.path(FILE), content())?;
        let mut tar = self.project.host("tar");
        tar.arg("-C").arg(folder.root()).args(["-cf"]);
        tar.arg(folder.path("archive.tar")).arg("some");
        let ended = child::capture(&mut tar)?;
        if ended.status != 0 {
            return fail(ended.output);
        }
        let mut archive = fs::read(folder.path("archive.tar"))?;
        archive.resize(archive.len().next_multiple_of(1 << 20), 0);
        Ok(archive)
    }
}

pub fn run(part: &mut Part) -> Result {
    let of_clients = CHECKS.iter().map(|check| check.test).chain([IN_ORDER]);
    let all: Vec<_> = of_clients
        .chain(ALONE.iter().map(|alone| alone.test))
        .collect();
    let Some(wanted) = part.begin_with(&all, |test| test) else {
        return Ok(());
    };
    if PROGRAMS.iter().any(|name| program(name).is_none()) {
        wanted.iter().for_each(|test| part.leave_out(test));
        return Ok(());
    }
    let is_wanted = |test: &str| wanted.iter().any(|wanted| **wanted == test);
    let program = Program::build(part.project, "https", Profile::Tests)?;
    let is_of_clients = |test: &&&&str| !ALONE.iter().any(|alone| alone.test == ***test);
    if wanted.iter().any(|test| is_of_clients(&test)) {
        serve(part, &program, is_wanted);
    }
    for alone in ALONE.iter().filter(|alone| is_wanted(alone.test)) {
        run_alone(part, &program, alone)?;
    }
    Ok(())
}

/// Boots one server, lets its clients come one after the other, and ends it.
fn serve(part: &mut Part, program: &Program, is_wanted: impl Fn(&str) -> bool) {
    let checks = CHECKS.iter().filter(|check| is_wanted(check.test));
    let given = Given::new(part.project, SERVER, "");
    let trial = match Trial::start(part.project, program, given) {
        Ok(trial) => trial,
        Err(failure) => {
            let of_clients = checks.map(|check| check.test);
            let in_order = Some(IN_ORDER).filter(|test| is_wanted(test));
            for test in of_clients.chain(in_order) {
                part.check(test, || Err(failure.reason().to_owned()));
            }
            return;
        }
    };
    for check in checks {
        part.check(check.test, || (check.run)(&trial.clients()));
    }
    if is_wanted(IN_ORDER) {
        part.check_run(IN_ORDER, || ends_in_order(trial));
    }
}

fn run_alone(part: &mut Part, program: &Program, alone: &Alone) -> Result {
    let project = part.project;
    let mut variables = Variables::read(project);
    match alone.needs {
        Needs::ImageTools if Format::Luks1.missing_tool().is_some() => {
            part.leave_out(alone.test);
            return Ok(());
        }
        Needs::ImageTools | Needs::Nothing => {}
        Needs::NewQemu => {
            let Ok(qemu) = qemu::with_device(project, own::QEMU_DEVICE) else {
                part.leave_out(&format!("device_of_our_own: {}", alone.test));
                return Ok(());
            };
            own::build(project)?;
            // Where the program is may be known only now.
            variables = Variables::read(project).with("QEMU", &qemu);
        }
    }
    let rig = Rig {
        project,
        program,
        variables,
    };
    part.check_run(alone.test, || (alone.run)(&rig));
    Ok(())
}

fn told(verdict: Verdict) -> Result {
    verdict.map_err(Failure::Because)
}

/// The server ends by its power button, and its key was nowhere but in its machine by then.
fn ends_in_order(trial: Trial) -> Result {
    let key = trial.file("server.key");
    if key.exists() {
        return fail(format_args!(
            "expected: no key on the host\ngot: {}",
            key.display()
        ));
    }
    ends_with(trial, &[PASS])
}

/// How a server ends that is not in trouble.
const PASS: &str = "https: pass";

/// The server ends by its power button, and prints these lines.
fn ends_with(trial: Trial, lines: &[&str]) -> Result {
    let printed = trial.power_down()?;
    let is_printed = |line: &&str| printed.lines().any(|given| given.trim_end() == *line);
    match lines.iter().find(|line| !is_printed(line)) {
        None => Ok(()),
        Some(line) => fail(format_args!("expected: the line {line}\ngot: {printed}")),
    }
}
