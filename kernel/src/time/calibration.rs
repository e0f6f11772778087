//! How fast the TSC and the local APIC's timer are.
//!
//! Each reading of a counter lies between two of the TSC, so it is known how wrong it can be: where
//! the host took the CPU away in between, the two are far apart. A window ends when its readings
//! leave no more doubt than `ENOUGH_PPM`. Then references vote, and windows where there is one
//! reference only: no counter is believed alone, none by a single window, and what they agree on
//! wins.

use alloc::vec::Vec;
use core::fmt;

use crate::time::references::{self, Counter, Reading, Reference};

/// Votes so close to each other agree.
const AGREEMENT_PPM: u64 = 10_000;
/// A reading that leaves less doubt ends a counter's window.
const ENOUGH_PPM: u64 = 1_000;
/// A window is so long at least, in milliseconds.
const LEAST_MS: u64 = 10;
/// One that is so long is given up: the host is too busy just now.
const MOST_MS: u64 = 250;
/// Windows before the whole is given up.
const WINDOWS: usize = 8;
/// How often a counter is read where the tightest reading counts.
const READINGS: usize = 8;
/// A counter that has not moved after so many readings does not count.
const STILL_READINGS: u64 = 2_000;
/// One that has not come through a window after so many is none.
const MOST_READINGS: u64 = 2_000_000;

const PPM: u64 = 1_000_000;

/// How fast one reference found the TSC.
#[derive(Clone, Copy, Debug)]
pub struct Vote {
    /// Which.
    pub reference: Reference,
    /// Ticks a second.
    pub hz: u64,
    /// How wrong that can be, in millionths.
    pub error_ppm: u64,
}

impl Vote {
    fn agrees(&self, other: &Self) -> bool {
        let (low, high) = (self.hz.min(other.hz), self.hz.max(other.hz));
        u128::from(high - low) * u128::from(PPM) <= u128::from(low) * u128::from(AGREEMENT_PPM)
    }
}

/// What was found out.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// TSC ticks a second.
    pub tsc_hz: u64,
    /// The local APIC timer's ticks a second.
    pub timer_hz: u64,
    /// All votes.
    pub votes: Vec<Vote>,
    /// Windows that it took.
    pub windows: usize,
}

/// There is no clock.
#[derive(Clone, Debug)]
pub enum NoClock {
    /// No two references, nor two windows of the only one, agree.
    Disagreement {
        /// What they said.
        votes: Vec<Vote>,
    },
    /// The local APIC's timer stands still, or cannot be read in peace.
    NoTimer,
}

impl fmt::Display for NoClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let votes = match self {
            Self::Disagreement { votes } => votes,
            Self::NoTimer => {
                return f.write_str("the clock: the local APIC's timer does not count");
            }
        };
        let rates = || votes.iter().map(|vote| vote.hz);
        let (Some(low), Some(high)) = (rates().min(), rates().max()) else {
            return f.write_str(
                "the clock: nothing to measure the TSC by in peace: no ACPI PM timer, HPET or PIT \
                 that counts, or a host that is too busy",
            );
        };
        let apart_percent = u128::from(high - low) * 100 / u128::from(low.max(1));
        write!(
            f,
            "the clock: references do not agree on the TSC, {apart_percent} % apart:"
        )?;
        let mut separator = " ";
        for vote in votes {
            let khz = vote.hz / 1000;
            let (mhz, rest) = (khz / 1000, khz % 1000);
            write!(f, "{separator}{} {mhz}.{rest:03} MHz", vote.reference)?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Returns the vote that wins, the most exact of those that agree: more references agree than do
/// not, one counter at least among them; or, where all votes are one counter's, more windows.
pub fn winner(votes: &[Vote]) -> Option<Vote> {
    let references = |votes: &mut dyn Iterator<Item = &Vote>| {
        let mut seen: Vec<Reference> = Vec::new();
        for vote in votes {
            if !seen.contains(&vote.reference) {
                seen.push(vote.reference);
            }
        }
        seen
    };
    let all = references(&mut votes.iter()).len();
    let is_won = |vote: &&Vote| {
        let with = || votes.iter().filter(|other| vote.agrees(other));
        let without = || votes.iter().filter(|other| !vote.agrees(other));
        let for_it = references(&mut with());
        let against = references(&mut without()).len();
        let is_measured = for_it.iter().any(|reference| reference.is_measured());
        let by_references = for_it.len() >= 2 && for_it.len() > against;
        let by_windows = all == 1 && with().count() >= 2 && with().count() > without().count();
        is_measured && (by_references || by_windows)
    };
    let won = votes.iter().filter(is_won);
    won.min_by_key(|vote| vote.error_ppm).copied()
}

/// Two readings of a counter.
#[derive(Clone, Copy, Debug)]
struct Span {
    counted: u64,
    tsc_ticks: u64,
    error_ppm: u64,
}

impl Span {
    fn new(counter: &Counter, from: Reading, to: Reading) -> Self {
        let counted = counter.counted(from, to);
        let tsc_ticks = to.at.wrapping_sub(from.at);
        // Half of what each reading took, and a tick of the counter at either end.
        let doubt = |part: u64, whole: u64| match whole {
            0 => PPM,
            _ => (u128::from(part) * u128::from(PPM) / u128::from(whole)) as u64,
        };
        let error_ppm = doubt(from.width / 2 + to.width / 2, tsc_ticks) + doubt(2, counted);
        Self {
            counted,
            tsc_ticks,
            error_ppm,
        }
    }

    /// Returns `hz` of the one as the other's.
    fn scale(hz: u64, part: u64, whole: u64) -> u64 {
        (u128::from(hz) * u128::from(part) / u128::from(whole.max(1))) as u64
    }

    fn ms(&self, hz: u64) -> u64 {
        Self::scale(1000, self.counted, hz)
    }
}

/// Reads a counter a few times, and returns the reading that took least.
fn tightest(counter: &mut Counter) -> Option<Reading> {
    (0..READINGS)
        .filter_map(|_| counter.read())
        .min_by_key(|reading| reading.width)
}

/// A counter's window.
struct Window<'c> {
    counter: &'c mut Counter,
    from: Reading,
    readings: u64,
    /// What came of it, once it is over.
    over: Option<Option<Span>>,
}

