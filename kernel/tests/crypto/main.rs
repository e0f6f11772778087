//! The driver on a real device, on every rung of the interrupt ladder.
//!
//! Words of the command line: `reach=virtio-drivers`, `wiring=intx|polling`,
//! `refuse=indirect,event`, `slots=N`, `ring=packed`, `messages=asynchronous`.
#![no_std]
#![no_main]

extern crate alloc;

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../../../host/services/checks/random.rs"]
mod random;
mod requests;
mod rig;
mod sessions;
mod waits;

use self::{requests::*, sessions::*, waits::*};

kernel::tests! {
    machines: [
        "vectors=4 append=expect=PerQueue",
        "vectors=3 append=expect=PerQueue",
        "vectors=2 append=expect=SharedQueues",
        "vectors=1 append=expect=Shared",
        "vectors=0 append=expect=Intx",
        "vectors=0 machine=pc append=expect=Intx",
        "vectors=3 append=wiring=intx append=expect=Intx",
        "vectors=3 append=wiring=polling append=expect=Polling",
        "vectors=3 append=refuse=event append=expect=PerQueue",
        // What QEMU has from 10.0.13 on.
        "vectors=3 append=max-size=1048576 append=expect=PerQueue",
        "vectors=3 append=messages=asynchronous append=expect=PerQueue",
        "vectors=3 append=refuse=indirect append=expect=PerQueue",
        "vectors=1 append=refuse=indirect,event append=slots=3 append=expect=Shared",
        "vectors=0 append=refuse=indirect,event append=slots=1 append=expect=Intx",
        "vectors=3 append=reach=virtio-drivers append=expect=Intx",
        "vectors=3 append=reach=virtio-drivers append=wiring=polling append=expect=Polling",
        "smp=4 vectors=3 mem=64M machine=pc append=expect=PerQueue",
        "vectors=3 device=packed=on append=ring=packed append=expect=PerQueue",
        "vectors=3 device=packed=on append=ring=packed append=refuse=event append=expect=PerQueue",
        "vectors=1 device=packed=on append=ring=packed append=refuse=indirect append=expect=Shared",
    ],
    tests: [
        interrupts_come_as_they_should,
        nist_vectors,
        slices_of_every_length,
        longest_request_in_place,
        out_of_place_keeps_the_source,
        many_tasks_share_the_slots,
        batch_shares_one_kick,
        wrong_lengths_come_back_with_the_buffer,
        full_queue_gives_the_buffer_back,
        requests_allocate_nothing,
        dropped_requests_leak_nothing,
        cancelled_creates_leave_no_session,
        sessions_end_after_their_requests,
        session_limit_is_an_error,
        blocking_form_sleeps,
        blocking_form_gives_up,
        index_wraps,
        every_interrupt_is_accounted_for,
        spurious_interrupts_are_counted_exactly,
        recovery_makes_sessions_stale,
        shutdown_refuses_what_comes_after,
    ],
}
