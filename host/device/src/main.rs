//! A virtio-crypto device, served to a virtual machine:
//! `virtio-crypto-device SOCKET [name=value ..]`.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use device::{
    feature,
    function::{COMMANDS, Function},
    options::{self, Framing, Options, mix},
    serve,
};

/// Its crate has a bit for each queue, the control queue among them.
const MOST_BY_VHOST_USER: u16 = 63;

const USAGE: &str = "\
virtio-crypto-device SOCKET [name=value ..]: a virtio-crypto device for a virtual machine
virtio-crypto-device --check [name=value ..]: says whether there is such a device, and what QEMU and
the driver have to know of it
virtio-crypto-device --mixes COUNT SEED: says words for so many devices, a line each, in which every
pair of options stands together

It waits for QEMU (11.1 or later) at SOCKET, is its device until QEMU ends, and then prints one line
of counts: requests and notifications by queue, the control queue last, and interrupts by vector.
To point it at a driver of your own, give your QEMU the guest's memory as a shared file, and the
device. Its memory (256M here) is what -m says:

  qemu-system-x86_64 -m 256M -machine q35,memory-backend=memory \\
      -object memory-backend-memfd,id=memory,size=256M,share=on \\
      -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"SOCKET\"}}' ..

By vhost-user it is the device

      -chardev socket,id=device,path=SOCKET \\
      -device vhost-user-test-device-pci,chardev=device,virtio-id=20,num_vqs=2,config_size=56

with as many num_vqs as there are queues, 64 at most, the control queue among them.

Words, and what they are without being said: one data queue, a split ring, everything else on that a
driver need not know of.
";

/// What the words ask for.
struct Asked {
    control: Option<PathBuf>,
    has_log: bool,
    protocol: Protocol,
    options: Options,
}

impl Asked {
    /// Says what QEMU has to know of the queues, and the driver of the requests.
    fn line(&self) -> String {
        let protocol = match self.protocol {
            Protocol::VfioUser => "vfio-user",
            Protocol::VhostUser => "vhost-user",
        };
        let (queues, size) = (self.options.queue_count(), self.options.queue_size);
        let framing = match self.options.framing {
            Framing::OnePerField => "fields",
            Framing::Any | Framing::Surplus => "any",
        };
        format!("protocol={protocol} queues={queues} queue_size={size} framing={framing}")
    }
}

/// How QEMU has the device.
#[derive(Clone, Copy)]
enum Protocol {
    VfioUser,
    VhostUser,
}

/// Says why requests were refused.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        eprintln!("device: {}", record.args());
    }

    fn flush(&self) {}
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}{}", help());
        return ExitCode::SUCCESS;
    }
    let Some((first, words)) = words.split_first() else {
        return fail("no SOCKET; --help shows what it takes");
    };
    if first == "--mixes" {
        return match mixes(words) {
            Some(lines) => {
                print!("{lines}");
                ExitCode::SUCCESS
            }
            None => fail("--mixes COUNT SEED: two numbers"),
        };
    }
    let outcome = match (first.as_str(), parse(words)) {
        (_, Err(reason)) => Err(reason),
        ("--check", Ok(asked)) => Ok(asked.line()),
        (socket, Ok(_)) if socket.contains('=') => Err(format!(
            "'{socket}': SOCKET comes first; --help shows what it takes"
        )),
        (socket, Ok(asked)) => run(Path::new(socket), asked).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(stats) => {
            println!("{stats}");
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

/// Says words of so many mixes, a line each, from a seed on.
fn mixes(words: &[String]) -> Option<String> {
    let [count, seed] = words else { return None };
    let (count, seed) = (count.parse().ok()?, seed.parse::<u64>().ok()?);
    let lists = (seed..).flat_map(mix::pairwise);
    let lines = lists.take(count).map(|words| words.join(",") + "\n");
    Some(lines.collect())
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("device: {reason}");
    ExitCode::FAILURE
}

fn help() -> String {
    let control = format!("{:<30} {}", "control=PATH", "a socket for the lines below");
    let protocol = "protocol=vfio-user|vhost-user";
    let protocol = format!(
        "{protocol:<30} {}",
        "the second is queues alone: no vectors of theirs"
    );
    let log = format!("{:<30} {}", "log=on|off", "say why requests are refused");
    format!(
        "\n{}  {control}\n  {log}\n  {protocol}\n\n\
         While it runs, each line of its standard input is one of\n  {COMMANDS}\n",
        options::help()
    )
}

/// Takes the program's own words, and gives the rest to the device's.
fn parse(words: &[String]) -> Result<Asked, String> {
    let (mut control, mut has_log, mut others) = (None, false, Vec::new());
    let mut protocol = Protocol::VfioUser;
    for word in words {
        match word.split_once('=') {
            Some(("control", path)) => control = Some(PathBuf::from(path)),
            Some(("log", "on")) => has_log = true,
            Some(("log", "off")) => has_log = false,
            Some(("protocol", "vfio-user")) => protocol = Protocol::VfioUser,
            Some(("protocol", "vhost-user")) => protocol = Protocol::VhostUser,
            Some(("protocol", _)) => return Err(format!("{word}: vfio-user or vhost-user")),
            Some(("log", _)) => return Err(format!("{word}: on or off")),
            _ => others.push(word.as_str()),
        }
    }
    let options = Options::parse(others)?;
    if matches!(protocol, Protocol::VhostUser) && options.data_queues > MOST_BY_VHOST_USER {
        return Err(format!(
            "queues={}: by vhost-user {MOST_BY_VHOST_USER} at most",
            options.data_queues
        ));
    }
    let needs_translations = options.features & feature::ACCESS_PLATFORM != 0;
    if matches!(protocol, Protocol::VhostUser) && needs_translations {
        // QEMU refuses a device that does not ask it, by BACKEND_REQ, where an address leads.
        return Err("access_platform=on: not by vhost-user".to_owned());
    }
    Ok(Asked {
        control,
        has_log,
        protocol,
        options,
    })
}

fn run(socket: &Path, asked: Asked) -> std::io::Result<String> {
    if asked.has_log {
        // Nobody else sets one.
        let _ = log::set_logger(&Log);
        log::set_max_level(log::LevelFilter::Trace);
    }
    let control = asked.control.as_deref();
    let ready = |function: &Arc<Function>| {
        serve::read_lines(function);
        control.map_or(Ok(()), |path: &Path| serve::listen(function, path))
    };
    match asked.protocol {
        Protocol::VfioUser => serve::serve_vfio_user(socket, asked.options, ready),
        Protocol::VhostUser => serve::serve_vhost_user(socket, asked.options, ready),
    }
}