impl Window<'_> {
    /// Reads the counter once.
    fn step(&mut self) {
        if self.over.is_some() {
            return;
        }
        self.readings += 1;
        let Some(to) = self.counter.read() else {
            self.over = Some(None);
            return;
        };
        let span = Span::new(self.counter, self.from, to);
        let ms = span.ms(self.counter.hz);
        let is_still = span.counted == 0 && self.readings > STILL_READINGS;
        if is_still || ms > MOST_MS || self.readings > MOST_READINGS {
            self.over = Some(None);
        } else if ms >= LEAST_MS && span.error_ppm <= ENOUGH_PPM {
            self.over = Some(Some(span));
        }
    }
}

/// Measures by all of `counters` at the same time.
fn measure(counters: &mut [Counter]) -> Vec<Vote> {
    let mut windows: Vec<_> = counters
        .iter_mut()
        .filter_map(|counter| {
            counter.start();
            Some(Window {
                from: tightest(counter)?,
                counter,
                readings: 0,
                over: None,
            })
        })
        .collect();
    while windows.iter().any(|window| window.over.is_none()) {
        windows.iter_mut().for_each(Window::step);
    }
    let votes = windows.iter().filter_map(|window| {
        let (span, reference) = (window.over??, window.counter.reference()?);
        Some(Vote {
            reference,
            hz: Span::scale(window.counter.hz, span.tsc_ticks, span.counted),
            error_ppm: span.error_ppm,
        })
    });
    let votes = votes.collect();
    counters.iter_mut().for_each(Counter::stop);
    votes
}

/// Measures both, with interrupts masked.
///
/// # Errors
///
/// [`NoClock`] when there is nothing to go by.
pub(crate) fn calibrate(mut counters: Vec<Counter>) -> Result<Calibration, NoClock> {
    let told = references::told().into_iter().map(|told| Vote {
        reference: told.reference,
        hz: told.hz,
        error_ppm: told.error_ppm,
    });
    let mut votes: Vec<_> = told.collect();
    for windows in 1..=WINDOWS {
        let mut timer = Counter::local_apic();
        timer.start();
        let from = tightest(&mut timer);
        votes.extend(measure(&mut counters));
        let to = tightest(&mut timer);
        timer.stop();
        let Some(Vote { hz: tsc_hz, .. }) = winner(&votes) else {
            continue;
        };
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        let span = Span::new(&timer, from, to);
        if span.error_ppm <= AGREEMENT_PPM {
            return Ok(Calibration {
                tsc_hz,
                timer_hz: Span::scale(tsc_hz, span.counted, span.tsc_ticks).max(1),
                votes,
                windows,
            });
        }
    }
    match winner(&votes) {
        Some(_) => Err(NoClock::NoTimer),
        None => Err(NoClock::Disagreement { votes }),
    }
}
