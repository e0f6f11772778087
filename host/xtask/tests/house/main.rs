//! Every room imports from rooms below it: the order of the rooms, and the test that keeps it.
//!
//! A room is a file or a folder of a `src`. It may import from itself and from the rooms that
//! stand below it in its list. Files of one room do not import each other in a circle. `unsafe`
//! stands in the rooms that are named for it, and what has a module is imported by that module's
//! path. Tests (`cfg(test)`, `cfg(fuzzed)`) are left out. No file is one that no module declares.
//!
//! Alone: `cargo test -p xtask --target host-tuple --test house`.

mod conditions;
mod graph;
mod rooms;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod tokens;

use std::{fs, path::Path};

use graph::Files;
use rooms::House;
use rules::{faults, strays};

const DRIVER: House = House {
    src: "driver/src",
    library: "virtio_crypto",
    roots: &["lib.rs"],
    rooms: &[
        // What users see; nobody in here does.
        "lib",
        // What needs whole devices.
        "pool",
        "prove",
        // What a user calls.
        "service/cache",
        "service/akcipher",
        "service/chain",
        "service/aead",
        "service/mac",
        "service/hash",
        "service/cipher",
        // The forms of data, and the roles of a session, for all of them.
        "service/data",
        "service/role",
        // A device: what becomes of it, and what it is made of.
        "device/handlers",
        "device/leftovers",
        "device/queue_reset",
        "device/recovery",
        "device",
        "device/poller",
        "device/setup",
        "device/trial",
        "device/ladder",
        "device/options",
        "device/alone",
        // One way to send and to wait.
        "request",
        // The queues and sessions of one life of the device.
        "epoch",
        // Slots and waiters behind the lock.
        "queue",
        // What the device offers.
        "capabilities",
        // Rings: device memory and indices.
        "virtqueue",
        // Registers.
        "transport",
        // Memory, locks, time.
        "dma",
        "sync",
        "deadline",
        "heap",
        "platform",
        // Words that everybody uses.
        "stats",
        "error",
        "wire",
        "index",
    ],
    by_root: &["Error", "Result", "Platform"],
    unsafe_rooms: &["dma", "virtqueue", "transport", "sync", "platform"],
};

const KERNEL: House = House {
    src: "kernel/src",
    library: "kernel",
    roots: &["lib.rs", "bin/demo/main.rs", "bin/probe/main.rs"],
    rooms: &[
        // What boots.
        "bin/demo",
        "bin/probe/main",
        "bin/probe/rules",
        "bin/probe/facts",
        "bin/probe/report",
        "bin/probe/requests",
        "bin/probe/answers",
        // What programs see; nobody in here does.
        "lib",
        // What benchmarks and tests share.
        "bench",
        "testing",
        // Brings the machine up, and hands over.
        "start",
        // Crypto devices.
        "crypto",
        "platform",
        // What runs, and on how many CPUs.
        "smp",
        "task",
        "time",
        // Interrupts, and who raises them.
        "interrupts",
        "bus",
        // The first instructions, and the words that came with them.
        "command_line",
        "boot",
        // What everything needs.
        "memory",
        "exit",
        "console",
        "sync",
        "cpu",
    ],
    by_root: &[],
    unsafe_rooms: &[
        "bin/probe/main",
        "bin/probe/requests",
        "crypto/open",
        "platform",
        "interrupts",
        "bus/pci",
        "boot",
        "memory",
        "sync",
        "cpu",
    ],
};

const COMMON: House = House {
    src: "apps/common/src",
    library: "common",
    roots: &["lib.rs"],
    rooms: &[
        "lib",
        // Devices that are not this project's.
        "net/setup",
        "net",
        "net/socket",
        "net/stack",
        "net/frames",
        "disk/setup",
        "disk",
        "disk/waiting",
        "disk/ring",
        "disk/error",
        "bus",
        // What the host gives, and the CPU.
        "random",
        "fw_cfg",
    ],
    by_root: &[],
    unsafe_rooms: &["disk/ring", "fw_cfg", "net/frames"],
};

