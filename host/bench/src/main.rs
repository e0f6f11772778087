//! Boots the kernel's benchmarks, one machine after the other, and shows what they measure: raw
//! lines in `target/bench/*.txt`, a table here, plots in `target/bench/report.html`.
//!
//! Started by `./run.sh bench`, at the top of the project. Its first argument is a header line that
//! says which QEMU and which accelerator.

mod clock;
mod guest;
mod line;
mod peer;
mod plan;
mod report;

use std::{env, fs, path::PathBuf, process::ExitCode};

use guest::Results;
use line::Line;

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
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
    let mut bench = Bench::new(header)?;
    match &arguments[..] {
        [peer, linux, words @ ..] if peer == "--peer" && linux == "linux" => {
            bench.beside_linux(&plan::Words::parse(words)?)?;
        }
        [name, words @ ..] if name == "clock" => {
            bench.clocks(&plan::Words::parse(words)?)?;
        }
        [name, words @ ..] if !name.contains('=') => {
            bench.experiment(name, &plan::Words::parse(words)?)?;
        }
        words => {
            let words = plan::Words::parse(words)?;
            for name in plan::NAMES {
                bench.experiment(name, &words)?;
            }
        }
    }
    bench.finish()
}

/// Where everything goes.
struct Bench {
    header: String,
    directory: PathBuf,
    report: report::Report,
}

/// How often each side is measured beside the other.
const ROUNDS: usize = 3;
/// How often a run that was disturbed is repeated.
const REPEATS: usize = 2;

impl Bench {
    fn new(header: String) -> Result<Self, String> {
        // Absolute: QEMU is started elsewhere.
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let directory = PathBuf::from(target).join("bench");
        let directory = fs::create_dir_all(&directory)
            .and_then(|()| fs::canonicalize(&directory))
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        println!("{header}");
        let report = report::Report::new(&header);
        Ok(Self {
            header,
            directory,
            report,
        })
    }

    fn experiment(&mut self, name: &str, words: &plan::Words) -> Result<(), String> {
        let mut results = Results::default();
        self.go(name, &plan::runs(name, words)?, &mut results)?;
        print!("{}", report::table(&results.lines));
        self.report.add(name, &results.lines, &results.histograms)
    }

    /// Boots again and again, however busy the host is, and says how far the guest's clock was off.
    fn clocks(&mut self, words: &plan::Words) -> Result<(), String> {
        let (boots, run) = plan::clock_run(words)?;
        let (mut results, mut failed) = (Results::default(), 0);
        for _ in 0..boots {
            match run.go(&self.directory) {
                Ok(boot) => results.lines.extend(boot.lines),
                Err(guest::Failure::Run) => failed += 1,
                Err(error) => return Err(format!("clock: {error}")),
            }
            self.write("clock", &results.lines, &[])?;
        }
        results.lines.push(clock::summary(&results.lines, failed));
        self.write("clock", &results.lines, &[])?;
        print!("{}", report::table(&results.lines));
        self.report.add("clock", &results.lines, &[])
    }

    fn beside_linux(&mut self, words: &plan::Words) -> Result<(), String> {
        println!("Linux's rates include the system call and AF_ALG.");
        let (round, limits) = plan::peer_runs(words)?;
        let mut results = Results::default();
        for _ in 0..ROUNDS {
            self.go("linux", &round, &mut results)?;
        }
        let mut device = Results::default();
        self.go("linux-device-limit", &limits, &mut device)?;
        let ratios = peer::ratios(&results.lines, &device.lines);
        print!("{}", report::table(&ratios));
        self.write("linux-ratios", &ratios, &[])?;
        self.report.add("beside Linux", &ratios, &[])?;
        self.report
            .add("beside Linux, every run", &results.lines, &[])
    }

    /// Does the runs, and adds what comes of them to `all`.
    fn go(&self, name: &str, runs: &[guest::Run], all: &mut Results) -> Result<(), String> {
        for (number, run) in (1..).zip(runs) {
            eprintln!(
                "{name} {number}/{}: {} vcpus={} ioeventfd={} placement={} {}",
                runs.len(),
                run.command.join(" "),
                run.machine.vcpus,
                run.machine.ioeventfd_name(),
                run.machine.placement.name(),
                run.words.join(" "),
            );
            let failed = |error: guest::Failure| format!("{name}: {error}");
            let mut results = Results::default();
            for _ in 0..=REPEATS {
                guest::wait_until_quiet().map_err(|error| failed(error.into()))?;
                results = run.go(&self.directory).map_err(failed)?;
                if results
                    .lines
                    .iter()
                    .all(|line| line.get("disturbed").is_none())
                {
                    break;
                }
            }
            all.lines.extend(results.lines);
            all.histograms.extend(results.histograms);
            // After every run: whatever ends this, what was measured stays.
            self.write(name, &all.lines, &all.histograms)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, lines: &[Line], histograms: &[Line]) -> Result<(), String> {
        let text = raw(&self.header, lines, histograms);
        let file = self.directory.join(format!("{name}.txt"));
        fs::write(file, text).map_err(|error| error.to_string())
    }

    fn finish(self) -> Result<(), String> {
        let file = self.directory.join("report.html");
        fs::write(file, self.report.finish()).map_err(|error| error.to_string())?;
        println!("raw lines and plots: target/bench, report.html");
        println!("bench: pass");
        Ok(())
    }
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
