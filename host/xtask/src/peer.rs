//! The peer: Linux's own driver, in Debian's kernel, beside which this one is measured.
//!
//! For `./run.sh linux-guest` and `./run.sh bench --peer linux`. The rule: the kernel is fetched
//! and unpacked below `target`, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    boot::{self, Image, machine::Variables},
    child,
    files::{files_below, program, scratch},
    project::Project,
    report::{Failure, Result, fail, say},
    setup,
};

/// What Linux's driver needs, in the order of loading.
const MODULES: [&str; 10] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "crypto_engine",
    "virtio_crypto",
    "af_alg",
    "algif_skcipher",
    "pkcs8_key_parser",
];

/// The machine for Linux. Where the CPU says that it has them, it copies by string instructions,
/// which TCG is slow at: without, it is twice as fast at 64 KiB.
const MACHINE: &str = "mem=1G ends=poweroff cpu=max,-erms,-fsrm";

/// Boots Linux with what measures its driver.
///
/// # Errors
///
/// Fails when the run does.
pub fn boot(project: &Project, words: &[String], variables: &Variables) -> Result {
    let peer = project.target("peer");
    // `idle=halt` stands for what Linux does by itself; to Linux the word means something of its
    // own.
    let words: Vec<_> = words
        .iter()
        .map(|word| word.replace("idle=halt", ""))
        .collect();
    let words = format!("console=ttyS0 quiet panic=-1 {}", words.join(" "));
    let image = Image {
        kernel: &peer.join("vmlinuz"),
        initramfs: Some(&peer.join("initramfs")),
        words: &words,
        arguments: &[],
    };
    boot::boot(&image, MACHINE, variables)
}

/// Makes the program that measures, and the modules, Linux's first file system.
///
/// # Errors
///
/// Fails when the kernel cannot be fetched, or when something does not build.
pub fn build(project: &Project) -> Result {
    let peer = project.target("peer");
    fetch(project, &peer)?;
    let arguments = [
        "build",
        "--release",
        "--target",
        "host-tuple",
        "-p",
        "bench",
    ];
    let mut cargo = project.host_cargo(&arguments);
    cargo.args(["--bin", "linux-guest"]);
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    cargo.env("CARGO_TARGET_DIR", peer.join("build"));
    child::build(&mut cargo, "what measures Linux's driver")?;
    let built = files_below(&peer.join("build"))?;
    let Some(init) = built
        .iter()
        .find(|path| path.ends_with("release/linux-guest"))
    else {
        return fail("cargo built no linux-guest");
    };
    let initramfs = peer.join("initramfs");
    if is_newer(&initramfs, init) {
        return Ok(());
    }
    let root = peer.join("root");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("modules"))?;
    for module in files_below(&peer.join("modules"))? {
        let name = module.file_name().unwrap_or_default();
        fs::copy(&module, root.join("modules").join(name))?;
    }
    fs::copy(init, root.join("init"))?;
    let mut pack = Command::new("sh");
    pack.args(["-c", "find . | cpio -o -H newc --quiet >../initramfs"]);
    child::run(pack.current_dir(&root))
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    changed(file)
        .zip(changed(than))
        .is_some_and(|(file, than)| file > than)
}

/// Fetches Debian's kernel, unless it is there with these modules.
fn fetch(project: &Project, peer: &Path) -> Result {
    let list = peer.join("modules.list");
    let modules = MODULES.join(" ") + "\n";
    if fs::read_to_string(&list).is_ok_and(|there| there == modules) {
        return Ok(());
    }
    if program("dpkg-deb").is_none() || program("apt-get").is_none() {
        return fail(format_args!(
            "no apt-get: the peer is the kernel of Debian's linux-image-amd64; unpack it to {}",
            peer.display()
        ));
    }
    if program("cpio").is_none() {
        setup::install(project, "no cpio", &["cpio"])?;
    }
    setup::update_lists(project)?;
    let package = package(project)?;
    say(format_args!("fetching {package}"));
    let _ = fs::remove_dir_all(peer);
    fs::create_dir_all(peer.join("modules"))?;
    let downloads = scratch("peer")?;
    let unpacked = unpack(project, &package, &downloads, &peer.join("tree"));
    fs::remove_dir_all(&downloads)?;
    if !unpacked? {
        return fail(format_args!("{package} could not be fetched"));
    }
    keep(peer)?;
    Ok(fs::write(list, modules)?)
}

/// Returns the name of the package that holds the kernel.
fn package(project: &Project) -> Result<String> {
    let mut apt = project.host("apt-cache");
    let ended = child::capture(apt.args(["depends", "linux-image-amd64"]))?;
    let mut names = ended
        .output
        .lines()
        .filter_map(|line| line.split_once("Depends: "));
    let name = names.find(|(_, name)| name.starts_with("linux-image-"));
    let missing = "apt knows no linux-image-amd64: add Debian's main archive";
    let missing = || Failure::Because(missing.to_owned());
    name.map(|(_, name)| name.to_owned()).ok_or_else(missing)
}

/// Downloads a package and unpacks it; `false` when that fails.
fn unpack(project: &Project, package: &str, downloads: &Path, tree: &Path) -> Result<bool> {
    let mut apt = project.bounded("apt-get");
    apt.args(["-q", "download", package]);
    if child::capture(apt.current_dir(downloads))?.status != 0 {
        return Ok(false);
    }
    let files: Vec<PathBuf> = files_below(downloads)?;
    let Some(file) = files
        .iter()
        .find(|file| file.extension().is_some_and(|it| it == "deb"))
    else {
        return Ok(false);
    };
    let mut dpkg = project.host("dpkg-deb");
    Ok(child::capture(dpkg.arg("-x").arg(file).arg(tree))?.status == 0)
}

/// Keeps the kernel and the modules, and nothing else of the package.
fn keep(peer: &Path) -> Result {
    let tree = peer.join("tree");
    let files = files_below(&tree)?;
    let named = |name: &str| files.iter().find(|file| file.ends_with(name));
    for module in MODULES.map(|module| format!("{module}.ko")) {
        // What is not there is built in.
        if let Some(file) = named(&module) {
            fs::copy(file, peer.join("modules").join(&module))?;
        }
    }
    let is_kernel = |file: &&PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vmlinuz-")
    };
    let Some(kernel) = files.iter().find(is_kernel) else {
        return fail("the package holds no kernel");
    };
    fs::copy(kernel, peer.join("vmlinuz"))?;
    Ok(fs::remove_dir_all(tree)?)
}
