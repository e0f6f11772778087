//! What a disk without a LUKS header has instead, for a line that helps.

use crate::error::Found;

/// Magic numbers of what people have instead: where, what, and its name.
const FORMATS: &[(usize, &[u8], &str)] = &[
    (
        0,
        b"QFI\xfb",
        "a qcow2 image: `qemu-img convert -O raw` makes a raw one",
    ),
    (0, b"KDMV", "a VMDK image"),
    (0, b"conectix", "a VHD image"),
    (0, b"vhdxfile", "a VHDX image"),
    (0x40, b"\x7f\x10\xda\xbe", "a VDI image"),
    (3, b"-FVE-FS-", "a BitLocker volume"),
    (0, b"hsqs", "a SquashFS file system"),
    (0, b"XFSB", "an XFS file system"),
    (0, b"\x7fELF", "an ELF program"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (0x200, b"EFI PART", "a disk with a GPT partition table"),
    (
        0x1fe,
        b"\x55\xaa",
        "a boot sector, or a disk with a partition table",
    ),
];

/// Tells by its first sectors what a disk, or a volume, has.
pub fn found_in(first: &[u8]) -> Found {
    if first.iter().all(|byte| *byte == 0) {
        return Found::Zeros;
    }
    let has = |at: usize, magic| first.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let format = FORMATS.iter().find(|(at, magic, _)| has(*at, magic));
    format.map_or(Found::Unknown, |(.., name)| Found::Format(name))
}
