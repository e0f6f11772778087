//! Many futures awaited in one task, for kernels without a library of such.

use alloc::vec::Vec;
use core::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use crate::{error::Failed, heap::room_for};

/// Awaits all of `futures` side by side, in one task, and returns their outputs in order.
///
/// Futures of async functions are boxed or pinned first: `Pin<Box<F>>`, `Pin<Box<dyn Future>>` and
/// `Pin<&mut F>` will do. Inside [`Device::batch`](crate::Device::batch) the requests of one poll
/// share a kick. [`Cipher::process_batch`](crate::Cipher::process_batch) does without a box for
/// each request.
///
/// # Errors
///
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory), with the futures, none of which has been
/// polled.
///
/// # Cancellation
///
/// If this future is dropped, so are all of them.
pub async fn join_all<F: Future + Unpin>(
    mut futures: Vec<F>,
) -> Result<Vec<F::Output>, Failed<Vec<F>>> {
    let count = futures.len();
    let room = room_for(count).and_then(|outputs| Ok((outputs, room_for(count)?)));
    let (mut outputs, mut ended) = match room {
        Ok(room) => room,
        Err(error) => {
            let returned = Some(futures);
            return Err(Failed { error, returned });
        }
    };
    outputs.extend(futures.iter().map(|_| None));
    poll_fn(|context| {
        let mut outcome = Poll::Ready(());
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_some() {
                continue;
            }
            match Pin::new(future).poll(context) {
                Poll::Ready(ready) => *output = Some(ready),
                Poll::Pending => outcome = Poll::Pending,
            }
        }
        outcome
    })
    .await;
    ended.extend(outputs.into_iter().flatten());
    Ok(ended)
}
