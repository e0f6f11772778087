//! Which data queues of the device are in use.
//!
//! The one rule: at least one is.

use alloc::boxed::Box;

use crate::{
    Error,
    heap::{boxed, room_for},
    index::QueueIndex,
};

/// Which data queues of the device are in use.
#[derive(Debug)]
pub(crate) struct DataQueues {
    /// At least one.
    pub(crate) in_use: Box<[QueueIndex]>,
    /// Those that a trial found not to be served.
    pub(crate) left_out: usize,
    /// Sessions of the trial's that the device may have kept.
    pub(crate) sessions_left: u64,
}

impl DataQueues {
    /// Chooses those of `wanted` that are below `end`, if there are any, or the first `count`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn choose(wanted: Option<&Self>, count: u16, end: u16) -> Result<Self, Error> {
        if let Some(wanted) = wanted {
            let mut in_use = room_for(wanted.in_use.len())?;
            in_use.extend(wanted.in_use.iter().filter(|queue| queue.0 < end));
            if !in_use.is_empty() {
                return Ok(Self {
                    in_use: in_use.into_boxed_slice(),
                    ..*wanted
                });
            }
        }
        Ok(Self {
            in_use: boxed((0..count).map(QueueIndex))?,
            left_out: 0,
            sessions_left: 0,
        })
    }

    /// Leaves all out but those at these positions, if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn without_others(&self, positions: &[usize]) -> Result<Self, Error> {
        let all = self.in_use.iter().enumerate();
        let is_kept = |position| positions.is_empty() || positions.contains(&position);
        let mut in_use = room_for(self.in_use.len())?;
        in_use.extend(
            all.filter(|(position, _)| is_kept(*position))
                .map(|(_, queue)| *queue),
        );
        Ok(Self {
            left_out: self.in_use.len() - in_use.len(),
            in_use: in_use.into_boxed_slice(),
            sessions_left: 0,
        })
    }
}
