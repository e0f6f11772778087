//! Callers' buffers, which move into requests and come back.
//!
//! The one rule: the owner of a buffer has its bytes alone, and they are wiped when it is dropped.

use alloc::sync::Arc;
use core::{fmt, mem::ManuallyDrop, ptr, slice};

use zeroize::Zeroize;

use super::{GivenUp, Pages};
use crate::{Error, Platform};

/// Where a buffer's bytes lie.
enum Backing<P: Platform> {
    /// At the start of pages of its own.
    Whole(Pages<P>),
    /// Behind `offset` in pages that belong to it and to other parts of what was split.
    Part { pages: Arc<Pages<P>>, offset: usize },
}

/// A caller's buffer in memory that the device reads and writes directly, contiguous for the
/// device.
///
/// While a request is in flight the buffer has moved into the request, so nobody can look at it;
/// it comes back with the result or inside the error. Dropping it wipes and frees it.
///
/// # Invariant
///
/// *Alone*: the `len_bytes` bytes at `offset` are initialised, inside the pages, and no other
/// buffer's.
pub struct DmaBuffer<P: Platform> {
    backing: Backing<P>,
    len_bytes: usize,
}

impl<P: Platform> DmaBuffer<P> {
    /// Allocates a zeroed buffer of `len_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`] when the platform has no such pages.
    pub fn new(len_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            backing: Backing::Whole(Pages::new(len_bytes)?),
            len_bytes,
        })
    }

    /// Allocates a buffer that holds a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`] when the platform has no such pages.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.copy_from_slice(bytes);
        Ok(buffer)
    }

    #[inline]
    fn place(&self) -> (&Pages<P>, usize) {
        match &self.backing {
            Backing::Whole(pages) => (pages, 0),
            Backing::Part { pages, offset } => (pages, *offset),
        }
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        let (pages, offset) = self.place();
        // SAFETY: inside the pages (*Alone*).
        unsafe { pages.start.as_ptr().add(offset) }
    }

    /// Returns where the device finds the first byte.
    #[inline]
    pub(crate) fn bus_address(&self) -> u64 {
        let (pages, offset) = self.place();
        pages.bus_address + offset as u64
    }

    fn into_backing(self) -> Backing<P> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used nor dropped any more, so the backing has one owner.
        unsafe { ptr::read(&this.backing) }
    }

    /// Cuts the buffer behind its first `len_bytes` bytes; it has as many. The pages are freed with
    /// the last part.
    fn cut(self, len_bytes: usize) -> (Self, Self) {
        let whole_len_bytes = self.len_bytes;
        debug_assert!(len_bytes <= whole_len_bytes);
        let (pages, offset) = match self.into_backing() {
            Backing::Whole(pages) => (Arc::new(pages), 0),
            Backing::Part { pages, offset } => (pages, offset),
        };
        // *Alone*: the parts share no byte, and together they are the buffer that is gone.
        let behind = Self {
            backing: Backing::Part {
                pages: pages.clone(),
                offset: offset + len_bytes,
            },
            len_bytes: whole_len_bytes - len_bytes,
        };
        let backing = Backing::Part { pages, offset };
        (Self { backing, len_bytes }, behind)
    }

    /// Splits the buffer into parts of `part_len_bytes` bytes; the last may be shorter. Each is a
    /// buffer of its own.
    pub(crate) fn split(self, part_len_bytes: usize) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        core::iter::from_fn(move || {
            let whole = rest.take()?;
            if whole.len_bytes <= part_len_bytes {
                return Some(whole);
            }
            let (part, behind) = whole.cut(part_len_bytes);
            rest = Some(behind);
            Some(part)
        })
    }

    /// Puts all parts of a buffer together again, in their order; `None`, and the parts freed, if
    /// one is missing or they are not one behind the other.
    pub(crate) fn rejoin(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()??;
        for part in parts {
            let part = part?;
            let ((pages, offset), (others, at)) = (whole.place(), part.place());
            if !ptr::eq(pages, others) || at != offset + whole.len_bytes {
                return None;
            }
            // *Alone*: the part's bytes pass to the whole.
            whole.len_bytes += part.len_bytes;
            drop(part.into_backing());
        }
        let len_bytes = whole.len_bytes;
        let backing = match whole.into_backing() {
            Backing::Part { pages, offset: 0 } => match Arc::try_unwrap(pages) {
                Ok(pages) => Backing::Whole(pages),
                Err(pages) => Backing::Part { pages, offset: 0 },
            },
            other => other,
        };
        Some(Self { backing, len_bytes })
    }

    /// Gives the pages up for good, those of the whole where it is a part, because the device may
    /// still write to them; wipes it first.
    pub(crate) fn give_up(self, total: &GivenUp) {
        let start = self.start();
        for index in 0..self.len_bytes {
            // SAFETY: *Alone*: inside the pages, which stay. There is no reference, and what the
            // device reads or writes at the same time it finds or leaves as it may.
            unsafe { start.add(index).write_volatile(0) };
        }
        self.place().0.give_up(total);
        // Not as a buffer, which would be wiped by a reference.
        drop(self.into_backing());
    }
}

