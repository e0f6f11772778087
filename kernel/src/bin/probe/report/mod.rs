//! What was found, a line at a time while it is found.
//!
//! For rules, which write into a [`Report`]; it knows none of them. The rule: a line says nothing
//! that differs from run to run, but for those of [`measured`](Report::measured). The host makes a
//! table of the lines (`host/xtask/src/probe`).

pub mod found;
pub mod outcome;

use alloc::{format, string::String, vec::Vec};

use kernel::println;

use crate::{
    report::{
        found::{Found, Held},
        outcome::Works,
    },
    requests::trouble::Trouble,
};

/// What was found of an algorithm.
#[derive(Clone, Debug)]
pub struct Algorithm {
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
    pub algorithms: Vec<Algorithm>,
    pub failed: Vec<&'static str>,
    pub held: u32,
    pub not_tried: u32,
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

impl Report {
    pub fn algorithm(&mut self, row: Algorithm) {
        println!(
            "probe: service={} algorithm={} key_bits={} advertised={} works={} note={}",
            row.service,
            row.algorithm,
            row.key_bits,
            yes(row.advertised),
            row.works.name(),
            row.note
        );
        self.algorithms.push(row);
    }

    pub fn quirk(&mut self, name: &'static str, value: String) {
        println!("probe: quirk={name} value={value}");
    }

    /// One that may have come to nothing.
    pub fn quirk_or(&mut self, name: &'static str, value: Result<String, Trouble>) {
        self.quirk(name, value.unwrap_or_else(|trouble| format!("{trouble}")));
    }

    /// What differs from run to run, and so is in no table.
    pub fn measured(&mut self, name: &'static str, value: String) {
        println!("probe: measured={name} value={value}");
    }

    /// What came of a rule's trial.
    pub fn row(&mut self, id: &'static str, found: &Found) {
        let (held, seen) = (found.held.name(), &found.seen);
        println!("probe: row={id} held={held} seen={seen}");
        match found.held {
            Held::Yes => self.held += 1,
            Held::No => self.failed.push(id),
            Held::NotOffered | Held::NotTried => self.not_tried += 1,
        }
    }

    /// Prints the closing line: that the probe came to its end.
    pub fn close(&self) {
        let (held, failed) = (self.held, self.failed.len());
        let others = self.not_tried;
        println!("probe: pass, to the end: {held} held, {failed} did not, {others} not tried");
    }
}
