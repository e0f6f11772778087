//! What happens between two steps of the driver: the device, interrupts, other CPUs.

use std::rc::Rc;

use super::World;
use crate::machine;

/// Calls that are under way one within the other at most: each is on a CPU of its own.
const MOST_NESTING: u32 = 2;

/// CPUs on which the calls of one level are.
const CPUS: u32 = 4;

impl World {
    /// Has things happen between any two steps from here on.
    pub(crate) fn begin_meanwhile(self: &Rc<Self>) {
        let world = Rc::downgrade(self);
        machine::set_hook(Some(Rc::new(move |is_free| {
            if let Some(world) = world.upgrade() {
                world.on_step(is_free);
            }
        })));
    }

    /// From here on nothing happens by itself.
    pub(crate) fn end_meanwhile(&self) {
        machine::set_hook(None);
    }

    /// Does what the input says, unless it says that nothing happens. Where a lock may be held only
    /// the device does something.
    fn on_step(self: Rc<Self>, is_free: bool) {
        let quiet = self.quiet_steps.get();
        if quiet > 0 {
            self.quiet_steps.set(quiet - 1);
            return;
        }
        let Some((what, quiet)) = self.meanwhile().zip(self.meanwhile()) else {
            return self.quiet_steps.set(u32::MAX);
        };
        // Sometimes long.
        let quiet = u32::from(quiet);
        self.quiet_steps.set(quiet % 64 * (1 + quiet / 64));
        let which = usize::from(what / 16);
        let pair = {
            let pairs = self.pairs.borrow();
            pairs.get(which % pairs.len().max(1)).cloned()
        };
        let Some(pair) = pair else { return };
        let queue = (which / 2 % usize::from(pair.far.queues())) as u16;
        let is_free = is_free && self.nesting.get() < MOST_NESTING;
        match what % 16 {
            0..4 => drop(pair.far.serve(queue, 1)),
            4 => drop(pair.far.serve(queue, 8)),
            5 => drop(pair.far.serve_all()),
            6 | 7 => pair.far.finish(queue, which / 8),
            8..11 if is_free && machine::takes_interrupts() => {
                self.nested(|_| {
                    let _ = pair.far.deliver();
                });
            }
            11 | 12 if is_free => self.elsewhere(which, |_| {
                let _ = pair.far.deliver();
            }),
            13 | 14 if is_free => self.elsewhere(which, |world| world.step_of_a_caller()),
            15 if !self.is_honest.get() => self.mischief(&pair, which),
            _ => {}
        }
    }

    /// Runs `f` within what is under way, which the panic of a waker in `f` does not reach.
    fn nested(self: &Rc<Self>, f: impl FnOnce(&Rc<Self>)) {
        self.nesting.set(self.nesting.get() + 1);
        self.contain(|| f(self));
        self.nesting.set(self.nesting.get() - 1);
    }

    /// Runs `f` on another CPU while the one of now is where it is.
    fn elsewhere(self: &Rc<Self>, which: usize, f: impl FnOnce(&Rc<Self>)) {
        let level = self.nesting.get() + 1;
        let cpu = level * CPUS + which as u32 % CPUS;
        machine::as_cpu(cpu, || self.nested(f));
    }
}