impl<P: Platform> core::ops::Deref for DmaBuffer<P> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: *Alone*; the holder of the buffer is its only owner, and the device has let go of
        // it (*Owned*).
        unsafe { slice::from_raw_parts(self.start(), self.len_bytes) }
    }
}

impl<P: Platform> core::ops::DerefMut for DmaBuffer<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only reference.
        unsafe { slice::from_raw_parts_mut(self.start(), self.len_bytes) }
    }
}

impl<P: Platform> Drop for DmaBuffer<P> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<P: Platform> fmt::Debug for DmaBuffer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuffer")
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec::Vec;

    use virtio_drivers::PAGE_SIZE;

    use super::*;
    use crate::fake::{
        Alone, FakePlatform, forget_live_pages, is_in_freed_memory, is_in_memory, live_pages,
    };

    type Buffer = DmaBuffer<FakePlatform>;

    #[test]
    fn a_buffer_lies_in_its_pages() {
        let _alone = Alone::new();
        forget_live_pages();
        for len_bytes in [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE] {
            let before = live_pages();
            let buffer = Buffer::new(len_bytes).unwrap();
            let len_bytes_of_pages = (live_pages() - before) * PAGE_SIZE;
            assert!(buffer.len() <= len_bytes_of_pages, "{len_bytes}");
            assert!(len_bytes_of_pages < len_bytes.max(1) + PAGE_SIZE);
        }
    }

    #[test]
    fn only_parts_one_behind_the_other_are_put_together() {
        let _alone = Alone::new();
        forget_live_pages();
        let parts = || {
            let whole = Buffer::from_slice(&[1; 3000]).unwrap();
            whole.split(1000).map(Some).collect::<Vec<_>>()
        };
        let whole = DmaBuffer::rejoin(parts()).unwrap();
        assert_eq!(whole[..], [1; 3000]);
        let mut gap = parts();
        gap.remove(1);
        assert!(DmaBuffer::rejoin(gap).is_none());
        let mut turned = parts();
        turned.reverse();
        assert!(DmaBuffer::rejoin(turned).is_none());
        let mut missing = parts();
        missing[1] = None;
        assert!(DmaBuffer::rejoin(missing).is_none());
        let (mut first, mut second) = (parts(), parts());
        core::mem::swap(&mut first[1], &mut second[1]);
        assert!(DmaBuffer::rejoin(first).is_none());
        drop(second);
        assert_eq!(live_pages(), 1, "that of the whole one");
        drop(whole);
        assert_eq!(live_pages(), 0);
    }

    #[test]
    fn a_buffer_that_is_dropped_is_wiped() {
        const SECRET: &[u8] = b"a buffer's bytes go with it";
        let _alone = Alone::new();
        let mut bytes = SECRET.repeat(200);
        let buffer = DmaBuffer::<FakePlatform>::from_slice(&bytes).unwrap();
        assert!(is_in_memory(SECRET), "the test looks in the wrong place");
        drop(buffer);
        // The parts of one, too, whoever goes last.
        bytes.truncate(4096);
        let whole = DmaBuffer::<FakePlatform>::from_slice(&bytes).unwrap();
        for part in whole.split(1000) {
            drop(part);
        }
        assert!(!is_in_freed_memory(SECRET));
    }
}
