//! `split` and `packed`: the driver's half of a ring, and a device that takes a step whenever the
//! bytes say so, also between any two accesses of the driver to the ring.
//!
//! An honest device uses what it likes in the order that it likes, or in order, sleeps and wakes.
//! Then each request arrives as it was sent, each is found once, as it was used, and in the end
//! none is left: no kick and no interrupt was lost. A kick is decided as the device wants it.
//!
//! A hostile one writes anywhere in the ring, too. Then nothing panics or overflows, and the driver
//! takes no request for used that it has not sent.
//!
//! In both the driver writes the fields that are its own and no others.

mod device;

use alloc::{boxed::Box, rc::Rc, vec, vec::Vec};
use core::cell::RefCell;

use self::device::{Device, Sent};
use super::{
    input::Input,
    machine::{self, Kernel},
};
use crate::{
    dma::DmaRegion,
    virtqueue::{
        Available, AvailableHalf, Chain, Format, Outstanding, Ring, RingLayout, Segment, Tables,
        Used, UsedHalf,
    },
};

/// Where the slots' tables are: nobody looks there.
const TABLES: Tables = Tables {
    first: 0x1000,
    step_bytes: 0x800,
    len_bytes: 0x100,
};

/// Runs the target on split rings.
pub fn run_split(input: &[u8]) {
    run(Format::Split, input);
}

/// Runs the target on packed rings.
pub fn run_packed(input: &[u8]) {
    run(Format::Packed, input);
}

fn run(format: Format, input: &[u8]) {
    machine::start();
    let mut input = Input::new(input);
    let flags = input.byte();
    let entries = 1 << (flags & 3);
    let has_tables = flags & 4 != 0;
    let stride = if has_tables {
        1
    } else {
        1 << (flags >> 6).min(flags & 3)
    };
    let layout = RingLayout {
        format,
        entries,
        slots: entries / stride,
        stride,
        event_index: flags & 8 != 0,
        in_order: flags & 16 != 0,
        tables: has_tables.then_some(TABLES),
    };
    let ring = Ring::<DmaRegion<Kernel>>::new(layout).expect("a ring");
    let is_hostile = flags & 32 != 0;
    let device = Device::new(layout, ring.addresses, is_hostile, input);
    let device = Rc::new(RefCell::new(device));
    machine::set_step({
        let device = device.clone();
        move |access| device.borrow_mut().see(access)
    });
    let mut driver = Driver::new(ring, layout, device);
    driver.run();
    if !is_hostile {
        driver.finish();
    }
    machine::clear_step();
}

/// What a queue does with the driver's half, as `queue/guarded` does it.
struct Driver {
    layout: RingLayout,
    available: Box<dyn AvailableHalf>,
    used: Box<dyn UsedHalf>,
    outstanding: Outstanding,
    device: Rc<RefCell<Device>>,
    /// What those are called that were sent and not found used, by slot.
    in_flight: Vec<Option<u16>>,
    polls: bool,
    /// Requests, or descriptors, made available, and as many when the kick was last decided.
    published: u16,
    decided: u16,
    /// The ring's memory: it lives as long as its halves do.
    _memory: DmaRegion<Kernel>,
}

/// The device broke the rules, as a queue finds out.
struct Broken;

impl Driver {
    fn new(ring: Ring<DmaRegion<Kernel>>, layout: RingLayout, device: Rc<RefCell<Device>>) -> Self {
        Self {
            layout,
            available: match ring.available {
                Available::Split(half) => Box::new(half),
                Available::Packed(half) => Box::new(half),
                Available::SplitInOrder(half) => Box::new(half),
            },
            used: match ring.used {
                Used::Split(half) => Box::new(half),
                Used::Packed(half) => Box::new(half),
                Used::SplitInOrder(half) => Box::new(half),
                Used::PackedInOrder(half) => Box::new(half),
            },
            outstanding: ring.outstanding,
            device,
            in_flight: vec![None; layout.slots.into()],
            polls: false,
            published: 0,
            decided: 0,
            _memory: ring.memory,
        }
    }

    fn count(&self) -> u16 {
        self.in_flight.iter().flatten().count() as u16
    }

    fn is_hostile(&self) -> bool {
        self.device.borrow().is_hostile
    }

