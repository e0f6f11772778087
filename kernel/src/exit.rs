//! The end of a run, as the host sees it: QEMU's `isa-debug-exit` device.

use x86_64::instructions::{hlt, interrupts, port::Port};

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

/// The port of `isa-debug-exit` on the machines that `run.sh` starts.
pub(crate) const PORT: u8 = 0xf4;

/// Ends the run.
pub fn exit(code: ExitCode) -> ! {
    // SAFETY: the port belongs to nothing on other machines.
    unsafe { Port::new(PORT.into()).write(code as u32) };
    // Without that device: stop here, `run.sh`'s time limit ends the run.
    interrupts::disable();
    loop {
        hlt();
    }
}
