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
    use crate::fake::times;

    /// A ring as 2.8.1 tells of it: an offset that goes round, and a counter that is 1 at first and
    /// turns over at the end.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Walker {
        size: u16,
        offset: u16,
        wrap: bool,
    }

    impl Walker {
        fn new(size: u16) -> Self {
            Self {
                size,
                offset: 0,
                wrap: true,
            }
        }

        fn step(&mut self) {
            self.offset += 1;
            if self.offset == self.size {
                self.offset = 0;
                self.wrap = !self.wrap;
            }
        }

        /// What an event structure says of this place.
        fn event(self) -> u16 {
            self.offset | u16::from(self.wrap) << 15
        }
    }

    /// Calls for every position, with where a walker is by then.
    fn at_every_position(size: u16, mut look: impl FnMut(u16, Walker)) {
        let mut walker = Walker::new(size);
        for position in 0..=times(u16::MAX, 300) {
            look(position, walker);
            walker.step();
        }
        assert!(
            cfg!(miri) || walker == Walker::new(size),
            "2^16 are whole laps, an even number"
        );
    }

    #[test]
    fn every_position_of_every_size_has_its_offset_and_wrap_counter() {
        for size in (0..16).map(|shift| 1 << shift) {
            at_every_position(size, |position, walker| {
                let ring = Size(size);
                assert_eq!(
                    ring.at(position),
                    usize::from(walker.offset) * DESCRIPTOR_LEN
                );
                assert_eq!(ring.wrap(position), walker.wrap, "{size} {position}");
                assert_eq!(ring.event(position), walker.event(), "{size} {position}");
            });
        }
    }

    #[test]
    fn every_event_is_passed_by_the_steps_over_its_descriptor_alone() {
        for size in [1, 2, 4, 8] {
            at_every_position(size, |old, before| {
                // Each lap is like the two before it: those around the ends of 2^16 will do.
                if (4 * size..u16::MAX - 4 * size).contains(&old) {
                    return;
                }
                let (mut walker, mut passed) = (before, std::vec::Vec::new());
                for step in 0..=size {
                    let new = old.wrapping_add(step);
                    // All that a device can ask for within the ring.
                    for event in (0..size).flat_map(|offset| [offset, offset | WRAP]) {
                        let expected = passed.contains(&event);
                        let passes = passes(Size(size), event, (old, new));
                        assert_eq!(passes, expected, "{size} {old} {step} {event:#x}");
                    }
                    passed.push(walker.event());
                    walker.step();
                }
            });
        }
    }

    #[test]
    fn no_event_that_a_device_can_write_is_too_much() {
        for size in [1, 2, 8, 1 << 15] {
            for event in (0..=u16::MAX).step_by(times(1, 509)) {
                for old in [0, size - 1, u16::MAX] {
                    let asked = passes(Size(size), event, (old, old));
                    assert!(!asked, "nothing was sent: {size} {event:#x} {old}");
                    let _ = passes(Size(size), event, (old, old.wrapping_add(size)));
                }
            }
        }
    }
}
