//! The guest's clock: marks for the host to compare it by, and what it goes by.
#![no_std]
#![no_main]

use core::fmt;

use kernel::{
    bench::measure,
    command_line,
    exit::{self, ExitCode, exit},
    println,
    task::executor,
    time::{self, calibration::Vote},
};

kernel::entry!(main);

/// Marks on the way. How late each is seen differs, and the ones that are seen soonest count.
const MARKS: u64 = 20;

/// Who voted.
struct References(&'static [Vote]);

impl fmt::Display for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for vote in self.0 {
            write!(f, "{separator}{}", vote.reference)?;
            separator = ",";
        }
        Ok(())
    }
}

fn main() -> ! {
    command_line::expect(&["ms="]);
    let step_ns = measure::duration_ms(1000) * 1_000_000 / MARKS;
    let Some(calibration) = time::calibration() else {
        exit::fail(format_args!("no clock"));
    };
    measure::mark("clock");
    for _ in 0..MARKS {
        executor::block_on(time::sleep_ns(step_ns));
        measure::mark("clock");
    }
    println!(
        "bench: name=clock tsc_khz={} windows={} references={}",
        calibration.tsc_hz / 1000,
        calibration.windows,
        References(&calibration.votes),
    );
    println!("bench: pass");
    exit(ExitCode::Success);
}
