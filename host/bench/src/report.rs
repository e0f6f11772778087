//! What was measured, for people: a table on the console, a page with plots that fetches nothing.

use std::collections::BTreeSet;

use plotters::prelude::*;

use crate::line::Line;

/// Returns lines as tables with aligned columns, one for each set of keys.
pub fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    for (keys, rows) in groups(lines) {
        let cells = std::iter::once(keys.clone()).chain(rows.iter().map(|row| cells(&keys, row)));
        let cells: Vec<_> = cells.collect();
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..keys.len()).map(width).collect();
        for row in &cells {
            for (cell, width) in row.iter().zip(&widths) {
                text += &format!("{cell:>width$}  ");
            }
            text = text.trim_end().to_owned() + "\n";
        }
        text += "\n";
    }
    text
}

/// Puts lines with the same keys together, in order.
fn groups(lines: &[Line]) -> Vec<(Vec<String>, Vec<&Line>)> {
    let mut groups: Vec<(Vec<String>, Vec<&Line>)> = Vec::new();
    for line in lines {
        let keys: Vec<_> = line.keys().map(str::to_owned).collect();
        match groups.iter_mut().find(|(known, _)| *known == keys) {
            Some((_, rows)) => rows.push(line),
            None => groups.push((keys, vec![line])),
        }
    }
    groups
}

fn cells(keys: &[String], line: &Line) -> Vec<String> {
    let cell = |key: &String| line.get(key).unwrap_or("").to_owned();
    keys.iter().map(cell).collect()
}

/// A page in the making.
#[derive(Debug)]
pub struct Report(String);

/// A named line of points.
type Series = (String, Vec<(f64, f64)>);

impl Report {
    /// Begins a page.
    pub fn new(header: &str) -> Self {
        Self(format!(
            "<!doctype html><meta charset=utf-8><title>virtio-crypto benchmarks</title>\
             <style>body{{font:15px sans-serif;margin:2em auto;max-width:1300px;color:#222}}\
             table{{border-collapse:collapse;font-size:12px}}\
             td,th{{padding:2px 8px;white-space:nowrap;text-align:right}}\
             td,th{{border-bottom:1px solid #ddd}}\
             svg{{margin:4px}}div{{overflow-x:auto}}</style>\
             <h1>virtio-crypto benchmarks</h1><p>{}</p>",
            escape(header.trim_start_matches("# ")),
        ))
    }

    /// Adds an experiment: its plots, then its lines.
    pub fn add(&mut self, name: &str, lines: &[Line], histograms: &[Line]) -> Result<(), String> {
        self.0 += &format!("<h2>{name}</h2>");
        match name {
            "control-sessions" => {
                let plain: Vec<_> = lines
                    .iter()
                    .filter(|line| line.get("batch") == Some("1"))
                    .map(with_curve)
                    .collect();
                let same = ["vcpus", "placement", "ioeventfd"];
                self.plots(&plain, &same, "curve", ("workers", "ops_per_s"))?;
                self.histograms(histograms)?;
            }
            "device-limit" => {
                let same = ["queue", "size", "placement", "ioeventfd"];
                let lines: Vec<_> = lines.iter().map(with_curve).collect();
                self.plots(&lines, &same, "curve", ("depth", "requests_per_s"))?;
            }
            "aes-cbc" => {
                let same = ["key_bits", "workers", "depth", "placement"];
                self.plots(lines, &same, "impl", ("size", "mb_per_s"))?;
            }
            _ => {}
        }
        self.lines(lines);
        Ok(())
    }

    /// Ends the page.
    pub fn finish(self) -> String {
        self.0
    }

    fn lines(&mut self, lines: &[Line]) {
        for (keys, rows) in groups(lines) {
            let row = |tag: &str, cells: &[String]| -> String {
                let cell = |cell: &String| format!("<{tag}>{}</{tag}>", escape(cell));
                format!("<tr>{}</tr>", cells.iter().map(cell).collect::<String>())
            };
            self.0 += "<div><table>";
            self.0 += &row("th", &keys);
            for line in rows {
                self.0 += &row("td", &cells(&keys, line));
            }
            self.0 += "</table></div>";
        }
    }

    /// Draws one plot for each combination of the values of `same`, with one curve for each value
    /// of `curve`.
    fn plots(
        &mut self,
        lines: &[Line],
        same: &[&str],
        curve: &str,
        (x, y): (&str, &str),
    ) -> Result<(), String> {
        let titles = distinct(lines, |line| title(line, same));
        for wanted in titles {
            let here = lines.iter().filter(|line| title(line, same) == wanted);
            let here: Vec<_> = here.collect();
            let mut series: Vec<Series> = Vec::new();
            for line in here {
                let (Some(point_x), Some(point_y)) = (line.number(x), line.number(y)) else {
                    continue;
                };
                let name = line.get(curve).unwrap_or("?");
                match series.iter_mut().find(|(known, _)| known == name) {
                    Some((_, points)) => points.push((point_x, point_y)),
                    None => series.push((name.to_owned(), vec![(point_x, point_y)])),
                }
            }
            if series.iter().any(|(_, points)| points.len() > 1) {
                self.0 += &plot(&wanted, (x, y), &series)?;
            }
        }
        Ok(())
    }

