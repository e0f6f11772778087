//! Pieces of a call: several on their way at once, and each taken in its turn.

use alloc::{boxed::Box, collections::VecDeque};
use core::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// A piece on its way, or what came of it.
enum Piece<F: Future> {
    /// In a box, so that it can be moved with the queue.
    OnItsWay(Pin<Box<F>>),
    Done(F::Output),
}

/// Runs futures, `at_once` of them at a time, and hands what comes of them to `take` in their
/// order. The first error ends it.
///
/// If the future is dropped, or ends with an error, those that were on their way are dropped.
pub async fn in_turn<T, E, F: Future<Output = Result<T, E>>>(
    at_once: usize,
    futures: impl Iterator<Item = F>,
    mut take: impl FnMut(T),
) -> Result<(), E> {
    let mut futures = futures.fuse();
    let mut pieces = VecDeque::<Piece<F>>::with_capacity(at_once);
    poll_fn(|context| {
        loop {
            while pieces.len() < at_once
                && let Some(future) = futures.next()
            {
                pieces.push_back(Piece::OnItsWay(Box::pin(future)));
            }
            for piece in &mut pieces {
                if let Piece::OnItsWay(future) = piece
                    && let Poll::Ready(output) = future.as_mut().poll(context)
                {
                    *piece = Piece::Done(output);
                }
            }
            match pieces.pop_front() {
                None => return Poll::Ready(Ok(())),
                Some(Piece::Done(Ok(taken))) => take(taken),
                Some(Piece::Done(Err(error))) => return Poll::Ready(Err(error)),
                Some(on_its_way) => {
                    pieces.push_front(on_its_way);
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}
