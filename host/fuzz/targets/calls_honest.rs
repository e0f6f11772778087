//! The target `calls_honest`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(calls::calls_honest);
