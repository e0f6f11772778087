//! One run of a benchmark in QEMU, with QEMU's threads where they are wanted.

use std::{
    fs, io,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process_group},
    thread::{CpuSet, sched_setaffinity},
};

use crate::{clock::Comparison, line::Line};

/// On which host cores QEMU's threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The main loop and every vCPU on one.
    SharedCore,
    /// The main loop on the first, the vCPUs in turn from the second on, round the host's cores:
    /// vCPUs run side by side as far as there are cores, and the first never shares the main
    /// loop's.
    SeparateCores,
}

impl Placement {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SharedCore => "shared-core",
            Self::SeparateCores => "separate-cores",
        }
    }

    fn core_of(self, vcpu: Option<usize>, cores: usize) -> usize {
        match (self, vcpu) {
            (Self::SeparateCores, Some(vcpu)) => (1 + vcpu) % cores,
            _ => 0,
        }
    }
}

/// A machine in QEMU, and where its threads run.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub vcpus: usize,
    pub ioeventfd: bool,
    pub placement: Placement,
}

/// What is run, and on which machine.
#[derive(Clone, Debug)]
pub struct Run {
    /// What boots it: `run.sh`'s first words.
    pub command: &'static [&'static str],
    /// Words for its command line.
    pub words: Vec<String>,
    pub machine: Machine,
    /// Count the messages that QEMU sends, by its own trace.
    pub trace: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Results {
    pub lines: Vec<Line>,
    pub histograms: Vec<Line>,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    Io(io::Error),
    /// QEMU's threads did not show up.
    NotPinned,
    /// The run failed; its own words are above.
    Run,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotPinned => f.write_str("QEMU's threads could not be found and pinned"),
            Self::Run => f.write_str("the run failed, for the reason above"),
        }
    }
}

impl Machine {
    /// Returns `on` or `off`.
    pub fn ioeventfd_name(self) -> &'static str {
        if self.ioeventfd { "on" } else { "off" }
    }
}

impl Run {
    /// Boots it and reads what it prints; `scratch` is a directory for QEMU's files.
    pub fn go(&self, scratch: &Path) -> Result<Results, Failure> {
        let (pid_file, trace_file) = (scratch.join("qemu.pid"), scratch.join("qemu.trace"));
        for file in [&pid_file, &trace_file] {
            let _ = fs::remove_file(file);
        }
        let mut child = Command::new("./run.sh")
            .args(self.command)
            .args(&self.words)
            .env("SMP", self.machine.vcpus.to_string())
            .env("QEMU_ARGS", self.qemu_args(&pid_file, &trace_file))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A group of its own, so that cargo and QEMU end with it.
            .process_group(0)
            .spawn()?;
        let Some(output) = child.stdout.take() else {
            return Err(Failure::Run);
        };
        let read = self
            .pin(&mut child, &pid_file)
            .and_then(|qemu| self.read(BufReader::new(output), qemu));
        if read.is_err()
            && let Some(group) = Pid::from_raw(child.id().cast_signed())
        {
            let _ = kill_process_group(group, Signal::TERM);
        }
        // What failed in the guest is its own to say, whatever was noticed of it here.
        if !child.wait()?.success() && !matches!(read, Err(Failure::NotPinned)) {
            return Err(Failure::Run);
        }
        let mut results = read?;
        if self.trace {
            let sent = count_lines(&trace_file, "virtio_notify ")?;
            for line in &mut results.lines {
                line.push("qemu_messages", sent);
            }
            fs::remove_file(trace_file)?;
        }
        Ok(results)
    }

    fn qemu_args(&self, pid_file: &Path, trace_file: &Path) -> String {
        let mut args = format!(
            "-name guest,debug-threads=on -pidfile {}",
            pid_file.display()
        );
        if !self.machine.ioeventfd {
            args += " -global virtio-crypto-pci.ioeventfd=off";
        }
        if self.trace {
            args += &format!(" -trace virtio_notify -D {}", trace_file.display());
        }
        args
    }

    fn read(&self, output: impl BufRead, qemu: u32) -> Result<Results, Failure> {
        let mut results = Results::default();
        let mut begin = None;
        let mut busy_percent = None;
        let mut clocks = Comparison::default();
        for text in output.lines() {
            let text = text?;
            let text = text.trim_end();
            if let Some(word) = clocks.see(text) {
                if word == "begin" {
                    begin = Some((Instant::now(), cpu_time(qemu)?, host_busy()?));
                } else if word == "end"
                    && let Some((start, before, host_before)) = begin.take()
                {
                    let elapsed = start.elapsed().as_secs_f64();
                    let busy = cpu_time(qemu)?.saturating_sub(before).as_secs_f64();
                    let all = host_busy()?.saturating_sub(host_before).as_secs_f64();
                    busy_percent = Some((busy * 100. / elapsed, (all - busy) * 100. / elapsed));
                }
            } else if let Some(mut line) = Line::parse(text, "bench:") {
                let mut is_disturbed = false;
                if let Some((own, others)) = busy_percent.take() {
                    line.push("host_cpu_percent", format!("{own:.0}"));
                    is_disturbed = others > DISTURBED_PERCENT;
                }
                if clocks.mark(&mut line) || is_disturbed {
                    line.push("disturbed", "yes");
                }
                self.mark(&mut line);
                results.lines.push(line);
            } else if let Some(mut line) = Line::parse(text, "histogram:") {
                self.mark(&mut line);
                results.histograms.push(line);
            } else if text.starts_with("failed") || text.contains("panicked") {
                eprintln!("{text}");
            }
        }
        Ok(results)
    }

