//! Which runs make up each experiment.

use crate::guest::{Machine, Placement, Run};

/// The experiments, in the order in which they are run.
pub const NAMES: &[&str] = &[
    "control-sessions",
    "device-limit",
    "interrupt-race",
    "aes-cbc",
    "akcipher",
];

const CONTROL_SESSIONS: &[&str] = &["bench-guest", "control-sessions"];
const DEVICE_LIMIT: &[&str] = &["bench-guest", "device-limit"];
const INTERRUPT_RACE: &[&str] = &["bench-guest", "interrupt-race"];
const DATA_QUEUE: &[&str] = &["bench-guest", "data-queue"];
const AKCIPHER: &[&str] = &["bench-guest", "akcipher"];
const CLOCK: &[&str] = &["bench-guest", "clock"];
const LINUX: &[&str] = &["linux-guest"];

/// Words that choose machines and how many; the others go to the guest.
const MACHINE_WORDS: &[&str] = &["vcpus", "ioeventfd", "placement", "boots"];

/// What was asked for: `key=value` words that narrow an experiment down.
#[derive(Debug)]
pub struct Words(Vec<(String, String)>);

impl Words {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// A word that is not `key=value`.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let pair = |word: &String| {
            let pair = word
                .split_once('=')
                .map(|(k, v)| (k.to_owned(), v.to_owned()));
            pair.ok_or_else(|| format!("`{word}` is not key=value"))
        };
        words.iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the values of `key`, or `default`.
    fn values(&self, key: &str, default: &[&str]) -> Vec<String> {
        let found = self.0.iter().find(|(k, _)| k == key);
        match found {
            Some((_, values)) => values.split(',').map(str::to_owned).collect(),
            None => default.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    /// Returns the guest's words: those that make the run what it is, the caller's, and `default`
    /// where the caller says nothing.
    fn guest(&self, own: &[(&str, &str)], default: &[(&str, &str)]) -> Vec<String> {
        let is_own = |key: &str| own.iter().any(|(k, _)| *k == key);
        let said = |key: &str| self.0.iter().any(|(k, _)| k == key);
        let default = default.iter().copied().filter(|(key, _)| !said(key));
        let caller = self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let caller = caller.filter(|(k, _)| !is_own(k) && !MACHINE_WORDS.contains(k));
        let words = own.iter().copied().chain(default).chain(caller);
        words.map(|(key, value)| format!("{key}={value}")).collect()
    }
}

/// Returns the runs of experiment `name`.
///
/// # Errors
///
/// An experiment that there is not, or a value that no machine can have.
pub fn runs(name: &str, words: &Words) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    match name {
        "control-sessions" => {
            let modes = words.values("mode", &["poll", "held-sleep", "released-spin", "wait"]);
            let default = [("workers", "1,2,4,8,64"), ("ms", "300")];
            for machine in machines(words, &["1", "2", "4", "8"], &["on", "off"])? {
                for mode in &modes {
                    let words = words.guest(&[("mode", mode)], &default);
                    runs.push(run(CONTROL_SESSIONS, words, machine));
                }
                // Beside the four ways: what else there is to see when nothing in particular is
                // asked for.
                if words.0.is_empty() {
                    let looking = [("mode", "wait"), ("idle", "poll")];
                    let looking = words.guest(&looking, &default);
                    runs.push(run(CONTROL_SESSIONS, looking, machine));
                    let batch = [("mode", "wait"), ("workers", "1"), ("batch", "32")];
                    let batch = words.guest(&batch, &default);
                    runs.push(run(CONTROL_SESSIONS, batch, machine));
                }
            }
        }
        "device-limit" => {
            let queues = words.values("queue", &["control", "data"]);
            let waits = words.values("wait", &["spin", "sleep"]);
            let sizes = ("size", "16,256,4096,65536,1048576");
            for machine in machines(words, &["1"], &["on", "off"])? {
                for queue in &queues {
                    for wait in &waits {
                        let own = [("queue", queue.as_str()), ("wait", wait.as_str())];
                        let words = words.guest(&own, &[sizes, gaps(wait), ("ms", "200")]);
                        runs.push(run(DEVICE_LIMIT, words, machine));
                    }
                }
            }
        }
        "interrupt-race" => {
            let drains = words.values("drain", &["unmasked", "masked"]);
            let accountings = words.values("accounting", &["exact", "naive"]);
            let parts = words.values("part", &["race", "injected"]);
            if let Some(part) = parts
                .iter()
                .find(|part| *part != "race" && *part != "injected")
            {
                return Err(format!("part={part}: race or injected"));
            }
            let has = |name: &str| parts.iter().any(|part| part == name);
            let races: &[_] = if has("race") {
                &["same-cpu", "cross-cpu"]
            } else {
                &[]
            };
            for machine in machines(words, &["2"], &["on"])? {
                for race in races {
                    for drain in &drains {
                        for accounting in &accountings {
                            let own = [
                                ("part", "race"),
                                ("drain", drain.as_str()),
                                ("accounting", accounting.as_str()),
                                ("placement", race),
                            ];
                            let words = words.guest(&own, &[("requests", "70000")]);
                            runs.push(Run {
                                trace: true,
                                ..run(INTERRUPT_RACE, words, machine)
                            });
                        }
                    }
                }
                if has("injected") {
                    let words = words.guest(&[("part", "injected")], &[]);
                    runs.push(run(INTERRUPT_RACE, words, machine));
                }
            }
        }
        "aes-cbc" => {
            let default = [
                ("key_bits", "128,256"),
                ("depth", "1,16,256"),
                ("ms", "200"),
            ];
            for machine in machines(words, &["2"], &["on"])? {
                runs.push(run(DATA_QUEUE, words.guest(&[], &default), machine));
            }
        }
        "akcipher" => {
            for machine in machines(words, &["2"], &["on"])? {
                runs.push(run(AKCIPHER, words.guest(&[], &[("ms", "300")]), machine));
            }
        }
        _ => {
            return Err(format!(
                "no experiment `{name}`; known: {}",
                NAMES.join(" ")
            ));
        }
    }
    Ok(runs)
}

