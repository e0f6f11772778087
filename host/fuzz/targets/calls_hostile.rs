//! The target `calls_hostile`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(calls::calls_hostile);
