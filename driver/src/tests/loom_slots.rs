//! A slot's block under loom: device, drain, waiter and whoever gets the slot next have it one
//! after the other. Each access of the driver's to it is one of loom's, which reports two that
//! nothing orders.
//!
//! Run: `./run.sh test loom`.

use alloc::sync::Arc;
use core::{cell::RefCell, future::poll_fn, ops::Range};
use std::thread_local;

use loom::{future::block_on, thread};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::loom::{TestQueue, check, complete, queue, submit};
use crate::{
    dma::watch::{self, Access},
    fake::{Payload, memory},
};

/// Where the block lies, and what stands for it.
type Watched = (Range<usize>, Arc<Payload>);

// One for all threads of a model: loom runs them on one of the system's.
thread_local!(static BLOCK: RefCell<Option<Watched>> = const { RefCell::new(None) });

/// Has loom judge each access to the block of the queue's only slot from here on.
fn watch_block(queue: &TestQueue) -> Arc<Payload> {
    let descriptor = GuestAddress(queue.addresses().descriptors());
    let table: u64 = memory().read_obj(descriptor).unwrap();
    let table = GuestAddress(u64::from_le(table));
    let start = memory().get_host_address(table).unwrap().addr();
    let block = Arc::new(Payload::new());
    BLOCK.set(Some((start..start + BLOCK_LEN, block.clone())));
    watch::set(see);
    block
}

/// The table comes first in a block.
const BLOCK_LEN: usize = 2048;

fn see(access: Access) {
    let watched = BLOCK.with_borrow(Clone::clone);
    let end = access.address + access.len_bytes;
    let inside = |block: &Range<usize>| block.start < end && access.address < block.end;
    match watched.filter(|(block, _)| inside(block)) {
        Some((_, block)) if access.writes => block.write(),
        Some((_, block)) => block.read(),
        None => {}
    }
}

#[test]
fn loom_block_goes_from_the_drain_to_the_waiter_and_to_the_next_caller() {
    check(|| {
        let (queue, _) = queue(1);
        let block = watch_block(&queue);
        let mut in_flight = submit(queue.try_reserve().unwrap());
        let other = queue.clone();
        let thread = thread::spawn(move || {
            // The device's status.
            block.write();
            complete(&other);
            if let Ok(next) = other.try_reserve() {
                drop(submit(next));
            }
        });
        block_on(poll_fn(|context| in_flight.poll(context))).unwrap();
        assert_eq!(in_flight.written_bytes(), 1);
        in_flight.finish();
        thread.join().unwrap();
        // What stands for it is this run's.
        BLOCK.set(None);
    });
}
