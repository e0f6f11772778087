//! The project's own device: a program beside QEMU, and what is run on it.
//!
//! For `./run.sh device`. The rule: what is run on it is what every other command runs, on a
//! machine that has this device instead of QEMU's.

use std::{env, ffi::OsStr, path::Path, process::Command};

use crate::{
    boot::{
        own::{self, Attached, Place, Protocol},
        qemu as qemu_command,
    },
    child, mixes,
    project::Project,
    qemu,
    report::{Failure, Result, fail, quote, say},
};

/// What can be run on it.
const COMMANDS: [&str; 7] = [
    "demo",
    "test",
    "probe",
    "bench",
    "bench-guest",
    "linux-guest",
    "soak",
];

/// Starts it, and runs on it what the words say.
///
/// # Errors
///
/// Fails when a word is none of its, when there is no QEMU for it, or when what runs on it fails.
pub fn run(project: &Project, words: &[String]) -> Result {
    let (own, rest) = match words.iter().position(|word| word == "--") {
        Some(end) => (&words[..end], Some(&words[end + 1..])),
        None => (words, None),
    };
    own::build(project)?;
    let Some(program) = own::program(project) else {
        return fail("cargo built the device, but not where it was to");
    };
    match own {
        [word] if word == "--build" => return Ok(()),
        [word] if word == "--help" => return child::run(project.host(&program).arg("--help")),
        _ => {}
    }
    if own.iter().any(|word| word.starts_with("mixes=")) {
        return match rest {
            None => mixes::run(project, &program, own),
            Some(_) => fail("device: mixes=N boots a test of its own, and runs nothing behind --"),
        };
    }
    let protocol = own::ask(&program, own)?.protocol;
    match rest {
        None => serve(project, &program, own, protocol),
        Some([]) => fail(format_args!("device: nothing behind --; {}", choices())),
        Some([command, ..]) if !COMMANDS.contains(&&**command) => {
            fail(format_args!("device: '{command}'; {}", choices()))
        }
        Some(command) => run_on_it(project, own, command),
    }
}

fn choices() -> String {
    format!("it runs one of: {}", COMMANDS.join(", "))
}

/// Runs a command on machines with this device.
fn run_on_it(project: &Project, own: &[String], command: &[String]) -> Result {
    let qemu = qemu::with_device(project, own::QEMU_DEVICE)?;
    let words = match own.join(",") {
        // An empty variable is none.
        words if words.is_empty() => "queues=1".to_owned(),
        words => words,
    };
    let program = env::current_exe()?;
    let mut itself = Command::new(program);
    itself
        .args(command)
        .envs([("OWN", &words), ("QEMU", &qemu)]);
    child::run(&mut itself)
}

/// Serves it to a guest that somebody else starts.
fn serve(project: &Project, program: &Path, own: &[String], protocol: Protocol) -> Result {
    let socket = project.target("device.socket");
    let Some(path) = socket.to_str() else {
        return Err(Failure::Because(format!("{}: no text", socket.display())));
    };
    let size = env::var("MEM").unwrap_or_else(|_| "256M".to_owned());
    let memory = qemu_command::shared_memory(&size);
    let attached = Attached {
        id: "crypto".to_owned(),
        socket: path.to_owned(),
        protocol,
        place: Place::Board,
    };
    let arguments = memory.into_iter().chain(attached.arguments());
    let arguments: Vec<_> = arguments.map(|it| quote(&it)).collect();
    say(format_args!(
        "QEMU 11.1 or later takes this device by (MEM=.. and -m say how much memory, one value)\n\
         -m {size} {}",
        arguments.join(" ")
    ));
    say("it ends with QEMU; what can be typed until then: ./run.sh device --help");
    let mut device = project.host(program);
    device.arg(OsStr::new(path)).args(own);
    child::run(&mut device)
}
