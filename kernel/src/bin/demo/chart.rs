//! Figures and bars for a terminal of 80 columns.
//!
//! They are printed under the console's lock, so nothing here allocates.

use core::fmt::{self, Write};

const FULL: &str =
    "################################################################################";

/// A short text that is put together before it is padded; what is beyond its end is left out.
#[derive(Debug, Default)]
pub struct Cell {
    bytes: [u8; 32],
    len: usize,
}

impl Cell {
    /// Writes it in the width that `f` asks for.
    pub fn pad(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(core::str::from_utf8(&self.bytes[..self.len]).unwrap_or(""))
    }
}

impl Write for Cell {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// A bar of up to `width` characters for `part` of `whole`; what is not nothing has one.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub part: u64,
    pub whole: u64,
    pub width: usize,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = u128::from(self.whole.max(1));
        let len = (u128::from(self.part) * self.width as u128 + whole / 2) / whole;
        let len = (len as usize).clamp(usize::from(self.part > 0), self.width);
        f.pad(&FULL[..len.min(FULL.len())])
    }
}

/// A number with its thousands apart: `12,345`.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 1;
        while self.0 / unit >= 1000 {
            unit *= 1000;
        }
        let mut cell = Cell::default();
        write!(cell, "{}", self.0 / unit)?;
        while unit > 1 {
            unit /= 1000;
            write!(cell, ",{:03}", self.0 / unit % 1000)?;
        }
        cell.pad(f)
    }
}

/// A time in the unit that suits it, with two or three digits: `7.3 us`, `73 us`.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit_ns, unit) = match self.0 {
            0..1_000_000 => (1000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s "),
        };
        let tenths = self.0 * 10 / unit_ns;
        let mut cell = Cell::default();
        if tenths < 100 {
            write!(cell, "{}.{} {unit}", tenths / 10, tenths % 10)?;
        } else {
            write!(cell, "{} {unit}", tenths / 10)?;
        }
        cell.pad(f)
    }
}

/// Bytes in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
