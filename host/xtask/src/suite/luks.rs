//! The LUKS unikernel in QEMU: containers of others, and all that may be wrong with one.
//!
//! The rule: whatever is wrong is said in one line, and the image is as it was.

use std::fs;

use super::part::Part;
use crate::{
    app::{
        luks::{
            guest::{Disk, Guest},
            images::{Container, Format},
            proof::Proof,
        },
        program::{Profile, Program},
    },
    boot::machine::Variables,
    child::Show,
    report::{Failure, Result},
};

/// Bytes of content.
const CONTENT_LEN: u64 = 2 << 20;
/// Where `qemu-img` puts the volume of LUKS1, in sectors.
const LUKS1_VOLUME: u64 = 4040;

/// A test: its name, the formats that it is about, what it does.
struct Test {
    name: &'static str,
    formats: &'static [Format],
    run: fn(&Rig) -> Result,
}

const fn test(name: &'static str, formats: &'static [Format], run: fn(&Rig) -> Result) -> Test {
    Test { name, formats, run }
}

const TESTS: &[Test] = &[
    test("luks_luks1_is_read_and_written", &[Format::Luks1], |it| {
        it.prove(Format::Luks1, "")
    }),
    test("luks_luks2_is_read_and_written", &[Format::Luks2], |it| {
        it.prove(Format::Luks2, "")
    }),
    test(
        "luks_device_is_recovered_in_the_middle",
        &[Format::Luks1],
        |it| it.prove(Format::Luks1, "recover=12"),
    ),
    test("luks_wrong_passphrase_is_told", &Format::ALL, |it| {
        Format::ALL.into_iter().try_for_each(|format| {
            let wrong = |container: &Container| {
                fs::write(container.passphrase(), "correct horse battery staple\n")
            };
            it.fails(
                format,
                wrong,
                "luks: wrong passphrase: it opens none of 1 key slots",
            )
        })
    }),
    test("luks_damaged_header_is_told", &[Format::Luks1], |it| {
        // The iterations of the first key slot.
        let damage = |container: &Container| edit(container, 212, &[0xff; 4]);
        let told = "luks: PBKDF2's iterations is 4294967295: 1 to 16777216 are accepted";
        it.fails(Format::Luks1, damage, told)
    }),
    test("luks_second_header_stands_in", &[Format::Luks2], |it| {
        let container = Container::make(Format::Luks2, CONTENT_LEN)?;
        edit(&container, 5000, b"?")?;
        let told = [
            "luks: the primary header is damaged: damaged header: the checksum is wrong",
            "luks: pass",
        ];
        it.opens(&container, Disk::read_only(&container.image()), "", &told)
    }),
    test("luks_other_image_is_named", &[Format::Luks1], |it| {
        let other = |container: &Container| fs::write(container.image(), qcow2());
        it.fails(
            Format::Luks1,
            other,
            "luks: no LUKS header: found a qcow2 image",
        )
    }),
    test("luks_short_image_is_told", &[Format::Luks1], |it| {
        let cut = |container: &Container| {
            let file = fs::File::options().write(true).open(container.image())?;
            file.set_len(LUKS1_VOLUME * 512 - 512)
        };
        let told = "luks: the disk ends at byte 2067968, the volume at byte 2068992";
        it.fails(Format::Luks1, cut, told)
    }),
    test(
        "luks_key_slot_that_asks_for_too_much_is_told",
        &[Format::Luks2],
        |it| {
            let container = Container::make(Format::Luks2, CONTENT_LEN)?;
            container.format_again(&[
                "--luks2-metadata-size",
                "16k",
                "--luks2-keyslots-size",
                "768k",
                "--pbkdf-memory",
                "400000",
                "--pbkdf-force-iterations",
                "4",
            ])?;
            let told = ["failed: luks: no memory for the 400000 KiB"];
            it.refuses(&container, Disk::read_only(&container.image()), "", &told)
        },
    ),
    test("luks_disk_that_fails_is_told", &[Format::Luks1], |it| {
        let container = Container::make(Format::Luks1, CONTENT_LEN)?;
        let told = ["failed: luks: the disk has failed: I/O error"];
        let middle = LUKS1_VOLUME + 2000;
        for (event, sector, words) in [
            // The header, the first key slot, the volume.
            ("read_aio", Some(0), "hash"),
            ("read_aio", Some(100), "hash"),
            ("read_aio", Some(middle), "hash"),
            ("write_aio", Some(LUKS1_VOLUME), "write=0:8192"),
            ("flush_to_disk", None, "write=0:8192"),
        ] {
            let disk = Disk::failing(&container.image(), event, sector);
            it.refuses(&container, disk, words, &told)?;
        }
        Ok(())
    }),
    test(
        "luks_nothing_is_written_to_what_is_read",
        &[Format::Luks1],
        |it| {
            let container = Container::make(Format::Luks1, CONTENT_LEN)?;
            let before = fs::read(container.image())?;
            let disk = Disk::writable(&container.image());
            it.opens(&container, disk, "hash", &["access=read", "luks: pass"])?;
            let told = ["failed: luks: the volume is open for reading alone"];
            let disk = Disk::read_only(&container.image());
            it.refuses(&container, disk, "write=0:512", &told)?;
            let disk = Disk::writable(&container.image());
            let told = ["failed: luks: 512 bytes from sector 4096 on are no sectors of the volume"];
            it.refuses(&container, disk, "write=0:512,2097152:512", &told)?;
            unchanged(&container, &before)
        },
    ),
];

