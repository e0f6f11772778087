//! Devices of our own: host/device as a program, a process for each device of a machine.
//!
//! For [`boot`](super::boot) and for `./run.sh device`. The rule: no process outlives its run, and
//! none that is dead or hangs makes a run wait.

mod attached;
mod builtin;
mod monitor;
mod process;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    child,
    files::scratch,
    project::Project,
    report::{Result, fail, say},
};
use builtin::Builtin;
use process::Process;

pub use attached::{Attached, Place, Protocol};
pub use monitor::Monitor;

/// The device of QEMU at whose other end such a process is. A QEMU that has it has that of
/// vhost-user, too.
pub const QEMU_DEVICE: &str = "vfio-user-pci";
/// What cargo calls it.
const NAME: &str = "virtio-crypto-device";
/// What stands in a line of the guest that is for one of them.
const TO_DEVICE: &str = "to device ";

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

/// What others have to know of a device.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub protocol: Protocol,
    /// Each field of a request has to have a descriptor of its own.
    pub wants_fields: bool,
}

/// Returns what others have to know of a device of these words, which the program says.
///
/// # Errors
///
/// Fails with what the program says of words that make no device.
pub fn ask(program: &Path, words: &[impl AsRef<OsStr>]) -> Result<Known> {
    let checked = child::capture(Command::new(program).arg("--check").args(words))?;
    let said = checked.output.trim_end();
    if checked.status != 0 {
        return fail(said);
    }
    let value = |name: &str| {
        let mut fields = said.split_whitespace().filter_map(|it| it.split_once('='));
        fields.find(|(own, _)| *own == name).map(|(_, value)| value)
    };
    let number = |name: &str| value(name).and_then(|value| value.parse().ok());
    let protocol = match (value("protocol"), number("queues"), number("queue_size")) {
        (Some("vfio-user"), ..) => Protocol::VfioUser,
        (Some("vhost-user"), Some(queues), Some(queue_size)) => {
            Protocol::VhostUser { queues, queue_size }
        }
        _ => return fail(format_args!("the device says nothing of itself: {said}")),
    };
    Ok(Known {
        protocol,
        wants_fields: value("framing") == Some("fields"),
    })
}

/// The devices of a run.
#[derive(Debug, Default)]
pub struct Devices {
    program: PathBuf,
    devices: Vec<Device>,
    /// QEMU's own that leave and come, with numbers behind those.
    builtin: Vec<Builtin>,
    /// Where their sockets are.
    folder: PathBuf,
    /// By which they leave and come, if they do.
    monitor: Option<Monitor>,
}

/// A device of a machine.
#[derive(Debug)]
struct Device {
    words: String,
    attached: Attached,
    wants_fields: bool,
    process: Process,
    /// What processes before have said.
    said: String,
    /// How often it has come.
    lives: u32,
}

impl Devices {
    /// Starts a process for each of these words, and waits until QEMU can be started.
    ///
    /// # Errors
    ///
    /// Fails with what a process says that cannot be such a device.
    pub fn start(program: Option<&Path>, own: &[String], may_leave: bool) -> Result<Self> {
        if own.is_empty() {
            return Ok(Self::default());
        }
        let mut words = own.iter().flat_map(|words| split(words));
        if let Some(word) = words.find(|word| word.starts_with("control=")) {
            // The lines that a guest says have their own.
            return fail(format_args!(
                "'{word}' is for a guest that somebody else starts: ./run.sh device --help"
            ));
        }
        let Some(program) = program else {
            return fail("the device of our own is not built: './run.sh device --build' does it");
        };
        let mut devices = Self::in_folder(may_leave)?;
        devices.program = program.to_owned();
        for (number, words) in own.iter().enumerate() {
            let device = devices.start_one(number, words, may_leave)?;
            devices.devices.push(device);
        }
        for device in &mut devices.devices {
            device.process.wait_for_socket()?;
        }
        Ok(devices)
    }

    /// Makes a place for sockets, and a monitor's if devices leave and come.
    fn in_folder(may_leave: bool) -> Result<Self> {
        // One process may have several runs at a time.
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = scratch(&format!("devices-{run}"))?;
        let mut devices = Self::default();
        devices.monitor = may_leave.then(|| Monitor::at(&folder.join("monitor")));
        devices.folder = folder;
        Ok(devices)
    }

    /// Puts so many of QEMU's own devices into slots, too, where they leave and come.
    ///
    /// # Errors
    ///
    /// Fails where there is no place for the monitor's socket.
    pub fn put_in_slots(&mut self, count: u32, vectors: u32, options: &str) -> Result {
        if count > 0 && self.monitor.is_none() {
            *self = Self::in_folder(true)?;
        }
        let slots = self.devices.len()..;
        let builtin = (0..count).zip(slots);
        let builtin = builtin.map(|(number, slot)| Builtin::new(number, slot, vectors, options));
        self.builtin.extend(builtin);
        Ok(())
    }

