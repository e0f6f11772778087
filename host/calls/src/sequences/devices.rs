//! What becomes of devices: set up, reset, broken, moved to another vector.

use std::rc::Rc;

use device::function::Command;
use virtio_crypto::{Error, transport::MsixEntry};

use crate::{
    far::{self, Fate},
    machine,
    world::{Pair, World, excuses::Excuse, setup::Setup},
};

/// How long a change of a device waits for requests at most.
const LIMITS_NS: [u64; 3] = [0, 10_000, 80_000];

impl World {
    /// Sets up a device or two, of which memory may be refused.
    pub(super) fn set_up(self: &Rc<Self>) {
        let more = self.byte();
        self.decide_fates(more);
        for _ in 0..1 + usize::from(more % 4 == 3) {
            if more & 4 != 0 {
                machine::refuse_after(u32::from(self.byte()) % 24);
            }
            let setup = Setup::draw(self);
            if let Err(error) = self.add(&setup) {
                self.judge_set_up(error);
            }
            machine::refuse_no_more();
        }
    }

    /// An honest device is set up unless there is no memory for it.
    pub(crate) fn judge_set_up(&self, error: Error) {
        let is_excused = match error {
            Error::OutOfDeviceMemory { .. } => machine::refusals() > 0,
            Error::QueueTooSmall { .. } => true,
            error => self.excuses.excuse(error),
        };
        assert!(
            is_excused || !self.is_honest.get(),
            "{error:?} at the set-up"
        );
    }

    /// Has answers used later, or changed where the device is hostile.
    fn decide_fates(self: &Rc<Self>, how: u8) {
        let (world, is_honest) = (Rc::downgrade(self), self.is_honest.get());
        if how & 8 == 0 {
            return;
        }
        far::set_fates(Some(Box::new(move |request| {
            let Some(world) = world.upgrade() else {
                return Fate::AsItIs;
            };
            let Some(byte) = world.meanwhile() else {
                return Fate::AsItIs;
            };
            match byte {
                0..64 if !request.is_in_order => Fate::Later,
                64..96 if !is_honest => world.some_fate(byte),
                _ => Fate::AsItIs,
            }
        })));
    }

    /// Returns something that no honest device does to an answer.
    pub(crate) fn some_fate(&self, byte: u8) -> Fate {
        self.excuses.add(Excuse::Broken);
        let value = self.meanwhile().unwrap_or_default();
        match byte % 8 {
            0 | 1 => Fate::Status(value % 8),
            2 => Fate::Length(value.into()),
            3 => Fate::NoStatus,
            4 => Fate::Cut(value.into()),
            5 => Fate::Garbled(value | 1),
            6 => Fate::Id(value.into()),
            _ => Fate::Never,
        }
    }

    /// Changes something about a device as a whole.
    pub(super) fn change(self: &Rc<Self>, pair: &Rc<Pair>, what: u8) {
        let Pair { device, far } = &**pair;
        let limit_ns = LIMITS_NS[usize::from(what) % LIMITS_NS.len()];
        match what {
            228..232 => self.settle(pair),
            232..234 => {
                let entry = MsixEntry(self.below(5) as u16);
                let _ = device.move_interrupt(entry, machine::message(3, 4));
            }
            234..237 => {
                self.expect(Excuse::Reset);
                let _ = device.recover(limit_ns);
            }
            237 => {
                self.expect(Excuse::Reset);
                let _ = device.shutdown(limit_ns);
            }
            238..242 => {
                self.expect(Excuse::QueueReset);
                let queue = self.below(3);
                let has_ended = self.contain(|| {
                    let _ = device.reset_queue(queue, limit_ns);
                });
                if !has_ended {
                    // A reset that a waker's panic cuts short ends everything.
                    self.expect(Excuse::Broken);
                }
            }
            242..244 => {
                self.expect(Excuse::NotReady);
                far.obey(Command::Ready(what == 242));
            }
            244 => {
                self.expect(Excuse::Broken);
                far.obey(Command::NeedsReset);
            }
            245 if self.byte() < 32 => {
                self.expect(Excuse::Broken);
                self.expect(Excuse::Gone);
                far.obey(Command::Gone);
            }
            246 => far.obey(Command::Stall(self.below(far.queues().into()) as u16)),
            247 => far.obey(Command::Go(self.below(far.queues().into()) as u16)),
            248 => {
                let _ = device.check();
            }
            249 if !self.is_honest.get() => {
                device.handle_interrupt(MsixEntry(self.byte().into()));
            }
            250 => {
                let stats = (device.data_stats(), device.control_stats());
                assert!(stats.0.completed <= stats.0.submitted);
                assert!(stats.1.completed <= stats.1.submitted);
            }
            _ => {}
        }
    }

    /// Forgets what is owed in interrupts, once all that came have been answered. Nothing happens
    /// meanwhile: what would arrive later is the caller's to wait for.
    fn settle(self: &Rc<Self>, pair: &Rc<Pair>) {
        if !machine::takes_interrupts() || self.is_nested() {
            return;
        }
        self.end_meanwhile();
        self.contain(|| {
            for _ in 0..2 {
                pair.far.deliver();
                pair.device.settle();
            }
        });
        self.begin_meanwhile();
    }
}
