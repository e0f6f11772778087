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

/// Prints whole, whatever other CPUs print.
pub fn print(text: fmt::Arguments) {
    let _ = CONSOLE.with(|console| console.write_fmt(text));
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
