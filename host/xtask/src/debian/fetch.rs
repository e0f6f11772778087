//! Fetches a suite's QEMU with all that it needs, libc included, and unpacks it.
//!
//! For [`Suite::fetch`](super::Suite::fetch). apt gets a state of its own, in which no package is
//! installed, so it resolves everything from that suite alone; the QEMU is then started by the
//! loader of that suite. The rule: a folder with a suite's name is whole, since it gets this name
//! last.

use std::{
    env::consts::ARCH,
    fs::{self, File, Permissions, TryLockError},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::mirror::mirrors;
use crate::{
    child::{self, Ended},
    files::{files_below, program},
    project::Project,
    report::{Failure, Result, fail, say},
};

/// What starts a QEMU, in its folder and elsewhere.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// Debian's keys, by the names of older releases and newer ones.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// QEMU, and the firmware that its PCI devices and machines begin with.
const PACKAGES: [&str; 3] = ["qemu-system-x86", "seabios", "ipxe-qemu"];

/// What starts a program for this CPU.
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Where libraries lie, below the root of what was unpacked.
const LIBRARIES: [&str; 3] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/pulseaudio",
];

/// Fetches a suite's QEMU, with what these archives have, into a folder of its name below `folder`.
pub fn fetch(project: &Project, suite: &str, archives: &[&str], folder: &Path) -> Result {
    if ARCH != "x86_64" {
        return fail(format_args!("it is fetched for x86_64, and this is {ARCH}"));
    }
    for needed in ["apt-get", "dpkg-deb", "tar"] {
        if program(needed).is_none() {
            return fail(format_args!(
                "no {needed} to fetch it with; QEMU= takes the path of any other QEMU"
            ));
        }
    }
    let Some(keyring) = KEYRINGS.iter().find(|path| Path::new(path).is_file()) else {
        return fail(
            "Debian's keys are missing: 'apt-get install debian-archive-keyring' adds them",
        );
    };
    whole(folder, suite, |partial| {
        let apt = Apt {
            project,
            suite,
            archives,
            keyring,
            state: &partial.join("apt"),
        };
        let packages = apt.download()?;
        let root = partial.join("root");
        unpack(project, &packages, &root)?;
        fs::remove_dir_all(apt.state)?;
        make_startable(&root, &partial.join(PROGRAM))?;
        let ended = child::capture(project.bounded(partial.join(PROGRAM)).arg("--version"))?;
        match ended.status {
            0 => Ok(()),
            _ => fail(format_args!("it does not start: {}", last_line(&ended))),
        }
    })
}

/// Lets `make` fill a folder that gets its name once it is whole; what an earlier try left is
/// removed first. One process at a time: another waits, and finds the folder there.
fn whole(folder: &Path, name: &str, make: impl FnOnce(&Path) -> Result) -> Result {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join(".lock"))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            say("waiting for another ./run.sh that fetches a QEMU");
            lock.lock()?;
        }
        other => other.map_err(std::io::Error::from)?,
    }
    let there = folder.join(name);
    if there.is_dir() {
        return Ok(());
    }
    let partial = folder.join(".partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    let made = make(&partial).and_then(|()| Ok(fs::rename(&partial, there)?));
    if made.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    made
}

/// An apt of a suite's own, beside this machine's.
struct Apt<'a> {
    project: &'a Project,
    suite: &'a str,
    archives: &'a [&'a str],
    keyring: &'a str,
    state: &'a Path,
}

impl Apt<'_> {
    /// Downloads QEMU's packages and returns where they are.
    fn download(&self) -> Result<PathBuf> {
        let archives = self.state.join("archives");
        for folder in ["lists/partial", "archives/partial", "etc"] {
            fs::create_dir_all(self.state.join(folder))?;
        }
        fs::write(self.state.join("status"), "")?;
        self.update()?;
        let mut install = self.apt_get();
        install.args(["-y", "--download-only", "-t", self.suite, "install"]);
        self.must(install.args(PACKAGES), "apt-get install")?;
        Ok(archives)
    }

    /// Fetches the lists of the first mirror that has them.
    fn update(&self) -> Result {
        let mut why = Failure::Because("there is no mirror".to_owned());
        for mirror in mirrors(Path::new("/etc/apt")) {
            let suite = self.suite;
            say(format_args!("fetching QEMU of {suite} from {mirror}"));
            let source = |archive: &&str| {
                let keyring = self.keyring;
                format!("deb [arch=amd64 signed-by={keyring}] {mirror} {archive} main\n")
            };
            let sources: String = self.archives.iter().map(source).collect();
            fs::write(self.state.join("sources.list"), sources)?;
            let mut update = self.apt_get();
            update.arg("update");
            match self.must(&mut update, "apt-get update") {
                Ok(()) => return Ok(()),
                Err(failure) => why = failure,
            }
        }
        Err(why)
    }

    /// Returns apt-get with this state, for a bounded time. What the machine is told of proxies
    /// still counts.
    fn apt_get(&self) -> Command {
        let state = |inside: &str| self.state.join(inside).display().to_string();
        let options = [
            format!("Dir::State={}", state("")),
            format!("Dir::State::lists={}", state("lists")),
            format!("Dir::State::status={}", state("status")),
            format!("Dir::Cache={}", state("")),
            format!("Dir::Cache::archives={}", state("archives")),
            format!("Dir::Etc={}", state("etc")),
            format!("Dir::Etc::sourcelist={}", state("sources.list")),
        ];
        const FIXED: [&str; 15] = [
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferences=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "APT::Install-Recommends=false",
            // Whoever runs this owns the state, and another user may not reach it.
            "APT::Sandbox::User=root",
            // Lists that did not come are an error.
            "APT::Update::Error-Mode=any",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            // Most mirrors answer within seconds; one that does not is none.
            "Acquire::Retries=1",
            "Acquire::http::Timeout=20",
            "Acquire::https::Timeout=20",
            "Debug::NoLocking=true",
            "Dpkg::Use-Pty=false",
        ];
        let mut apt = self.project.bounded("apt-get");
        apt.env("LC_ALL", "C").arg("-qq");
        for option in FIXED
            .iter()
            .copied()
            .chain(options.iter().map(String::as_str))
        {
            apt.args(["-o", option]);
        }
        apt
    }

    /// Runs a step; one that fails is told of in a line.
    fn must(&self, step: &mut Command, what: &str) -> Result {
        let ended = child::watch(step, what)?;
        match ended.status {
            0 => Ok(()),
            124 | 137 => fail(format_args!(
                "{what} did not end in {} s: is there a network?",
                self.project.setup_timeout()
            )),
            _ => {
                let mut lines = ended.output.lines();
                let error = lines.find(|line| line.starts_with("E: "));
                let error = error.unwrap_or_else(|| last_line(&ended));
                fail(format_args!("{what} failed: {error}"))
            }
        }
    }
}

