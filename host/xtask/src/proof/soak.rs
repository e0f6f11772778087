//! The soak run: everything that a device serves, on eight CPUs, while all is done to it that may
//! be done to a device; and the load, callers in a line. Both are a program of the kernel's,
//! `kernel/examples/soak/`.
//!
//! For `./run.sh soak`. The rule: a run that fails comes with the line that repeats it.

use crate::{
    boot::{accelerator, emulator, machine::Variables},
    child,
    project::Project,
    report::{Result, fail, say},
};

const PROGRAM: [&str; 4] = ["-p", "kernel", "--example", "soak"];
/// How long a run is unless words say otherwise.
const DEFAULT_S: u32 = 600;
/// The longest: a machine's time limit is a day.
const MOST_S: u32 = 50_000;
/// Beside the run itself: to boot, to begin and to settle at the end of each round.
const SLACK_S: u32 = 300;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    seconds: u32,
    seed: u64,
    cpus: u32,
    is_load: bool,
}

/// Runs it.
///
/// # Errors
///
/// Fails with a word that it does not know, or when the run does.
pub fn run(project: &Project, words: &[String]) -> Result {
    let asked = Words::read(words)?;
    let variables = Variables::read(project);
    variables.check()?;
    let qemu = emulator::version(project, &variables)?;
    let accelerator = variables
        .get("ACCEL")
        .map_or_else(accelerator, str::to_owned);
    project.build_kernel("the soak run", &[&["build"], &PROGRAM[..]].concat())?;
    let own = variables.get("OWN");
    say(format_args!(
        "soak: {qemu}, accelerator {accelerator}, {} CPUs, {} s",
        asked.cpus, asked.seconds
    ));
    let mut cargo = project.kernel_cargo(&["run", "-q"]);
    cargo.args(PROGRAM).arg("--").args(asked.guest(own));
    // Which devices there are is said by the machine's words.
    cargo
        .env("MACHINE_WORDS", asked.machine(own))
        .env_remove("OWN");
    child::run(&mut cargo).inspect_err(|_| {
        say(format_args!("again: {}", asked.again(own)));
    })
}

impl Words {
    fn read(words: &[String]) -> Result<Self> {
        let mut asked = Self {
            seconds: DEFAULT_S,
            seed: 1,
            cpus: 8,
            is_load: false,
        };
        let number = |word: &str, value: &str, most: u64| match value.parse::<u64>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => fail(format_args!("soak: '{word}': a number from 1 to {most}")),
        };
        let most_s = u64::from(MOST_S);
        for word in words {
            match word.split_once('=') {
                None if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    asked.seconds = 60 * number(word, word, most_s / 60)? as u32;
                }
                Some(("seconds", value)) => asked.seconds = number(word, value, most_s)? as u32,
                Some(("seed", value)) => asked.seed = number(word, value, u64::MAX)?,
                Some(("cpus", value)) => asked.cpus = number(word, value, 64)? as u32,
                Some(("load", "yes")) => asked.is_load = true,
                _ => {
                    return fail(format_args!(
                        "soak: '{word}': it takes minutes, or seconds=N, and seed=N, cpus=N and \
                         load=yes"
                    ));
                }
            }
        }
        Ok(asked)
    }

    /// Returns the machine: QEMU's device in a slot that it leaves; or two of the project's own, of
    /// which the one without MSI-X leaves, since QEMU 11.1 ends itself where one with MSI-X does.
    fn machine(&self, own: Option<&str>) -> String {
        let timeout_s = self.seconds + self.seconds / 2 + SLACK_S;
        let machine = format!("smp={} timeout={timeout_s}", self.cpus);
        match own {
            None if self.is_load => machine,
            None => machine + " hotplug=on",
            Some(own) if self.is_load => format!("{machine} own={own}"),
            Some(own) => format!("{machine} hotplug=on own={own} own={own},vectors=0"),
        }
    }

    /// Returns the words for the guest, which counts the devices that may leave by the slots.
    fn guest(&self, own: Option<&str>) -> Vec<String> {
        let mut words = vec![
            format!("seconds={}", self.seconds),
            format!("seed={}", self.seed),
        ];
        words.push(match (self.is_load, own) {
            (true, _) => "load=yes".to_owned(),
            (false, None) => "unplug=0".to_owned(),
            (false, Some(_)) => "unplug=1".to_owned(),
        });
        words
    }

    fn again(&self, own: Option<&str>) -> String {
        let device = own.map(|own| format!("device {} -- ", own.replace(',', " ")));
        let load = if self.is_load { " load=yes" } else { "" };
        format!(
            "./run.sh {}soak seconds={} seed={} cpus={}{load}",
            device.unwrap_or_default(),
            self.seconds,
            self.seed,
            self.cpus
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    fn read(words: &str) -> std::result::Result<Words, String> {
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        Words::read(&words).map_err(|failure| match failure {
            Failure::Because(reason) => reason,
            told => panic!("{told:?}"),
        })
    }

    #[test]
    fn minutes_and_words_are_read() {
        let asked = read("30 seed=7").unwrap();
        assert_eq!((asked.seconds, asked.seed, asked.cpus), (1800, 7, 8));
        let asked = read("seconds=5 load=yes cpus=2").unwrap();
        assert!(asked.is_load && asked.seconds == 5 && asked.cpus == 2);
        for wrong in [
            "0",
            "x",
            "seed=0",
            "seconds=",
            "load=no",
            "minutes=3",
            "900",
        ] {
            let reason = read(wrong).unwrap_err();
            assert!(reason.starts_with(&format!("soak: '{wrong}'")), "{reason}");
        }
    }

    #[test]
    fn time_limit_follows_the_minutes() {
        let short = read("1").unwrap().machine(None);
        assert!(short.contains(" timeout=390 hotplug=on"), "{short}");
        assert!(read("30").unwrap().machine(None).contains(" timeout=3000 "));
    }

    #[test]
    fn line_that_repeats_a_run_has_its_device() {
        let asked = read("seconds=9 seed=4").unwrap();
        let own = Some("queues=4,packed=on");
        assert_eq!(
            asked.again(own),
            "./run.sh device queues=4 packed=on -- soak seconds=9 seed=4 cpus=8"
        );
        assert_eq!(asked.again(None), "./run.sh soak seconds=9 seed=4 cpus=8");
        assert!(
            asked
                .machine(own)
                .ends_with("own=queues=4,packed=on own=queues=4,packed=on,vectors=0")
        );
    }
}
