//! What a caller says about a device before it is set up.
//!
//! The one rule: the defaults are safe for any device; what saves time or memory at a risk is asked
//! for.

use alloc::vec::Vec;

use crate::{
    queue::{Framing, WhenNotReady},
    transport::{MsixMessage, reset::ForcedReset},
    wire::Features,
};

/// How a device is set up: [`Options::default`], then its fields one by one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// One message for each interrupt vector that the kernel has for this device, up to two more
    /// than data queues: configuration, each data queue, control queue. With fewer, all queues
    /// share the second; with one, everything does; with none, or where the device refuses, INTx or
    /// polling comes next.
    pub messages: Vec<MsixMessage>,
    /// The kernel has routed the device's INTx pin and calls
    /// [`Device::handle_intx`](crate::Device::handle_intx). It keeps the pin masked until the
    /// handler finds the device and [`Device::clear_intx`](crate::Device::clear_intx) has been
    /// called.
    pub intx: bool,
    /// Data queues at most; what the device has is another limit. As many as there are CPUs is
    /// best: a request goes to the queue of the calling CPU. Each takes 33 pages with 64 slots.
    pub data_queues: u16,
    /// How long the trial of the data queues may take at [`Device::new`](crate::Device::new), where
    /// there are several; 0 makes none.
    ///
    /// A device may have more data queues than it serves (QEMU's `cryptodev-vhost-user` serves the
    /// first alone). So each gets a small request, of an algorithm that the device advertises,
    /// while nobody else has the device; if some do not serve it, the device is reset and set up
    /// with the others alone. Where nothing can be told, all are used. A queue that stays silent
    /// takes the whole time.
    pub trial_limit_ns: u64,
    /// Requests in flight at most on each data queue; the queue's size is another limit.
    pub data_slots: u16,
    /// Control requests in flight at most; the queue's size is another limit.
    pub control_slots: u16,
    /// Sessions at most, those that are still closing included.
    pub sessions: u16,
    /// Most bytes of one request, source and destination together; what the device takes is another
    /// limit. For kernels that have little memory in one piece: longer data is cut.
    pub max_size_bytes: u64,
    /// How the fields of a request lie in descriptors: one each for a device that counts on that.
    pub framing: Framing,
    /// Features to refuse although they are offered.
    pub refuse: Features,
    /// Features that the device has to offer: [`FeatureMissing`](crate::Error::FeatureMissing)
    /// without. On a machine whose IOMMU translates what the device reads and writes that is
    /// [`Features::ACCESS_PLATFORM`], without which a device takes addresses for physical ones,
    /// reaches other memory or none, and is silent.
    pub require: Features,
    /// What becomes of requests while the device says that its hardware is not ready.
    pub when_not_ready: WhenNotReady,
    /// How long the message of an interrupt may travel from the device to the CPU:
    /// [`Device::settle`](crate::Device::settle) waits for it. 0 for a device that has sent it by
    /// the time that a register read is answered: QEMU's own, and PCI hardware. A device that is a
    /// process of its own (vhost-user, vfio-user) sends it by an eventfd, when the host comes to
    /// it: by default within a second.
    pub message_travel_ns: u64,
    /// How long a reset may take, of the device or of a queue.
    pub reset_limit_ns: u64,
    /// What becomes of memory that was in flight at a forced reset, of the device or of a queue.
    pub forced_reset: ForcedReset,
    /// How much memory may be given up for good ([`ForcedReset::Quarantine`]) before
    /// [`Device::recover`](crate::Device::recover) and
    /// [`Device::reset_queue`](crate::Device::reset_queue) refuse: a device that breaks after every
    /// recovery does not cost the kernel all that it has. The last reset may go beyond it by what
    /// was in flight then.
    pub given_up_limit_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            intx: false,
            data_queues: 64,
            trial_limit_ns: 1_000_000_000,
            data_slots: 64,
            control_slots: 64,
            sessions: 256,
            max_size_bytes: u64::MAX,
            framing: Framing::Compact,
            refuse: Features::empty(),
            require: Features::empty(),
            when_not_ready: WhenNotReady::Fail,
            message_travel_ns: 1_000_000_000,
            reset_limit_ns: 1_000_000_000,
            forced_reset: ForcedReset::Quarantine,
            given_up_limit_bytes: 16 << 20,
        }
    }
}