    /// Adds what the guest does not know of its machine.
    fn mark(&self, line: &mut Line) {
        // The interrupt race speaks of a placement of its own.
        let key = match line.get("placement") {
            Some(_) => "threads",
            None => "placement",
        };
        line.push(key, self.machine.placement.name());
        line.push("ioeventfd", self.machine.ioeventfd_name());
        if self.machine.vcpus > cores() {
            line.push("overcommitted", "yes");
        }
    }

    /// Waits until QEMU is there with all of its threads, puts each where it belongs, and returns
    /// the process.
    fn pin(&self, child: &mut Child, pid_file: &Path) -> Result<u32, Failure> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // A thread may end while it is looked at: then all are looked at again.
            if let Ok(text) = fs::read_to_string(pid_file)
                && let Ok(process) = text.trim().parse()
                && self
                    .pin_threads(process)
                    .is_ok_and(|vcpus| vcpus == self.machine.vcpus)
            {
                return Ok(process);
            }
            if child.try_wait()?.is_some() {
                return Err(Failure::Run);
            }
            if Instant::now() > deadline {
                return Err(Failure::NotPinned);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns how many of them were vCPUs.
    fn pin_threads(&self, process: u32) -> Result<usize, Failure> {
        let mut vcpus = 0;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let path = thread?.path();
            let vcpu = vcpu_of(&fs::read_to_string(path.join("comm"))?);
            vcpus += usize::from(vcpu.is_some());
            let id = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let id = id.and_then(Pid::from_raw).ok_or(Failure::NotPinned)?;
            let mut set = CpuSet::new();
            set.set(self.machine.placement.core_of(vcpu, cores()));
            sched_setaffinity(Some(id), &set).map_err(io::Error::from)?;
        }
        Ok(vcpus)
    }
}

/// Returns which vCPU a thread of this name is.
fn vcpu_of(name: &str) -> Option<usize> {
    name.strip_prefix("CPU ")?.split('/').next()?.parse().ok()
}

/// Returns how many cores the host has.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the time that all threads of a process have run, in user and kernel mode.
fn cpu_time(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Fields 14 and 15 of proc(5); the name in parentheses may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(from_ticks(ticks))
}

/// Returns how long so many ticks of the kernel's accounting are.
fn from_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// What others may use of the host's cores while something is measured, of 100 for each.
const DISTURBED_PERCENT: f64 = 20.;

/// Returns the time that all of the host's cores together have been busy, or taken away by what
/// hosts it (proc_stat(5)).
fn host_busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().unwrap_or("").split_whitespace();
    let times: Vec<u64> = fields.skip(1).take(8).flat_map(str::parse).collect();
    // Fields 4 and 5 are idle time.
    let busy = times
        .iter()
        .enumerate()
        .filter(|(field, _)| !matches!(field, 3 | 4));
    let ticks: u64 = busy.map(|(_, ticks)| ticks).sum();
    Ok(from_ticks(ticks))
}

/// Waits until the host's cores have next to nothing to do, for half a minute at most.
pub fn wait_until_quiet() -> io::Result<()> {
    let look = Duration::from_millis(200);
    for round in 0..150 {
        if round == 5 {
            eprintln!("waiting until the host is quiet, half a minute at most");
        }
        let before = host_busy()?;
        std::thread::sleep(look);
        let busy = host_busy()?.saturating_sub(before);
        if busy.as_secs_f64() * 100. / look.as_secs_f64() <= DISTURBED_PERCENT {
            break;
        }
    }
    Ok(())
}

fn count_lines(file: &PathBuf, what: &str) -> io::Result<usize> {
    let lines = BufReader::new(fs::File::open(file)?).lines();
    Ok(lines
        .map_while(Result::ok)
        .filter(|line| line.contains(what))
        .count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_known_by_name() {
        assert_eq!(vcpu_of("CPU 11/TCG\n"), Some(11));
        assert_eq!(vcpu_of("CPU 0/KVM\n"), Some(0));
        assert_eq!(vcpu_of("qemu-system-x86\n"), None);
    }

    #[test]
    fn separate_cores_spread_the_vcpus() {
        let cores = |placement: Placement, cores| {
            [None, Some(0), Some(1), Some(2)].map(|vcpu| placement.core_of(vcpu, cores))
        };
        assert_eq!(cores(Placement::SeparateCores, 2), [0, 1, 0, 1]);
        assert_eq!(cores(Placement::SeparateCores, 4), [0, 1, 2, 3]);
        assert_eq!(cores(Placement::SeparateCores, 1), [0, 0, 0, 0]);
        assert_eq!(cores(Placement::SharedCore, 4), [0, 0, 0, 0]);
    }

    #[test]
    fn this_process_has_used_the_cpu() {
        assert!(cpu_time(std::process::id()).is_ok());
    }
}
