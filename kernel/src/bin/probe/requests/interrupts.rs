//! Interrupts of the device, counted by the entry of its MSI-X table.
//!
//! For rules about notifications alone: answers are found by polling.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use kernel::{interrupts::vectors, platform, task::executor, time};
use spin::Once;
use virtio_crypto::transport::{MsixEntry, MsixMessage, QueueIndex, Transport};

/// Entries that are used: what is left over, data queue 0, control queue.
const ENTRIES: u16 = 3;

/// How long a message may be on its way, where one has to come.
const ARRIVAL_LIMIT_NS: u64 = 500_000_000;
/// How long is waited for one that must not come.
const SILENCE_NS: u64 = 10_000_000;

/// Between two looks.
const STEP_NS: u64 = 100_000;

static COUNTS: [AtomicU32; ENTRIES as usize] = [const { AtomicU32::new(0) }; ENTRIES as usize];
/// The messages of the entries. None where this kernel has no vectors left.
static MESSAGES: Once<Vec<MsixMessage>> = Once::new();

fn on<const ENTRY: usize>(_: u8) {
    COUNTS[ENTRY].fetch_add(1, Ordering::Relaxed);
}

const HANDLERS: [fn(u8); ENTRIES as usize] = [on::<0>, on::<1>, on::<2>];

fn messages() -> &'static [MsixMessage] {
    MESSAGES.call_once(|| {
        let allocated = HANDLERS.map(|handler| vectors::allocate(handler).ok());
        let messages = allocated.into_iter().flatten();
        messages.filter_map(platform::message_here).collect()
    })
}

/// Where a queue's interrupts come.
pub const DATA: usize = 1;

/// Gives the device's entries their messages, and queues their entries: data queue 0 and the
/// control queue have one each. Tells whether there are enough.
pub fn wire(transport: &dyn Transport, control: QueueIndex) -> bool {
    let messages = messages();
    if transport.msix_entries() < ENTRIES || messages.len() < usize::from(ENTRIES) {
        return false;
    }
    transport.set_msix_enabled(true);
    for (entry, message) in (0..ENTRIES).map(MsixEntry).zip(messages) {
        transport.set_msix_message(entry, Some(*message));
    }
    let (data, control_entry) = (Some(MsixEntry(1)), Some(MsixEntry(2)));
    transport.set_config_vector(Some(MsixEntry(0)));
    transport.set_queue_vector(QueueIndex(0), data) == data
        && transport.set_queue_vector(control, control_entry) == control_entry
}

/// Counts by entry.
pub fn counts() -> [u32; ENTRIES as usize] {
    [0, 1, 2].map(|entry| COUNTS[entry].load(Ordering::Relaxed))
}

/// Waits for interrupts of an entry to be more than `before`; tells whether they came.
pub fn wait_for_more(entry: usize, before: u32) -> bool {
    let end_ns = time::now_ns() + ARRIVAL_LIMIT_NS;
    while counts()[entry] == before {
        if time::now_ns() > end_ns {
            return false;
        }
        sleep(STEP_NS);
    }
    true
}

/// Waits until no more come of what is over.
pub fn settle() {
    const MOST: u32 = 50;
    for _ in 0..MOST {
        let before = counts();
        wait_in_silence();
        if counts() == before {
            return;
        }
    }
}

/// Waits for what must not come.
pub fn wait_in_silence() {
    sleep(SILENCE_NS);
}

/// Waits with interrupts enabled, which they are nowhere else: rings are polled.
fn sleep(duration_ns: u64) {
    executor::block_on(time::sleep_ns(duration_ns));
}
