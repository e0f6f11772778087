//! What was found, as lines while it is found and as a table at the end.
//!
//! Rules write into a [`Report`]; it knows none of them.

pub mod outcome;

use alloc::{format, string::String, vec::Vec};

use kernel::println;

use crate::{
    report::outcome::{Held, Works},
    requests::trouble::Trouble,
};

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
    pub not_tried: Vec<&'static str>,
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

    /// One that may have come to nothing.
    pub fn quirk_or(&mut self, name: &'static str, value: Result<String, Trouble>) {
        self.quirk(name, value.unwrap_or_else(|trouble| format!("{trouble}")));
    }

    /// What differs from run to run, and so is in no table.
    pub fn measured(&mut self, name: &'static str, value: String) {
        println!("probe: measured={name} value={value}");
    }

    /// A requirement of the specification, with its section.
    pub fn requirement(
        &mut self,
        name: &'static str,
        section: &str,
        held: impl Into<Held>,
        note: String,
    ) {
        let held = held.into();
        let held_name = match held {
            Held::Yes => "yes",
            Held::No => "no",
            Held::NotTried => "not-tried",
        };
        println!("probe: requirement={name} section={section} held={held_name} note={note}");
        match held {
            Held::Yes => self.held += 1,
            Held::No => self.failed.push(name),
            Held::NotTried => self.not_tried.push(name),
        }
    }

    /// Prints all of it for a person to read.
    pub fn summary(&self) {
        // In the specification's order; the driver's part is found last.
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| SERVICES.iter().position(|service| *service == row.service));
        println!();
        println!("service   algorithm            key bits  advertised  works      note");
        for row in rows {
            let key_bits = match row.key_bits {
                0 => String::from("-"),
                bits => format!("{bits}"),
            };
            println!(
                "{:<9} {:<20} {:>8}  {:<10}  {:<10} {}",
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
        if !self.not_tried.is_empty() {
            println!("{} were not tried:", self.not_tried.len());
        }
        for name in &self.not_tried {
            println!("  {name}");
        }
        println!();
    }

    /// Prints the closing line: that the probe came to its end, and what of the requirements.
    pub fn close(&self) {
        match self.failed.len() {
            0 => println!("probe: pass, every requirement that was tried held"),
            1 => println!("probe: pass, but 1 requirement did not hold (see above)"),
            count => println!("probe: pass, but {count} requirements did not hold (see above)"),
        }
    }
}
