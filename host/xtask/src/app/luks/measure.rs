//! Megabytes a second of containers: the device beside software, in one guest.
//!
//! For `./run.sh bench luks`. The rule: what is shown is what a run printed, and a run that fails
//! shows no table.

use super::{
    guest::{Disk, Guest},
    images::{Container, Format, find_tool},
};
use crate::{
    app::program::{Profile, Program},
    boot::machine::Variables,
    child::Show,
    project::Project,
    report::{Result, fail, say},
};

/// Bytes of a container's content: what a host keeps in its memory.
const CONTENT_LEN: u64 = 16 << 20;

/// Measures with the words `sizes=4096,65536,1048576 depths=1,4,16 ms=400 idle=halt|poll`.
///
/// # Errors
///
/// Fails with a word that it does not know, or when a run does.
pub fn run(project: &Project, words: &[String]) -> Result {
    // What is no number is told before anything is built; the guest tells of wrong ones.
    let is_number = |number: &str| number.parse::<u32>().is_ok();
    let is_right = |word: &&String| match word.split_once('=') {
        Some(("sizes" | "depths", list)) => list.split(',').all(is_number),
        Some(("ms", value)) => is_number(value),
        Some(("idle", value)) => ["halt", "poll"].contains(&value),
        _ => false,
    };
    if let Some(word) = words.iter().find(|word| !is_right(word)) {
        return fail(format_args!(
            "bench luks: '{word}': it takes sizes=4096,65536 depths=1,16 ms=400 idle=halt|poll"
        ));
    }
    find_tool(project, Format::Luks1)?;
    let program = Program::build_with(project, "luks", Profile::Use, &["usage"])?;
    for format in Format::ALL {
        if let Some(missing) = format.missing_tool() {
            say(format_args!("luks: {format} is left out: no {missing}"));
            continue;
        }
        let container = Container::make(format, CONTENT_LEN)?;
        let guest = Guest {
            program: &program,
            variables: Variables::read(project),
            passphrase: container.passphrase(),
            disk: Disk::writable(&container.image()),
            words: format!("bench {}", words.join(" ")),
            show: Show::Nothing,
        };
        let run = guest.succeed()?;
        println!("\n{format}, made by {}", format.tool());
        print!("{}", table(&run.guest));
    }
    println!("bench: pass");
    Ok(())
}

/// Returns what stands behind a name in a line.
fn value<'l>(line: &'l str, name: &str) -> &'l str {
    let mut words = line.split_whitespace();
    let found = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or("?")
}

/// Puts lines of the device and of software beside each other.
fn table(printed: &str) -> String {
    let lines = printed.lines().filter(|line| line.contains("name=luks"));
    let (device, software): (Vec<_>, Vec<_>) =
        lines.partition(|line| value(line, "cipher") == "device");
    let mut table = format!(
        "{:>6} {:<5} {:>8} {:>5} {:>12} {:>14} {:>6} {:>14} {:>16} {:>11}\n",
        "sector",
        "",
        "request",
        "depth",
        "device MB/s",
        "software MB/s",
        "times",
        "CPU ms/MB dev.",
        "CPU ms/MB softw.",
        "p99 us dev."
    );
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    for line in device {
        let is_same = |other: &&&str| {
            ["op", "size", "depth"]
                .iter()
                .all(|name| value(line, name) == value(other, name))
        };
        let beside = software.iter().find(is_same).copied().unwrap_or("");
        let (fast, slow) = (value(line, "mb_s"), value(beside, "mb_s"));
        table += &format!(
            "{:>6} {:<5} {:>8} {:>5} {fast:>12} {slow:>14} {:>6.1} {:>14} {:>16} {:>11}\n",
            value(line, "sector"),
            value(line, "op"),
            value(line, "size"),
            value(line, "depth"),
            number(fast) / number(slow),
            value(line, "cpu_ms_per_mb"),
            value(beside, "cpu_ms_per_mb"),
            value(line, "p99_us"),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_stands_beside_software() {
        let line = |cipher, mb_s, depth| {
            format!(
                "bench: name=luks sector=512 op=read cipher={cipher} size=4096 depth={depth} \
                 mb_s={mb_s} cpu_ms_per_mb=0.50 p99_us=7.00\n"
            )
        };
        let printed = line("device", "50.00", 1)
            + &line("software", "2.00", 1)
            + "other\n"
            + &line("software", "3.00", 4)
            + &line("device", "60.00", 4);
        let table = table(&printed);
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|it| it.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 3, "{table}");
        assert_eq!(rows[1][2..7], ["4096", "1", "50.00", "2.00", "25.0"]);
        assert_eq!(rows[2][2..7], ["4096", "4", "60.00", "3.00", "20.0"]);
    }
}
