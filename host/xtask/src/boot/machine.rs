//! The machine of a run: what a test binary asks for, and what environment variables say instead.
//!
//! For the QEMU command line and the judgement of a run. The rule: a [`Machine`] that exists has
//! been checked, so nothing wrong gets as far as QEMU.

use std::{
    borrow::Cow,
    env,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::{
    accelerator::{accelerator, can_write},
    own,
};
use crate::{debian, project::Project};

/// The least memory in which the kernel gets far enough to say what it needs.
const LEAST_MEMORY_KIB: u64 = 16 << 10;

/// The variables that describe a machine, in the order in which they are printed.
const NAMES: [&str; 10] = [
    "SMP",
    "MEM",
    "MACHINE",
    "ACCEL",
    "DEVICES",
    "VECTORS",
    "OWN",
    "QEMU",
    "QEMU_ARGS",
    "TIMEOUT",
];

/// What the environment says of the machine. It wins over words.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    given: Vec<(&'static str, String)>,
    /// The programs of Debian's QEMUs, by the names of their suites.
    suites: Vec<(&'static str, PathBuf)>,
    /// The program of host/device, once it is built.
    own_program: Option<PathBuf>,
}

/// How a run ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The kernel writes its verdict to `isa-debug-exit`.
    DebugExit,
    /// Linux switches the machine off.
    PowerOff,
}

/// A machine that QEMU can make.
#[derive(Clone, Debug)]
pub struct Machine {
    pub cpus: u32,
    pub memory: String,
    pub chipset: String,
    pub accelerator: String,
    /// A model, with flags behind commas.
    pub cpu: String,
    /// Devices of QEMU.
    pub devices: u32,
    pub vectors: u32,
    /// More options of each device.
    pub device_options: String,
    /// The words of each device of host/device, in a process of its own.
    pub own: Vec<String>,
    /// Devices lie in slots, where they leave and come while the guest runs.
    pub hotplug: bool,
    /// Devices lie behind an IOMMU.
    pub iommu: bool,
    pub timeout_s: u32,
    /// More arguments of QEMU.
    pub arguments: Vec<String>,
    pub ending: Ending,
    /// The reason with which the run has to fail.
    pub fails: Option<String>,
    /// What the guest's command line holds behind the caller's own words.
    pub append: Vec<String>,
}

/// Why there is no such machine.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A word that no machine knows.
    Word(String),
    /// A value that is none, and what would be.
    Value(String),
}

impl Variables {
    /// Reads the environment; an empty variable is none.
    pub fn read(project: &Project) -> Self {
        let suites = debian::SUITES.iter();
        Self {
            suites: suites.map(|it| (it.name, it.path(project))).collect(),
            own_program: own::program(project),
            ..Self::from(|name| env::var(name).ok())
        }
    }

    /// Takes the variables' values from `value`.
    pub fn from(value: impl Fn(&str) -> Option<String>) -> Self {
        let given = NAMES.map(|name| (name, value(name).unwrap_or_default()));
        let given = given.into_iter().filter(|(_, value)| !value.is_empty());
        Self {
            given: given.collect(),
            ..Self::default()
        }
    }

    /// Returns those that are set.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = self.given.iter();
        given.map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns the value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| value)
    }

    /// Returns the same variables with this one set, too.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.given.retain(|(given, _)| *given != name);
        self.given.push((name, value.to_owned()));
        self
    }

    /// Returns the QEMU to run: a name or a path, where the variable names a suite that one's path.
    pub fn qemu(&self) -> Cow<'_, str> {
        let asked = self.get("QEMU").unwrap_or(debian::PROGRAM);
        let suite = self.suites.iter().find(|(name, _)| *name == asked);
        match suite {
            Some((_, program)) => program.to_string_lossy(),
            None => asked.into(),
        }
    }

    /// Returns the program that is a device of our own, if it is built.
    pub fn own_program(&self) -> Option<&Path> {
        self.own_program.as_deref()
    }

    /// Tells whether a machine of these words has such a device.
    pub fn has_own(&self, words: &str) -> bool {
        self.get("OWN").is_some()
            || words
                .split_whitespace()
                .any(|word| word.starts_with("own="))
    }

    /// Returns the suite whose QEMU the variable names.
    pub fn suite(&self) -> Option<&'static debian::Suite> {
        debian::Suite::find(self.get("QEMU")?)
    }

    /// Checks them before anything is built.
    ///
    /// # Errors
    ///
    /// Fails with the line that says which one is wrong.
    pub fn check(&self) -> crate::report::Result {
        match Machine::new("", self) {
            Ok(_) => Ok(()),
            Err(Refusal::Value(reason) | Refusal::Word(reason)) => crate::report::fail(reason),
        }
    }
}

