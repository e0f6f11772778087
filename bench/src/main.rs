//! Boots the kernel's benchmarks, one machine after the other, and shows what they measure: raw
//! lines in `target/bench/*.txt`, a table here, plots in `target/bench/report.html`.
//!
//! Started by `./run.sh bench`, at the top of the project. Its first argument is a header line that
//! says which QEMU and which accelerator.

mod guest;
mod line;
mod plan;
mod report;

use std::{fs, path::Path, process::ExitCode};

use line::Line;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench: failed: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<(), String> {
    if arguments.is_empty() {
        return Err("start it by ./run.sh bench".to_owned());
    }
    let header = format!("# {}, {} host cores", arguments.remove(0), guest::cores());
    let named = arguments.first().is_some_and(|word| !word.contains('='));
    let names = match named {
        true => vec![arguments.remove(0)],
        false => plan::NAMES.iter().map(|name| (*name).to_owned()).collect(),
    };
    let words = plan::Words::parse(&arguments)?;
    let directory = Path::new("target/bench");
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    // QEMU is started elsewhere.
    let scratch = fs::canonicalize(directory).map_err(|error| error.to_string())?;

    println!("{header}");
    let mut report = report::Report::new(&header);
    for name in &names {
        let runs = plan::runs(name, &words)?;
        let (mut lines, mut histograms) = (Vec::new(), Vec::new());
        let file = directory.join(format!("{name}.txt"));
        for (number, run) in (1..).zip(&runs) {
            eprintln!(
                "{name} {number}/{}: vcpus={} ioeventfd={} placement={} {}",
                runs.len(),
                run.vcpus,
                if run.ioeventfd { "on" } else { "off" },
                run.placement.name(),
                run.words.join(" "),
            );
            let results = run
                .go(&scratch)
                .map_err(|error| format!("{name}: {error}"))?;
            lines.extend(results.lines);
            histograms.extend(results.histograms);
            // After every run: whatever ends this, what was measured stays.
            let text = raw(&header, &lines, &histograms);
            fs::write(&file, text).map_err(|error| error.to_string())?;
        }
        print!("{}", report::table(&lines));
        println!("raw lines: {}", file.display());
        report.add(name, &lines, &histograms)?;
    }
    let file = directory.join("report.html");
    fs::write(&file, report.finish()).map_err(|error| error.to_string())?;
    println!("plots: {}", file.display());
    println!("bench: pass");
    Ok(())
}

/// What a file of raw lines holds.
fn raw(header: &str, lines: &[Line], histograms: &[Line]) -> String {
    let results = lines.iter().map(|line| format!("bench: {line}\n"));
    let histograms = histograms.iter().map(|line| format!("histogram: {line}\n"));
    format!(
        "{header}\n{}",
        results.chain(histograms).collect::<String>()
    )
}
