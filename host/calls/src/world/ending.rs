//! The end of an execution: everybody gets what is theirs, and nothing is left.

use std::rc::Rc;

use device::function::Command;
use virtio_crypto::InterruptMode;
use virtio_drivers::PAGE_SIZE;

use super::{Pair, World, callers::WakerMode, excuses::Excuse};
use crate::{far, machine};

/// Rounds of serving and waking in which everything ends that ever does.
const MOST_ROUNDS: usize = 5_000;
/// Rounds in which callers are woken and nothing else happens, before there is nothing more.
const MOST_IDLE_ROUNDS: usize = 20;
/// How long a reset at the end waits for requests.
const LIMIT_NS: u64 = 20_000;

impl World {
    /// Brings everything to its end, and judges what is left.
    pub(crate) fn end(self: &Rc<Self>) {
        self.end_meanwhile();
        machine::refuse_no_more();
        machine::migrate(0);
        machine::check_unmasked();
        far::set_fates(None);
        self.callers.set_mode(WakerMode::Plain);
        let pairs = self.pairs.borrow().clone();
        for pair in &pairs {
            pair.far.lie(0);
            for queue in 0..pair.far.queues() {
                pair.far.obey(Command::Go(queue));
            }
            if self.excuses.has(Excuse::NotReady) || !self.is_honest.get() {
                pair.far.obey(Command::Ready(true));
            }
            // A device that has gone says nothing by itself.
            let _ = pair.device.check();
        }
        if self.callers.has_forgotten() {
            // What they have, others may wait for.
            self.excuses.add(Excuse::Reset);
            for pair in &pairs {
                let _ = pair.device.recover(LIMIT_NS);
            }
        }
        if self.is_honest.get() {
            self.serve_callers(&pairs);
            assert_eq!(self.callers.len(), 0, "a wake was lost: {self:?}");
        }
        self.drop_all();
        self.sessions.take();
        self.clear_shelf();
        self.serve_callers(&pairs);
        if self.is_honest.get() {
            pairs.iter().for_each(|pair| self.judge(pair));
        }
        for pair in &pairs {
            let _ = pair.device.shutdown(LIMIT_NS);
        }
        while self.poll_woken() {}
        assert_eq!(self.callers.len(), 0, "somebody still waits after the end");
        self.free(pairs);
    }

    /// Serves and wakes until nothing happens any more.
    fn serve_callers(self: &Rc<Self>, pairs: &[Rc<Pair>]) {
        // Without interrupts a caller that waits is woken in each round.
        let mut idle_rounds = 0;
        for _ in 0..MOST_ROUNDS {
            let callers = self.callers.len();
            let mut has_happened = false;
            for pair in pairs {
                has_happened |= pair.far.serve_all();
                self.contain(|| has_happened |= pair.far.deliver());
                if pair.device.interrupt_mode() == InterruptMode::Polling {
                    pair.device.poll();
                }
            }
            let has_woken = self.poll_woken();
            has_happened |= callers != self.callers.len();
            idle_rounds = if has_happened { 0 } else { idle_rounds + 1 };
            if !has_happened && (!has_woken || idle_rounds > MOST_IDLE_ROUNDS) {
                return;
            }
        }
        panic!("no end of serving");
    }

    /// Judges what an honest device has been to the driver.
    fn judge(&self, pair: &Pair) {
        let Pair { device, far } = pair;
        let complaints = far.complaints();
        if !self.excuses.has(Excuse::Broken) {
            assert!(complaints.is_empty(), "{complaints:?}");
            assert!(
                !matches!(device.ended(), Some(virtio_crypto::Error::Broken(_))),
                "an honest device is called broken: {:?}",
                device.ended()
            );
        }
        if !self.excuses.has(Excuse::Gone) {
            let interrupts = device.interrupt_stats();
            assert_eq!(interrupts.unhandled, 0, "{interrupts:?}");
        }
        if device.ended().is_some() {
            return;
        }
        let stats = (device.control_stats(), device.data_stats());
        let in_flight = stats.0.in_flight + stats.1.in_flight;
        assert_eq!(in_flight, 0, "requests are in flight for nobody: {stats:?}");
        let has_forgotten = self.callers.has_forgotten() || self.excuses.has(Excuse::QueueReset);
        if !has_forgotten {
            assert_eq!(device.sessions_taken(), 0, "sessions are left");
        }
        // At a reset the device forgets its own.
        let kept = far.function.engine().sessions() as u64;
        let known = device.sessions_left_behind() + device.sessions_taken() as u64;
        assert!(kept <= known, "the device has {kept} sessions of {known}");
    }

    /// Frees all that there is, and looks for what is left in memory.
    fn free(&self, pairs: Vec<Rc<Pair>>) {
        let given_up = pairs.iter().map(|pair| pair.device.given_up_bytes());
        let given_up = given_up.sum::<u64>() as usize / PAGE_SIZE;
        self.pairs.take();
        drop(pairs);
        self.drop_forgotten();
        self.sessions.take();
        self.clear_shelf();
        machine::check_unmasked();
        assert_eq!(machine::live_pages(), given_up, "pages that are live");
        machine::check_nothing_is_left();
        Self::forget();
    }
}
