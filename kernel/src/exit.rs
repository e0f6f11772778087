//! How a run ends, for every room: it passes, or it fails and says why.
//!
//! The host sees the end by QEMU's `isa-debug-exit` device. The one rule: whatever goes wrong for
//! good, on whatever CPU, ends in [`fail`], once.

use core::{
    fmt,
    panic::PanicInfo,
    sync::atomic::{AtomicU32, Ordering},
};

use spin::Once;
use x86_64::instructions::{hlt, interrupts};

use crate::{
    console,
    cpu::{self, ports},
};

/// How a run ends. QEMU's exit status is twice the value plus one: 33 or 35. A reset ends QEMU with
/// 0, which is therefore a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExitCode {
    /// Everything worked.
    Success = 0x10,
    /// Something did not.
    Failure = 0x11,
}

/// Ends the run.
pub fn exit(code: ExitCode) -> ! {
    ports::EXIT.write(code as u32);
    // Without that device: stop here, `run.sh`'s time limit ends the run.
    stop();
}

/// Stops the calling CPU.
fn stop() -> ! {
    interrupts::disable();
    loop {
        hlt();
    }
}

/// Prints the closing lines of a run that failed for the reason that it is given.
pub type Closing = fn(fmt::Arguments);

static CLOSING: Once<Closing> = Once::new();
/// No CPU has failed yet.
const NOBODY: u32 = u32::MAX;
/// The number of the CPU that failed first, or [`NOBODY`].
static FAILED: AtomicU32 = AtomicU32::new(NOBODY);

/// Has `closing` print a failed run's closing lines, instead of `failed: ` and the reason. The
/// first one that is set stays.
pub fn set_closing(closing: Closing) {
    CLOSING.call_once(|| closing);
}

/// Ends the run as failed, with a line that says why. Of several CPUs that fail, the first one
/// tells why and ends the run; the others stop.
pub fn fail(reason: fmt::Arguments) -> ! {
    let cpu = cpu::number();
    match FAILED.compare_exchange(NOBODY, cpu, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => match CLOSING.get() {
            Some(closing) => closing(reason),
            None => console::print_last(format_args!("failed: {reason}\n")),
        },
        // What fails while a failure is being told is not told: it might go on for ever.
        Err(first) if first == cpu => {}
        // The first one's lines would end where they are.
        Err(_) => stop(),
    }
    exit(ExitCode::Failure);
}

/// Ends a run that a panic ends, with the panic's message.
#[panic_handler]
fn on_panic(info: &PanicInfo) -> ! {
    interrupts::disable();
    console::print_last(format_args!("\n{info}\n"));
    fail(format_args!("panic: {}", info.message()));
}
