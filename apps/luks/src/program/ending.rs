//! How a run fails.

use core::fmt;

use kernel::exit;

/// Ends the run with what is wrong.
pub fn fail(error: impl fmt::Display) -> ! {
    exit::fail(format_args!("luks: {error}"))
}

/// Returns what went well, or ends the run.
pub fn expect<T, E: fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| fail(error))
}
