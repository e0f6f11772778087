//! What files there are on a volume: a tar archive (POSIX.1-1988 `ustar`, and GNU's, which is alike
//! as far as it is read here).
//!
//! The one rule: what an archive says of itself is checked before it is believed, and it cannot
//! make the index larger than [`MAX_FILES`].

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

/// Bytes of a block.
pub const BLOCK_LEN: usize = 512;
/// Most files of an archive.
pub const MAX_FILES: usize = 4096;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, without a slash before it.
    pub path: String,
    /// Where it begins in the archive.
    pub offset: u64,
    /// Its length.
    pub len_bytes: u64,
}

/// Why an archive is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The block at this offset is no header.
    Header(u64),
    /// A file does not end before the volume does; it begins at this offset.
    Length(u64),
    /// More than [`MAX_FILES`].
    TooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(offset) => write!(f, "no header of a tar archive at byte {offset}"),
            Self::Length(offset) => write!(f, "a file beyond the volume's end at byte {offset}"),
            Self::TooMany => write!(f, "more than {MAX_FILES} files"),
        }
    }
}

/// The files of an archive, as far as its headers have been read.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<File>,
    at: u64,
    /// The kind of the header before, where that says more of the next one.
    extension: Option<u8>,
}

impl Index {
    /// Where the next header is.
    pub fn next_header(&self) -> u64 {
        self.at
    }

    /// Takes the header that is there, on a volume of so many bytes. Returns whether there is one
    /// more behind it.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub fn take(&mut self, header: &[u8; BLOCK_LEN], volume_bytes: u64) -> Result<bool, Fault> {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        let fault = Fault::Header(self.at);
        if header[257..262] != *b"ustar" || !has_checksum(header) {
            return Err(fault);
        }
        let len_bytes = octal(&header[124..136]).ok_or(fault)?;
        let offset = self.at + BLOCK_LEN as u64;
        let padded = len_bytes.checked_next_multiple_of(BLOCK_LEN as u64);
        let next = padded.and_then(|padded| offset.checked_add(padded));
        let next = next.filter(|next| *next <= volume_bytes);
        self.at = next.ok_or(Fault::Length(offset))?;
        let kind = header[156];
        let is_named = match self.extension {
            // Its name is in the extension, which is not read; here is the name's beginning.
            Some(b'L') => false,
            Some(_) => header[99] == 0,
            None => true,
        };
        self.extension = match kind {
            b'L' | b'x' => Some(kind),
            // The name of a link's target comes before that of the link, or behind it.
            b'K' => self.extension,
            _ => None,
        };
        // Folders, links and names of other kinds are no files.
        let is_file = matches!(kind, b'0' | 0);
        if let Some(path) = path_of(header)
            && is_file
            && is_named
        {
            if self.files.len() == MAX_FILES {
                return Err(Fault::TooMany);
            }
            self.files.push(File {
                path,
                offset,
                len_bytes,
            });
        }
        Ok(self.at + BLOCK_LEN as u64 <= volume_bytes)
    }

    /// All files.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file of this path; the last one of several, as tar has it.
    pub fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().rev().find(|file| file.path == path)
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

/// The sum of all bytes, with spaces in place of the sum.
fn has_checksum(header: &[u8; BLOCK_LEN]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let own = sum(&header[..148]) + 8 * u64::from(b' ') + sum(&header[156..]);
    octal(&header[148..156]) == Some(own)
}

fn path_of(header: &[u8; BLOCK_LEN]) -> Option<String> {
    let text = |field: &[u8]| {
        let end = field.iter().position(|byte| *byte == 0);
        let text = core::str::from_utf8(&field[..end.unwrap_or(field.len())]);
        text.ok().map(ToString::to_string)
    };
    let name = text(&header[..100])?;
    // GNU's archives have something else there.
    let is_posix = header[262] == 0;
    let prefix = match is_posix {
        true => text(&header[345..500])?,
        false => String::new(),
    };
    let path = match prefix.is_empty() {
        true => name,
        false => format!("{prefix}/{name}"),
    };
    let path = path.trim_start_matches("./").trim_start_matches('/');
    (!path.is_empty()).then(|| path.to_string())
}