/// Returns how often the clock's run is to be booted, and that run.
///
/// # Errors
///
/// A value that no machine can have.
pub fn clock_run(words: &Words) -> Result<(usize, Run), String> {
    let boots = words.values("boots", &["50"]).join(",");
    let Some(boots) = boots.parse().ok().filter(|boots| *boots > 0) else {
        return Err(format!("boots={boots}: a number from 1 on"));
    };
    let machines = machines(words, &["1"], &["on"])?;
    let machine = machines.last().ok_or("no machine")?;
    Ok((
        boots,
        run(CLOCK, words.guest(&[], &[("ms", "1000")]), *machine),
    ))
}

/// Returns the runs of one round beside Linux, the two in turn, and those that say what the device
/// gives.
///
/// # Errors
///
/// A value that no machine can have.
pub fn peer_runs(words: &Words) -> Result<(Vec<Run>, Vec<Run>), String> {
    const SIZES: (&str, &str) = ("size", "16,4096,65536");
    const MS: (&str, &str) = ("ms", "500");
    const WAIT: (&str, &str) = ("mode", "wait");
    // Idle CPUs that sleep at once, then such that look first.
    let idles = words.values("idle", &["halt", "poll"]);
    let idles: Vec<_> = idles.iter().map(|idle| ("idle", idle.as_str())).collect();
    let (mut round, mut limits) = (Vec::new(), Vec::new());
    for machine in machines(words, &["2", "8"], &["on"])? {
        let workers = ("workers", if machine.vcpus > 2 { "8" } else { "1,8" });
        let mut add = |command, own: &[(&str, &str)], default: &[(&str, &str)]| {
            round.push(run(command, words.guest(own, default), machine));
        };
        for &idle in &idles {
            add(LINUX, &[idle], &[workers, MS]);
            add(CONTROL_SESSIONS, &[WAIT, idle], &[workers, MS]);
            // One CPU for all workers: nobody has to be woken on another.
            let eight = ("workers", "8");
            add(CONTROL_SESSIONS, &[WAIT, idle, eight, ("cpus", "1")], &[MS]);
        }
        if machine.vcpus > 2 {
            continue;
        }
        let batch = [WAIT, ("workers", "1"), ("batch", "32")];
        add(CONTROL_SESSIONS, &batch, &[MS]);
        for &idle in &idles {
            add(LINUX, &[SIZES, idle], &[workers, MS]);
            let aes = [SIZES, ("key_bits", "128"), ("depth", "1"), idle];
            add(DATA_QUEUE, &aes, &[workers, MS]);
            add(LINUX, &[("key_bits", "2048"), idle], &[workers, MS]);
            add(AKCIPHER, &[idle], &[workers, MS]);
        }
        for wait in ["spin", "sleep"] {
            let wait = ("wait", wait);
            let depth = ("depth", "1,8,32");
            let one = Machine {
                vcpus: 1,
                ..machine
            };
            let gaps = gaps(wait.1);
            let control = words.guest(&[("queue", "control"), wait, depth, gaps], &[MS]);
            limits.push(run(DEVICE_LIMIT, control, one));
            let data = words.guest(&[("queue", "data"), wait, depth, gaps, SIZES], &[MS]);
            limits.push(run(DEVICE_LIMIT, data, one));
        }
    }
    Ok((round, limits))
}

