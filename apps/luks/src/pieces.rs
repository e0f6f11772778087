//! Pieces of a call: several on their way at once, and each taken in its turn.

use alloc::{boxed::Box, collections::VecDeque};
use core::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// The work on a piece. In a box, so that it can be moved with the others.
pub type Work<'w, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'w>>;

/// A piece on its way, or what came of it.
enum Piece<'w, T, E> {
    OnItsWay(Work<'w, T, E>),
    Done(Result<T, E>),
}

/// Does what `next` gives, `at_once` pieces of it at a time, and hands what comes of them to `take`
/// in their order. The first error ends it.
///
/// If the future is dropped, or ends with an error, those that were on their way are dropped.
pub async fn in_turn<'w, T, E>(
    at_once: usize,
    mut next: impl FnMut() -> Option<Work<'w, T, E>>,
    mut take: impl FnMut(T),
) -> Result<(), E> {
    let mut pieces = VecDeque::<Piece<'w, T, E>>::with_capacity(at_once);
    poll_fn(|context| {
        loop {
            while pieces.len() < at_once
                && let Some(work) = next()
            {
                pieces.push_back(Piece::OnItsWay(work));
            }
            for piece in &mut pieces {
                if let Piece::OnItsWay(work) = piece
                    && let Poll::Ready(output) = work.as_mut().poll(context)
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
