//! Events: at which index each side wants to hear from the other.

/// Tells whether the step from index `old` to `new` passed `event` (Virtio 1.3, 2.7.10).
///
/// All arithmetic is modulo 2^16, so a batch that crosses the wrap is judged like any other.
#[inline]
pub const fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
