//! Known answers, through the driver on the fake device.

use std::{
    io::{Write, stdout},
    vec::Vec,
};

use super::checks::{
    monte_carlo,
    standards::{self, PartialBlocks},
    tally::Tally,
    wycheproof,
};
use crate::fake::{Rig, run};

#[path = "../../../checks/convert.rs"]
mod convert;

fn table(name: &str) -> Vec<u8> {
    let tables = convert::all().into_iter();
    let mut tables = tables.filter(|(file, _)| *file == name);
    tables.next().expect("a file that is converted").1
}

fn print(tallies: impl IntoIterator<Item = Tally>) {
    for tally in tallies {
        // Not `println`, which the test harness keeps to itself.
        writeln!(stdout(), "{tally}").unwrap();
    }
}

#[test]
fn standards_known_answers() {
    let rig = Rig::simple().go();
    print(run(standards::run(&rig.device, PartialBlocks::Taken)));
}

#[test]
fn multi_block_messages_equal_the_oracle() {
    let rig = Rig::simple().go();
    print([run(monte_carlo::multi_block(&rig.device))]);
}

#[test]
fn monte_carlo_equals_the_oracle() {
    let rig = Rig::simple().go();
    print([run(monte_carlo::monte_carlo(&rig.device, 1))]);
}

#[test]
fn wycheproof_aes_cbc_pkcs5() {
    let rig = Rig::simple().go();
    print([run(wycheproof::aes_cbc_pkcs5(
        &rig.device,
        &table("aes_cbc_pkcs5"),
    ))]);
}

#[test]
fn wycheproof_aes_xts() {
    let rig = Rig::simple().go();
    print([run(wycheproof::aes_xts(
        &rig.device,
        &table("aes_xts"),
        PartialBlocks::Taken,
    ))]);
}
