//! How a function of bytes becomes a target, or a program that replays files.

/// Tells now and then how many executions there were: libFuzzer does so ever more rarely.
#[cfg(fuzzing)]
pub fn count() {
    use std::{cell::Cell, time::Instant};

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
        static TOLD: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let count = COUNT.get() + 1;
    COUNT.set(count);
    if count % 256 != 0 {
        return;
    }
    let now = Instant::now();
    let told = TOLD.get().unwrap_or(now);
    if (now - told).as_secs() >= 5 {
        eprintln!("executions: {count}");
        TOLD.set(Some(now));
    } else {
        TOLD.set(Some(told));
    }
}

/// Makes the program of a target.
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            target::count();
            $run(input);
        });

        /// Without libFuzzer: runs the target on each file that is named.
        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for file in std::env::args_os().skip(1) {
                $run(&std::fs::read(file)?);
            }
            Ok(())
        }
    };
}
