//! Positions in a packed ring.
//!
//! A *position* counts descriptors from the start, modulo 2^16. Its lower bits say where in the
//! ring it is. The bit above them says whether the ring's end was passed an odd number of times: it
//! is the wrap counter upside down, since that begins at 1. A size is a power of two, 2^15 at most
//! (Virtio 1.3, 2.8), so no position is ambiguous.
//!
//! The one rule: all reckoning is modulo 2^16, or modulo two rings where a device has its say.

use super::descriptor::DESCRIPTOR_LEN;

/// The wrap counter beside an offset.
const WRAP: u16 = 1 << 15;

/// The size of a ring, a power of two: in a position, the bit that the wrap counter is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) u16);

impl Size {
    /// Returns where the descriptor of a position begins.
    #[inline(always)]
    pub(super) fn at(self, position: u16) -> usize {
        usize::from(position & (self.0 - 1)) * DESCRIPTOR_LEN
    }

    /// Returns offset and wrap counter of a position, as events and kicks say them.
    #[inline(always)]
    pub(super) fn event(self, position: u16) -> u16 {
        let wrap = if self.wrap(position) { WRAP } else { 0 };
        position & (self.0 - 1) | wrap
    }

    /// Tells whether a position's wrap counter is 1.
    #[inline(always)]
    pub(super) fn wrap(self, position: u16) -> bool {
        position & self.0 == 0
    }
}

/// Tells whether the step from position `old` to `new` passed an event as the device wrote it: an
/// offset in the ring, with the wrap counter as its uppermost bit.
#[inline(always)]
pub(super) fn passes(Size(size): Size, event: u16, (old, new): (u16, u16)) -> bool {
    // All of it modulo two rings, which is what offset and wrap counter tell apart.
    let two_rings = (size << 1).wrapping_sub(1);
    let lap = if event & WRAP == 0 { size } else { 0 };
    let position = (event & !WRAP).wrapping_add(lap);
    let behind = new.wrapping_sub(position).wrapping_sub(1) & two_rings;
    behind < new.wrapping_sub(old) & two_rings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The event for a position, as a device writes it.
    fn event(size: u16, position: u16) -> u16 {
        let is_even_lap = (position / size).is_multiple_of(2);
        (position % size) | if is_even_lap { WRAP } else { 0 }
    }

    #[test]
    fn event_is_passed_by_the_step_over_its_descriptor_alone() {
        for size in [1u16, 2, 4, 64, 1 << 15] {
            for old in [0, 1, size - 1, size, 2 * (size - 1), u16::MAX - 1, u16::MAX] {
                for step in [1, size / 2, size].map(|step| step.max(1)) {
                    let new = old.wrapping_add(step);
                    // From a ring before to the next one to come: what a device may ask for.
                    for offset in -i32::from(size)..=i32::from(step) {
                        let position = i32::from(old).wrapping_add(offset) as u16;
                        let is_over = (0..i32::from(step)).contains(&offset);
                        // A ring before the step begins is where it ends, as far as can be told.
                        if offset == -i32::from(size) && step == size {
                            continue;
                        }
                        let passed = passes(Size(size), event(size, position), (old, new));
                        assert_eq!(passed, is_over, "{size} {old} {step} {offset}");
                    }
                }
            }
        }
    }
}