const LUKS: House = House {
    src: "apps/luks/src",
    library: "luks",
    roots: &["lib.rs", "main.rs"],
    rooms: &[
        // The program.
        "main",
        "program",
        // What programs see; nobody in here does.
        "lib",
        // Open containers, on the kernel.
        "volume",
        "gate",
        "pieces",
        // From a passphrase to a key.
        "opening",
        "header",
        // How a key comes of a passphrase, and is split.
        "antiforensic",
        "kdf",
        "hash",
        // What everything needs.
        "fields",
        "machine",
        "error",
    ],
    by_root: &[],
    unsafe_rooms: &[],
};

/// The program; what it sees, which nobody in here does; which resources there are, and files; what
/// they are asked for by; what that is wrapped in.
const HTTPS: House = House {
    src: "apps/https/src",
    library: "https",
    roots: &["lib.rs", "main.rs"],
    rooms: &["main", "program", "lib", "pages", "files", "http", "tls"],
    by_root: &[],
    unsafe_rooms: &[],
};

const XTASK: House = House {
    src: "host/xtask/src",
    library: "xtask",
    roots: &["main.rs"],
    rooms: &[
        // Which command it is.
        "main",
        // The commands.
        "lint",
        "columns",
        "suite",
        "bench",
        "probe",
        "peer",
        "device",
        "mixes",
        "proof",
        "app",
        // The runs of a binary, each on its QEMU.
        "boot/runner",
        // What they need beside a compiler.
        "setup",
        "qemu",
        // One run in QEMU.
        "boot",
        "boot/verdict",
        "boot/qemu",
        "boot/emulator",
        "boot/machine",
        "boot/own",
        "boot/accelerator",
        // Newer QEMUs.
        "debian",
        // Starting programs, finding files, saying what is wrong.
        "project",
        "child",
        "files",
        "report",
    ],
    by_root: &[],
    unsafe_rooms: &[],
};

const DEVICE: House = House {
    src: "host/device/src",
    library: "device",
    roots: &["lib.rs", "main.rs"],
    rooms: &[
        // The program.
        "main",
        // What others see; nobody in here does.
        "lib",
        // Carries a device to a virtual machine.
        "serve",
        // A device, by whatever carries it: what is asked of it, and what becomes of that.
        "function/pci",
        "function/command",
        "function/workers",
        "function/attached",
        "function/access",
        "function/serving",
        "function/broken",
        "function",
        // What it is made of.
        "function/registers",
        "function/queue",
        "function/negotiation",
        "function/layout",
        "function/stats",
        "function/lock",
        // The device's half of a queue.
        "ring",
        // Requests, and what they ask for.
        "engine",
        "services",
        // What the driver lets it reach.
        "memory",
        // What a device is.
        "options",
        "offer",
        "results",
        "rules",
        // Bytes of the specification.
        "wire",
        "feature",
        // What everything needs.
        "random",
    ],
    by_root: &[],
    unsafe_rooms: &[],
};

const SERVICES: House = House {
    src: "host/services/src",
    library: "services",
    roots: &["lib.rs"],
    rooms: &[
        "lib",
        // The tests. What helps others stands below them.
        "out_of_memory",
        "stream",
        "signatures",
        "ecdsa",
        "rsa",
        "aead",
        "batch",
        "cache",
        "chain",
        "ciphers",
        "long",
        "examples",
        "framing",
        "hash",
        "mac",
        "prove",
        "secrets",
        "sequences",
        "stateless",
        "trial",
        "vectors",
        // Every way to call it.
        "ways",
        // A driver and a device put together.
        "rig",
        // What they are judged by.
        "oracle",
        "heap",
    ],
    by_root: &[],
    unsafe_rooms: &["rig/transport", "heap"],
};

