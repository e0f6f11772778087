//! `/metrics`: the same figures in the text format of Prometheus, version 0.0.4.

use alloc::string::String;
use core::fmt::Write;

use super::figures::{Change, Figures, Machine};

/// The media type of that format.
pub const METRICS_KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All figures, with what they are about.
pub fn metrics(machine: &Machine, figures: &Figures) -> String {
    let mut text = String::new();
    // A string takes whatever is written.
    let _ = write_all(&mut text, machine, figures);
    text
}

fn write_all(text: &mut String, machine: &Machine, figures: &Figures) -> core::fmt::Result {
    let Machine {
        sign,
        key,
        tls,
        device,
        cpus,
    } = machine;
    writeln!(
        text,
        "# HELP https_machine What serves.\n# TYPE https_machine gauge"
    )?;
    writeln!(
        text,
        "https_machine{{sign=\"{}\",key=\"{}\",tls=\"{}\",device=\"{}\",cpus=\"{cpus}\"}} 1",
        Escaped(sign),
        Escaped(key),
        Escaped(tls),
        Escaped(device),
    )?;
    for figure in figures.list() {
        let (suffix, kind) = match figure.change {
            Change::Counter => ("_total", "counter"),
            Change::Gauge => ("", "gauge"),
        };
        let name = figure.name;
        writeln!(text, "# HELP https_{name}{suffix} {}", figure.about)?;
        writeln!(text, "# TYPE https_{name}{suffix} {kind}")?;
        writeln!(text, "https_{name}{suffix} {}", figure.value)?;
    }
    for timing in figures.timings() {
        let (name, latency) = (timing.name, timing.latency);
        writeln!(text, "# HELP https_{name}_seconds {}", timing.about)?;
        writeln!(text, "# TYPE https_{name}_seconds summary")?;
        for (quantile, ns) in [
            ("0.5", latency.p50_ns),
            ("0.9", latency.p90_ns),
            ("0.99", latency.p99_ns),
            ("1", latency.max_ns),
        ] {
            let seconds = Seconds(ns);
            writeln!(
                text,
                "https_{name}_seconds{{quantile=\"{quantile}\"}} {seconds}"
            )?;
        }
        writeln!(text, "https_{name}_seconds_sum {}", Seconds(latency.sum_ns))?;
        writeln!(text, "https_{name}_seconds_count {}", latency.count)?;
    }
    Ok(())
}

struct Seconds(u64);

impl core::fmt::Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}.{:09}",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

/// A label's value.
struct Escaped<'s>(&'s str);

impl core::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_one_of_the_format() {
        let figures = Figures::default();
        let machine = Machine {
            device: "a \"quoted\" one".into(),
            ..Machine::default()
        };
        let text = metrics(&machine, &figures);
        assert!(text.ends_with('\n') && text.contains(r#"device="a \"quoted\" one""#));
        let mut declared = HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(declared.insert(name), "{name} is declared twice");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let name = name.split('{').next().unwrap();
                let base = name.trim_end_matches("_sum").trim_end_matches("_count");
                assert!(declared.contains(base), "{line}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn nanoseconds_are_seconds_with_nine_decimals() {
        let figures = Figures {
            signature: crate::pages::Latency {
                count: 3,
                sum_ns: 2_000_000_001,
                p50_ns: 1500,
                ..Default::default()
            },
            ..Figures::default()
        };
        let text = metrics(&Machine::default(), &figures);
        assert!(text.contains("https_signature_seconds{quantile=\"0.5\"} 0.000001500\n"));
        assert!(text.contains("https_signature_seconds_sum 2.000000001\n"));
        assert!(text.contains("https_signature_seconds_count 3\n"));
    }
}
