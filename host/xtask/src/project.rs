//! Where the project is, and how cargo is called: for the kernel and for this host.
//!
//! For every room that builds something. The rule: what builds the kernel and what builds for the
//! host never see each other's variables.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    child,
    report::{Result, fail},
};

/// Debian's compiler, for machines on which rustup cannot fetch the kernel's target.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// What cargo calls the demonstration, with what counts the CPUs' time.
pub const DEMONSTRATION: [&str; 4] = ["--features", "usage", "--bin", "demo"];

/// Variables that are for the kernel alone.
const KERNEL_ONLY: &[&str] = &[
    "RUSTC",
    "RUSTDOC",
    "RUSTC_BOOTSTRAP",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTC",
];
/// And how the names of the rest of them begin.
const KERNEL_ONLY_PREFIXES: &[&str] = &["CARGO_UNSTABLE_", "CARGO_TARGET_X86_64_UNKNOWN_NONE_"];

/// The checkout, where cargo builds it, and with which compiler.
#[derive(Debug)]
pub struct Project {
    root: PathBuf,
    target: PathBuf,
    has_debian_toolchain: bool,
    /// Seconds until a step of the set-up is given up.
    setup_timeout: OsString,
    is_offline: bool,
}

impl Project {
    /// Finds it where `run.sh` says that it is.
    ///
    /// # Errors
    ///
    /// Fails when `run.sh` did not start this.
    pub fn find() -> Result<Self> {
        let given = (env::var_os("XTASK_ROOT"), env::var_os("SETUP_TIMEOUT"));
        let (Some(root), Some(setup_timeout)) = given else {
            return fail("xtask is started by ./run.sh");
        };
        let root = PathBuf::from(root);
        let target = env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
        let target = root.join(target.unwrap_or_else(|| "target".into()));
        let has_debian_toolchain = env::var_os("XTASK_TOOLCHAIN").is_some_and(|it| it == "debian");
        Ok(Self {
            root,
            target,
            has_debian_toolchain,
            setup_timeout,
            is_offline: false,
        })
    }

    /// Returns a path inside the checkout.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.root.join(inside)
    }

    /// Returns a path inside of where cargo builds.
    pub fn target(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.target.join(inside)
    }

    /// Tells whether Debian's compiler builds the kernel.
    pub fn has_debian_toolchain(&self) -> bool {
        self.has_debian_toolchain
    }

    /// Returns the name of the compiler that builds the kernel.
    pub fn toolchain(&self) -> &'static str {
        if self.has_debian_toolchain {
            "debian"
        } else {
            "native"
        }
    }

    /// Returns the variables with which cargo builds the kernel.
    pub fn kernel_variables(&self) -> &'static [(&'static str, &'static str)] {
        if self.has_debian_toolchain {
            &[
                ("RUSTC", DEBIAN_RUSTC),
                ("RUSTDOC", "/usr/bin/rustdoc"),
                ("RUSTC_BOOTSTRAP", "1"),
                ("CARGO_UNSTABLE_BUILD_STD", "core,alloc,compiler_builtins"),
                ("CARGO_UNSTABLE_BUILD_STD_FEATURES", "compiler-builtins-mem"),
                ("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", "ld"),
            ]
        } else {
            &[]
        }
    }

    /// Returns how many seconds a step of the set-up may take.
    pub fn setup_timeout(&self) -> impl std::fmt::Display {
        self.setup_timeout.display()
    }

    /// From here on cargo looks for no network.
    pub fn go_offline(&mut self) {
        self.is_offline = true;
    }

    /// Returns the name of this host's target, for tools that do not know it as `host-tuple`.
    ///
    /// # Errors
    ///
    /// Fails with what the compiler said instead.
    pub fn host_target(&self) -> Result<String> {
        let ended = child::capture(self.host("rustc").arg("-vV"))?;
        let mut lines = ended.output.lines();
        match lines.find_map(|line| line.strip_prefix("host: ")) {
            Some(host) => Ok(host.to_owned()),
            None => fail(ended.output),
        }
    }

    /// Returns a command for this host that is a step of the set-up: it has a time limit.
    pub fn bounded(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.host("timeout");
        command.args(["--foreground", "-k", "5"]);
        command.arg(&self.setup_timeout).arg(program);
        command
    }

    /// Returns a command for this host, at the top of the project.
    pub fn host(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        if self.is_offline {
            command.env("CARGO_NET_OFFLINE", "true");
        }
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if KERNEL_ONLY.contains(&&*text)
                || KERNEL_ONLY_PREFIXES.iter().any(|it| text.starts_with(it))
            {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Returns cargo for this host.
    pub fn host_cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = self.host("cargo");
        cargo.args(arguments);
        cargo
    }

    /// Returns cargo for this host, with the driver's own code built quickly: its tests take six
    /// times as long to optimise, and run hardly faster then.
    pub fn quick_host_cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = self.host("cargo");
        cargo.args(["--config", "profile.dev.package.virtio-crypto.opt-level=0"]);
        cargo.args(arguments);
        cargo
    }

    /// Returns cargo for the driver as loom sees it.
    pub fn loom_cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = self.host_cargo(&[]);
        cargo.env("RUSTFLAGS", "--cfg loom");
        // Its own directory: another flag would build everything anew each time.
        cargo.env("CARGO_TARGET_DIR", self.target("loom"));
        // Quickly built: the models run for seconds, if loom itself is fast. Debug assertions are
        // off, as in a release.
        for option in [
            "loom.opt-level=3",
            "virtio-crypto.opt-level=0",
            "virtio-crypto.debug-assertions=false",
        ] {
            cargo.args(["--config", &format!("profile.dev.package.{option}")]);
        }
        cargo.args(arguments);
        cargo
    }

    /// Returns cargo for the kernel. The caller's flags would replace those of .cargo/config.toml.
    pub fn kernel_cargo(&self, arguments: &[&str]) -> Command {
        self.kernel_cargo_by("cargo", arguments)
    }

    /// The same, by a cargo of this path.
    pub fn kernel_cargo_by(&self, program: &str, arguments: &[&str]) -> Command {
        let mut cargo = self.host(program);
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        cargo.envs(self.kernel_variables().iter().copied());
        cargo.args(arguments);
        cargo
    }

    /// Builds something of the kernel and shows how it goes on; `what` names it.
    ///
    /// # Errors
    ///
    /// Fails with cargo's status.
    pub fn build_kernel(&self, what: &str, arguments: &[&str]) -> Result {
        let mut cargo = self.kernel_cargo(arguments);
        child::build(&mut cargo, what)
    }

    /// Runs a program of the kernel, by cargo and the runner, once it is built.
    ///
    /// # Errors
    ///
    /// Fails with cargo's status.
    pub fn run_kernel(&self, what: &str, selection: &[&str], words: &[String]) -> Result {
        self.build_kernel(what, &[&["build"], selection].concat())?;
        let mut cargo = self.kernel_cargo(&["run", "-q"]);
        cargo.args(selection).arg("--").args(words);
        child::run(&mut cargo)
    }
}
