//! A virtio-crypto device, served to a virtual machine: `virtio-crypto-device SOCKET [name=value ..]`.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use device::{
    function::COMMANDS,
    options::{self, Options},
    serve,
};

const USAGE: &str = "\
virtio-crypto-device SOCKET [name=value ..]: a virtio-crypto device for a virtual machine
virtio-crypto-device --check [name=value ..]: says whether there is such a device

It waits for QEMU (11.1 or later) at SOCKET, is its device until QEMU ends, and then prints one line
of counts: requests and notifications by queue, the control queue last, and interrupts by vector.
To point it at a driver of your own, give your QEMU the guest's memory as a shared file, and the
device. Its memory (256M here) is what -m says:

  qemu-system-x86_64 -m 256M -machine q35,memory-backend=memory \\
      -object memory-backend-memfd,id=memory,size=256M,share=on \\
      -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"SOCKET\"}}' ..

Words, and what they are without being said: one data queue, a split ring, everything else on that a
driver need not know of.
";

/// What the words ask for.
struct Asked {
    socket: PathBuf,
    control: Option<PathBuf>,
    options: Options,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}{}", help());
        return ExitCode::SUCCESS;
    }
    if let [check, words @ ..] = &words[..]
        && check == "--check"
    {
        return match Options::parse(words.iter().map(String::as_str)) {
            Ok(_) => ExitCode::SUCCESS,
            Err(reason) => fail(&reason),
        };
    }
    let outcome = parse(&words).and_then(|asked| run(asked).map_err(|error| error.to_string()));
    match outcome {
        Ok(stats) => {
            println!("{stats}");
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("device: {reason}");
    ExitCode::FAILURE
}

fn help() -> String {
    let control = format!("{:<30} {}", "control=PATH", "a socket for the lines below");
    format!(
        "\n{}  {control}\n\nWhile it runs, each line of its standard input is one of\n  {COMMANDS}\n",
        options::help()
    )
}

fn parse(words: &[String]) -> Result<Asked, String> {
    let Some((socket, words)) = words.split_first() else {
        return Err("no SOCKET; --help shows what it takes".to_owned());
    };
    if socket.contains('=') {
        return Err(format!(
            "'{socket}': SOCKET comes first; --help shows what it takes"
        ));
    }
    let (own, others): (Vec<&str>, Vec<&str>) = words
        .iter()
        .map(String::as_str)
        .partition(|word| word.starts_with("control="));
    let control = own.last().and_then(|word| word.strip_prefix("control="));
    Ok(Asked {
        socket: PathBuf::from(socket),
        control: control.map(PathBuf::from),
        options: Options::parse(others)?,
    })
}

fn run(asked: Asked) -> std::io::Result<String> {
    let control = asked.control.as_deref();
    serve::serve_vfio_user(&asked.socket, asked.options, |function| {
        serve::read_lines(function);
        control.map_or(Ok(()), |path: &Path| serve::listen(function, path))
    })
}
