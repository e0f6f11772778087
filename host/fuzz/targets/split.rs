//! The target `split`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(driver::fuzzing::ring::run_split);