impl Machine {
    /// Returns the machine that these words ask for, as far as variables do not say otherwise.
    ///
    /// # Errors
    ///
    /// Fails with a word that it does not know, or a value that is out of range.
    pub fn new(words: &str, variables: &Variables) -> Result<Self, Refusal> {
        let mut asked = Asked::default();
        for word in words.split_whitespace() {
            asked.take(word)?;
        }
        let get = |name: &str| variables.get(name);
        let number = |name: &str, word: &str, default: u32, range: RangeInclusive<u32>| {
            let value = get(name).or(asked.get(word));
            value.map_or(Ok(default), |value| check_number(name, value, range))
        };
        let kvm_or_tcg = get("ACCEL").or(asked.get("accel"));
        let accelerator = kvm_or_tcg.map_or_else(accelerator, str::to_owned);
        check_accelerator(&accelerator)?;
        let is_kvm = accelerator.starts_with("kvm");
        let text = |word: &str, default: &str| asked.get(word).unwrap_or(default).to_owned();
        // Whoever asks for devices of our own has none of QEMU's without saying so.
        let some = u32::from(asked.own.is_empty());
        let devices = number("DEVICES", "devices", some, 0..=16)?;
        let (own, devices) = match get("OWN") {
            Some(words) => (vec![words.to_owned(); devices.max(1) as usize], 0),
            None => (
                asked.own.iter().map(|&word| word.to_owned()).collect(),
                devices,
            ),
        };
        Ok(Self {
            cpus: number("SMP", "smp", 1, 1..=64)?,
            devices,
            own,
            hotplug: asked.get("hotplug") == Some("on"),
            iommu: asked.get("iommu") == Some("on"),
            vectors: number("VECTORS", "vectors", 3, 0..=2048)?,
            timeout_s: number("TIMEOUT", "timeout", 300, 1..=86_400)?,
            memory: check_memory(get("MEM").or(asked.get("mem")).unwrap_or("256M"))?,
            chipset: check_chipset(get("MACHINE").or(asked.get("machine")).unwrap_or("q35"))?,
            cpu: if is_kvm {
                "host".to_owned()
            } else {
                text("cpu", "max")
            },
            accelerator,
            device_options: text("device", ""),
            arguments: split(&text("args", "").replace(",,", " "))
                .chain(split(get("QEMU_ARGS").unwrap_or("")))
                .collect(),
            ending: match asked.get("ends") {
                Some("poweroff") => Ending::PowerOff,
                _ => Ending::DebugExit,
            },
            fails: asked.get("fails").map(|reason| reason.replace('_', " ")),
            append: asked.append.iter().map(|&word| word.to_owned()).collect(),
        })
    }
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

/// Machine words, the last of a name counting, but for `append=` and `own=`, of which all do.
#[derive(Default)]
struct Asked<'a> {
    values: Vec<(&'a str, &'a str)>,
    append: Vec<&'a str>,
    own: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    fn take(&mut self, word: &'a str) -> Result<(), Refusal> {
        const KNOWN: [&str; 13] = [
            "smp", "mem", "machine", "vectors", "devices", "timeout", "fails", "args", "accel",
            "device", "ends", "hotplug", "iommu",
        ];
        match word.split_once('=') {
            Some(("append", value)) => self.append.push(value),
            Some(("own", value)) => self.own.push(value),
            Some((name, value)) if name == "cpu" || KNOWN.contains(&name) => {
                self.values.push((name, value));
            }
            _ => return Err(Refusal::Word(word.to_owned())),
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values.iter().rev();
        let value = values.find(|(given, _)| *given == name);
        value
            .map(|(_, value)| *value)
            .filter(|value| !value.is_empty())
    }
}

fn check_number(name: &str, value: &str, range: RangeInclusive<u32>) -> Result<u32, Refusal> {
    let is_plain = value == "0" || !value.starts_with(['0', '+']);
    let number = value.parse().ok();
    number
        .filter(|number| is_plain && range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Refusal::Value(format!("{name}={value}: a number from {least} to {most}"))
        })
}

/// Smaller machines hang in the firmware, or before the kernel can say a word.
fn check_memory(value: &str) -> Result<String, Refusal> {
    let digits = value.trim_end_matches(['K', 'M', 'G']);
    let kib = match &value[digits.len()..] {
        "K" => Some(1),
        "M" => Some(1 << 10),
        "G" => Some(1 << 20),
        _ => None,
    };
    let number = digits.parse::<u32>().ok();
    let number = number.filter(|_| !digits.starts_with(['0', '+']));
    let Some((number, kib)) = number.zip(kib) else {
        return Err(Refusal::Value(format!("MEM={value}: a size like 256M")));
    };
    if u64::from(number) * kib < LEAST_MEMORY_KIB {
        let reason =
            format!("MEM={value}: too little to boot in: 16M at least, 32M to do anything");
        return Err(Refusal::Value(reason));
    }
    Ok(value.to_owned())
}

fn check_chipset(value: &str) -> Result<String, Refusal> {
    match value {
        "q35" | "pc" => Ok(value.to_owned()),
        _ => Err(Refusal::Value(format!("MACHINE={value}: q35 or pc"))),
    }
}

