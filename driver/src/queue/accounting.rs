//! Whether an interrupt was owed: decided by what the device published, never by whether the ring
//! is empty now.
//!
//! A task that drains the ring takes the completions of a message that is still on its way. The
//! handler then finds nothing, and a driver that looks at the ring alone calls the message
//! unhandled, though the device was right to send it. So every index that the device publishes is
//! turned into credit when it is first seen, by whoever sees it, and a message spends one.
//!
//! Credit is an upper bound of what is still to come, because the interrupt controller merges
//! messages of one vector. It is capped at what can exist at one time: one message in service, one
//! pending, one not yet sent of each queue that shares the vector. The cap assumes that the device
//! sends the message of one publication before it makes the next, or that messages on their way
//! merge as those of an eventfd do. For a device that does neither, the cap would have to be the
//! queue size.
//!
//! # Messages that travel
//!
//! A device under the guest's own lock (QEMU's) has sent its messages by the time that a register
//! read is answered. So has one behind a bus that keeps writes and the answers to reads in order
//! (PCI). A device that is a process of its own has not: it writes to an eventfd, from which
//! another process takes the message and sends it. Two more messages may be on their way then, one
//! in the eventfd and one taken from it. So `settle` forgets nothing until it has seen the queue
//! unchanged, with nothing in flight, for as long as a message travels. No publication is timed,
//! and only `settle` reads the clock. Where messages do not travel by themselves, two calls have to
//! see the queue unchanged all the same: a message that has reached a CPU may wait there until
//! that CPU takes interrupts, which it does between the two.
//!
//! A vector that moves leaves up to two messages behind, in service and pending on the CPU that had
//! it, beside those of the new one. So every move raises the cap by two, until `settle`. A reset
//! raises it by what is owed then, since a message from before it may arrive after it.
//!
//! A recovery is therefore lenient, within bounds. The new queue begins with what the old one was
//! owed, two at most (four where messages travel), and two more for each move since all was
//! settled: a CPU that the vector has left may be late. It also keeps the credit for messages of
//! its own that met the old queue (those for sessions that the recovery ended). No message that was
//! sent counts as unhandled. Of messages that nobody sent, up to five can hide behind a queue with
//! a vector of its own, until `settle`, which is exact again.

use crate::{
    transport::{LEFT_BEHIND, TRAVELLING},
    virtqueue::need_event,
};

/// Most messages on their way for a queue with a vector of its own: those that a vector leaves
/// behind, and one not yet sent.
const CREDIT_CAP: u16 = LEFT_BEHIND + 1;

/// What a queue is owed over its reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    credit: u16,
    /// Of the cap: what moves have left behind.
    moved: u16,
}

/// The credit of one queue.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Accounting {
    /// The used index, extended to 64 bits.
    published: u64,
    /// Messages that the device may have sent and that no interrupt has spent.
    credit: u16,
    /// Most that can be on their way at one time.
    cap: u16,
    /// The same when everything is settled.
    settled_cap: u16,
    /// What moves of the vector have left behind since then, at most.
    moved: u16,
    /// With EVENT_IDX, the `used_event` that the device reads. 0 is what a fresh ring holds, which
    /// also gives the first index after a reset its credit: QEMU signals that one unasked.
    armed: Option<u16>,
    /// Messages of each queue that can be on their way, beside those in service or pending.
    on_its_way: u16,
    /// What was published when [`settle`](Self::settle) first saw it, and when that was.
    quiet: Option<(u64, u64)>,
}

impl Accounting {
    pub(crate) fn new(event_index: bool) -> Self {
        Self {
            published: 0,
            credit: 0,
            cap: CREDIT_CAP,
            settled_cap: CREDIT_CAP,
            moved: 0,
            armed: event_index.then_some(0),
            on_its_way: 1,
            quiet: None,
        }
    }

    /// Takes note that a message may still be on its way when a register read is answered.
    pub(crate) fn let_messages_travel(&mut self) {
        self.on_its_way += TRAVELLING;
        self.settled_cap += TRAVELLING;
        self.cap = self.settled_cap;
    }

    /// Takes note of the used index as it reads now.
    #[inline]
    pub(crate) fn observe(&mut self, used_index: u16) {
        let seen = self.published as u16;
        let advance = used_index.wrapping_sub(seen);
        if advance == 0 {
            return;
        }
        self.published += u64::from(advance);
        let gained = match self.armed {
            // Any number of steps past one armed event is one message: the device sends for the
            // step that passes it and stays quiet until it is moved.
            Some(event) => u16::from(need_event(event, used_index, seen)),
            None => advance,
        };
        let credit = u32::from(self.credit) + u32::from(gained);
        self.credit = credit.min(self.cap.into()) as u16;
    }