    fn start_one(&self, number: usize, words: &str, may_leave: bool) -> Result<Device> {
        let place = match may_leave {
            true => Place::Slot(number),
            false => Place::Board,
        };
        let known = ask(&self.program, &split(words).collect::<Vec<_>>())?;
        let (process, socket) = self.start_process(number, words, 0)?;
        let attached = Attached {
            id: id(number, 0),
            socket,
            protocol: known.protocol,
            place,
        };
        Ok(Device {
            words: words.to_owned(),
            attached,
            wants_fields: known.wants_fields,
            process,
            said: String::new(),
            lives: 1,
        })
    }

    /// Starts the process of a device's next life; returns where its socket is.
    fn start_process(&self, number: usize, words: &str, life: u32) -> Result<(Process, String)> {
        let socket = self.folder.join(id(number, life));
        let Some(text) = socket.to_str().map(str::to_owned) else {
            return fail(format_args!("{}: its path is no text", socket.display()));
        };
        let control = self.folder.join(format!("{}.control", id(number, life)));
        let process = Process::start(&self.program, split(words), socket, control)?;
        Ok((process, text))
    }

    /// Returns the arguments by which QEMU has them.
    pub fn arguments(&self) -> Vec<String> {
        let devices = self.devices.iter();
        let mut arguments: Vec<_> = devices.flat_map(|it| it.attached.arguments()).collect();
        arguments.extend(self.builtin.iter().flat_map(Builtin::arguments));
        if let Some(monitor) = &self.monitor {
            arguments.extend(monitor.arguments());
        }
        arguments
    }