/// The program of the tests.
struct Rig {
    program: Program,
    variables: Variables,
}

pub fn run(part: &mut Part) -> Result {
    let Some(wanted) = part.begin_with(TESTS, |it| it.name) else {
        return Ok(());
    };
    let rig = Rig {
        program: Program::build(part.project, "luks", Profile::Tests)?,
        variables: Variables::read(part.project),
    };
    for test in wanted {
        let mut formats = test.formats.iter();
        if formats.any(|format| format.missing_tool().is_some()) {
            part.leave_out(test.name);
            continue;
        }
        part.check_run(test.name, || (test.run)(&rig));
    }
    Ok(())
}

impl Rig {
    fn prove(&self, format: Format, words: &str) -> Result {
        let proof = Proof {
            program: &self.program,
            variables: self.variables.clone(),
            format,
            content_len: CONTENT_LEN,
            words,
            show: Show::Nothing,
        };
        proof.run().map(drop)
    }

    /// Makes a container, does something to it, and expects a refusal that changes nothing.
    fn fails(
        &self,
        format: Format,
        damage: impl Fn(&Container) -> std::io::Result<()>,
        told: &str,
    ) -> Result {
        let container = Container::make(format, CONTENT_LEN)?;
        damage(&container)?;
        let before = fs::read(container.image())?;
        let disk = Disk::writable(&container.image());
        let told = format!("failed: {told}");
        self.refuses(&container, disk, "write=0:4096", &[&told])?;
        unchanged(&container, &before)
    }

    fn opens(&self, container: &Container, disk: Disk, words: &str, told: &[&str]) -> Result {
        self.boot(container, disk, words, told, true)
    }

    fn refuses(&self, container: &Container, disk: Disk, words: &str, told: &[&str]) -> Result {
        self.boot(container, disk, words, told, false)
    }

    fn boot(
        &self,
        container: &Container,
        disk: Disk,
        words: &str,
        told: &[&str],
        opens: bool,
    ) -> Result {
        let guest = Guest {
            program: &self.program,
            variables: self.variables.clone(),
            passphrase: container.passphrase(),
            disk,
            words: words.to_owned(),
            show: Show::Nothing,
        };
        let (run, failed) = guest.boot()?;
        let is_told = |told: &&str| run.guest.lines().any(|line| line.contains(*told));
        match failed.is_none() == opens && told.iter().all(is_told) {
            true => Ok(()),
            false => Err(Failure::Because(format!(
                "{guest:?}\nexpected: {told:?}\ngot: {failed:?} and\n{}",
                run.guest
            ))),
        }
    }
}

/// Overwrites some bytes of an image.
fn edit(container: &Container, at: usize, bytes: &[u8]) -> std::io::Result<()> {
    let mut image = fs::read(container.image())?;
    image[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(container.image(), image)
}

fn unchanged(container: &Container, before: &[u8]) -> Result {
    match fs::read(container.image())? == before {
        true => Ok(()),
        false => Err(Failure::Because("the image has changed".to_owned())),
    }
}

/// The start of an image of that format.
fn qcow2() -> Vec<u8> {
    let mut image = b"QFI\xfb\0\0\0\x03".to_vec();
    image.resize(1 << 20, 0);
    image
}
