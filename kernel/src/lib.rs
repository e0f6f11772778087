//! The unikernel: everything a machine needs before the driver can run on it.
#![no_std]
