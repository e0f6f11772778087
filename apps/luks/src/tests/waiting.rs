//! The gate, and pieces that are on their way together.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{
    gate::{Gate, Passed},
    pieces::{Work, in_turn},
};

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, counted: &Arc<Counted>) -> Option<F::Output> {
    let waker = Waker::from(counted.clone());
    match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn gate_lets_the_first_pass_first() {
    let gate = Gate::new(3);
    let wakes = [(); 3].map(|()| Arc::<Counted>::default());
    let count = |number: usize| wakes[number].0.load(Ordering::Relaxed);
    let (mut all, mut many, mut one) = (gate.pass(3), gate.pass(3), gate.pass(1));
    let passed: Passed<'_> = poll(&mut all, &wakes[0]).expect("room");
    assert!(poll(&mut many, &wakes[1]).is_none());
    assert!(poll(&mut one, &wakes[2]).is_none());
    drop(passed);
    assert_eq!((count(1), count(2)), (1, 0));
    // There is room for one, but it is not first.
    assert!(poll(&mut one, &wakes[2]).is_none());
    let passed = poll(&mut many, &wakes[1]).expect("room");
    let before = count(2);
    drop(passed);
    assert!(count(2) > before);
    assert!(poll(&mut one, &wakes[2]).is_some());
}

#[test]
fn dropped_in_the_line_passes_its_place_on() {
    let gate = Gate::new(2);
    let wakes = [(); 2].map(|()| Arc::<Counted>::default());
    let mut one = gate.pass(1);
    let _passed = poll(&mut one, &wakes[0]).expect("room");
    let (mut many, mut other) = (gate.pass(2), gate.pass(1));
    assert!(poll(&mut many, &wakes[0]).is_none());
    assert!(poll(&mut other, &wakes[1]).is_none());
    drop(many);
    assert_eq!(wakes[1].0.load(Ordering::Relaxed), 1);
    assert!(poll(&mut other, &wakes[1]).is_some());
    // Never polled, never in the line.
    drop(gate.pass(2));
}

/// Ready when it has been polled so often.
struct After(usize, Result<usize, usize>);

impl Future for After {
    type Output = Result<usize, usize>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return Poll::Ready(self.1),
        }
        Poll::Pending
    }
}

#[test]
fn pieces_come_in_their_order() {
    let begun = Cell::new(0);
    let mut taken = Vec::new();
    let next = || -> Option<Work<'_, usize, usize>> {
        let number = begun.get();
        begun.set(number + 1);
        // The earlier ones take longer.
        (number < 10).then(|| Box::pin(After(10 - number, Ok(number))) as Work<'_, _, _>)
    };
    let mut all = Box::pin(in_turn(4, next, |number| taken.push(number)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(all.as_mut().poll(&mut context).is_pending());
    assert_eq!(begun.get(), 4);
    while all.as_mut().poll(&mut context).is_pending() {}
    drop(all);
    assert_eq!(taken, (0..10).collect::<Vec<_>>());
}

#[test]
fn first_error_ends_it() {
    let mut outcomes = [Ok(0), Ok(1), Err(2), Ok(3)].into_iter();
    let mut taken = Vec::new();
    let next = || -> Option<Work<'_, usize, usize>> {
        Some(Box::pin(After(0, outcomes.next()?)) as Work<'_, _, _>)
    };
    let mut all = Box::pin(in_turn(2, next, |number| taken.push(number)));
    let ended = all.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(all);
    assert_eq!((ended, taken), (Poll::Ready(Err(2)), vec![0, 1]));
}
