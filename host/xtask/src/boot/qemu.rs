//! The one QEMU command line of this project.
//!
//! For [`boot`](super::boot). The rule: whatever runs in QEMU runs by this command line, so that a
//! run can be repeated and compared.

use std::path::Path;

use super::machine::{Machine, Variables};
use crate::report::{Failure, Result};

/// What is booted.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// Linux's first file system.
    pub initramfs: Option<&'a Path>,
    /// The words of its command line.
    pub words: &'a str,
    /// More arguments of QEMU: the devices and files that it is about.
    pub arguments: &'a [String],
}

/// What devices of our own add.
#[derive(Debug, Default)]
pub struct Own {
    /// Arguments of QEMU.
    pub arguments: Vec<String>,
    /// Words of the guest's command line.
    pub words: Vec<&'static str>,
}

/// Returns QEMU and its arguments.
///
/// # Errors
///
/// Fails when a path is no text.
pub fn command(
    machine: &Machine,
    image: &Image,
    variables: &Variables,
    own: Own,
) -> Result<Vec<String>> {
    // For a machine that can only ever have one CPU, TCG translates locked instructions into plain
    // ones, though the device runs in a thread of its own: a full barrier is none, and kicks and
    // interrupts get lost (tcg_cpu_init_cflags; QEMU 7.2 drops mfence as well). Room for a second
    // CPU is enough.
    let cpus = format!("{},maxcpus={}", machine.cpus, machine.cpus.max(2));
    let qemu = variables.qemu();
    let mut command: Vec<String> = [
        &*qemu,
        "-machine",
        &machine.chipset,
        "-cpu",
        &machine.cpu,
        "-accel",
        &machine.accelerator,
        "-smp",
        &cpus,
        "-m",
        &machine.memory,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ]
    .map(str::to_owned)
    .to_vec();
    if machine.iommu {
        // In front of all that it stands before; vfio-user wants to be told of each mapping.
        let iommu = "intel-iommu,caching-mode=on".to_owned();
        command.extend(["-device".to_owned(), iommu]);
    }
    for number in 0..machine.devices {
        let backend = format!("cryptodev-backend-builtin,id=cryptodev{number}");
        command.extend(["-object".to_owned(), backend]);
        if machine.hotplug {
            // In a slot, as the others that leave and come are.
            continue;
        }
        let vectors = machine.vectors;
        let mut device = format!("virtio-crypto-pci,cryptodev=cryptodev{number},vectors={vectors}");
        if !machine.device_options.is_empty() {
            device = device + "," + &machine.device_options;
        }
        command.extend(["-device".to_owned(), device]);
    }
    if !machine.own.is_empty() {
        command.extend(shared_memory(&machine.memory));
    }
    if machine.hotplug {
        // A slot's own registers, as on any machine, and no words of ACPI's bytecode.
        let off = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";
        command.extend(["-global".to_owned(), off.to_owned()]);
    }
    command.extend(own.arguments);
    command.extend(image.arguments.iter().cloned());
    command.extend(machine.arguments.iter().cloned());
    if let Some(initramfs) = image.initramfs {
        command.extend(["-initrd".to_owned(), text(initramfs)?]);
    }
    let words = Some(image.words).filter(|words| !words.is_empty());
    let appended = machine.append.iter().map(String::as_str);
    let append = words
        .into_iter()
        .chain(appended)
        .chain(own.words)
        .collect::<Vec<_>>()
        .join(" ");
    command.extend(["-kernel".to_owned(), text(image.kernel)?]);
    command.extend(["-append".to_owned(), append]);
    Ok(command)
}

/// Returns the arguments that let another process reach the guest's memory.
pub fn shared_memory(size: &str) -> [String; 4] {
    let memory = format!("memory-backend-memfd,id=memory,size={size},share=on");
    let machine = "memory-backend=memory".to_owned();
    ["-object".to_owned(), memory, "-machine".to_owned(), machine]
}

/// Returns a path as a value of QEMU's options, in which a comma ends a value.
pub fn option_value(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::Because(format!("{}: its path is no text", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str, image: &Image) -> String {
        let variables = Variables::default().with("ACCEL", "tcg");
        let machine = Machine::new(words, &variables).unwrap();
        let own = machine.own.iter().map(|words| format!("own:{words}"));
        let own = Own {
            arguments: own.collect(),
            words: Vec::from(["word"]),
        };
        let command = command(&machine, image, &variables, own);
        command.unwrap().join(" ")
    }

    fn kernel() -> Image<'static> {
        Image {
            kernel: Path::new("kernel"),
            initramfs: None,
            words: "demo",
            arguments: &[],
        }
    }

    #[test]
    fn commas_of_paths_are_doubled() {
        assert_eq!(option_value(Path::new("/a,b/c")), "/a,,b/c");
    }

    #[test]
    fn one_cpu_has_room_for_a_second() {
        assert!(line("", &kernel()).contains("-smp 1,maxcpus=2"));
        assert!(line("smp=4", &kernel()).contains("-smp 4,maxcpus=4"));
    }

    #[test]
    fn every_device_has_a_backend_of_its_own() {
        let two = line("devices=2 vectors=0 device=event_idx=off", &kernel());
        for number in 0..2 {
            let backend = format!("-object cryptodev-backend-builtin,id=cryptodev{number}");
            let device = format!("cryptodev=cryptodev{number},vectors=0,event_idx=off");
            assert!(two.contains(&backend) && two.contains(&device), "{two}");
        }
        assert!(!line("devices=0", &kernel()).contains("virtio-crypto"));
        // Who puts it into a slot has its arguments.
        let in_slot = line("hotplug=on", &kernel());
        assert!(in_slot.contains("-object cryptodev-backend-builtin"));
        assert!(!in_slot.contains("virtio-crypto") && !in_slot.contains("memory-backend"));
    }

    #[test]
    fn device_of_our_own_reaches_the_guests_memory() {
        let own = line("own=queues=2 mem=64M", &kernel());
        let memory = "-object memory-backend-memfd,id=memory,size=64M,share=on \
            -machine memory-backend=memory";
        assert!(own.contains(memory), "{own}");
        assert!(own.contains(" own:queues=2 ") && own.ends_with(" word"));
        assert!(!own.contains("virtio-crypto") && !own.contains("acpi-pci-hotplug"));
        assert!(line("own= hotplug=on", &kernel()).contains("acpi-pci-hotplug"));
        let behind = line("own=queues=2 iommu=on", &kernel());
        assert!(behind.find("-device intel-iommu") < behind.find(" own:queues=2"));
        assert!(!line("", &kernel()).contains("memory-backend"));
    }

    #[test]
    fn appended_words_follow_the_callers_own() {
        assert!(
            line("append=a=1 append=b", &kernel())
                .ends_with("-kernel kernel -append demo a=1 b word")
        );
        let silent = Image {
            words: "",
            initramfs: Some(Path::new("root")),
            ..kernel()
        };
        let line = line("append=a", &silent);
        assert!(
            line.ends_with("-initrd root -kernel kernel -append a word"),
            "{line}"
        );
    }
}
