//! The driver against a device that misbehaves on purpose.

#[cfg(not(loom))]
mod bad_faith;
#[cfg(not(loom))]
mod callers;
#[cfg(not(loom))]
mod cancellation;
#[cfg(not(loom))]
mod footprint;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod hygiene;
#[cfg(not(loom))]
mod in_order;
#[cfg(not(loom))]
mod interrupts;
#[cfg(not(loom))]
mod life;
#[cfg(loom)]
mod loom;
#[cfg(loom)]
mod loom_rings;
#[cfg(loom)]
mod loom_slots;
#[cfg(not(loom))]
mod negotiation;
#[cfg(not(loom))]
mod panics;
#[cfg(not(loom))]
mod polling;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod queue_reset;
#[cfg(not(loom))]
mod queues;
#[cfg(not(loom))]
mod readiness;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod removal;
#[cfg(not(loom))]
mod requests;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod stress;
#[cfg(not(loom))]
mod trial;
#[cfg(not(loom))]
mod waiting;
