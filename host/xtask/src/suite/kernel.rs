//! The test binaries of the kernel, and of what applications share, in QEMU.
//!
//! The rule: only binaries in whose source a wanted name stands are built and booted.

use std::fs;

use super::part::Part;
use crate::report::Result;

/// Where they are.
const FOLDERS: [&str; 2] = ["kernel/tests", "apps/common/tests"];

pub fn run(part: &mut Part) -> Result {
    let mut selection = ["-p", "kernel", "-p", "common"].map(str::to_owned).to_vec();
    let binaries = binaries(part)?;
    if binaries.is_empty() {
        return Ok(());
    }
    if part.filter.names().next().is_some() {
        selection.extend(
            binaries
                .into_iter()
                .flat_map(|name| ["--test".to_owned(), name]),
        );
    }
    part.begin();
    let selection: Vec<_> = selection.iter().map(String::as_str).collect();
    let build = [&["test", "--no-run"], &selection[..]].concat();
    part.build_kernel("the kernel's tests", &build)?;
    let mut cargo = part.project.kernel_cargo(&["test", "-q", "--no-fail-fast"]);
    cargo.args(selection).arg("--").args(part.filter.words());
    part.cargo(&mut cargo)
}

/// Returns the names of the test binaries that can hold a wanted test.
fn binaries(part: &Part) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut paths = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(part.project.path(folder))? {
            paths.push(entry?.path());
        }
    }
    for path in paths {
        let is_binary =
            path.join("main.rs").is_file() || path.extension().is_some_and(|it| it == "rs");
        if is_binary && part.filter.may_match(std::slice::from_ref(&path)) {
            names.extend(
                path.file_stem()
                    .and_then(|name| name.to_str())
                    .map(str::to_owned),
            );
        }
    }
    names.sort();
    Ok(names)
}
