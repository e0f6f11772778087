//! The device that is tried, and what is known of it.

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::Services;

use crate::{
    report::found::Found,
    requests::{config::Config, raw::Raw, trouble::Trouble, work::Work},
    rules::wanted::Wanted,
};

/// The device that is tried, and what is known of it.
pub struct Subject {
    pub raw: Raw,
    pub config: Config,
    /// The features that it offers.
    pub offered: u64,
    /// What it serves: one request a service at most.
    pub works: Vec<&'static Work>,
    pub wanted: Wanted,
    /// The device asks for one descriptor a field.
    pub wants_fields: bool,
}

impl Subject {
    pub fn new(raw: Raw, config: Config, wanted: Wanted) -> Self {
        Self {
            offered: raw.transport.read_device_features(),
            raw,
            config,
            works: Vec::new(),
            wanted,
            wants_fields: false,
        }
    }

    /// Sets the device up with these features, unless it is.
    pub fn set_up(&mut self, features: u64) -> Result<(), Found> {
        let raw = &mut self.raw;
        let tried = raw.bring_up_with(features);
        // One that refuses now and then breaks a rule of its own, and that alone.
        let tried = tried.or_else(|_| raw.bring_up_with(features));
        tried.map_err(|error| Found::not_tried(format!("no set-up: {error}")))
    }

    /// Returns a request that it serves, which most rules send.
    pub fn work(&self) -> Result<&'static Work, Found> {
        let first = self.works.first().copied();
        first.ok_or_else(|| Found::not_offered("no service that is asked for here"))
    }

    /// Returns the request that it serves of a service.
    pub fn work_of(&self, service: Services) -> Result<&'static Work, Found> {
        let mut works = self.works.iter().copied();
        works
            .find(|work| work.service == service)
            .ok_or_else(|| Found::not_offered("no such service"))
    }
}

/// Names what a device answered.
pub fn name_of<T>(answer: &Result<T, Trouble>) -> String {
    match answer {
        Ok(_) => "OK".into(),
        Err(trouble) => format!("{trouble}"),
    }
}
