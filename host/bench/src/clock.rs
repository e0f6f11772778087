//! The guest's clock beside the host's.

use std::time::{Duration, Instant};

use crate::line::Line;

/// Clocks that are further apart make a run count as disturbed.
pub const MOST_PERCENT: f64 = 1.;

/// When marks were made by the guest's clock, and seen by the host's.
#[derive(Debug, Default)]
pub struct Comparison {
    start: Option<Instant>,
    /// By the host's, then by the guest's.
    marks: Vec<(Duration, Duration)>,
}

impl Comparison {
    /// Takes down a mark that is seen just now: `measure: WORD at_ns=TIME`. Returns its word.
    pub fn see<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let (word, rest) = text.strip_prefix("measure: ")?.split_once(' ')?;
        let at_ns = Line::parse(rest, "")?.get("at_ns")?.parse().ok()?;
        let now = Instant::now();
        let start = *self.start.get_or_insert(now);
        self.add(now - start, Duration::from_nanos(at_ns));
        Some(word)
    }

    fn add(&mut self, host: Duration, guest: Duration) {
        self.marks.push((host, guest));
    }

    /// Returns how much faster than the host's the guest's clock is, of 100, over all marks so far;
    /// less than 0 where it is slower. `None` before there is something to compare.
    pub fn off_percent(&self) -> Option<f64> {
        // Each mark is seen late by what it took on its way, never too soon: of those at the
        // beginning and of those at the end, the one that was seen soonest tells most.
        let (early, late) = self.marks.split_at(self.marks.len() / 2);
        let behind =
            |(host, guest): &(Duration, Duration)| host.as_secs_f64() - guest.as_secs_f64();
        let soonest = |marks: &[(Duration, Duration)]| {
            let marks = marks.iter().copied();
            marks.min_by(|one, other| behind(one).total_cmp(&behind(other)))
        };
        let (from, to) = (soonest(early)?, soonest(late)?);
        let host = to.0.saturating_sub(from.0).as_secs_f64();
        let guest = to.1.saturating_sub(from.1).as_secs_f64();
        (host > 0.).then(|| (guest / host - 1.) * 100.)
    }

    /// Adds to a line how far apart the clocks are, and tells whether that is too far.
    pub fn mark(&self, line: &mut Line) -> bool {
        let Some(off) = self.off_percent() else {
            return false;
        };
        line.push("clock_off_percent", format!("{off:.2}"));
        off.abs() > MOST_PERCENT
    }
}

/// Returns what many boots, each with a line of its own, come to.
pub fn summary(lines: &[Line], failed: usize) -> Line {
    let off = lines
        .iter()
        .filter_map(|line| line.number("clock_off_percent"));
    let mut off: Vec<_> = off.map(f64::abs).collect();
    off.sort_by(f64::total_cmp);
    let at = |index: usize| off.get(index).copied().unwrap_or_default();
    let over = |percent: f64| off.iter().filter(|off| **off > percent).count();
    let mut line = Line::default();
    line.push("name", "clock-of-boots");
    line.push("boots", off.len());
    line.push("failed", failed);
    line.push("median_off_percent", format!("{:.2}", at(off.len() / 2)));
    line.push("p90_off_percent", format!("{:.2}", at(off.len() * 9 / 10)));
    line.push(
        "max_off_percent",
        format!("{:.2}", at(off.len().saturating_sub(1))),
    );
    for (key, percent) in [("over_1_percent", 1.), ("over_5_percent", 5.)] {
        line.push(key, over(percent));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(marks: &[(u64, u64)]) -> Comparison {
        let mut comparison = Comparison::default();
        for &(host_us, guest_us) in marks {
            comparison.add(
                Duration::from_micros(host_us),
                Duration::from_micros(guest_us),
            );
        }
        comparison
    }

    #[test]
    fn marks_that_were_seen_late_do_not_count() {
        let on_time = [(1_000, 500), (1_000_000, 999_500)];
        assert!(comparison(&on_time).off_percent().unwrap().abs() < 1e-9);
        let late = [
            (31_000, 500),
            (101_000, 100_500),
            (201_000, 200_500),
            (1_000_000, 900_000),
            (1_001_000, 1_000_500),
            (1_100_000, 1_050_000),
        ];
        assert!(comparison(&late).off_percent().unwrap().abs() < 1e-9);
    }

    #[test]
    fn a_clock_that_is_too_fast_marks_its_line() {
        let mut line = Line::default();
        let marks = comparison(&[(0, 0), (100_000, 102_000)]);
        assert!(marks.mark(&mut line));
        assert_eq!(line.get("clock_off_percent"), Some("2.00"));
        assert!(!comparison(&[(0, 0), (100_000, 99_500)]).mark(&mut line));
        // One mark says nothing.
        assert!(!comparison(&[(0, 0)]).mark(&mut line));
    }

    #[test]
    fn marks_are_known_by_their_word() {
        let mut comparison = Comparison::default();
        assert_eq!(comparison.see("measure: begin at_ns=12"), Some("begin"));
        assert_eq!(comparison.see("measure: begin"), None);
        assert_eq!(comparison.see("bench: name=a"), None);
        assert_eq!(comparison.marks.len(), 1);
    }

    #[test]
    fn boots_are_summed_up() {
        let line = |off: &str| Line::parse(&format!("bench: clock_off_percent={off}"), "bench:");
        let lines: Vec<_> = ["0.01", "-7.50", "2.00"]
            .into_iter()
            .filter_map(line)
            .collect();
        let summary = summary(&lines, 1);
        assert!(
            summary.is(&[
                ("boots", "3"),
                ("failed", "1"),
                ("median_off_percent", "2.00"),
                ("max_off_percent", "7.50"),
                ("over_1_percent", "2"),
                ("over_5_percent", "1"),
            ]),
            "{summary}"
        );
    }
}
