//! Handshakes a second: by the device and by software, one beside the other.
//!
//! For `./run.sh bench https`. The rule: both servers run in the same minutes, and take turns.

use std::fs;

use super::trial::{Given, Trial};
use crate::{
    app::program::{Profile, Program},
    project::Project,
    report::{Result, fail},
};

/// How many virtual CPUs, how many clients at once, and for how long each turn.
const CPUS: [u32; 3] = [1, 2, 4];
const CLIENTS: u32 = 16;
const TURN_S: u32 = 5;
const TURNS: u32 = 2;
/// What signs.
const SIGNERS: [&str; 2] = ["device", "software"];
/// Ticks of `/proc/*/stat` a second, on every Linux of today.
const TICKS: f64 = 100.;

/// Prints a table of the words `cpus=1,2,4`, `clients=16`, `seconds=5`, `turns=2`.
///
/// # Errors
///
/// Fails with a word that it does not know, or when a server does.
pub fn run(project: &Project, words: &[String]) -> Result {
    let mut asked = Asked {
        cpus: CPUS.to_vec(),
        clients: CLIENTS,
        seconds: TURN_S,
        turns: TURNS,
    };
    for word in words {
        asked.take(word)?;
    }
    let program = Program::build(project, "https", Profile::Use)?;
    println!(
        "{:>5}  {:<9} {:>12} {:>7} {:>7} {:>7} {:>14} {:>9} {:>9}",
        "vCPUs",
        "signed by",
        "handshakes/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "vCPU ms/handsh.",
        "vCPU busy",
        "in flight"
    );
    for cpus in &asked.cpus {
        measure(project, &program, *cpus, &asked)?;
    }
    println!("bench: pass");
    Ok(())
}

struct Asked {
    cpus: Vec<u32>,
    clients: u32,
    seconds: u32,
    turns: u32,
}

impl Asked {
    fn take(&mut self, word: &str) -> Result {
        let number = |text: &str| match text.parse() {
            Ok(number) if (1..=64).contains(&number) => Ok(number),
            _ => fail(format_args!("bench https: '{word}': numbers from 1 to 64")),
        };
        match word.split_once('=') {
            Some(("cpus", list)) => {
                self.cpus = list.split(',').map(number).collect::<Result<_>>()?;
            }
            Some(("clients", value)) => self.clients = number(value)?,
            Some(("seconds", value)) => self.seconds = number(value)?,
            Some(("turns", value)) => self.turns = number(value)?,
            _ => {
                return fail(format_args!(
                    "bench https: '{word}': it takes cpus=1,2,4 clients=16 seconds=5 turns=2"
                ));
            }
        }
        Ok(())
    }
}

/// What the turns of one server came to.
#[derive(Default)]
struct Sum {
    latencies_us: Vec<u64>,
    seconds: f64,
    vcpu_seconds: f64,
}

fn measure(project: &Project, program: &Program, cpus: u32, asked: &Asked) -> Result {
    let machine = format!("smp={cpus} mem=512M");
    let start = |signer: &&str| {
        let given = Given::new(project, &machine, &format!("sign={signer}"));
        Trial::start(project, program, given)
    };
    let servers: Vec<_> = SIGNERS.iter().map(start).collect::<Result<_>>()?;
    let mut sums: [Sum; 2] = Default::default();
    for _ in 0..asked.turns {
        for (server, sum) in servers.iter().zip(&mut sums) {
            let before = vcpu_seconds(server)?;
            let (seconds, mut latencies_us) = server
                .clients()
                .handshakes(asked.clients, asked.seconds)
                .or_else(fail)?;
            sum.vcpu_seconds += vcpu_seconds(server)? - before;
            sum.seconds += seconds;
            sum.latencies_us.append(&mut latencies_us);
        }
    }
    for ((server, signer), mut sum) in servers.into_iter().zip(SIGNERS).zip(sums) {
        let in_flight = server
            .clients()
            .metric("https_signatures_in_flight_max")
            .or_else(fail)?;
        sum.latencies_us.sort_unstable();
        let count = sum.latencies_us.len() as f64;
        let percentile = |share: f64| {
            let place = (count * share) as usize;
            sum.latencies_us
                .get(place)
                .map_or(0., |us| *us as f64 / 1000.)
        };
        let rate = format!("{cpus:>5}  {signer:<9} {:>12.0}", count / sum.seconds);
        let latencies = [0.5, 0.95, 0.99].map(|share| format!("{:>7.1}", percentile(share)));
        println!(
            "{rate} {} {:>14.2} {:>8.0}% {in_flight:>9}",
            latencies.join(" "),
            1000. * sum.vcpu_seconds / count,
            100. * sum.vcpu_seconds / sum.seconds,
        );
        server.power_down()?;
    }
    Ok(())
}

/// Returns how long the machine's virtual CPUs have run on this host's.
fn vcpu_seconds(server: &Trial) -> Result<f64> {
    let mut ticks = 0.;
    for thread in server.vcpu_threads()? {
        // Without the task this would be the time of all threads of its process.
        let path = format!("/proc/{thread}/task/{thread}/stat");
        let stat = match fs::read_to_string(&path) {
            Ok(stat) => stat,
            Err(error) => return fail(format_args!("{path}: {error}")),
        };
        // Behind the name, which may hold anything: user time is field 14, the system's 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let times = fields.split_whitespace().skip(11).take(2);
        ticks += times
            .filter_map(|time| time.parse::<f64>().ok())
            .sum::<f64>();
    }
    Ok(ticks / TICKS)
}