    /// Returns words for the guest: what a driver cannot ask such devices.
    pub fn guest_words(&self) -> Vec<&'static str> {
        let mut words = Vec::new();
        if !self.devices.is_empty() {
            // By eventfd, when the host comes to it, and not under the lock of a register read.
            words.push("messages=asynchronous");
        }
        if self.devices.iter().any(|device| device.wants_fields) {
            words.push("framing=fields");
        }
        words
    }

    /// Hears a line of the guest. `to device N COMMAND` is a command for one of them, or for QEMU:
    /// `unplug` has QEMU ask the guest to let it go, `plug` brings it back with a new process.
    pub fn hear(&mut self, line: &str) {
        let Some((number, command)) = command(line) else {
            return;
        };
        if command.is_empty() {
            return say(format_args!("'{line}': {TO_DEVICE}NUMBER COMMAND"));
        }
        let all = self.devices.len() + self.builtin.len();
        let Some(index) = number.parse().ok().filter(|index| *index < all) else {
            return say(format_args!("device {number}: there is none"));
        };
        let done = match (command, self.devices.get(index)) {
            ("unplug", _) => self.unplug(index),
            ("plug", Some(_)) => self.plug(index),
            ("plug", None) => self.plug_builtin(index - self.devices.len()),
            (command, Some(device)) => device.process.tell(command).map_err(Into::into),
            (command, None) => fail(format_args!("'{command}': QEMU's own obeys no such word")),
        };
        if let Err(failure) = done {
            say(format_args!("device {number}: {}", failure.reason()));
        }
    }

    fn unplug(&self, index: usize) -> Result {
        let id = match self.devices.get(index) {
            Some(device) => device.attached.id.clone(),
            None => self.builtin[index - self.devices.len()].id(),
        };
        self.tell_qemu("device_del", &format!(r#"{{"id":"{id}"}}"#))
    }

    fn plug(&mut self, index: usize) -> Result {
        let life = self.devices[index].lives;
        let (mut process, socket) = self.start_process(index, &self.devices[index].words, life)?;
        process.wait_for_socket()?;
        let device = &mut self.devices[index];
        let mut before = std::mem::replace(&mut device.process, process);
        device.said += &before.end();
        device.lives += 1;
        // QEMU may still be at the end of the one before.
        device.attached.id = id(index, life);
        device.attached.socket = socket;
        self.tell_qemu("device_add", &self.devices[index].attached.json())
    }

    fn plug_builtin(&mut self, index: usize) -> Result {
        self.builtin[index].begin_next_life();
        self.tell_qemu("device_add", &self.builtin[index].json())
    }

    fn tell_qemu(&self, command: &str, arguments: &str) -> Result {
        match &self.monitor {
            Some(monitor) => Ok(monitor.execute(command, arguments)?),
            None => fail("only devices of a machine with hotplug=on leave and come"),
        }
    }

    /// Waits for their end, makes it come where it does not, and returns what they said.
    pub fn end(mut self) -> String {
        let mut said = String::new();
        for device in &mut self.devices {
            said += &device.said;
            said += &device.process.end();
        }
        said
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // Processes end before the folder that they use.
        self.devices.clear();
        if !self.folder.as_os_str().is_empty() {
            // What is left lies where files do not stay.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Returns what a life of a device is called.
fn id(number: usize, life: u32) -> String {
    format!("own{number}-{life}")
}

/// Finds the number and the command in a line that is for a device. A test's name may stand in
/// front of it, and a line may speak of a `crypto device at` an address without being for one.
fn command(line: &str) -> Option<(&str, &str)> {
    line.match_indices(TO_DEVICE).find_map(|(at, words)| {
        let (before, rest) = (&line[..at], &line[at + words.len()..]);
        let (number, command) = rest.split_once(' ').unwrap_or((rest, ""));
        let begins_a_word = before.is_empty() || before.ends_with(' ');
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (begins_a_word && is_number).then_some((number, command))
    })
}

/// Splits what a machine says of a device into its words.
fn split(words: &str) -> impl Iterator<Item = &str> {
    words.split(',').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Instant};

    use super::{process::END, *};
    use crate::report::Failure;

    /// Makes a program that stands in for a device.
    fn stand_in(name: &str, script: &str) -> PathBuf {
        let path = scratch(name).unwrap().join("device");
        let check = "protocol=vfio-user queues=2 queue_size=8 framing=any";
        let check = format!("[ $1 != --check ] || {{ echo {check}; exit 0; }}");
        fs::write(&path, format!("#!/bin/sh\n{check}\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn failure(program: Option<&Path>) -> String {
        let started = Devices::start(program, &["queues=2".to_owned()], false);
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
        let word = "control=/dev/null";
        let own = ["queues=2".to_owned(), format!("packed=on,{word}")];
        match Devices::start(None, &own, false) {
            Err(Failure::Because(reason)) => assert!(reason.contains(word), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let program = stand_in("own-hangs", "touch $1; echo here; exec sleep 1000");
        let mut devices =
            Devices::start(Some(&program), &[String::new(), String::new()], false).unwrap();
        assert_eq!(devices.arguments().len(), 4);
        let start = Instant::now();
        devices.hear("test a ... to device 1 ready 0");
        devices.hear("to device 7 ready 0");
        assert_eq!(devices.end(), "here\nhere\n");
        assert!(start.elapsed() < 3 * END);
    }

    #[test]
    fn only_to_device_and_a_number_is_for_a_device() {
        for (line, expected) in [
            ("to device 0 ready 0", Some(("0", "ready 0"))),
            ("test a ... to device 12 die", Some(("12", "die"))),
            ("to device 1", Some(("1", ""))),
            ("crypto device 0 fails to device 1 die", Some(("1", "die"))),
            ("crypto device at 00:05.0: 3 vectors are wanted", None),
            ("crypto device 0 is set up already", None),
            ("to device at 00:05.0", None),
            ("to device +1 die", None),
            ("to device  die", None),
        ] {
            assert_eq!(command(line), expected, "{line}");
        }
    }

    #[test]
    fn device_in_a_slot_has_a_port_and_a_monitor() {
        let program = stand_in("own-slot", "touch $1; echo $1 >&2; exec sleep 1000");
        let devices = Devices::start(Some(&program), &[String::new()], true).unwrap();
        let arguments = devices.arguments().join(" ");
        assert!(arguments.contains("-device pcie-root-port,id=slot0,chassis=0,slot=0 "));
        assert!(arguments.contains(r#""id":"own0-0","#) && arguments.contains(r#""bus":"slot0"}"#));
        assert!(arguments.contains(" -qmp unix:"));
    }

    #[test]
    fn qemus_own_devices_have_slots_behind_those_of_ours() {
        let program = stand_in("own-beside", "touch $1; exec sleep 1000");
        let mut devices = Devices::start(Some(&program), &[String::new()], true).unwrap();
        devices.put_in_slots(1, 3, "").unwrap();
        let arguments = devices.arguments().join(" ");
        for expected in [
            "id=slot0,",
            "id=slot1,",
            r#""id":"builtin0-0","#,
            " -qmp unix:",
        ] {
            assert_eq!(
                arguments.matches(expected).count(),
                1,
                "{expected}: {arguments}"
            );
        }
        let mut alone = Devices::start(None, &[], true).unwrap();
        alone.put_in_slots(2, 0, "packed=on").unwrap();
        let arguments = alone.arguments().join(" ");
        assert!(
            arguments.contains(r#""bus":"slot1","packed":true}"#),
            "{arguments}"
        );
        assert!(arguments.contains(" -qmp unix:") && alone.guest_words().is_empty());
    }

    #[test]
    fn what_others_have_to_know_is_asked() {
        let program = scratch("own-says").unwrap().join("device");
        let says = "protocol=vhost-user queues=3 queue_size=2048 framing=fields";
        let script = format!(
            "#!/bin/sh\n[ $1 != --check ] || {{ echo {says}; exit 0; }}\n\
             touch $1; exec sleep 1000\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let devices = Devices::start(Some(&program), &[String::new()], false).unwrap();
        let words = devices.guest_words();
        assert_eq!(words, ["messages=asynchronous", "framing=fields"]);
        let [_, chardev, _, device] = &devices.arguments()[..] else {
            panic!("{:?}", devices.arguments());
        };
        assert!(chardev.starts_with("socket,id=own0-0-socket,path="));
        assert_eq!(
            device,
            "vhost-user-test-device-pci,id=own0-0,chardev=own0-0-socket,\
             virtio-id=20,config_size=56,num_vqs=3,vq_size=1024"
        );
    }
}