    /// Draws how latencies are spread, the experiment's own modes in one plot.
    fn histograms(&mut self, histograms: &[Line]) -> Result<(), String> {
        let modes: Vec<_> = histograms
            .iter()
            .filter(|line| matches!(line.get("mode"), Some("poll" | "wait")))
            .filter(|line| line.is(&[("batch", "1"), ("workers", "8")]))
            .map(with_curve)
            .collect();
        let same = ["workers", "vcpus", "placement", "ioeventfd"];
        for wanted in distinct(&modes, |line| title(line, &same)) {
            let here = modes.iter().filter(|line| title(line, &same) == wanted);
            let series: Vec<_> = here.map(spread).collect();
            let axes = ("latency in us, by powers of two", "requests in a hundred");
            self.0 += &plot(&wanted, axes, &series)?;
        }
        Ok(())
    }
}

/// Adds what a curve is called: how it waits, and what makes it other than plain.
fn with_curve(line: &Line) -> Line {
    let wait = line.get("mode").or(line.get("wait")).unwrap_or("?");
    let mut curve = wait.to_owned();
    for (key, plain) in [("idle", "halt"), ("gap_ns", "0")] {
        if let Some(value) = line.get(key).filter(|value| *value != plain) {
            curve += &format!(" {key}={value}");
        }
    }
    let mut line = line.clone();
    line.push("curve", curve);
    line
}

/// Reads `from->to:count,..` as a curve of shares.
fn spread(line: &Line) -> Series {
    let bars = line.get("us").unwrap_or("").split(',').filter_map(|bar| {
        let (range, count) = bar.split_once(':')?;
        let from = range.split_once("->")?.0;
        Some((
            from.parse::<f64>().ok()?.max(1.),
            count.parse::<f64>().ok()?,
        ))
    });
    let bars: Vec<_> = bars.collect();
    let all: f64 = bars.iter().map(|(_, count)| count).sum();
    let shares = bars
        .into_iter()
        .map(|(from, count)| (from, count * 100. / all));
    (
        line.get("curve").unwrap_or("?").to_owned(),
        shares.collect(),
    )
}

fn title(line: &Line, keys: &[&str]) -> String {
    let pair = |key: &&str| Some(format!("{key}={}", line.get(key)?));
    keys.iter().filter_map(pair).collect::<Vec<_>>().join(" ")
}

/// Returns what `of` says of the lines, each once, in order.
fn distinct(lines: &[Line], of: impl Fn(&Line) -> String) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines
        .iter()
        .map(of)
        .filter(|text| seen.insert(text.clone()))
        .collect()
}

/// Draws curves over a logarithmic x axis.
fn plot(title: &str, (x, y): (&str, &str), series: &[Series]) -> Result<String, String> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let low_x = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let high_x = points().map(|point| point.0).fold(low_x * 2., f64::max);
    // Room above the curves for what says which is which: a line each.
    let legend = 1.25 + 0.1 * series.len() as f64;
    let high_y = points().map(|point| point.1).fold(1., f64::max) * legend;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (420, 300)).into_drawing_area();
        let draw = || -> Result<(), Box<dyn std::error::Error + '_>> {
            root.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&root)
                .caption(title, ("sans-serif", 13))
                .margin(8)
                .margin_right(20)
                .x_label_area_size(38)
                .y_label_area_size(64)
                .build_cartesian_2d((low_x..high_x).log_scale(), 0f64..high_y)?;
            chart
                .configure_mesh()
                .x_desc(x)
                .y_desc(y)
                .x_label_formatter(&|value| format!("{value:.0}"))
                .y_label_formatter(&|value| short(*value))
                .x_labels(6)
                .light_line_style(WHITE)
                .draw()?;
            for (index, (name, points)) in series.iter().enumerate() {
                let color = Palette99::pick(index).to_rgba();
                let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
                chart
                    .draw_series(line.point_size(3))?
                    .label(name.as_str())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .draw()?;
            root.present()?;
            Ok(())
        };
        draw().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

/// A number with K or M.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e4 => format!("{:.0}K", value / 1e3),
        value if value >= 1e3 => format!("{:.1}K", value / 1e3),
        value => format!("{value:.0}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(&format!("bench: {text}"), "bench:").unwrap()
    }

    #[test]
    fn a_table_aligns_its_columns() {
        let lines = [line("name=a ops=1"), line("name=longer ops=22")];
        assert_eq!(table(&lines), "  name  ops\n     a    1\nlonger   22\n\n");
    }

    #[test]
    fn a_plot_holds_every_curve() {
        let lines = ["poll", "wait"].map(|mode| {
            [1, 8].map(|workers| {
                line(&format!(
                    "mode={mode} vcpus=2 batch=1 workers={workers} ops_per_s=5"
                ))
            })
        });
        let mut report = Report::new("# QEMU <x>");
        report
            .add("control-sessions", lines.as_flattened(), &[])
            .unwrap();
        let page = report.finish();
        assert_eq!(page.matches("<svg").count(), 1);
        assert!(page.contains("poll") && page.contains("wait") && page.contains("QEMU &lt;x&gt;"));
        assert!(!page.contains("src="), "it fetches nothing");
    }

    #[test]
    fn a_histogram_becomes_shares() {
        let (mode, shares) = spread(&with_curve(&line("mode=wait us=0->1:1,4->7:3")));
        assert_eq!(
            (mode.as_str(), shares),
            ("wait", vec![(1., 25.), (4., 75.)])
        );
    }
}
