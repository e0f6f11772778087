//! Programs that are no test binaries: the demonstration, the minimal kernel, the probe.
//!
//! The rule: each ends with its status and prints a line for each of its patterns.

use std::process::Command;

use super::{part::Part, pattern};
use crate::{
    boot::own,
    child,
    project::{DEMONSTRATION, Project},
    qemu,
    report::Result,
};

pub fn run(part: &mut Part) -> Result {
    let Some(wanted) = part.begin_with(PROGRAMS, |it| it.test) else {
        return Ok(());
    };
    for program in wanted {
        let project = part.project;
        if program.has_own_device() && qemu::with_device(project, own::QEMU_DEVICE).is_err() {
            part.leave_out(&format!("device_of_our_own: {}", program.test));
            continue;
        }
        let mut selection = vec!["build", "-p", "kernel"];
        selection.extend(program.target);
        part.build_kernel(program.test, &selection)?;
        let mut command = program.command(project);
        part.check(program.test, || program.ending.judge(&mut command));
    }
    Ok(())
}

struct Program {
    test: &'static str,
    /// What cargo calls it.
    target: &'static [&'static str],
    /// The words of `./run.sh` that run it; cargo does where there are none.
    words: Option<&'static [&'static str]>,
    ending: Ending,
}

impl Program {
    /// Whether it needs a QEMU for the project's own device.
    fn has_own_device(&self) -> bool {
        let mut words = self.words.unwrap_or(&[]).iter();
        words.any(|word| *word == "device" || word.starts_with("--broken="))
    }

    fn command(&self, project: &Project) -> Command {
        if let Some(words) = self.words {
            let mut command = project.host(project.path("run.sh"));
            command.args(words);
            return command;
        }
        let mut cargo = project.kernel_cargo(&["run", "-q", "-p", "kernel"]);
        cargo.args(self.target);
        cargo
    }
}

/// How a program has to end.
pub struct Ending {
    pub status: i32,
    /// Patterns of lines that it prints.
    pub prints: &'static [&'static str],
}

impl Ending {
    /// Runs a program, and tells how it ends otherwise.
    pub fn judge(&self, command: &mut Command) -> std::result::Result<(), String> {
        let ended = child::capture(command).map_err(|failure| format!("{failure:?}"))?;
        let output = ended.output.replace('\r', "");
        let missing = pattern::missing(self.prints, &output);
        if ended.status == self.status && missing.is_empty() {
            return Ok(());
        }
        let mut expected = format!("status {}", self.status);
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
        words: None,
        ending: Ending {
            status: 0,
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
    },
    Program {
        test: "minimal_kernel",
        target: &["--example", "minimal"],
        words: None,
        ending: Ending {
            status: 0,
            prints: &["minimal: pass"],
        },
    },
    Program {
        test: "probe_finds_what_is_known_of_qemu",
        target: PROBE,
        words: Some(&["probe"]),
        ending: Ending {
            status: 1,
            prints: &[
                "This device is good for ciphers (*AesCbc 128/192/256*)*",
                "It does not advertise AesEcb 128/192/256*",
                "Its data queues: 1, all served; sessions: 256; framing: either.",
                "BROKEN session-id-only-when-ok (5.9.7.2.1): session_id is written only where *",
                "CIPHER *AesCbc * 128  yes         yes        [67] lengths",
                "CIPHER *AesCbc * 256  yes         yes",
                "CIPHER *AesXts * 512  no          yes",
                "CIPHER *TripleDesCbc * 192  no          yes",
                "CIPHER *DesCbc * 64  no          refused    create: ERR",
                "HASH *Sha256 * -  no          refused",
                "AKCIPHER *RsaPkcs1(Sha256) * 2048",
                "destroy-ends-the-session * yes * INVSESS",
                "hw-ready * yes",
                "any-framing * 2.7.4.1 * yes",
                "requests_without_answer *0 dropped, 0 never answered, 0 late",
                "session_limit *256",
                "sessions_survive_reset *yes",
                "partial_blocks *AesCtr:ERR",
            ],
        },
    },
    Program {
        test: "probe_goes_on_after_a_device_broke",
        target: PROBE,
        words: Some(&[
            "probe",
            "--dangerous=short-header,short-key,no-iv",
            "event_idx=off",
        ]),
        ending: Ending {
            status: 0,
            prints: &[
                "probe: pass",
                "probe: broke=needs-reset step=short-header",
                "probe: dangerous=short-header outcome=needs-reset",
                "probe: broke=needs-reset step=short-key",
                "probe: dangerous=no-iv outcome=chained",
            ],
        },
    },
    Program {
        // No program may take what is said of its machine for a word that nobody knows.
        test: "demonstration_on_our_device",
        target: &DEMONSTRATION,
        words: Some(&["device", "one_per_field=on", "packed=on", "--", "demo"]),
        ending: Ending {
            status: 0,
            prints: &["   racing *          0    *", "demo: pass"],
        },
    },
    Program {
        test: "our_device_keeps_every_rule",
        target: PROBE,
        words: Some(&[
            "device",
            "queues=4",
            "packed=on",
            "in_order=on",
            "sessions=300",
            "max_size=65536",
            "--",
            "probe",
        ]),
        ending: Ending {
            status: 0,
            prints: &[
                "This device is good for ciphers (*AesXts 256/512*); hashes (*",
                "Its data queues: 4, all served; sessions: 300; framing: either.",
                "Of * rules that were tried it keeps * and breaks 0; [012] could not be tried.",
                "packed-wraps * 2.8.1 * yes",
                "in-order * yes",
                "chain-stateless * yes * 32 of 32",
            ],
        },
    },
    Program {
        test: "probe_notices_rules_that_our_device_breaks",
        target: PROBE,
        words: Some(&[
            "probe",
            "--broken=\
                       session-id-only-when-ok,destroy-ends-the-session,aead-tag-follows,\
                       chain-offsets,hash-boundaries,mac-stateless,any-framing",
        ]),
        ending: Ending {
            status: 0,
            prints: &[
                "noticed session-id-only-when-ok: written",
                "noticed aead-tag-follows: Gcm 128*another answer",
                "noticed any-framing: AES-CBC in the header",
                "run: 7 of 7 broken rules were noticed",
            ],
        },
    },
    Program {
        test: "probe_tells_that_it_could_not_run",
        target: PROBE,
        words: Some(&["probe", "no-such-option=on"]),
        ending: Ending {
            status: 2,
            prints: &["run: failed: QEMU ended with status 1*no-such-option*"],
        },
    },
];
