//! Disks: virtio-blk (Virtio 1.3, 5.2) by the queue and the transport of `virtio-drivers`, with
//! many requests in flight, interrupts, and buffers that the crypto device takes as they are.
//!
//! `virtio-drivers` has a block driver, too, whose flush waits with the CPU, and which wants one
//! request at a time for that. What this room takes from it believes its device: a device that uses
//! what it was not given ends the run, or the disk.
//!
//! For applications. The one rule: what the device may touch belongs to a slot of the ring until
//! the device has used it, whoever still waits.

mod error;
mod ring;
mod setup;
mod waiting;

use core::fmt;

use kernel::{interrupts::lines::Listener, time};

use self::{
    error::LIMIT_NS,
    ring::{Kind, Ring},
    waiting::{Inner, send},
};

pub use self::{
    error::{Buffer, DiskError, Failed, MOST_LEN, SECTOR_LEN},
    setup::SetupError,
};

/// A disk. It stays for good once it is set up, so that nothing is freed under its device.
#[derive(Clone, Copy)]
pub struct Disk(&'static Inner);

impl Disk {
    /// Returns how many sectors it has.
    pub fn sectors(&self) -> u64 {
        self.0.sectors
    }

    /// Returns whether it cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.0.is_read_only
    }

    /// Fills `buffer` with the sectors from `first_sector` on. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Any [`DiskError`] but those of writing.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the buffer is freed when the device has let go of it.
    pub async fn read(&self, first_sector: u64, buffer: Buffer) -> Result<Buffer, Failed> {
        self.transfer(Kind::Read, first_sector, buffer).await
    }

    /// Writes `buffer` to the sectors from `first_sector` on. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Any [`DiskError`].
    ///
    /// # Cancellation
    ///
    /// That of [`read`](Self::read). Once the device has the request, the sectors are written all
    /// the same.
    pub async fn write(&self, first_sector: u64, buffer: Buffer) -> Result<Buffer, Failed> {
        self.transfer(Kind::Write, first_sector, buffer).await
    }

    /// Has the disk keep what was written before, whatever happens to the host's power.
    ///
    /// # Errors
    ///
    /// [`DiskError::Io`] and those behind it.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, it may or may not have.
    pub async fn flush(&self) -> Result<(), DiskError> {
        if !self.0.has_flush {
            // What was written is where it belongs as soon as it is answered (5.2.6.2).
            return Ok(());
        }
        let flushed = self.request(Kind::Flush, 0, None).await;
        flushed.map(|_| ()).map_err(|failed| failed.error)
    }

    async fn transfer(
        &self,
        kind: Kind,
        first_sector: u64,
        buffer: Buffer,
    ) -> Result<Buffer, Failed> {
        if let Err(error) = self.check(kind, first_sector, buffer.len()) {
            let buffer = Some(buffer);
            return Err(Failed { error, buffer });
        }
        match self.request(kind, first_sector, Some(buffer)).await? {
            Some(buffer) => Ok(buffer),
            None => unreachable!("a request that had a buffer gives it back"),
        }
    }

    fn check(&self, kind: Kind, first_sector: u64, len_bytes: usize) -> Result<(), DiskError> {
        let is_whole = len_bytes > 0 && len_bytes.is_multiple_of(SECTOR_LEN);
        if !is_whole || len_bytes > MOST_LEN {
            return Err(DiskError::Length { len_bytes });
        }
        let sectors = self.sectors();
        let end = first_sector.checked_add((len_bytes / SECTOR_LEN) as u64);
        if end.is_none_or(|end| end > sectors) {
            return Err(DiskError::BeyondEnd {
                first_sector,
                sectors,
            });
        }
        match kind == Kind::Write && self.is_read_only() {
            true => Err(DiskError::ReadOnly),
            false => Ok(()),
        }
    }

    async fn request(
        &self,
        kind: Kind,
        first_sector: u64,
        buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, Failed> {
        let answered = async {
            let in_flight = send(self.0, kind, first_sector, buffer).await?;
            in_flight.await
        };
        let timed_out = |_| {
            Err(Failed {
                error: DiskError::TimedOut,
                buffer: None,
            })
        };
        let answered = time::timeout(LIMIT_NS, answered).await;
        answered.unwrap_or_else(timed_out)
    }
}

/// A disk on its interrupt line.
struct OnLine(&'static Inner);

impl Listener for OnLine {
    fn on_line(&self) {
        let drained = self.0.ring.with(Ring::answer_line);
        let has_free_slots = drained.has_free_slots;
        for waker in drained.wakers.into_iter().flatten() {
            waker.wake();
        }
        if has_free_slots {
            self.0.wake_waiting();
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("sectors", &self.0.sectors)
            .field("is_read_only", &self.0.is_read_only)
            .finish_non_exhaustive()
    }
}
