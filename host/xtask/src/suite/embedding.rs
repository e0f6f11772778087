//! A copy of the driver's folder in somebody else's tree.
//!
//! It builds there, with the oldest compiler that it names, and for CPUs that no test here runs on.
//! The rule: what needs a compiler or a target that can neither be found nor fetched is left out by
//! name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::part::Part;
use crate::{
    child,
    project::Project,
    report::{Failure, Result},
};

const TARGETS: [&str; 2] = ["aarch64-unknown-none", "riscv64gc-unknown-none-elf"];

const MANIFEST: &str = r#"[package]
name = "app"
edition = "2024"
[dependencies]
virtio-crypto = { path = "../driver", features = ["pkcs8", "signature"] }
[workspace]
"#;

/// What only the driver's tests need.
const TEST_DEPENDENCIES: [&str; 4] = ["loom", "vm-memory", "aes", "virtio-queue"];

pub fn run(part: &mut Part) -> Result {
    let oldest = oldest_rust(&part.project.path("driver/Cargo.toml"))?;
    let with_oldest = format!("builds_with_rust_{oldest}");
    let for_targets = TARGETS.map(|target| format!("builds_for_{target}"));
    let (vendored, lock_file) = (
        "vendored_copy_builds",
        "test_dependencies_stay_out_of_the_lock_file",
    );
    let names = [
        vendored,
        lock_file,
        &with_oldest,
        &for_targets[0],
        &for_targets[1],
    ];
    if !names.iter().any(|name| part.filter.wants(name)) {
        return Ok(());
    }
    part.begin();
    let project = part.project;
    let app = vendor(project)?;
    let host = project.host_target()?;
    let check = |target: &str| {
        let mut cargo = project.host_cargo(&["check", "-q", "--offline", "--target", target]);
        cargo.current_dir(&app);
        cargo
    };
    // The lock file is what this one leaves.
    if part.filter.wants(vendored) || part.filter.wants(lock_file) {
        part.check_builds(vendored, &mut check(&host));
        part.check(lock_file, || {
            let lock = fs::read_to_string(app.join("Cargo.lock")).map_err(|e| e.to_string())?;
            let there = |name: &&str| lock.contains(&format!("name = \"{name}\""));
            match TEST_DEPENDENCIES.iter().find(|name| there(name)) {
                Some(name) => Err(format!(
                    "expected: a lock file without {name}\ngot:\n{lock}"
                )),
                None => Ok(()),
            }
        });
    }
    if part.filter.wants(&with_oldest) {
        if has_rust(project, &oldest) {
            let mut cargo = check(&host);
            cargo.env("RUSTUP_TOOLCHAIN", &oldest);
            part.check_builds(&with_oldest, &mut cargo);
        } else {
            part.leave_out(&with_oldest);
        }
    }
    for (target, name) in TARGETS.iter().zip(&for_targets) {
        if !part.filter.wants(name) {
            continue;
        }
        if has_target(project, target) {
            part.check_builds(name, &mut check(target));
        } else {
            part.leave_out(name);
        }
    }
    Ok(())
}

/// Makes a tree with nothing but the driver's folder and a crate that depends on it.
fn vendor(project: &Project) -> Result<PathBuf> {
    let embedding = project.target("embedding");
    let _ = fs::remove_dir_all(&embedding);
    let app = embedding.join("app");
    fs::create_dir_all(app.join("src"))?;
    let mut copy = Command::new("cp");
    child::run(copy.arg("-rL").arg(project.path("driver")).arg(&embedding))?;
    fs::write(app.join("Cargo.toml"), MANIFEST)?;
    fs::write(app.join("src/lib.rs"), "#![no_std]\n")?;
    fs::copy(project.path("Cargo.lock"), app.join("Cargo.lock"))?;
    Ok(app)
}

fn oldest_rust(manifest: &Path) -> Result<String> {
    let text = fs::read_to_string(manifest)?;
    let mut versions = text
        .lines()
        .filter_map(|line| line.strip_prefix("rust-version = \""));
    let version = versions.next().and_then(|rest| rest.split('"').next());
    let missing = || Failure::Because(format!("{}: no rust-version", manifest.display()));
    version.map(str::to_owned).ok_or_else(missing)
}

fn succeeds(command: &mut Command) -> bool {
    child::capture(command).is_ok_and(|ended| ended.status == 0)
}

fn has_rust(project: &Project, version: &str) -> bool {
    let mut find = project.host("rustup");
    let mut fetch = project.host("timeout");
    fetch.args(["120", "rustup", "toolchain", "install", version]);
    fetch.args(["--profile", "minimal", "--no-self-update"]);
    succeeds(find.args(["run", version, "cargo", "--version"])) || succeeds(&mut fetch)
}

fn has_target(project: &Project, target: &str) -> bool {
    let mut find = project.host("rustc");
    find.args(["--print", "target-libdir", "--target", target]);
    let is_there = child::capture(&mut find).is_ok_and(|ended| {
        let files = fs::read_dir(ended.output.trim());
        files.is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| is_core(&file.file_name().to_string_lossy())))
        })
    });
    let mut fetch = project.host("timeout");
    is_there || succeeds(fetch.args(["60", "rustup", "target", "add", target]))
}

fn is_core(file: &str) -> bool {
    file.starts_with("libcore-") && file.ends_with(".rlib")
}
