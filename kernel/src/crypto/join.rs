//! Many futures awaited in one task, for programs: the driver's
//! [`join_all`](virtio_crypto::join_all) with a kernel that has memory enough.

use alloc::{boxed::Box, vec::Vec};
use core::future::Future;

/// Awaits all of `futures` side by side, and returns their outputs in order.
///
/// # Panics
///
/// When memory runs out.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let futures = futures.into_iter().map(Box::pin).collect();
    let outputs = virtio_crypto::join_all(futures).await;
    outputs.unwrap_or_else(|failed| panic!("{}", failed.error))
}
