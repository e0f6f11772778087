//! Sessions that an owner before has left on the device.
//!
//! A device may keep its sessions over a reset (QEMU does): those of a machine that was rebooted
//! stay, until there is no room for new ones. Their ids are small numbers that nobody has any more,
//! so each number is tried, and the device says whether it knew it.
//!
//! The one rule: no session is opened meanwhile, since it would get an id that is about to be
//! ended.

use core::{ops::Range, sync::atomic::Ordering};

use arrayvec::ArrayVec;

use crate::{
    Error, Platform,
    device::{Device, alone::Change},
    epoch::Epoch,
    request::session::watched,
    wire::destroy_opcodes,
};

/// How many *destroys* go side by side.
const SIDE_BY_SIDE: usize = 32;

/// Keeps sessions from being opened while it lives.
struct Closed<'l, P: Platform> {
    epoch: &'l Epoch<P>,
    /// The device has not answered some *destroy*.
    is_busy: bool,
}

impl<P: Platform> Drop for Closed<'_, P> {
    fn drop(&mut self) {
        if self.is_busy {
            // It may end whatever gets that id next.
            self.epoch.end(Error::GaveUp);
        } else {
            self.epoch.control.open_again();
        }
    }
}

impl<P: Platform> Device<P> {
    /// Ends the sessions that an owner before has left on the device (a machine that was rebooted,
    /// a driver that crashed), as far as their ids are below `ids`, and returns how many the device
    /// knew (QEMU has 256). To be called before any session is opened, and after a forced reset
    /// with care: a request from before it may still use its session.
    ///
    /// Each id is tried, one *destroy* for each service that the device advertises until one is
    /// accepted.
    /// **Not every device bears that**: some hang up at an id that they do not know.
    ///
    /// # Errors
    ///
    /// [`Error::SessionsOpen`] when a session is open, being opened or still closing;
    /// [`Error::Resetting`] while another caller changes the device, which those who open sessions
    /// meanwhile get, too; those of any request.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before its end, or ends with the error of a request
    /// ([`Error::HardwareNotReady`] too), the device takes no requests any more
    /// ([`Error::GaveUp`]): a *destroy* on its way may end a session that gets its id.
    /// [`recover`](Self::recover) it. A forgotten future keeps the device from being changed until
    /// the device is dropped.
    pub async fn end_sessions_before(&self, ids: u64) -> Result<u64, Error> {
        let _alone = self.changing.begin(Change::Sessions)?;
        let epoch = self.epoch();
        epoch.control.close_for_a_while()?;
        let mut closed = Closed {
            epoch: &epoch,
            is_busy: false,
        };
        let mut known = 0;
        let mut start = 0;
        while start < ids {
            let end = ids.min(start + SIDE_BY_SIDE as u64);
            known += end_ids(&epoch, start..end, &mut closed.is_busy).await?;
            start = end;
        }
        let left = self.left_behind.load(Ordering::Relaxed);
        self.left_behind
            .store(left.saturating_sub(known), Ordering::Relaxed);
        Ok(known)
    }
}

/// Tries these ids, [`SIDE_BY_SIDE`] at most, and returns how many the device knew. `is_busy` is
/// set while the device has not answered.
async fn end_ids<P: Platform>(
    epoch: &Epoch<P>,
    ids: Range<u64>,
    is_busy: &mut bool,
) -> Result<u64, Error> {
    let mut unknown: ArrayVec<u64, SIDE_BY_SIDE> = ids.collect();
    let mut known = 0;
    for opcode in destroy_opcodes(epoch.capabilities.services) {
        let mut tried = core::mem::take(&mut unknown).into_iter().peekable();
        while tried.peek().is_some() {
            let mut sent = ArrayVec::<_, SIDE_BY_SIDE>::new();
            // From the first one on: a doorbell may panic.
            *is_busy = true;
            // As many as there are places for.
            while let Some(id) = tried.peek() {
                match epoch.control.destroy_stray(*id, opcode) {
                    Ok(watch) => sent.push((*id, watch)),
                    Err(_) if !sent.is_empty() => break,
                    Err(error) => {
                        *is_busy = false;
                        return Err(error);
                    }
                }
                tried.next();
            }
            for (id, watch) in sent {
                match watched(epoch, watch).await {
                    Ok(()) => known += 1,
                    Err(Error::Refused(_)) => unknown.push(id),
                    Err(error) => return Err(error),
                }
            }
            *is_busy = false;
        }
    }
    Ok(known)
}
