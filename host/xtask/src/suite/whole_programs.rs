//! Programs that are no test binaries: the demonstration, the minimal kernel, the probe.
//!
//! The rule: each ends well and prints a line for each of its patterns.

use std::process::Command;

use super::{part::Part, pattern};
use crate::{
    child, probe,
    project::{DEMONSTRATION, Project},
    report::Result,
};

pub fn run(part: &mut Part) -> Result {
    let Some(wanted) = part.begin_with(PROGRAMS, |it| it.test) else {
        return Ok(());
    };
    for program in wanted {
        let project = part.project;
        let mut selection = vec!["build", "-p", "kernel"];
        selection.extend(program.target);
        project.build_kernel(program.test, &selection)?;
        let mut command = program.command(project)?;
        part.check(program.test, || program.judge(&mut command));
    }
    Ok(())
}

struct Program {
    test: &'static str,
    /// What cargo calls it.
    target: &'static [&'static str],
    /// The words of `./run.sh probe`, for the probe.
    probe: Option<&'static [&'static str]>,
    prints: &'static [&'static str],
}

impl Program {
    fn command(&self, project: &Project) -> Result<Command> {
        if let Some(words) = self.probe {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            return probe::command(project, &words);
        }
        let mut cargo = project.kernel_cargo(&["run", "-q", "-p", "kernel"]);
        cargo.args(self.target);
        Ok(cargo)
    }

    fn judge(&self, command: &mut Command) -> std::result::Result<(), String> {
        let ended = child::capture(command).map_err(|failure| format!("{failure:?}"))?;
        let output = ended.output.replace('\r', "");
        let missing = pattern::missing(self.prints, &output);
        if ended.status == 0 && missing.is_empty() {
            return Ok(());
        }
        let mut expected = String::from("status 0");
        if !missing.is_empty() {
            expected = expected + ", and lines like\n" + &missing.join("\n");
        }
        let status = ended.status;
        Err(format!(
            "expected: {expected}\ngot: status {status} and\n{output}"
        ))
    }
}

const PROBE: &[&str] = &["--bin", "probe"];

const PROGRAMS: &[Program] = &[
    Program {
        test: "demonstration",
        target: &DEMONSTRATION,
        probe: None,
        prints: &[
            "   ciphers *AES-CBC",
            "   All 64 bytes are as published",
            "   waiting *####",
            // None is unhandled by exact accounting.
            "   waiting *          0    *",
            "   racing *          0    *",
            "demo: pass",
        ],
    },
    Program {
        test: "minimal_kernel",
        target: &["--example", "minimal"],
        probe: None,
        prints: &["minimal: pass"],
    },
    Program {
        test: "probe_finds_what_is_known_of_qemu",
        target: PROBE,
        probe: Some(&[]),
        prints: &[
            "probe: pass",
            "probe: service=CIPHER algorithm=AesCbc key_bits=128 advertised=yes works=yes \
             note=[67] lengths",
            "probe: service=CIPHER algorithm=AesCbc key_bits=256 advertised=yes works=yes",
            "probe: service=CIPHER algorithm=AesXts key_bits=512 advertised=no works=yes",
            "probe: service=CIPHER algorithm=TripleDesCbc key_bits=192 advertised=no works=yes",
            "probe: service=CIPHER algorithm=DesCbc key_bits=64 advertised=no works=refused \
             note=create: ERR",
            "probe: service=HASH algorithm=Sha256 key_bits=0 advertised=no works=refused",
            "probe: service=AKCIPHER algorithm=RsaPkcs1(Sha256) key_bits=2048",
            "probe: requirement=ended-session-answers-invsess section=* held=yes",
            "probe: requirement=hw-ready section=* held=yes",
            "probe: requirement=any-framing section=2.7.4.1 held=yes",
            "probe: framing request=CIPHER one-per-field=OK compact=OK",
            "probe: queue=0 answers=OK",
            "probe: quirk=requests_without_answer value=0 dropped, 0 never answered, 0 late",
            "probe: quirk=session_limit value=256",
            "probe: quirk=sessions_survive_reset value=yes",
            "probe: quirk=partial_blocks value=AesCtr:ERR",
        ],
    },
    Program {
        test: "probe_goes_on_after_a_device_broke",
        target: PROBE,
        probe: Some(&["--dangerous=short-header,short-key,no-iv", "event_idx=off"]),
        prints: &[
            "probe: pass",
            "probe: requirement=offers-version-1 *INDIRECT_DESC | VERSION_1",
            "probe: broke=needs-reset step=short-header",
            "probe: dangerous=short-header outcome=needs-reset",
            "probe: broke=needs-reset step=short-key",
            "probe: dangerous=no-iv outcome=chained",
        ],
    },
];