    /// Takes note that the device may have taken an armed event that it had passed for one that it
    /// just passed.
    #[cold]
    pub(crate) fn observe_again(&mut self) {
        self.credit = self.credit.saturating_add(1).min(self.cap);
    }

    /// Takes note that `used_event` is about to be moved to `event`.
    #[inline]
    pub(crate) fn arm(&mut self, event: u16) {
        if let Some(armed) = &mut self.armed {
            *armed = event;
        }
    }

    /// Spends one credit for an interrupt, if there is one.
    #[inline]
    pub(crate) fn spend(&mut self) -> bool {
        let owed = self.credit > 0;
        self.credit -= u16::from(owed);
        owed
    }

    /// Returns how many messages are owed at most.
    pub(crate) fn credit(&self) -> u16 {
        self.credit
    }

    /// Takes note that so many queues share the vector. Nobody can tell which of them a message was
    /// sent for, so it may spend the credit of another. Each is therefore owed all that can be on
    /// its way for any of them.
    pub(crate) fn share_vector(&mut self, queues: u16) {
        let on_its_way = queues.saturating_mul(self.on_its_way);
        self.settled_cap = LEFT_BEHIND.saturating_add(on_its_way);
        self.cap = self.settled_cap;
    }

    /// Takes note that the vector is about to move to another CPU.
    pub(crate) fn move_vector(&mut self) {
        self.cap = self.cap.saturating_add(LEFT_BEHIND);
        self.moved = self.moved.saturating_add(LEFT_BEHIND);
    }

    /// Returns what the queue is owed over a reset: as far as it can still arrive.
    pub(crate) fn owed(&self) -> Owed {
        // What a vector leaves behind, here and where it was before, and what travels.
        let most = (LEFT_BEHIND + self.on_its_way - 1).saturating_add(self.moved);
        Owed {
            credit: self.credit.min(most),
            moved: self.moved,
        }
    }

    /// Gives away what the queue is owed, to the one in its place.
    pub(crate) fn hand_over(&mut self) -> Owed {
        let owed = self.owed();
        self.credit = 0;
        owed
    }

    /// Takes over what the queue was owed before a reset.
    pub(crate) fn inherit(&mut self, owed: Owed) {
        let Owed { credit, moved } = owed;
        self.cap = self.cap.saturating_add(credit).saturating_add(moved);
        self.moved = self.moved.saturating_add(moved);
        self.credit = self.credit.saturating_add(credit);
    }

    /// Forgets all credit if no message can arrive any more: if a call before found the same
    /// published, so long ago as a message travels. The caller knows that nothing is in flight and
    /// that what was published has been sent, and has let every CPU answer since that call.
    /// `travel_ns` is 0 if a message arrives before a register read is answered. `false`, and
    /// nothing forgotten, if one can still arrive.
    pub(crate) fn settle(&mut self, now_ns: u64, travel_ns: u64) -> bool {
        if self.credit > 0 || self.cap != self.settled_cap {
            match self.quiet {
                Some((published, since_ns)) if published == self.published => {
                    if now_ns.saturating_sub(since_ns) < travel_ns {
                        return false;
                    }
                }
                _ => {
                    self.quiet = Some((self.published, now_ns));
                    return false;
                }
            }
        }
        self.credit = 0;
        self.cap = self.settled_cap;
        self.moved = 0;
        true
    }

    /// Returns how many elements the device has used since its reset.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::times;

    #[test]
    fn every_index_is_a_credit_without_event_index() {
        let mut accounting = Accounting::new(false);
        accounting.observe(2);
        assert!(accounting.spend());
        assert!(accounting.spend());
        assert!(!accounting.spend());
    }

    #[test]
    fn many_steps_past_one_armed_event_are_one_credit() {
        let mut accounting = Accounting::new(true);
        accounting.observe(5);
        assert!(accounting.spend());
        assert!(!accounting.spend());
        // Not armed again: the device stays quiet, so nothing is owed.
        accounting.observe(7);
        assert!(!accounting.spend());
        accounting.arm(7);
        accounting.observe(8);
        assert!(accounting.spend());
    }

    #[test]
    fn credit_is_capped_and_settles_to_zero() {
        let mut accounting = Accounting::new(false);
        accounting.observe(100);
        for _ in 0..CREDIT_CAP {
            assert!(accounting.spend());
        }
        assert!(!accounting.spend());
        accounting.observe(101);
        // Its message has reached a CPU, which may not have answered it yet.
        assert!(!accounting.settle(0, 0));
        assert!(accounting.settle(0, 0));
        assert!(!accounting.spend());
    }

