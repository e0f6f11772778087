//! What a device is: its services, limits, features and queues.
//!
//! For whoever makes a device. The one rule: an [`Options`] that exists can be served.

/// What a device is. Made by [`Options::default`] and changed by its fields.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data queues, 1 to 64. The control queue comes after them.
    pub data_queues: u16,
    /// Feature bits that it offers.
    pub features: u64,
    /// Sessions that it keeps at one time.
    pub max_sessions: usize,
    /// Most bytes of a request's variable-length parts (`max_size`).
    pub max_size_bytes: u64,
    /// Sessions outlive a reset, as QEMU's do.
    pub sessions_outlive_reset: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data_queues: 1,
            // VERSION_1, EVENT_IDX, INDIRECT_DESC.
            features: 1 << 32 | 1 << 29 | 1 << 28,
            max_sessions: 256,
            max_size_bytes: 1 << 20,
            sessions_outlive_reset: false,
        }
    }
}
