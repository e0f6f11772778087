//! What the specification obliges a device to, as far as a driver can see: a table of rows.
//!
//! A [`row`] is data: a rule in our own words, its section, the features that it needs, and its
//! trial. The rows of each file are about one thing; [`ALL`] is their order. A trial sends by
//! [`requests`](crate::requests), on a [`subject`], and leaves it in any state. [`dangerous`] runs
//! by name alone.

mod aead;
mod answers;
mod boundaries;
mod configuration;
mod creates;
pub mod dangerous;
mod data;
pub mod framing;
mod keys;
mod limits;
mod notifications;
mod packed;
mod queues;
mod resets;
pub mod row;
mod sessions;
mod start;
pub mod subject;
pub mod wanted;
mod whole_run;

use crate::{
    report::Report,
    rules::{row::Row, subject::Subject, wanted::Wanted},
};

/// Rows that are tried before anything else is.
const FIRST: &[&[Row]] = &[start::ROWS, configuration::ROWS];

/// Those that need to know what the device serves.
const REQUESTS: &[&[Row]] = &[
    framing::ROWS,
    sessions::ROWS,
    creates::ROWS,
    data::ROWS,
    answers::ROWS,
    aead::ROWS,
    boundaries::ROWS,
    keys::ROWS,
    queues::ROWS,
    notifications::ROWS,
    packed::ROWS,
    resets::ROWS,
    limits::ROWS,
];

/// Those that look back on all requests.
const LAST: &[&[Row]] = &[whole_run::ROWS];

/// Returns every row, in the order in which they are tried.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [FIRST, REQUESTS, LAST]
        .into_iter()
        .flatten()
        .copied()
        .flatten()
}

/// Tells which rows there are, of those that are wanted.
pub fn announce(wanted: Wanted) {
    all()
        .filter(|row| wanted.has(row.id))
        .for_each(Row::announce);
}

fn run(rows: &[&[Row]], subject: &mut Subject, report: &mut Report) {
    let wanted = subject.wanted;
    for row in rows
        .iter()
        .copied()
        .flatten()
        .filter(|row| wanted.has(row.id))
    {
        row.run(subject, report);
    }
}

/// Tries what can be seen before and around set-up.
pub fn try_set_up(subject: &mut Subject, report: &mut Report) {
    run(FIRST, subject, report);
}

/// Tries all that needs requests.
pub fn try_requests(subject: &mut Subject, report: &mut Report) {
    run(REQUESTS, subject, report);
}

/// Looks back on all requests.
pub fn look_back(subject: &mut Subject, report: &mut Report) {
    run(LAST, subject, report);
}
