//! Containers that others make and read: `qemu-img` for LUKS1, `cryptsetup` for LUKS2.
//!
//! The rule: neither needs root or the kernel's device mapper; both work on files.

use std::{
    fmt,
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use crate::{
    app::folder::Folder,
    boot::option_value,
    child,
    files::program,
    project::Project,
    report::{Result, fail},
    setup,
};

/// What opens the containers.
pub const PASSPHRASE: &[u8] = b"correct horse battery staple";
/// What `qemu-img` says where the host counts a CPU's time so coarsely that a first trial of the
/// key derivation took none; the next may take some.
const UNMEASURED: &str = "Unable to get accurate CPU usage";
/// How often a tool is tried then.
const TRIES: u32 = 20;
/// Bytes in front of the volume of a LUKS2 container that is made here.
const LUKS2_HEADER_LEN: u64 = 1 << 20;

/// A format of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Luks1,
    Luks2,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Luks1, Self::Luks2];

    /// Returns what makes and reads it.
    pub fn tool(self) -> &'static str {
        match self {
            Self::Luks1 => "qemu-img",
            Self::Luks2 => "cryptsetup",
        }
    }

    /// Returns Debian's package of that.
    pub fn package(self) -> &'static str {
        match self {
            Self::Luks1 => "qemu-utils",
            Self::Luks2 => "cryptsetup-bin",
        }
    }

    /// Returns its tool where this machine has none.
    pub fn missing_tool(self) -> Option<&'static str> {
        Some(self.tool()).filter(|tool| program(tool).is_none())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Luks1 => "LUKS1",
            Self::Luks2 => "LUKS2",
        })
    }
}

/// Gets the tool of a format.
///
/// # Errors
///
/// Fails where it cannot be installed.
pub fn find_tool(project: &Project, format: Format) -> Result {
    match format.missing_tool() {
        Some(tool) => setup::install(project, &format!("no {tool}"), &[format.package()]),
        None => Ok(()),
    }
}

/// A container with content that is known.
#[derive(Debug)]
pub struct Container {
    folder: Folder,
    pub format: Format,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Container {
    /// Makes one whose content is nowhere the same.
    ///
    /// # Errors
    ///
    /// Fails when the tool does.
    pub fn make(format: Format, content_len: u64) -> Result<Self> {
        let word = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        Self::with(format, (1..=content_len / 8).flat_map(word).collect())
    }

    /// Makes one with this content, whole sectors of 4 KiB.
    ///
    /// # Errors
    ///
    /// Fails when the tool does.
    pub fn with(format: Format, content: Vec<u8>) -> Result<Self> {
        let container = Self {
            folder: Folder::new("luks")?,
            format,
            content,
        };
        fs::write(container.passphrase(), PASSPHRASE)?;
        match format {
            Format::Luks1 => container.make_luks1()?,
            Format::Luks2 => container.make_luks2()?,
        }
        Ok(container)
    }

    /// Returns the path of the image.
    pub fn image(&self) -> PathBuf {
        self.path("image")
    }

    /// Returns the path of the file that has the passphrase.
    pub fn passphrase(&self) -> PathBuf {
        self.path("passphrase")
    }

    /// Returns a path beside the image.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    fn secret(&self) -> String {
        format!(
            "secret,id=passphrase,file={}",
            option_value(&self.passphrase())
        )
    }

    fn make_luks1(&self) -> Result {
        let plain = self.path("plain");
        fs::write(&plain, &self.content)?;
        let mut tool = Command::new(Format::Luks1.tool());
        tool.args(["convert", "--object", &self.secret(), "-O", "luks"]);
        // The least time that it spends on a passphrase, which is the guest's, too.
        tool.args(["-o", "key-secret=passphrase,iter-time=1"]);
        call(tool.arg(plain).arg(self.image()))
    }

    fn make_luks2(&self) -> Result {
        // Enciphered in place, its end makes room for the header.
        fs::write(self.image(), &self.content)?;
        let file = File::options().write(true).open(self.image())?;
        let content_len = self.content.len() as u64;
        file.set_len(content_len + 2 * LUKS2_HEADER_LEN)?;
        let mut tool = self.cryptsetup("reencrypt");
        tool.args(["--encrypt", "--force-offline-reencrypt", "--type", "luks2"]);
        tool.args(["--reduce-device-size", "2M", "--luks2-metadata-size", "16k"]);
        tool.args(["--luks2-keyslots-size", "768k", "--sector-size", "4096"]);
        tool.args(["--pbkdf", "argon2id", "--pbkdf-memory", "8192"]);
        tool.args(["--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1"]);
        call(tool.arg(self.image()))?;
        file.set_len(content_len + LUKS2_HEADER_LEN)?;
        Ok(())
    }

    fn cryptsetup(&self, action: &str) -> Command {
        let mut tool = Command::new(Format::Luks2.tool());
        tool.args([action, "--batch-mode", "--key-file"]);
        tool.arg(self.passphrase());
        tool
    }

    /// Makes an empty LUKS2 container with these options instead of the image.
    ///
    /// # Errors
    ///
    /// Fails when the tool does.
    pub fn format_again(&self, options: &[&str]) -> Result {
        let mut tool = self.cryptsetup("luksFormat");
        tool.args(["--type", "luks2"]).args(options);
        call(tool.arg(self.image()))
    }

    /// Has the format's tool decipher the image, and returns the content.
    ///
    /// # Errors
    ///
    /// Fails when the tool does.
    pub fn read_back(&self) -> Result<Vec<u8>> {
        let plain = self.path("back");
        match self.format {
            Format::Luks1 => {
                let image = option_value(&self.image());
                let options = format!("driver=luks,key-secret=passphrase,file.filename={image}");
                let mut tool = Command::new(Format::Luks1.tool());
                tool.args(["convert", "--object", &self.secret(), "--image-opts"]);
                call(tool.args([&options, "-O", "raw"]).arg(&plain))?;
            }
            Format::Luks2 => {
                // It deciphers in place, and puts the header aside.
                fs::copy(self.image(), &plain)?;
                let header = self.path("header");
                let _ = fs::remove_file(&header);
                let mut tool = self.cryptsetup("reencrypt");
                tool.args(["--decrypt", "--force-offline-reencrypt", "--header"]);
                call(tool.arg(header).arg(&plain))?;
            }
        }
        let mut content = fs::read(plain)?;
        content.truncate(self.content.len());
        Ok(content)
    }
}

/// Calls a tool, which is silent where all is well.
fn call(command: &mut Command) -> Result {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut ended = child::capture(command)?;
    for _ in 1..TRIES {
        if ended.status == 0 || !ended.output.contains(UNMEASURED) {
            break;
        }
        ended = child::capture(command)?;
    }
    match ended.status {
        0 => Ok(()),
        status => {
            let said = ended.output.lines().last().unwrap_or("it says nothing");
            fail(format_args!("{name} ended with status {status}: {said}"))
        }
    }
}