    /// Does what the bytes say.
    fn run(&mut self) {
        loop {
            let (call, interrupt) = {
                let mut device = self.device.borrow_mut();
                if device.input.is_empty() {
                    return;
                }
                let step = device.input.byte();
                (step, device.take_interrupt())
            };
            if interrupt && self.drain().is_err() {
                return;
            }
            let outcome = match call & 7 {
                0..4 => {
                    self.publish(call);
                    Ok(())
                }
                4 => self.drain(),
                5 => {
                    self.decide_kick();
                    Ok(())
                }
                6 => self.set_polls(call & 8 != 0),
                _ => {
                    self.device.borrow_mut().step_now();
                    Ok(())
                }
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    /// Sends a request, in a slot as the bytes say.
    fn publish(&mut self, call: u8) {
        let slots = self.in_flight.len();
        let mut by_choice = (0..slots).map(|slot| (slot + usize::from(call >> 3)) % slots);
        let Some(slot) = by_choice.find(|slot| self.in_flight[*slot].is_none()) else {
            return;
        };
        let mut segments = Vec::new();
        let chain = match self.layout.tables {
            Some(_) => Chain::InTable(u16::from(call >> 6) + 1),
            None => {
                let (sent, stride) = (self.device.borrow().sent_ever, self.layout.stride);
                let count = u16::from(call >> 6) % stride + 1;
                segments.extend((0..count).map(|index| Segment {
                    bus_address: u64::from(sent) << 32 | u64::from(index) << 16,
                    len_bytes: sent + 1,
                    writable: index % 2 != 0,
                }));
                Chain::Direct(&segments)
            }
        };
        self.device.borrow_mut().expect(Sent {
            slot: slot as u16,
            segments: segments.clone(),
            in_table: match chain {
                Chain::InTable(count) => Some(count),
                Chain::Direct(_) => None,
            },
        });
        // From here on the device may have used it.
        let id = self.available.publish(slot as u16, chain);
        self.in_flight[slot] = Some(id);
        let descriptors = chain.descriptors();
        self.published = self.published.wrapping_add(match self.layout.format {
            Format::Split => 1,
            Format::Packed => descriptors,
        });
        self.outstanding.push(slot as u16, id, descriptors);
        self.check_position();
        let puts_off = call & 32 != 0;
        if !puts_off || self.available.must_decide() {
            self.decide_kick();
        }
    }

    /// What a kick says with `VIRTIO_F_NOTIFICATION_DATA`.
    fn check_position(&self) {
        let Self { published, .. } = *self;
        let entries = self.layout.entries;
        let expected = match self.layout.format {
            Format::Split => published,
            Format::Packed => {
                let wraps = (published / entries).is_multiple_of(2);
                (published % entries) | (u16::from(wraps) << 15)
            }
        };
        assert_eq!(self.available.position(), expected);
    }

    fn decide_kick(&mut self) {
        let range = (self.decided, self.published);
        let (expected, steps) = {
            let device = self.device.borrow();
            (device.half.wants_kick(range), device.steps)
        };
        let kicks = self.available.decide_kick();
        self.decided = self.published;
        let mut device = self.device.borrow_mut();
        // Nothing happened meanwhile: then it is plain what a device that makes sense wanted.
        if device.steps == steps && !device.is_hostile {
            assert_eq!(kicks, expected, "a kick for {range:?}");
        }
        if kicks {
            device.hear_kick();
        }
    }

    fn set_polls(&mut self, polls: bool) -> Result<(), Broken> {
        if polls != self.polls {
            self.polls = polls;
            if polls {
                self.used.suppress_interrupts();
            } else {
                self.used.allow_interrupts();
                return self.drain();
            }
        }
        Ok(())
    }

    /// Takes what was used, and asks for an interrupt unless somebody polls.
    fn drain(&mut self) -> Result<(), Broken> {
        let mut index = self.used_index();
        // Each round but the first takes one at least.
        for _ in 0..=usize::from(u16::MAX) {
            let pending = index.wrapping_sub(self.used.taken());
            if pending > self.count() {
                assert!(self.is_hostile(), "{pending} are used of {}", self.count());
                return Err(Broken);
            }
            for _ in 0..pending {
                self.take_one()?;
            }
            if self.polls {
                return Ok(());
            }
            self.used.arm();
            let taken = index;
            index = self.used_index();
            if index == taken {
                return Ok(());
            }
        }
        panic!("a drain does not end");
    }

    fn used_index(&mut self) -> u16 {
        let limit = self.count() + 1;
        let index = self.used.used_index(limit, &self.outstanding).index;
        let found = index.wrapping_sub(self.used.taken());
        // A split ring's index is the device's own word.
        let is_counted = self.layout.format == Format::Packed;
        assert!(!is_counted || found <= limit, "{found} found of {limit}");
        index
    }

    fn take_one(&mut self) -> Result<(), Broken> {
        let used = self.used.take_used(&mut self.outstanding);
        let slot = usize::try_from(used.slot).ok();
        let id = slot.and_then(|slot| self.in_flight.get_mut(slot)?.take());
        if let Some(id) = id {
            assert_eq!(
                used.id,
                u32::from(id),
                "another name for slot {}",
                used.slot
            );
        }
        if self.is_hostile() {
            // In order the driver finds the slot by itself.
            let by_itself = self.layout.in_order && used.slot != u32::MAX;
            assert!(id.is_some() || !by_itself, "{used:?} was not in flight");
            return id.map(drop).ok_or(Broken);
        }
        assert!(id.is_some(), "{used:?} was not in flight");
        let expected = self.device.borrow_mut().take_used();
        assert_eq!(Some(used), expected);
        Ok(())
    }

    /// Lets the device do all that it has to, and nothing more: then nothing may be left.
    fn finish(&mut self) {
        self.device.borrow_mut().be_done();
        self.decide_kick();
        loop {
            let (worked, interrupt) = {
                let mut device = self.device.borrow_mut();
                (device.work(), device.take_interrupt())
            };
            if (interrupt || self.polls) && self.drain().is_err() {
                return;
            }
            if !worked && !interrupt {
                break;
            }
        }
        let waiting = self.device.borrow().waiting();
        assert_eq!(waiting, 0, "a kick was lost: the device sleeps");
        assert_eq!(self.count(), 0, "an interrupt was lost: the driver sleeps");
    }
}

#[cfg(test)]
mod tests {
    use crate::fuzzing::replay;

    #[test]
    fn corpus_is_replayed() {
        replay::corpus("split", super::run_split);
        replay::corpus("packed", super::run_packed);
    }

    #[test]
    fn random_inputs_are_borne() {
        replay::random(super::run_split, 3000, 200);
        replay::random(super::run_packed, 3000, 200);
    }
}