    #[test]
    fn a_moved_vector_leaves_messages_behind_until_it_is_settled() {
        let mut accounting = Accounting::new(false);
        accounting.observe(3);
        accounting.move_vector();
        accounting.observe(100);
        for _ in 0..CREDIT_CAP + LEFT_BEHIND {
            assert!(accounting.spend());
        }
        assert!(!accounting.spend());
        assert!(!accounting.settle(0, 0));
        assert!(accounting.settle(0, 0));
        accounting.observe(200);
        assert_eq!(accounting.credit(), CREDIT_CAP);
    }

    #[test]
    fn what_travels_is_owed_until_it_can_no_longer_arrive() {
        let mut accounting = Accounting::new(false);
        accounting.let_messages_travel();
        assert!(accounting.settle(50, 100), "nothing is owed");
        accounting.observe(1);
        assert!(!accounting.settle(1000, 100), "published a moment ago");
        assert!(!accounting.settle(1099, 100));
        accounting.observe(2);
        assert!(!accounting.settle(1100, 100), "something new");
        assert!(!accounting.settle(1199, 100));
        assert!(accounting.spend());
        assert!(accounting.settle(1200, 100));
        assert!(!accounting.spend());
        // One in service, one pending, one in an eventfd, one taken from it, one not yet sent.
        accounting.observe(100);
        assert_eq!((0..100).filter(|_| accounting.spend()).count(), 5);
        accounting.share_vector(2);
        accounting.observe(200);
        assert_eq!((0..100).filter(|_| accounting.spend()).count(), 8);
    }

    #[test]
    fn a_reset_leaves_two_messages_behind_at_most() {
        let mut accounting = Accounting::new(false);
        for _ in 0..5 {
            let before = accounting;
            accounting = Accounting::new(false);
            accounting.inherit(before.owed());
            accounting.observe(100);
            assert!(accounting.credit() <= CREDIT_CAP + LEFT_BEHIND);
        }
        assert_eq!(accounting.credit(), CREDIT_CAP + LEFT_BEHIND);
        let mut before = Accounting::new(false);
        before.observe(1);
        let mut accounting = Accounting::new(false);
        accounting.inherit(before.owed());
        assert!(accounting.spend());
        assert!(!accounting.spend());
    }

    #[test]
    fn what_travels_is_owed_over_a_reset_too() {
        let mut accounting = Accounting::new(false);
        accounting.let_messages_travel();
        let mut before = Accounting::new(false);
        before.let_messages_travel();
        before.observe(7);
        accounting.inherit(before.owed());
        assert_eq!((0..9).filter(|_| accounting.spend()).count(), 4);
    }

    /// CPUs that the vector has left may all be late to answer, also when the queue is reset
    /// meanwhile, and again.
    #[test]
    fn what_moves_have_left_behind_is_owed_over_resets_until_it_is_settled() {
        let mut accounting = Accounting::new(false);
        for _ in 0..3 {
            accounting.observe(100);
            accounting.move_vector();
        }
        accounting.observe(200);
        for _ in 0..2 {
            let before = accounting;
            accounting = Accounting::new(false);
            accounting.inherit(before.owed());
        }
        let left = LEFT_BEHIND + 3 * LEFT_BEHIND;
        assert_eq!(accounting.credit(), left);
        accounting.observe(300);
        assert_eq!(accounting.credit(), CREDIT_CAP + 3 * LEFT_BEHIND + left);
        assert!(!accounting.settle(0, 0));
        assert!(accounting.settle(0, 0));
        accounting.observe(400);
        assert_eq!(accounting.credit(), CREDIT_CAP);
    }

    /// A queue with a vector of its own, from the device to the handler, in plain numbers.
    #[derive(Clone)]
    struct World {
        accounting: Accounting,
        event_index: bool,
        /// What the device has published, and what has been taken of that.
        published: u16,
        taken: u16,
        /// With EVENT_IDX, what the device was last asked to tell of.
        used_event: u16,
        /// A message that the device has not sent yet, one that waits, and one that is served.
        is_unsent: bool,
        is_pending: bool,
        is_in_service: bool,
        /// The queue may be owed more than is on its way: a message met another one that waited,
        /// or nobody can tell whether the device knew of an event when it published.
        may_owe_more: bool,
        /// Somebody has taken what was used and has not asked for an interrupt yet; with what the
        /// handler found, where it is the handler.
        draining: Option<Option<bool>>,
    }

