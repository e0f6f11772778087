//! Reports of the probe: written to a file, read again, and compared with another run.
//!
//! The rule: a run that is compared differs in what was changed on purpose, and in nothing else.

use std::{fs, path::Path, result::Result as Judged};

use super::{part::Part, whole_programs::Ending};
use crate::{files::scratch, project::Project, report::Result};

/// A test, and what it does.
type Test = (&'static str, fn(&Project) -> Judged<(), String>);

const TESTS: [Test; 2] = [
    ("probe_compares_a_run_with_a_report", compare),
    ("probe_names_a_report_that_it_cannot_read", refuse),
];

/// One row, which every device of QEMU keeps: the rest of a run takes long.
const ONE_ROW: &str = "--only=hw-ready";

pub fn run(part: &mut Part) -> Result {
    for (name, test) in part
        .begin_with(&TESTS, |(name, _)| name)
        .unwrap_or_default()
    {
        let project = part.project;
        part.check(name, || test(project));
    }
    Ok(())
}

fn compare(project: &Project) -> Judged<(), String> {
    let folder = scratch("probe-report").map_err(|failure| failure.reason().to_owned())?;
    let outcome = compare_by(project, &folder.join("report.json"));
    // It lies where files do not stay.
    let _ = fs::remove_dir_all(folder);
    outcome
}

fn compare_by(project: &Project, path: &Path) -> Judged<(), String> {
    let name = path.to_string_lossy();
    let ending = Ending {
        status: 0,
        prints: &["hw-ready * yes"],
    };
    ending.judge(&mut probe(project, &[ONE_ROW, "--json", &name]))?;
    let report = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let changed = report.replacen(r#""held": "yes""#, r#""held": "no""#, 1);
    fs::write(path, changed).map_err(|error| format!("{name}: {error}"))?;
    let ending = Ending {
        status: 0,
        prints: &[
            "1 differences from the earlier run",
            "  rule hw-ready: was no (*), is yes (*)",
        ],
    };
    ending.judge(&mut probe(project, &[ONE_ROW, "--compare", &name]))
}

fn refuse(project: &Project) -> Judged<(), String> {
    let ending = Ending {
        status: 2,
        prints: &["run: failed: no-such-report.json: *; --json writes what --compare reads"],
    };
    ending.judge(&mut probe(project, &["--compare=no-such-report.json"]))
}

fn probe(project: &Project, words: &[&str]) -> std::process::Command {
    let mut command = project.host(project.path("run.sh"));
    command.arg("probe").args(words);
    command
}
