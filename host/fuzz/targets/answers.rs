//! The target `answers`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(calls::answers);