fn check_accelerator(value: &str) -> Result<(), Refusal> {
    let name = value.split_once(',').map_or(value, |(name, _)| name);
    let refuse = |what: &str| Err(Refusal::Value(format!("ACCEL={value}: {what}")));
    match name {
        "tcg" => Ok(()),
        "kvm" if can_write("/dev/kvm") => Ok(()),
        "kvm" => refuse("/dev/kvm cannot be written; ACCEL=tcg needs none"),
        _ => refuse("kvm or tcg, with options behind a comma"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> Variables {
        let mut given = given.to_vec();
        given.push(("ACCEL", "tcg"));
        Variables::from(|name| {
            let value = given.iter().find(|(given, _)| *given == name)?.1;
            Some(value.to_owned())
        })
    }

    fn refused(words: &str, given: &[(&str, &str)]) -> String {
        match Machine::new(words, &variables(given)) {
            Err(Refusal::Value(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn machine_without_words_is_the_documented_one() {
        let machine = Machine::new("", &variables(&[])).unwrap();
        assert_eq!((machine.cpus, machine.devices, machine.vectors), (1, 1, 3));
        assert_eq!((machine.timeout_s, &*machine.memory), (300, "256M"));
        assert_eq!((&*machine.chipset, &*machine.cpu), ("q35", "max"));
        assert_eq!((machine.ending, machine.fails), (Ending::DebugExit, None));
    }

    #[test]
    fn variables_win_over_words() {
        let given = variables(&[("SMP", "4"), ("MEM", "64M"), ("QEMU_ARGS", "-x  y")]);
        let machine = Machine::new("smp=2 mem=32M args=-cpu,,max,-nx vectors=0", &given).unwrap();
        assert_eq!(
            (machine.cpus, &*machine.memory, machine.vectors),
            (4, "64M", 0)
        );
        assert_eq!(machine.arguments, ["-cpu", "max,-nx", "-x", "y"]);
    }

    #[test]
    fn last_word_counts_and_appended_ones_add_up() {
        let words = "smp=2 append=a append=b=c smp=3 fails=no_end_after_3_s ends=poweroff";
        let machine = Machine::new(words, &variables(&[])).unwrap();
        assert_eq!(
            (machine.cpus, &*machine.append),
            (3, &["a", "b=c"].map(str::to_owned)[..])
        );
        assert_eq!(machine.fails.as_deref(), Some("no end after 3 s"));
        assert_eq!(machine.ending, Ending::PowerOff);
    }

    #[test]
    fn devices_of_our_own_stand_in_for_qemus() {
        let own = |words: &str, given: &[(&str, &str)]| {
            let machine = Machine::new(words, &variables(given)).unwrap();
            (machine.own.join(" "), machine.devices)
        };
        assert_eq!(own("", &[]), (String::new(), 1));
        assert_eq!(
            own("own=queues=2,packed=on own=", &[]),
            ("queues=2,packed=on ".to_owned(), 0)
        );
        assert_eq!(
            own("own=queues=2 devices=1", &[]),
            ("queues=2".to_owned(), 1)
        );
        let given = [("OWN", "packed=on")];
        assert_eq!(
            own("devices=2", &given),
            ("packed=on packed=on".to_owned(), 0)
        );
        assert_eq!(own("own=queues=2", &given), ("packed=on".to_owned(), 0));
    }

    #[test]
    fn unknown_word_is_refused() {
        for word in ["cpus=2", "smp", "bogus"] {
            let refused = Machine::new(word, &variables(&[])).unwrap_err();
            assert_eq!(refused, Refusal::Word(word.to_owned()));
        }
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(
            refused("", &[("SMP", "65")]),
            "SMP=65: a number from 1 to 64"
        );
        assert_eq!(refused("smp=0", &[]), "SMP=0: a number from 1 to 64");
        for value in ["01", "+1", "-1", "1.5", "x", "9999999999"] {
            let reason = format!("VECTORS={value}: a number from 0 to 2048");
            assert_eq!(refused("", &[("VECTORS", value)]), reason);
        }
    }

    #[test]
    fn memory_is_a_size_in_which_the_kernel_can_speak() {
        for value in ["256", "M", "1T", "0M", "-1M", "1.5G", "64MM"] {
            assert_eq!(
                refused("", &[("MEM", value)]),
                format!("MEM={value}: a size like 256M")
            );
        }
        assert!(refused("", &[("MEM", "1M")]).starts_with("MEM=1M: too little to boot in"));
        assert!(refused("mem=16383K", &[]).contains("16M at least"));
        for value in ["16M", "16384K", "1G"] {
            assert!(Machine::new("", &variables(&[("MEM", value)])).is_ok());
        }
    }

    #[test]
    fn chipset_and_accelerator_are_checked() {
        assert_eq!(refused("machine=isapc", &[]), "MACHINE=isapc: q35 or pc");
        let bogus = Variables::from(|name| (name == "ACCEL").then(|| "bogus".to_owned()));
        let refused = Machine::new("", &bogus).unwrap_err();
        let reason = "ACCEL=bogus: kvm or tcg, with options behind a comma";
        assert_eq!(refused, Refusal::Value(reason.to_owned()));
        let tcg = variables(&[]).with("ACCEL", "tcg,thread=single");
        assert_eq!(
            Machine::new("", &tcg).unwrap().accelerator,
            "tcg,thread=single"
        );
    }
}