const CALLS: House = House {
    src: "host/calls/src",
    library: "calls",
    roots: &["lib.rs"],
    rooms: &[
        "lib",
        // The targets.
        "answers",
        "sequences",
        // A machine with devices and callers on it.
        "world/ending",
        "world/meanwhile",
        "world/mischief",
        "world/polling",
        "world/setup",
        "world",
        "world/callers",
        "world/excuses",
        // What is asked of a session.
        "service",
        // The device, and the machine under it.
        "far",
        "machine",
        // What everything needs.
        "secrets",
        "input",
    ],
    by_root: &[],
    unsafe_rooms: &["machine"],
};

const CHECKS: House = House {
    src: "host/services/checks",
    library: "checks",
    roots: &["mod.rs", "convert.rs", "digests.rs"],
    rooms: &[
        // What is tried.
        "sequences",
        "monte_carlo",
        "wycheproof",
        "standards",
        // The vectors of the standards, and how such tables are read.
        "tables",
        "table",
        // What answers are compared with, and how they are counted.
        "oracle",
        "random",
        "tally",
        // What others include by its path.
        "convert",
        "digests",
    ],
    by_root: &[],
    unsafe_rooms: &[],
};

const BENCH: House = House {
    src: "host/bench/src",
    library: "bench",
    roots: &["main.rs", "bin/linux_guest/main.rs"],
    rooms: &[
        // Which command it is.
        "main",
        // What is measured, and what came of it.
        "plan",
        "report",
        "peer",
        // One run in QEMU.
        "guest",
        "clock",
        // What a run says.
        "line",
        // What runs inside Linux.
        "bin/linux_guest",
    ],
    by_root: &[],
    unsafe_rooms: &[],
};

#[test]
fn bench_imports_downward_only() {
    check(&BENCH);
}

#[test]
fn what_applications_share_imports_downward_only() {
    check(&COMMON);
}

#[test]
fn luks_imports_downward_only() {
    check(&LUKS);
}

#[test]
fn https_imports_downward_only() {
    check(&HTTPS);
}

#[test]
fn checks_import_downward_only() {
    check(&CHECKS);
}

#[test]
fn calls_import_downward_only() {
    check(&CALLS);
}

#[test]
fn services_import_downward_only() {
    check(&SERVICES);
}

#[test]
fn device_imports_downward_only() {
    check(&DEVICE);
}

#[test]
fn xtask_imports_downward_only() {
    check(&XTASK);
}

#[test]
fn kernel_imports_downward_only() {
    check(&KERNEL);
}

#[test]
fn driver_imports_downward_only() {
    check(&DRIVER);
}

/// host/fuzz builds the driver's source once more, and names its dependencies itself.
#[test]
fn fuzz_depends_on_what_the_driver_depends_on() {
    let read = |manifest: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(manifest);
        let text = fs::read_to_string(path).expect("a manifest");
        let (_, rest) = text.split_once("\n[dependencies]\n").expect("dependencies");
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        // Targets that are crates of their own are the package's alone.
        let lines = lines.filter(|line| !line.starts_with('#') && !line.contains("path = "));
        let names = lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(read("driver/Cargo.toml"), read("host/fuzz/Cargo.toml"));
}

/// Fails with all that is wrong with a house, a line each.
fn check(house: &House) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let src = repository.join(house.src);
    let mut files = Files::new();
    collect(&src, "", &mut files);
    // A crate of tests alone is read like any other.
    for root in house.roots {
        if let Some(text) = files.get_mut(*root) {
            *text = text.replace("#![cfg(test)]", "");
        }
    }
    assert!(!files.is_empty(), "no files in {}", src.display());
    let faults = [faults(house, &files), strays(house, &files)].concat();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Reads every Rust file below a folder.
fn collect(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.insert(name, fs::read_to_string(&path).expect("a file of text"));
        }
    }
}