    /// What may happen next.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Publish,
        Send,
        BeginService,
        /// The handler, or a task, takes what was used.
        Take {
            for_interrupt: bool,
        },
        /// It asks for an interrupt, looks again, and is done if nothing has come.
        Arm,
        /// Somebody who polls takes what was used, and asks for nothing.
        Poll,
    }

    impl World {
        fn new(event_index: bool, start: u16) -> Self {
            let mut accounting = Accounting::new(event_index);
            accounting.published = start.into();
            accounting.arm(start);
            Self {
                accounting,
                event_index,
                published: start,
                taken: start,
                used_event: start,
                is_unsent: false,
                is_pending: false,
                is_in_service: false,
                may_owe_more: false,
                draining: None,
            }
        }

        fn may(&self, event: Event) -> bool {
            match event {
                // It sends the message of one publication before it makes the next.
                Event::Publish => !self.is_unsent,
                Event::Send => self.is_unsent,
                Event::BeginService => self.is_pending && !self.is_in_service,
                Event::Take { for_interrupt } => {
                    self.draining.is_none() && (!for_interrupt || self.is_in_service)
                }
                Event::Arm => self.draining.is_some(),
                Event::Poll => self.draining.is_none(),
            }
        }

        /// How many messages are on their way.
        fn messages(&self) -> u16 {
            [self.is_unsent, self.is_pending, self.is_in_service]
                .map(u16::from)
                .iter()
                .sum()
        }

        fn step(&mut self, event: Event) {
            match event {
                Event::Publish => {
                    let old = self.published;
                    self.published = old.wrapping_add(1);
                    self.is_unsent = !self.event_index || self.used_event == old;
                    self.may_owe_more |= !self.is_unsent && self.draining.is_some();
                }
                Event::Send => {
                    self.is_unsent = false;
                    self.may_owe_more |= self.is_pending;
                    self.is_pending = true;
                }
                Event::BeginService => {
                    self.is_pending = false;
                    self.is_in_service = true;
                }
                Event::Take { for_interrupt } => {
                    self.accounting.observe(self.published);
                    let found = self.taken != self.published;
                    self.taken = self.published;
                    self.draining = Some(for_interrupt.then_some(found));
                }
                Event::Poll => {
                    self.accounting.observe(self.published);
                    self.taken = self.published;
                }
                Event::Arm => {
                    self.accounting.arm(self.taken);
                    self.used_event = self.taken;
                    self.accounting.observe(self.published);
                    if self.taken != self.published {
                        self.taken = self.published;
                        self.draining = self.draining.map(|by| by.map(|_| true));
                        return;
                    }
                    if let Some(Some(found)) = self.draining.take() {
                        let spent = self.accounting.spend();
                        assert!(found || spent, "a message that was sent is unhandled");
                        self.is_in_service = false;
                    }
                }
            }
            assert!(self.accounting.credit() <= CREDIT_CAP);
            if self.draining.is_none() && self.taken == self.published {
                let credit = self.accounting.credit();
                assert!(credit >= self.messages(), "a message that is owed nothing");
                if !self.may_owe_more {
                    assert_eq!(credit, self.messages(), "credit for what nobody sent");
                }
            }
        }
    }

    /// Goes every way that is left, so many steps far; returns how many ways those are.
    fn explore(world: &World, steps_left: u32) -> u64 {
        const EVENTS: [Event; 7] = [
            Event::Publish,
            Event::Send,
            Event::BeginService,
            Event::Take {
                for_interrupt: true,
            },
            Event::Take {
                for_interrupt: false,
            },
            Event::Arm,
            Event::Poll,
        ];
        if steps_left == 0 {
            return 1;
        }
        let possible = EVENTS.into_iter().filter(|event| world.may(*event));
        let onward = possible.map(|event| {
            let mut next = world.clone();
            next.step(event);
            explore(&next, steps_left - 1)
        });
        onward.sum()
    }

    #[test]
    fn every_order_of_messages_and_drains_is_accounted_for_exactly() {
        for event_index in [false, true] {
            for start in [0, u16::MAX] {
                let ways = explore(&World::new(event_index, start), times(11, 5));
                assert!(ways > times(10_000, 50), "{ways} are not all");
            }
        }
    }

    #[test]
    fn the_index_is_extended_across_its_wrap() {
        let mut accounting = Accounting::new(true);
        accounting.observe(0xfff0);
        accounting.arm(0xfff0);
        accounting.spend();
        accounting.observe(0x0010);
        assert_eq!(accounting.published(), 0x1_0010);
        assert!(accounting.spend());
    }
}
