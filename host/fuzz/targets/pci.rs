//! The target `pci`.
#![cfg_attr(fuzzing, no_main)]

#[macro_use]
mod target;

target!(driver::fuzzing::pci::run);