/// The media type of a file, by the end of its name.
pub fn kind_of(path: &str) -> &'static str {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    match end {
        "html" => "text/html; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn header(path: &str, prefix: &str, len_bytes: u64, kind: u8) -> [u8; BLOCK_LEN] {
        let mut header = [0; BLOCK_LEN];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
        header[124..135].copy_from_slice(format!("{len_bytes:011o}").as_bytes());
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        sign(&mut header);
        header
    }

    fn sign(header: &mut [u8; BLOCK_LEN]) {
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }

    const VOLUME: u64 = 1 << 20;

    #[test]
    fn files_are_found() {
        let mut index = Index::default();
        let headers = [
            header("./", "", 0, b'5'),
            header("./a.txt", "", 513, b'0'),
            header("b", "folder/of", 0, 0),
            header("a.txt", "", 7, b'0'),
        ];
        let mut places = vec![];
        for header in headers {
            places.push(index.next_header());
            assert_eq!(index.take(&header, VOLUME), Ok(true));
        }
        assert_eq!(places, [0, 512, 2048, 2560]);
        assert_eq!(index.take(&[0; BLOCK_LEN], VOLUME), Ok(false));
        let found = |path: &str| index.find(path).map(|file| (file.offset, file.len_bytes));
        assert_eq!(found("folder/of/b"), Some((2560, 0)));
        assert_eq!(found("a.txt"), Some((3072, 7)));
        assert_eq!(found("b"), None);
        assert_eq!(index.files().len(), 3);
    }

    #[test]
    fn files_with_a_part_of_their_name_are_left_out() {
        let long = "n".repeat(100);
        let mut index = Index::default();
        let mut paths_after = |kinds: &[(&str, u8)]| {
            let before = index.files().len();
            for (name, kind) in kinds {
                let taken = index.take(&header(name, "", 9, *kind), VOLUME);
                assert_eq!(taken, Ok(true));
            }
            index.files()[before..].len()
        };
        // GNU's long name, and what follows it.
        assert_eq!(paths_after(&[("././@LongLink", b'L'), (&long, b'0')]), 0);
        let link = ("././@LongLink", b'K');
        assert_eq!(
            paths_after(&[("././@LongLink", b'L'), link, (&long[..99], b'0')]),
            0
        );
        // POSIX's: each file may have one, which need not have a name.
        assert_eq!(paths_after(&[("PaxHeader/n", b'x'), (&long, b'0')]), 0);
        assert_eq!(paths_after(&[("PaxHeader/n", b'x'), ("n", b'0')]), 1);
        // A name that fills its field without an extension is whole.
        assert_eq!(paths_after(&[(&long, b'0'), ("n", b'0')]), 2);
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let whole = header("a", "", 100, b'0');
        for index in 0..BLOCK_LEN {
            let mut damaged = whole;
            damaged[index] ^= 1;
            let taken = Index::default().take(&damaged, VOLUME);
            assert_eq!(taken, Err(Fault::Header(0)), "byte {index}");
        }
        let take = |header| Index::default().take(&header, VOLUME);
        assert_eq!(take([7; BLOCK_LEN]), Err(Fault::Header(0)));
        assert_eq!(take(header("a", "", VOLUME, b'0')), Err(Fault::Length(512)));
        let mut endless = header("a", "", 0, b'0');
        endless[124..136].fill(b'7');
        sign(&mut endless);
        assert_eq!(take(endless), Err(Fault::Length(512)));
    }

    #[test]
    fn index_has_a_limit() {
        let mut index = Index::default();
        let header = header("a", "", 0, b'0');
        for _ in 0..MAX_FILES {
            assert_eq!(index.take(&header, u64::MAX), Ok(true));
        }
        assert_eq!(index.take(&header, u64::MAX), Err(Fault::TooMany));
    }
}
