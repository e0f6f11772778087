//! The target `packed`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(driver::fuzzing::ring::run_packed);
