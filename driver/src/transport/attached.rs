//! The way to a device's registers, for as long as the device is there.
//!
//! For everybody who reads or writes a register. The one rule: once a device is known to be gone,
//! none of its registers is touched any more.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};

use virtio_drivers::transport::DeviceStatus;

use super::{Transport, config_messages::ConfigMessages, is_gone};
use crate::{Error, error::DeviceFault};

const GONE: Error = Error::Broken(DeviceFault::Gone);

/// A transport that leads nowhere once the device is known to be gone: nothing is read and nothing
/// written then. At its place there may be another device by now, or memory.
#[derive(Debug)]
pub(crate) struct Attached {
    transport: Box<dyn Transport>,
    /// Relaxed: a CPU that does not know yet does what it would have done a moment before.
    gone: AtomicBool,
    config_messages: ConfigMessages,
}

impl Attached {
    pub(crate) fn new(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            gone: AtomicBool::new(false),
            config_messages: ConfigMessages::new(),
        }
    }

    /// Returns what is owed in messages of the configuration.
    pub(crate) fn config_messages(&self) -> &ConfigMessages {
        &self.config_messages
    }

    /// Tells whether the device is known to be gone. Reads no register.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Returns the transport: for a matter of the moment, since the next call may know better.
    ///
    /// # Errors
    ///
    /// [`DeviceFault::Gone`] when the device is known to be gone.
    pub(crate) fn transport(&self) -> Result<&dyn Transport, Error> {
        if self.is_gone() {
            return Err(GONE);
        }
        Ok(&*self.transport)
    }

    /// Reads the status. Any context.
    ///
    /// # Errors
    ///
    /// [`DeviceFault::Gone`] when the device is, which is known from here on.
    pub(crate) fn read_status(&self) -> Result<DeviceStatus, Error> {
        let status = self.transport()?.read_status();
        if is_gone(status) {
            return Err(self.lose());
        }
        self.config_messages.see_status(status);
        Ok(status)
    }

    /// Asks the bus and the device whether the device is there, unless it is known to be gone. Not
    /// from an interrupt handler.
    ///
    /// # Errors
    ///
    /// [`DeviceFault::Gone`] when it is not, which is known from here on.
    pub(crate) fn confirm(&self) -> Result<&dyn Transport, Error> {
        if !self.transport()?.is_present() {
            return Err(self.lose());
        }
        self.read_status()?;
        self.transport()
    }

    /// Asks again about a device that was gone: it may have come back. Not from an interrupt
    /// handler.
    pub(crate) fn find_again(&self) {
        // Past the flag: until it is found nobody else touches what may be something else by now.
        let is_there = self.transport.is_present() && !is_gone(self.transport.read_status());
        self.gone.store(!is_there, Ordering::Relaxed);
    }

    #[cold]
    fn lose(&self) -> Error {
        self.gone.store(true, Ordering::Relaxed);
        GONE
    }
}
