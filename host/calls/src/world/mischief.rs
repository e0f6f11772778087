//! How a device breaks rules: in its rings, at its registers, by its interrupts.
//!
//! It keeps to the memory that it was given, as every transport vouches.

use device::function::Command;

use super::{Pair, World, excuses::Excuse};
use crate::{far::Place, machine};

/// Bytes of a used element, and of a descriptor of a packed ring.
const ELEMENT_LEN: u64 = 8;
const DESCRIPTOR_LEN: u64 = 16;

impl World {
    /// Breaks a rule, as the next bytes say.
    pub(super) fn mischief(&self, pair: &Pair, which: usize) {
        let Some((what, value)) = self.meanwhile().zip(self.meanwhile()) else {
            return;
        };
        self.excuses.add(Excuse::Broken);
        let queue = (which % usize::from(pair.far.queues())) as u16;
        match what % 8 {
            0..4 => {
                if let Some(place) = pair.far.place(queue) {
                    self.scribble(pair, &place, what / 8, value);
                }
            }
            4 => pair.far.lie(1 << (value % 64)),
            5 => pair.far.lie(u64::from(value) * 0x0101_0101_0101_0101),
            6 => pair.far.raise_for_nothing(value.into()),
            _ => pair.far.obey(match value % 4 {
                0 => Command::NeedsReset,
                1 => Command::Ready(value & 4 != 0),
                2 => Command::Stall(queue),
                _ => Command::Go(queue),
            }),
        }
    }

    /// Writes into a ring, where a device may write.
    fn scribble(&self, pair: &Pair, place: &Place, what: u8, value: u8) {
        let size = u64::from(place.size);
        let is_packed =
            pair.far.function.agreed_features().unwrap_or(0) & device::feature::RING_PACKED != 0;
        let view = pair.far.function.memory().view();
        let value = u64::from(value);
        let write = |address: u64, bytes: &[u8]| {
            if machine::is_drivers(address, bytes.len()) {
                // Inside the memory, since the driver has it.
                let _ = view.write(address, bytes);
            }
        };
        let used = place.addresses.used();
        if is_packed {
            pair.far.go_astray();
            let descriptor = place.addresses.descriptors() + DESCRIPTOR_LEN * (value % size);
            match what % 4 {
                0 => write(descriptor + 8, &(value as u32 / 8).to_le_bytes()),
                1 => write(descriptor + 12, &[value as u8 / 16, 0]),
                // Available and used flags, in any state.
                2 => write(descriptor + 14, &[0, [0, 0x80][value as usize / 64 % 2]]),
                _ => {
                    let flags = [0x8080_u16, 0x8000, 0x0080, 0][value as usize / 64];
                    write(descriptor + 14, &flags.to_le_bytes());
                }
            }
            return;
        }
        match what % 4 {
            // The index: forward, back, anywhere.
            0 => {
                if !machine::is_drivers(used, 4) {
                    return;
                }
                let Ok([low, high]) = view.read_array::<2>(used + 2) else {
                    return;
                };
                let step = [1, 2, u16::MAX, 0x8000][value as usize % 4];
                let index = u16::from_le_bytes([low, high]).wrapping_add(step);
                write(used + 2, &index.to_le_bytes());
            }
            1 => {
                let element = used + 4 + ELEMENT_LEN * (value % size);
                write(element, &u32::from(value as u8 / 16).to_le_bytes());
            }
            2 => {
                let element = used + 4 + ELEMENT_LEN * (value % size);
                write(element + 4, &(value as u32 * value as u32).to_le_bytes());
            }
            _ => write(used + 4 + ELEMENT_LEN * size, &[value as u8, 0]),
        }
    }
}
