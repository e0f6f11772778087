//! Heap memory whose size a caller or a device chooses.
//!
//! The one rule: where there is none, that is an error and never an abort.

use alloc::{boxed::Box, vec::Vec};

use crate::Error;

/// Returns an empty vector with room for `count` elements, which take no further memory.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn room_for<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut room = Vec::new();
    match room.try_reserve_exact(count) {
        Ok(()) => Ok(room),
        Err(_) => Err(Error::OutOfMemory {
            len_bytes: count.saturating_mul(size_of::<T>()),
        }),
    }
}

/// Returns all of `items`, as many as they say.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn boxed<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Box<[T]>, Error> {
    let mut room = room_for(items.len())?;
    room.extend(items);
    Ok(room.into_boxed_slice())
}
