//! Which frames are free: one bit each. For the manager alone. The one rule: a frame that is given
//! out or comes back twice is a panic.

use crate::memory::layout::{FRAME_LEN, physical};

const BITS: usize = u64::BITS as usize;

/// Allocates contiguous frames, first fit.
pub(super) struct Frames {
    /// A set bit is a free frame.
    free: &'static mut [u64],
    /// Frames below it are taken.
    first: usize,
    free_count: usize,
}

impl Frames {
    /// Makes an allocator of the usable regions. Its bits lie in the first of them that has room
    /// below 4 GiB, which is all that is mapped yet.
    pub(super) fn new(usable: impl Iterator<Item = (u64, u64)> + Clone) -> Self {
        let frame = |address: u64| (address / FRAME_LEN as u64) as usize;
        let count = usable.clone().map(|(_, end)| frame(end)).max().unwrap_or(0);
        let words = count.div_ceil(BITS);
        let len_bytes = (words * 8).next_multiple_of(FRAME_LEN) as u64;
        let place = |(start, end): (u64, u64)| {
            let start = start.next_multiple_of(FRAME_LEN as u64);
            (start + len_bytes <= end.min(1 << 32)).then_some(start)
        };
        let Some(place) = usable.clone().find_map(place) else {
            panic!("no room for the map of {count} frames");
        };
        let bits: *mut u64 = physical(place).as_mut_ptr();
        // SAFETY: usable memory that nobody has yet, mapped by the boot tables and by the final
        // ones; zeroed before a reference to it exists.
        let free = unsafe {
            bits.write_bytes(0, words);
            core::slice::from_raw_parts_mut(bits, words)
        };
        let mut frames = Self {
            free,
            first: 0,
            free_count: 0,
        };
        for (start, end) in usable {
            let first = frame(start.next_multiple_of(FRAME_LEN as u64));
            for index in first..frame(end) {
                frames.set(index, true);
            }
        }
        for index in frame(place)..frame(place + len_bytes) {
            frames.set(index, false);
        }
        frames
    }

    fn is_free(&self, index: usize) -> bool {
        self.free
            .get(index / BITS)
            .is_some_and(|word| word >> (index % BITS) & 1 != 0)
    }

    fn set(&mut self, index: usize, free: bool) {
        assert!(self.is_free(index) != free, "frame {index} is {free} twice");
        self.free[index / BITS] ^= 1 << (index % BITS);
        if free {
            self.free_count += 1;
            self.first = self.first.min(index);
        } else {
            self.free_count -= 1;
        }
    }

    /// Takes `count` contiguous frames and returns the address of the first.
    pub(super) fn allocate(&mut self, count: usize) -> Option<u64> {
        let end = self.free.len() * BITS;
        let mut start = self.first;
        let mut all_taken_so_far = true;
        // `count` may be any number: a sum that comes round would be found free.
        while start.checked_add(count).is_some_and(|next| next <= end) {
            match (start..start + count).find(|&index| !self.is_free(index)) {
                Some(taken) => {
                    if all_taken_so_far && taken == start {
                        self.first = start + 1;
                    } else {
                        all_taken_so_far = false;
                    }
                    start = taken + 1;
                }
                None => {
                    for index in start..start + count {
                        self.set(index, false);
                    }
                    return Some((start * FRAME_LEN) as u64);
                }
            }
        }
        None
    }

    /// Gives frames back.
    pub(super) fn free(&mut self, start: u64, count: usize) {
        assert!(
            start.is_multiple_of(FRAME_LEN as u64),
            "frame address {start:#x}"
        );
        let first = start as usize / FRAME_LEN;
        for index in first..first + count {
            self.set(index, true);
        }
    }

    /// Returns how many frames are free.
    pub(super) fn free_count(&self) -> usize {
        self.free_count
    }
}
