//! Each command that proves something, for some seconds, so that none can rot.
//!
//! The rule: where its tool is missing it is left out by name, and nothing is built for it: what a
//! command does at full length stands in `docs/PROOFS.md`.

use super::{part::Part, whole_programs::Ending};
use crate::{
    project::Project,
    proof::{
        fuzz, miri, sanitize,
        tools::{DENY, SEMVER_CHECKS},
    },
    report::{Result, quote},
};

pub fn run(part: &mut Part) -> Result {
    run_each(part, ON_THIS_HOST)
}

pub fn run_in_qemu(part: &mut Part) -> Result {
    run_each(part, IN_QEMU)
}

fn run_each(part: &mut Part, proofs: &[Proof]) -> Result {
    for proof in part.begin_with(proofs, |it| it.test).unwrap_or_default() {
        let project = part.project;
        if !(proof.has_tool)(project) {
            part.leave_out(proof.test);
            continue;
        }
        let mut command = project.host(project.path("run.sh"));
        command.args(proof.words);
        let words: Vec<_> = proof.words.iter().map(|word| quote(word)).collect();
        let alone = format!("./run.sh {}", words.join(" "));
        let ending = Ending {
            status: 0,
            prints: proof.prints,
        };
        part.check_alone(proof.test, &alone, || ending.judge(&mut command));
    }
    Ok(())
}

/// A command that proves something.
struct Proof {
    test: &'static str,
    /// Tells whether it can run without anything being fetched.
    has_tool: fn(&Project) -> bool,
    /// The words of `./run.sh` by which it takes some seconds.
    words: &'static [&'static str],
    /// Patterns of lines that it prints.
    prints: &'static [&'static str],
}

const ON_THIS_HOST: &[Proof] = &[
    Proof {
        test: "proof_deny",
        has_tool: |project| DENY.find(project).is_some(),
        words: &["deny"],
        prints: &["deny: pass"],
    },
    Proof {
        test: "proof_semver",
        has_tool: |project| SEMVER_CHECKS.find(project).is_some(),
        words: &["semver"],
        prints: &["semver: pass baseline=*"],
    },
    Proof {
        test: "proof_fuzz",
        has_tool: fuzz::has_tools,
        words: &["fuzz", "pci", "seconds=3"],
        prints: &["fuzz: target=pci executions=*", "fuzz: pass executions=*"],
    },
    Proof {
        test: "proof_mutants",
        // The compiler alone. What loom needs is built by now.
        has_tool: |_| true,
        words: &["mutants", "between the available index and the device"],
        prints: &[
            "mutants: fences: caught=1 survived=0",
            "mutants: caught=1 survived=0",
        ],
    },
    Proof {
        test: "proof_miri",
        has_tool: miri::has_tools,
        words: &[
            "miri",
            "virtio-crypto",
            "borrows=tree",
            "rings=split",
            "blocking_form_that_gives_up_cancels",
        ],
        prints: &["miri: pass tests=1 seeds=1 left_out=*"],
    },
    Proof {
        test: "proof_sanitize",
        has_tool: sanitize::has_tools,
        words: &["sanitize", "address", "virtio-crypto", "cancellation"],
        prints: &["sanitize: pass kind=address tests=*"],
    },
];

const IN_QEMU: &[Proof] = &[
    Proof {
        test: "proof_soak",
        has_tool: |_| true,
        words: &["soak", "seconds=8", "cpus=2"],
        prints: &["soak: pass requests=* unhandled=0 *"],
    },
    Proof {
        test: "proof_soak_load",
        has_tool: |_| true,
        words: &["soak", "load=yes", "seconds=4", "cpus=2"],
        prints: &["soak: load pass callers=1024 *inversions=0 *"],
    },
];
