//! The target `config`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(driver::fuzzing::config::run);
