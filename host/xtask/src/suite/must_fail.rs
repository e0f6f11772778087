//! Runs of the demonstration that must fail, each with its line.
//!
//! The rule: a run that should fail and passes is a failure, and so is one that fails for another
//! reason.

use super::part::Part;
use crate::{
    child,
    project::DEMONSTRATION,
    report::{Result, quote},
};

struct Run {
    test: &'static str,
    line: &'static str,
    variables: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
}

const RUNS: &[Run] = &[
    Run {
        test: "no_device",
        line: "no virtio-crypto device",
        variables: &[("DEVICES", "0")],
        words: &[],
    },
    Run {
        test: "another_device",
        line: "no virtio-crypto device",
        variables: &[("DEVICES", "0"), ("QEMU_ARGS", "-device virtio-rng-pci")],
        words: &[],
    },
    Run {
        test: "too_little_memory",
        line: "give the machine more",
        variables: &[("MEM", "16M")],
        words: &[],
    },
    Run {
        test: "heap_beyond_memory",
        line: "at least 1048576 KiB needed: give the machine more",
        variables: &[],
        words: &["heap=1024"],
    },
    Run {
        test: "tasks_out_of_range",
        line: "tasks=3: a number from 16 to 1048576",
        variables: &[],
        words: &["tasks=3"],
    },
    Run {
        test: "too_little_memory_to_boot",
        line: "MEM=1M: too little to boot in",
        variables: &[("MEM", "1M")],
        words: &[],
    },
    Run {
        test: "unknown_word",
        line: "known: demo",
        variables: &[("MEM", "32M")],
        words: &["bogus"],
    },
    Run {
        test: "time_limit",
        line: "no end after 1 s",
        variables: &[("TIMEOUT", "1"), ("QEMU_ARGS", "-S")],
        words: &[],
    },
    Run {
        test: "no_such_accelerator",
        line: "ACCEL=bogus: kvm or tcg",
        variables: &[("ACCEL", "bogus")],
        words: &[],
    },
];

pub fn run(part: &mut Part) -> Result {
    let Some(wanted) = part.begin_with(RUNS, |run| run.test) else {
        return Ok(());
    };
    let selection = [&["-p", "kernel"], &DEMONSTRATION[..]].concat();
    let project = part.project;
    part.build_kernel("the demonstration", &[&["build"], &selection[..]].concat())?;
    for run in wanted {
        let mut cargo = project.kernel_cargo(&[&["run", "-q"], &selection[..], &["--"]].concat());
        cargo.args(run.words).envs(run.variables.iter().copied());
        part.check_alone(run.test, &alone(run), || {
            let ended = child::capture(&mut cargo).map_err(|failure| format!("{failure:?}"))?;
            if ended.status != 0 && ended.output.contains(run.line) {
                return Ok(());
            }
            Err(format!(
                "expected: a failing status and the line \"{}\"\ngot: status {} and\n{}",
                run.line, ended.status, ended.output
            ))
        });
    }
    Ok(())
}

fn alone(run: &Run) -> String {
    let variables = run.variables.iter();
    let mut line: String = variables
        .map(|(name, value)| format!("{name}={} ", quote(value)))
        .collect();
    line += "./run.sh demo";
    for word in run.words {
        line += &format!(" {word}");
    }
    line
}
