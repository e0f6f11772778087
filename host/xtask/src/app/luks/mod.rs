//! The LUKS unikernel's host side: a disk image, a passphrase by fw_cfg, and what proves that the
//! guest reads and writes what others do.
//!
//! For `./run.sh app luks`, and for the tests. The rule: an image that somebody names is not
//! written unless the words say what is to be, and a passphrase stands on no command line.

pub mod guest;
pub mod images;
pub mod measure;
mod passphrase;
pub mod proof;

use std::path::{Path, PathBuf};

use self::{
    guest::{Disk, Guest},
    images::Format,
    proof::Proof,
};
use crate::{
    app::{
        folder::Folder,
        program::{Profile, Program},
        words::existing,
    },
    boot::machine::Variables,
    child::Show,
    project::Project,
    report::{Result, fail, say},
};

/// Bytes of the content that a container is proven with.
const CONTENT_LEN: u64 = 8 << 20;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    /// A container that somebody has.
    image: Option<PathBuf>,
    /// A file that has its passphrase.
    passphrase: Option<PathBuf>,
    /// The rest, for the guest.
    guest: Vec<String>,
}

impl Words {
    fn read(words: &[String]) -> Result<Self> {
        let mut asked = Self::default();
        for word in words {
            match word.split_once('=') {
                Some(("passphrase", path)) => {
                    asked.passphrase = Some(existing("luks", word, path)?)
                }
                Some(("write" | "recover" | "idle", _)) => asked.guest.push(word.clone()),
                None if word == "hash" => asked.guest.push(word.clone()),
                _ if asked.image.is_none() && Path::new(word).exists() => {
                    asked.image = Some(existing("luks", word, word)?);
                }
                _ => {
                    return fail(format_args!(
                        "app luks: '{word}': no such file, nor a word of passphrase=FILE, hash, \
                         write=AT:LEN,.., recover=N, idle=poll"
                    ));
                }
            }
        }
        match asked.image.is_none() && (asked.passphrase.is_some() || !asked.guest.is_empty()) {
            true => fail("app luks: words belong to an image: ./run.sh app luks IMAGE .."),
            false => Ok(asked),
        }
    }
}

/// Opens the container that is named, or makes some and proves that they are read and written.
///
/// # Errors
///
/// Fails with a word that it does not know, or when a run or the proof does.
pub fn run(project: &Project, words: &[String]) -> Result {
    let asked = Words::read(words)?;
    let variables = Variables::read(project);
    variables.check()?;
    let Some(image) = asked.image else {
        return prove(project, variables);
    };
    let folder = Folder::new("luks")?;
    let passphrase = passphrase::find(asked.passphrase, &folder)?;
    let program = Program::build(project, "luks", Profile::Use)?;
    let is_written = asked.guest.iter().any(|word| word.starts_with("write="));
    let guest = Guest {
        program: &program,
        variables,
        passphrase,
        disk: match is_written {
            true => Disk::writable(&image),
            false => Disk::read_only(&image),
        },
        words: asked.guest.join(" "),
        show: Show::All,
    };
    guest.succeed().map(drop)
}

fn prove(project: &Project, variables: Variables) -> Result {
    images::find_tool(project, Format::Luks1)?;
    let program = Program::build(project, "luks", Profile::Use)?;
    for format in Format::ALL {
        if let Some(missing) = format.missing_tool() {
            say(format_args!(
                "luks: {format} is left out: no {missing} to make and read it \
                 (apt-get install {})",
                format.package()
            ));
            continue;
        }
        let proof = Proof {
            program: &program,
            variables: variables.clone(),
            format,
            content_len: CONTENT_LEN,
            words: "",
            show: Show::All,
        };
        say(proof.run()?);
    }
    println!("luks: pass");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> std::result::Result<Words, String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Words::read(&words).map_err(|failure| failure.reason().to_owned())
    }

    #[test]
    fn words_are_of_an_image() {
        assert_eq!(read(&[]), Ok(Words::default()));
        let image = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
        let asked = read(&[&image, "hash", "write=0:512"]).unwrap();
        assert_eq!(asked.guest, ["hash", "write=0:512"]);
        assert!(asked.image.is_some_and(|path| path.is_absolute()));
        for (words, told) in [
            (vec!["hash"], "words belong to an image"),
            (vec!["/no/such/image"], "no such file"),
            (vec![&*image, "bogus=1"], "'bogus=1'"),
            (vec![&*image, &*image], "no such file, nor a word"),
            (vec![&*image, "passphrase=/no/such"], "/no/such"),
            (vec!["/tmp"], "a directory"),
        ] {
            let refused = read(&words).unwrap_err();
            assert!(refused.contains(told), "{words:?}: {refused}");
        }
    }
}
