//! Workers open and close sessions, first as Linux's driver did before commit 977231e8d4, then as
//! this one does, in the same run.

use alloc::{format, string::String, sync::Arc};
use core::fmt::{self, Write};

use kernel::{
    bench::{
        measure::Ratio,
        race,
        sessions::{self, Mode, Plan},
    },
    crypto::CryptoDevice,
    println, smp,
    task::executor,
};
use virtio_crypto::{InterruptMode, InterruptStats};

use crate::{
    chart::{Bar, Cell, Grouped, Time},
    interrupts::Row,
};

/// How many there are.
pub const WORKERS: u64 = 8;
/// How long each way is measured.
const MEASURED_MS: u64 = 1000;
/// Characters of the longest bar.
const BAR_WIDTH: usize = 54;
/// Without it nothing counts how long CPUs sleep.
const COUNTS_CPU_TIME: bool = cfg!(feature = "usage");

/// How one way went.
struct Way {
    name: &'static str,
    per_s: u64,
    /// Of all CPUs' time.
    cpu_percent: u64,
    half_ns: u64,
    most_ns: u64,
    nearly_all_ns: u64,
    by_power_us: [u64; 64],
    interrupts: InterruptStats,
}

fn measure(device: &Arc<CryptoDevice>, name: &'static str, mode: Mode) -> Way {
    let cpus = u64::from(smp::online());
    let plan = Plan {
        mode,
        workers: WORKERS,
        cpus,
        batch: 1,
        ms: MEASURED_MS,
        mark: |_| {},
    };
    let before = device.interrupt_stats();
    let measured = executor::block_on(sessions::run(device, plan));
    let latencies = &sessions::load().latencies;
    Way {
        name,
        per_s: measured.per_s,
        cpu_percent: measured.counts.cpu_percent() / cpus,
        half_ns: latencies.percentile_ns(500),
        most_ns: latencies.percentile_ns(900),
        nearly_all_ns: latencies.percentile_ns(990),
        by_power_us: latencies.by_power_us(),
        interrupts: race::since(device.interrupt_stats(), before),
    }
}

/// Measures both ways and draws them. Returns what their interrupts were.
pub fn run(device: &Arc<CryptoDevice>) -> [Row; 2] {
    println!("   polling: a worker locks the control queue, sends a request, and polls until");
    println!("            the device has answered, as Linux did before commit 977231e8d4");
    let is_polled = device.interrupt_mode() == InterruptMode::Polling;
    let (name, mode) = if is_polled {
        println!("   in turn: the queue is locked only to send; without interrupts nobody can");
        println!("            sleep, so the workers poll in turn");
        ("in turn", Mode::ReleasedSpin)
    } else {
        println!("   waiting: the queue is locked only to send; then the worker sleeps until its");
        println!("            own answer has come, as with this driver");
        ("waiting", Mode::Wait)
    };
    if smp::online() == 1 {
        println!("   On one CPU no worker spins for another's lock, so the two differ little;");
        println!("   SMP=2 gives the machine a second one.");
    }
    let ways = [
        measure(device, "polling", Mode::Poll),
        measure(device, name, mode),
    ];
    draw(&ways);
    ways.map(|way| Row {
        name: way.name,
        came: way.interrupts,
    })
}

fn draw(ways: &[Way; 2]) {
    println!("\n   requests a second");
    let most = ways.iter().map(|way| way.per_s).max().unwrap_or(0);
    for way in ways {
        let bar = Bar {
            part: way.per_s,
            whole: most,
            width: BAR_WIDTH,
        };
        println!("   {}   {:>9}  {bar}", way.name, Grouped(way.per_s));
    }
    let cpus = match smp::online() {
        1 => String::from("the CPU's time"),
        count => format!("the time of {count} CPUs"),
    };
    if COUNTS_CPU_TIME {
        println!("   CPU time used, of {cpus}");
        for way in ways {
            let bar = Bar {
                part: way.cpu_percent,
                whole: 100,
                width: BAR_WIDTH,
            };
            println!("   {}   {:>7} %  {bar}", way.name, way.cpu_percent);
        }
    } else {
        println!("   CPU time is not counted: built without the kernel's feature `usage`");
    }
    let [first, second] = ways;
    let times = Tenths(second.per_s * 10 / first.per_s.max(1));
    if COUNTS_CPU_TIME {
        let used = Ratio(second.cpu_percent, first.cpu_percent);
        println!(
            "   {}: {times} times as many requests, with {used} times the CPU time",
            second.name
        );
    } else {
        println!("   {}: {times} times as many requests", second.name);
    }

    println!("\n   how long a request takes, from the call to its return");
    for way in ways {
        println!(
            "   {}   half within {:>6}, 90 % within {:>6}, 99 % within {:>6}",
            way.name,
            Time(way.half_ns),
            Time(way.most_ns),
            Time(way.nearly_all_ns)
        );
    }
    draw_latencies(ways);
}

/// Powers of two of microseconds that are drawn as one line.
const POWERS_A_LINE: usize = 2;

fn draw_latencies(ways: &[Way; 2]) {
    println!("   {:<16} {:<29} {}", "", ways[0].name, ways[1].name);
    // The last ones are centuries.
    for line in 0..60 / POWERS_A_LINE {
        let powers = line * POWERS_A_LINE..(line + 1) * POWERS_A_LINE;
        let limit_us = 1 << powers.end;
        let shares = ways.each_ref().map(|way| Share {
            part: way.by_power_us[powers.clone()].iter().sum(),
            whole: way.by_power_us.iter().sum(),
        });
        if shares.iter().any(|share| share.part > 0) {
            let [left, right] = shares;
            println!("   below {:>7} {left:<29} {right}", Time(limit_us * 1000));
        }
    }
}

/// A number of tenths: whole where it is large.
struct Tenths(u64);

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 100 {
            return Grouped(self.0 / 10).fmt(f);
        }
        let mut cell = Cell::default();
        write!(cell, "{}.{}", self.0 / 10, self.0 % 10)?;
        cell.pad(f)
    }
}

/// A share of the requests, in percent and as a bar.
struct Share {
    part: u64,
    whole: u64,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.part == 0 {
            return f.pad("");
        }
        let mut cell = Cell::default();
        let tenths = self.part * 1000 / self.whole.max(1);
        let bar = Bar {
            part: self.part,
            whole: self.whole,
            width: 18,
        };
        write!(cell, "{:>3}.{} % {bar}", tenths / 10, tenths % 10)?;
        cell.pad(f)
    }
}
