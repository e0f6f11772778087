//! `/status`: a line a figure, for people and for the script of the page.

use alloc::string::String;
use core::fmt::Write;

use super::figures::{Figures, Machine};

/// All figures, as `name value`.
pub fn status(machine: &Machine, figures: &Figures) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn core::fmt::Display| {
        // A string takes whatever is written.
        let _ = writeln!(text, "{name} {value}");
    };
    line("sign", &machine.sign);
    line("signer", &machine.signer());
    line("key", &machine.key);
    line("tls", &machine.tls);
    line("device", &machine.device);
    line("cpus", &machine.cpus);
    for figure in figures.list() {
        line(figure.name, &figure.value);
    }
    for timing in figures.timings() {
        let latency = timing.latency;
        for (part, ns) in [
            ("p50", latency.p50_ns),
            ("p90", latency.p90_ns),
            ("p99", latency.p99_ns),
            ("max", latency.max_ns),
        ] {
            line(&alloc::format!("{}_{part}_us", timing.name), &(ns / 1000));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_name_and_a_value() {
        let figures = Figures {
            signatures: 12,
            ..Figures::default()
        };
        let machine = Machine {
            sign: "device",
            key: "RSA-2048".into(),
            tls: "1.2",
            device: "one queue, MSI-X".into(),
            cpus: 2,
        };
        let text = status(&machine, &figures);
        assert!(text.contains("\nsignatures 12\n"), "{text}");
        assert!(text.contains("\nsignature_p99_us 0\n"), "{text}");
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap();
            assert!(!name.is_empty() && !value.is_empty(), "{line}");
        }
    }
}
