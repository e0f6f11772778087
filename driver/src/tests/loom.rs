//! The lock, the slots and the waiters under loom: every interleaving of two CPUs, on the same
//! source as everywhere. Memory is real, so what is modelled are the lock, the slots' states, the
//! sessions' uses and the wakes; a wake that is lost is a deadlock that loom reports.
//!
//! Run: `./run.sh test loom`.

use alloc::{boxed::Box, sync::Arc};
use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use loom::{
    future::block_on,
    model::Builder,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{
    DeviceFault, Error,
    dma::DmaBuffer,
    fake::{FakePlatform, live_pages, use_chain},
    queue::{
        Batch, Body, Buffers, InFlight, Layout, List, Queue, Reserved, SessionIndex, SessionTable,
    },
    sync::{Current, IrqMutex},
    transport::{Doorbell, Notify, QueueIndex},
    virtqueue::Format,
    wire::Form,
};

pub(super) type TestQueue = Queue<FakePlatform>;

#[derive(Debug)]
struct Silent;

impl Notify for Silent {
    fn notify(&self, _: QueueIndex) {}
}

pub(super) fn check(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

pub(super) fn queue(slots: u16) -> (Arc<TestQueue>, Arc<SessionTable>) {
    let sessions = sessions();
    (queue_of(&sessions, slots), sessions)
}

/// A table with one session, which somebody has.
fn sessions() -> Arc<SessionTable> {
    let sessions = Arc::new(SessionTable::new(1, Form::Padded).unwrap());
    sessions.open(SessionIndex(0), 7);
    sessions
}

fn queue_of(sessions: &Arc<SessionTable>, slots: u16) -> Arc<TestQueue> {
    let layout = Layout {
        queue: QueueIndex(0),
        max_entries: 4,
        slots,
        format: Format::Split,
        indirect: true,
        framing: crate::Framing::Compact,
        event_index: true,
        in_order: false,
        when_not_ready: crate::WhenNotReady::Wait,
        max_request_bytes: u64::MAX,
        sessions: 0,
    };
    let doorbell = Doorbell::shared(Arc::new(Silent), QueueIndex(0));
    Arc::new(Queue::new(layout, sessions.clone(), doorbell, Arc::default()).unwrap())
}

pub(super) fn submit(reserved: Reserved<'_, FakePlatform>) -> InFlight<'_, FakePlatform> {
    submit_for(reserved, None)
}

fn submit_for(
    reserved: Reserved<'_, FakePlatform>,
    waker: Option<Waker>,
) -> InFlight<'_, FakePlatform> {
    let buffers = &mut Buffers::in_place(List::One(DmaBuffer::new(16).unwrap()));
    let body = Body::Buffers {
        before: &[&[0; 16]],
        buffers,
        after: &[],
        result_len_bytes: 0,
    };
    let session = Some(SessionIndex(0));
    reserved.submit(&[0; 16], body, session, waker).unwrap()
}

/// The device uses the first chain; then its interrupt comes.
pub(super) fn complete(queue: &TestQueue) -> usize {
    use_chain(queue.addresses(), 0);
    let mut batch = Batch::default();
    assert!(!queue.drain(&mut batch, false).more);
    queue.finish(&mut batch);
    core::iter::from_fn(|| batch.take_unused()).count()
}

fn end(queue: &TestQueue, error: Error) {
    queue.end(error);
    queue.wake_waiters();
}

#[test]
fn loom_lock_keeps_others_out() {
    check(|| {
        let lock = Arc::new(IrqMutex::<FakePlatform, _>::new("count", 0));
        let other = lock.clone();
        let thread = thread::spawn(move || other.with(|count| *count += 1));
        lock.with(|count| *count += 1);
        thread.join().unwrap();
        assert_eq!(lock.with(|count| *count), 2);
    });
}

/// Says when it is gone.
struct Mortal(Arc<core::sync::atomic::AtomicBool>);

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.store(true, core::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn loom_replaced_value_stays_while_it_is_read() {
    check(|| {
        let is_gone = || Arc::new(core::sync::atomic::AtomicBool::new(false));
        let is_first_gone = is_gone();
        let first = Arc::new(Mortal(is_first_gone.clone()));
        let current = Arc::new(Current::<FakePlatform, _>::new("current", first));
        let other = current.clone();
        let thread = thread::spawn(move || {
            other.read(|value| {
                thread::yield_now();
                assert!(!value.0.load(core::sync::atomic::Ordering::SeqCst));
            });
        });
        let room = current.room().unwrap();
        current.replace(Arc::new(Mortal(is_gone())), room);
        current.sweep();
        thread.join().unwrap();
        current.sweep();
        assert!(is_first_gone.load(core::sync::atomic::Ordering::SeqCst));
        current.read(|value| assert!(!value.0.load(core::sync::atomic::Ordering::SeqCst)));
    });
}

#[test]
fn loom_completion_wakes_whoever_waits() {
    check(|| {
        let (queue, _) = queue(1);
        let mut in_flight = submit(queue.try_reserve().unwrap());
        let device = queue.clone();
        let thread = thread::spawn(move || complete(&device));
        block_on(poll_fn(|context| in_flight.poll(context))).unwrap();
        assert_eq!(in_flight.written_bytes(), 1);
        in_flight.finish();
        thread.join().unwrap();
        assert!(queue.try_reserve().is_ok());
    });
}

/// Publishes with the task's own waker, as requests do, while `other` runs on another CPU.
fn await_with(other: fn(&TestQueue)) -> Result<(), Error> {
    let (queue, _) = queue(1);
    let peer = queue.clone();
    let (published, is_published) = (Arc::new(AtomicBool::new(false)), Ordering::SeqCst);
    let seen = published.clone();
    let thread = thread::spawn(move || {
        while !seen.load(is_published) {
            thread::yield_now();
        }
        other(&peer);
    });
    let outcome = block_on(async {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let mut in_flight = submit_for(queue.try_reserve().unwrap(), Some(waker));
        published.store(true, is_published);
        poll_fn(|context| in_flight.poll(context)).await
    });
    thread.join().unwrap();
    outcome.map_err(Error::from)
}

#[test]
fn loom_completion_finds_the_waker_left_at_publish() {
    check(|| {
        let outcome = await_with(|queue| {
            complete(queue);
        });
        assert_eq!(outcome, Ok(()));
    });
}

#[test]
fn loom_end_finds_the_waker_left_at_publish() {
    check(|| {
        let broken = Error::Broken(DeviceFault::NeedsReset);
        let outcome = await_with(|queue| end(queue, Error::Broken(DeviceFault::NeedsReset)));
        assert_eq!(outcome, Err(broken));
    });
}

#[test]
fn loom_dropped_request_is_emptied_once() {
    check(|| {
        let (queue, _) = queue(1);
        let before = live_pages();
        let in_flight = submit(queue.try_reserve().unwrap());
        let device = queue.clone();
        let thread = thread::spawn(move || complete(&device));
        drop(in_flight);
        thread.join().unwrap();
        queue.reap();
        assert_eq!(live_pages(), before);
        assert!(queue.try_reserve().is_ok(), "the slot is lost");
    });
}

#[test]
fn loom_slot_goes_to_whoever_waits() {
    check(|| {
        let (queue, _) = queue(1);
        let reserved = queue.try_reserve().unwrap();
        let other = queue.clone();
        let thread = thread::spawn(move || drop(block_on(other.reserve()).unwrap()));
        drop(reserved);
        thread.join().unwrap();
        assert!(queue.try_reserve().is_ok());
    });
}

#[test]
fn loom_slot_of_a_finished_request_goes_to_whoever_waits() {
    check(|| {
        let (queue, _) = queue(1);
        let mut in_flight = submit(queue.try_reserve().unwrap());
        complete(&queue);
        let other = queue.clone();
        let thread = thread::spawn(move || drop(block_on(other.reserve()).unwrap()));
        block_on(poll_fn(|context| in_flight.poll(context))).unwrap();
        in_flight.finish();
        thread.join().unwrap();
        assert!(queue.try_reserve().is_ok());
    });
}

#[test]
fn loom_waiter_that_leaves_passes_the_slot_on() {
    check(|| {
        let (queue, _) = queue(1);
        let reserved = queue.try_reserve().unwrap();
        let other = queue.clone();
        let thread = thread::spawn(move || {
            let mut reserve = pin!(other.reserve());
            let _ = reserve
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
        });
        drop(reserved);
        thread.join().unwrap();
        assert!(queue.try_reserve().is_ok(), "the slot is lost");
    });
}

#[test]
fn loom_orphan_wakes_whoever_waits_for_its_slot() {
    check(|| {
        let (queue, _) = queue(1);
        let in_flight = submit(queue.try_reserve().unwrap());
        drop(in_flight);
        let device = queue.clone();
        let thread = thread::spawn(move || complete(&device));
        drop(block_on(queue.reserve()).unwrap());
        thread.join().unwrap();
    });
}

/// Two slots come back, one of a cancelled request, to a line whose first waiter never comes;
/// `leave` says what becomes of it.
fn wait_behind(leave: fn(Pin<Box<dyn Future<Output = ()> + '_>>)) {
    let (queue, _) = queue(2);
    let in_flight = submit(queue.try_reserve().unwrap());
    let step = Arc::new(AtomicUsize::new(0));
    let wait_for = |step: &AtomicUsize, value| {
        while step.load(Ordering::SeqCst) < value {
            thread::yield_now();
        }
    };
    let (peer, steps) = (queue.clone(), step.clone());
    let thread = thread::spawn(move || {
        let reserved = peer.try_reserve().unwrap();
        steps.store(1, Ordering::SeqCst);
        wait_for(&steps, 2);
        complete(&peer);
        drop(reserved);
    });
    wait_for(&step, 1);
    let mut other: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async {
        drop(queue.reserve().await);
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(other.as_mut().poll(&mut context).is_pending());
    drop(in_flight);
    step.store(2, Ordering::SeqCst);
    drop(block_on(queue.reserve()).unwrap());
    leave(other);
    thread.join().unwrap();
}

#[test]
fn loom_forgotten_waiter_takes_no_wake_from_another() {
    check(|| wait_behind(|other| core::mem::forget(other)));
}

#[test]
fn loom_waiter_that_is_not_polled_takes_no_wake_from_another() {
    check(|| wait_behind(|other| drop(other)));
}

#[test]
fn loom_end_reaches_whoever_waits() {
    check(|| {
        let (queue, _) = queue(1);
        let mut in_flight = submit(queue.try_reserve().unwrap());
        let other = queue.clone();
        let broken = Error::Broken(DeviceFault::NeedsReset);
        let thread = thread::spawn(move || end(&other, broken));
        let outcome = block_on(poll_fn(|context| in_flight.poll(context)));
        assert_eq!(outcome.map_err(Error::from), Err(broken));
        thread.join().unwrap();
        assert!(block_on(queue.reserve()).is_err());
    });
}

#[test]
fn loom_return_of_the_hardware_serves_whoever_waits() {
    check(|| {
        let (queue, _) = queue(1);
        let other = queue.clone();
        let thread = thread::spawn(move || drop(block_on(other.reserve()).unwrap()));
        queue.set_ready(false);
        queue.set_ready(true);
        thread.join().unwrap();
        assert!(queue.try_reserve().is_ok(), "the slot is lost");
    });
}

#[test]
fn loom_last_use_ends_the_session_once() {
    check(|| {
        let (queue, sessions) = queue(1);
        let in_flight = submit(queue.try_reserve().unwrap());
        drop(in_flight);
        let device = queue.clone();
        let thread = thread::spawn(move || complete(&device));
        let by_owner = usize::from(sessions.release_held(SessionIndex(0)));
        let by_device = thread.join().unwrap();
        assert_eq!(by_owner + by_device, 1);
    });
}

#[test]
fn loom_last_use_on_several_queues_ends_the_session_once() {
    check(|| {
        let sessions = sessions();
        let queues = [(); 2].map(|()| queue_of(&sessions, 1));
        for queue in &queues {
            drop(submit(queue.try_reserve().unwrap()));
        }
        let [first, second] = queues;
        let thread = thread::spawn(move || complete(&first));
        let by_second = complete(&second);
        let by_owner = usize::from(sessions.release_held(SessionIndex(0)));
        let by_first = thread.join().unwrap();
        assert_eq!(by_first + by_second + by_owner, 1);
    });
}

#[test]
fn loom_unused_session_is_taken_once_beside_a_shutdown() {
    check(|| {
        let sessions = sessions();
        let owners = sessions.clone();
        let session = SessionIndex(0);
        let owner =
            thread::spawn(move || owners.release_held(session) && owners.take_unused(session));
        let by_shutdown = sessions.take_all().count();
        assert_eq!(by_shutdown + usize::from(owner.join().unwrap()), 1);
    });
}
