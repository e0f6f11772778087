//! What was found, as lines and as a table.

use alloc::{string::String, vec::Vec};

use kernel::println;

/// What came of trying something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Works {
    /// It gave the known answer.
    Yes,
    /// It neither did nor said no: an error of another kind, or it broke.
    No,
    /// The device said no.
    Refused,
    /// It gave another answer.
    Wrong,
    /// It opened a session; there is no known answer here.
    Untried,
}

impl Works {
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Refused => "refused",
            Self::Wrong => "wrong",
            Self::Untried => "untried",
        }
    }
}

const SERVICES: [&str; 6] = ["CIPHER", "CHAIN", "HASH", "MAC", "AEAD", "AKCIPHER"];

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub service: &'static str,
    pub algorithm: String,
    pub key_bits: usize,
    pub advertised: bool,
    pub works: Works,
    pub note: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub quirks: Vec<(&'static str, String)>,
    pub failed: Vec<&'static str>,
    pub held: u32,
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

impl Report {
    pub fn row(&mut self, row: Row) {
        println!(
            "probe: service={} algorithm={} key_bits={} advertised={} works={} note={}",
            row.service,
            row.algorithm,
            row.key_bits,
            yes(row.advertised),
            row.works.name(),
            row.note
        );
        self.rows.push(row);
    }

    pub fn quirk(&mut self, name: &'static str, value: String) {
        println!("probe: quirk={name} value={value}");
        self.quirks.push((name, value));
    }

    /// A requirement of the specification, with its section.
    pub fn requirement(&mut self, name: &'static str, section: &str, held: bool, note: String) {
        let held_name = yes(held);
        println!("probe: requirement={name} section={section} held={held_name} note={note}");
        if held {
            self.held += 1;
        } else {
            self.failed.push(name);
        }
    }

    /// Prints all of it for a person to read.
    pub fn summary(&self) {
        // In the specification's order; the driver's part is found last.
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| SERVICES.iter().position(|service| *service == row.service));
        println!();
        println!("service   algorithm            key bits  advertised  works    note");
        for row in rows {
            let key_bits = match row.key_bits {
                0 => String::from("-"),
                bits => alloc::format!("{bits}"),
            };
            println!(
                "{:<9} {:<20} {:>8}  {:<10}  {:<8} {}",
                row.service,
                row.algorithm,
                key_bits,
                yes(row.advertised),
                row.works.name(),
                row.note
            );
        }
        println!();
        for (name, value) in &self.quirks {
            println!("{name:<32} {value}");
        }
        println!();
        println!(
            "{} requirements held, {} did not{}",
            self.held,
            self.failed.len(),
            if self.failed.is_empty() { "" } else { ":" }
        );
        for name in &self.failed {
            println!("  {name}");
        }
        println!();
    }
}

/// The name of a status code (Virtio 1.3, 5.9.7).
pub fn status_name(status: u32) -> &'static str {
    match status {
        0 => "OK",
        1 => "ERR",
        2 => "BADMSG",
        3 => "NOTSUPP",
        4 => "INVSESS",
        5 => "NOSPC",
        6 => "KEY_REJECTED",
        _ => "no status of the specification",
    }
}
