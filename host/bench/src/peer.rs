//! Beside Linux: what both measured, as medians and ratios.

use crate::line::Line;

/// What has to be the same in lines that are compared.
const SAME: &[&str] = &["name", "size", "workers", "vcpus", "placement", "ioeventfd"];

/// What this driver's lines differ in besides, with what stands for a line that does not say it.
const OWN: &[(&str, &str)] = &[("cpus", "all"), ("batch", "1"), ("idle", "halt")];

/// Returns a line for each pair of medians. Linux has no batches and puts its threads where it
/// likes, so its lines are compared with all of this driver's, by the better of its two ways to
/// idle.
pub fn ratios(lines: &[Line], limits: &[Line]) -> Vec<Line> {
    let mut ratios: Vec<Line> = Vec::new();
    for own in lines
        .iter()
        .filter(|line| line.get("impl") == Some("virtio-crypto"))
    {
        let mut ratio = Line::default();
        for key in SAME {
            if let Some(value) = own.get(key) {
                ratio.push(key, value);
            }
        }
        let common = ratio.clone();
        let same = pairs(&common);
        for (key, value) in own_values(own) {
            ratio.push(key, value);
        }
        if ratios.iter().any(|known| known.is(&pairs(&ratio))) {
            continue;
        }
        let median_of = |implementation: &str, wanted: &dyn Fn(&Line) -> bool| {
            let lines = lines.iter().filter(|line| {
                line.get("impl") == Some(implementation) && line.is(&same) && wanted(line)
            });
            median(lines.filter_map(rate).collect())
        };
        let like_own = |line: &Line| own_values(line).eq(own_values(own));
        let linux = ["halt", "poll"].into_iter().filter_map(|idle| {
            let rate = median_of("linux", &|line| line.get("idle") == Some(idle))?;
            Some((rate, idle))
        });
        let linux = linux.max_by(|one, other| one.0.total_cmp(&other.0));
        let (Some((linux, linux_idle)), Some(ours)) =
            (linux, median_of("virtio-crypto", &like_own))
        else {
            continue;
        };
        let limit = limit(own, limits);
        let is_compared = |line: &Line| match line.get("impl") {
            Some("linux") => line.get("idle") == Some(linux_idle),
            _ => like_own(line),
        };
        let disturbed = lines
            .iter()
            .filter(|line| line.get("disturbed").is_some() && line.is(&same) && is_compared(line));
        let disturbed = disturbed.count();
        ratio.push("linux_idle", linux_idle);
        ratio.push("linux_per_s", format!("{linux:.0}"));
        ratio.push("virtio_crypto_per_s", format!("{ours:.0}"));
        ratio.push("ratio", format!("{:.2}", ours / linux));
        if let Some(limit) = limit {
            ratio.push("device_limit_per_s", format!("{limit:.0}"));
            ratio.push("of_device_limit", format!("{:.2}", ours / limit));
        }
        ratio.push("disturbed", disturbed);
        ratios.push(ratio);
    }
    ratios
}

/// Returns what a line of this driver says of [`OWN`].
fn own_values(line: &Line) -> impl Iterator<Item = (&str, &str)> {
    let value =
        |(key, default): &(&'static str, &'static str)| (*key, line.get(key).unwrap_or(default));
    OWN.iter().map(value)
}

fn pairs(line: &Line) -> Vec<(&str, &str)> {
    line.keys()
        .filter_map(|key| Some((key, line.get(key)?)))
        .collect()
}

fn rate(line: &Line) -> Option<f64> {
    line.number("ops_per_s").or(line.number("requests_per_s"))
}

/// The most that the device gave at this depth and size, however it was waited for.
fn limit(own: &Line, limits: &[Line]) -> Option<f64> {
    let depth = own.number("workers")? * own.number("batch").unwrap_or(1.);
    let (queue, size) = match (own.get("name")?, own.get("size")) {
        ("control-sessions", _) => ("control", "0"),
        (_, size) => ("data", size?),
    };
    let here = limits.iter().filter(|line| {
        line.is(&[("queue", queue), ("size", size)])
            && line.get("placement") == own.get("placement")
            && line.get("ioeventfd") == own.get("ioeventfd")
            && line.number("depth") == Some(depth)
    });
    here.filter_map(rate).reduce(f64::max)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(&format!("bench: {text}"), "bench:").unwrap()
    }

    #[test]
    fn medians_are_compared_like_with_like() {
        let own = |batch, rate| {
            let text = "name=control-sessions impl=virtio-crypto workers=1 vcpus=2";
            line(&format!(
                "{text} batch={batch} ops_per_s={rate} placement=shared-core"
            ))
        };
        let linux = |idle, rate| {
            let text = "name=control-sessions impl=linux workers=1 vcpus=2";
            line(&format!(
                "{text} idle={idle} ops_per_s={rate} placement=shared-core"
            ))
        };
        let lines = [
            linux("halt", 10),
            linux("poll", 9),
            own(1, 20),
            own(32, 200),
            linux("halt", 30),
            linux("poll", 11),
            own(1, 40),
            own(32, 400),
        ];
        let limits = [line(
            "name=device-limit queue=control size=0 depth=32 requests_per_s=600 \
             placement=shared-core",
        )];
        let ratios = ratios(&lines, &limits);
        let of = |batch| {
            ratios
                .iter()
                .find(|line| line.get("batch") == Some(batch))
                .unwrap()
        };
        assert_eq!(ratios.len(), 2);
        assert_eq!(of("1").get("ratio"), Some("1.50"));
        assert_eq!(of("1").get("linux_idle"), Some("halt"));
        assert_eq!(of("32").get("ratio"), Some("15.00"));
        assert_eq!(of("32").get("of_device_limit"), Some("0.50"));
        assert_eq!(of("1").get("of_device_limit"), None);
    }
}