/// How long a flood lets pass before it publishes again: who sleeps is late enough.
fn gaps(wait: &str) -> (&'static str, &'static str) {
    let gaps = if wait == "spin" { "0,500,5000" } else { "0" };
    ("gap_ns", gaps)
}

fn run(command: &'static [&'static str], words: Vec<String>, machine: Machine) -> Run {
    Run {
        command,
        words,
        machine,
        trace: false,
    }
}

fn machines(words: &Words, vcpus: &[&str], ioeventfd: &[&str]) -> Result<Vec<Machine>, String> {
    let mut machines = Vec::new();
    for placement in words.values("placement", &["shared-core", "separate-cores"]) {
        let placement = match placement.as_str() {
            "shared-core" => Placement::SharedCore,
            "separate-cores" => Placement::SeparateCores,
            other => return Err(format!("placement={other}: shared-core or separate-cores")),
        };
        for ioeventfd in words.values("ioeventfd", ioeventfd) {
            let ioeventfd = match ioeventfd.as_str() {
                "on" => true,
                "off" => false,
                other => return Err(format!("ioeventfd={other}: on or off")),
            };
            for vcpus in words.values("vcpus", vcpus) {
                let Some(vcpus) = vcpus.parse().ok().filter(|vcpus| *vcpus > 0) else {
                    return Err(format!("vcpus={vcpus}: a number from 1 on"));
                };
                machines.push(Machine {
                    vcpus,
                    ioeventfd,
                    placement,
                });
            }
        }
    }
    Ok(machines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Words {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Words::parse(&words).unwrap()
    }

    #[test]
    fn words_narrow_an_experiment_down() {
        let words = words(&["workers=8", "vcpus=2", "mode=wait", "ioeventfd=on"]);
        let runs = runs("control-sessions", &words).unwrap();
        assert_eq!(runs.len(), 2, "one for each placement: {runs:?}");
        assert!(
            runs.iter()
                .all(|run| run.machine.vcpus == 2 && run.machine.ioeventfd)
        );
        assert_eq!(runs[0].words, ["mode=wait", "ms=300", "workers=8"]);
    }

    #[test]
    fn part_of_an_experiment_is_run_alone() {
        let runs = runs("interrupt-race", &words(&["part=injected"])).unwrap();
        assert_eq!(runs.len(), 2, "one for each placement: {runs:?}");
        assert_eq!(runs[0].words, ["part=injected"]);
    }

    #[test]
    fn every_experiment_has_runs_and_others_are_refused() {
        for name in NAMES {
            assert!(!runs(name, &words(&[])).unwrap().is_empty(), "{name}");
        }
        assert!(runs("nonsense", &words(&[])).is_err());
        assert!(runs("aes-cbc", &words(&["vcpus=0"])).is_err());
        assert!(runs("interrupt-race", &words(&["part=bogus"])).is_err());
        assert!(Words::parse(&["alone".to_owned()]).is_err());
    }
}
