//! The serial console, the log and the printer of last resort.
//!
//! For every room. The one rule: what is printed at once stays together, whatever other CPUs print;
//! a CPU that is about to end the run prints even if the lock never comes free.

use core::fmt::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};
use uart_16550::{Config, Uart16550, backend::PioBackend};

use crate::{cpu::ports, sync::SpinLock};

struct Console(Uart16550<PioBackend>);

static CONSOLE: SpinLock<Console> = SpinLock::new("serial console", open());

/// The kernel's serial line. There is one value that is used for it, but for a panic that cannot
/// get the lock.
const fn open() -> Console {
    Console(ports::serial_line())
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            let text = line.strip_suffix('\n');
            self.0.send_bytes_exact(text.unwrap_or(line).as_bytes());
            if text.is_some() {
                self.0.send_bytes_exact(b"\r\n");
            }
        }
        Ok(())
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            print(format_args!("{}: {}\n", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Sets the line up and takes over the log.
pub fn init() {
    // A machine without COM1 says nothing, and `run.sh` reports the missing closing line.
    let _ = CONSOLE.with(|console| console.0.init(Config::default()));
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Prints whole, whatever other CPUs print; more than a KiB in pieces of that.
///
/// What is printed is made a text before the lock is taken, and may allocate for that, or print.
pub fn print(text: fmt::Arguments) {
    let mut piece = Piece {
        bytes: [0; PIECE_LEN],
        len_bytes: 0,
    };
    let _ = piece.write_fmt(text);
    piece.print();
}

/// Bytes that are printed at once.
const PIECE_LEN: usize = 1024;

/// What waits to be printed: whole characters.
struct Piece {
    bytes: [u8; PIECE_LEN],
    len_bytes: usize,
}

impl Piece {
    fn print(&mut self) {
        let text = str::from_utf8(&self.bytes[..self.len_bytes]).unwrap_or_default();
        let _ = CONSOLE.with(|console| console.write_str(text));
        self.len_bytes = 0;
    }
}

impl fmt::Write for Piece {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while !text.is_empty() {
            let room = PIECE_LEN - self.len_bytes;
            let (now, later) = text.split_at(text.floor_char_boundary(room));
            let end = self.len_bytes + now.len();
            self.bytes[self.len_bytes..end].copy_from_slice(now.as_bytes());
            self.len_bytes = end;
            text = later;
            if !text.is_empty() {
                self.print();
            }
        }
        Ok(())
    }
}

/// Prints even if the lock never comes free: for a CPU that is about to end the run.
pub fn print_last(text: fmt::Arguments) {
    const TRIES: u32 = 1_000_000;
    if CONSOLE
        .try_with(TRIES, |console| console.write_fmt(text))
        .is_none()
    {
        // The holder of the lock is stuck, perhaps below on this very stack.
        let _ = open().write_fmt(text);
    }
}

/// Prints a line on the serial console.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(format_args!("\n")) };
    ($($text:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($text)*)))
    };
}