fn last_line(ended: &Ended) -> &str {
    ended.output.lines().last().unwrap_or("it says nothing")
}

/// Unpacks packages, each of which is removed afterwards.
fn unpack(project: &Project, archives: &Path, root: &Path) -> Result {
    let packages = files_below(archives)?;
    let is_package = |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "deb");
    for package in packages.iter().filter(is_package) {
        let mut dpkg = project.host("dpkg-deb");
        let ended = child::capture(dpkg.arg("-x").arg(package).arg(root))?;
        if ended.status != 0 {
            return fail(last_line(&ended));
        }
        fs::remove_file(package)?;
    }
    Ok(())
}

/// Writes what starts the QEMU below `root`.
fn make_startable(root: &Path, start: &Path) -> Result {
    let is_loader = |library: &&&str| {
        let path = root.join(library).join(LOADER);
        path.symlink_metadata().is_ok_and(|data| data.is_file())
    };
    let Some(place) = LIBRARIES.iter().find(is_loader) else {
        return fail(format_args!("its packages hold no {LOADER}"));
    };
    // To QEMU its program is the loader. Where that has such a folder beside it, modules and
    // firmware are looked for in there, and never among the system's.
    let up = vec![".."; place.split('/').count()].join("/");
    symlink(up, root.join(place).join("qemu-bundle"))?;
    let libraries = LIBRARIES
        .map(|library| format!("$root/{library}"))
        .join(":");
    let script = format!(
        "#!/bin/sh\n\
         # Starts the QEMU beside this by its own loader, with its own libraries.\n\
         root=$(dirname \"$(readlink -f \"$0\")\")/root\n\
         exec \"$root/{place}/{LOADER}\" --argv0 \"$0\" --library-path \"{libraries}\" \\\n    \
         \"$root/usr/bin/{PROGRAM}\" \"$@\"\n"
    );
    fs::write(start, script)?;
    Ok(fs::set_permissions(start, Permissions::from_mode(0o755))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch;

    fn is_empty(folder: &Path) -> bool {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != ".lock").count() == 0
    }

    #[test]
    fn fetch_that_fails_leaves_nothing() {
        let folder = scratch("fetch-fails").unwrap();
        let made = whole(&folder, "a", |partial| {
            fs::write(partial.join("half"), "")?;
            fail("no network")
        });
        assert_eq!(made, fail("no network"));
        assert!(is_empty(&folder));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn interrupted_fetch_begins_anew() {
        let folder = scratch("fetch-again").unwrap();
        let partial = folder.join(".partial");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("half"), "").unwrap();
        let make = |partial: &Path| {
            assert!(is_empty(partial));
            Ok(fs::write(partial.join("whole"), "")?)
        };
        assert_eq!(whole(&folder, "a", make), Ok(()));
        assert!(folder.join("a/whole").is_file() && !partial.exists());
        // What is there is not made again.
        assert_eq!(whole(&folder, "a", |_| fail("made again")), Ok(()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn loader_of_the_suite_starts_its_qemu() {
        for place in &LIBRARIES[..2] {
            let folder = scratch("fetch-starts").unwrap();
            let root = folder.join("root");
            fs::create_dir_all(root.join(place)).unwrap();
            fs::create_dir_all(root.join("usr/bin")).unwrap();
            // In place of the loader: it tells how it was called, and which root QEMU would see.
            let loader = root.join(place).join(LOADER);
            let script = "#!/bin/sh\ncd \"$(dirname \"$0\")/qemu-bundle\" && pwd\necho \"$@\"\n";
            fs::write(&loader, script).unwrap();
            fs::set_permissions(&loader, Permissions::from_mode(0o755)).unwrap();
            let start = folder.join(PROGRAM);
            make_startable(&root, &start).unwrap();
            let ended = child::capture(Command::new(&start).args(["-x", "y"])).unwrap();
            let lines: Vec<_> = ended.output.lines().collect();
            assert_eq!(ended.status, 0, "{lines:?}");
            assert!(Path::new(lines[0]).ends_with(root.join(place).join("qemu-bundle")));
            assert!(
                lines[1].ends_with("root/usr/bin/qemu-system-x86_64 -x y"),
                "{lines:?}"
            );
            assert!(root.join(place).join("qemu-bundle/usr/bin").is_dir());
            fs::remove_dir_all(folder).unwrap();
        }
    }
}
