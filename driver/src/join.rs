//! Many futures awaited in one task, for kernels without a library of such.

use alloc::{boxed::Box, vec::Vec};
use core::{future::poll_fn, task::Poll};

/// Awaits all of `futures` side by side, in one task, and returns their outputs in order.
///
/// Inside [`Device::batch`](crate::Device::batch) the requests of one poll share a kick. One
/// allocation a future; [`Cipher::process_batch`](crate::Cipher::process_batch) does without.
///
/// # Cancellation
///
/// Dropped, all that have not ended are dropped.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let pinned = |future| (Some(Box::pin(future)), None);
    let mut entries: Vec<_> = futures.into_iter().map(pinned).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (place, output) in &mut entries {
            let Some(future) = place else { continue };
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => {
                    *output = Some(ready);
                    *place = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    entries
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}
