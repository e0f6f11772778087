//! Messages of the configuration that may still come.
//!
//! For everybody who reads what such a message tells of. A caller, another interrupt or a reset may
//! meet the cause before its message arrives, so each cause is a credit when it is first seen, by
//! whoever sees it, and each message spends one: as for a queue (`queue/accounting`). Causes are
//! that the device asks for a reset, once in a life of it, and each step of the configuration's
//! generation. A device that takes a step when it asks for a reset too (QEMU) sends one message
//! less, which is within what may be left over.
//!
//! The one rule: what is forgotten was owed when it was to be forgotten before, and CPUs have
//! answered since.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use virtio_drivers::transport::DeviceStatus;

/// What a vector leaves behind when it moves, or at a reset: one message in service, one pending.
pub(crate) const LEFT_BEHIND: u16 = 2;
/// Most messages on their way where messages travel, beside one not yet sent: one in an eventfd,
/// one taken from it.
pub(crate) const TRAVELLING: u16 = 2;

/// What is owed of them. Relaxed: credit is an upper bound, and orders nothing.
#[derive(Debug)]
pub(crate) struct ConfigMessages {
    /// The credit, and how many causes there have been, modulo 2^16, above it.
    owed: AtomicU32,
    /// The causes that [`settle`](Self::settle) last found, beside 1 above them where it has.
    quiet: AtomicU32,
    /// Most that can be on their way at one time.
    cap: AtomicU16,
    /// The same when everything is settled.
    settled_cap: AtomicU16,
    /// The configuration's generation as last seen.
    generation: AtomicU32,
    /// It is known that the device asks for a reset.
    needs_reset: AtomicBool,
}

impl ConfigMessages {
    pub(super) fn new() -> Self {
        let messages = Self {
            owed: AtomicU32::new(0),
            quiet: AtomicU32::new(0),
            cap: AtomicU16::new(0),
            settled_cap: AtomicU16::new(0),
            generation: AtomicU32::new(0),
            needs_reset: AtomicBool::new(false),
        };
        messages.share_vector(1, false);
        messages
    }

    /// Takes note of how many sources share the vector, and of whether messages may still be on
    /// their way when a register read is answered.
    pub(crate) fn share_vector(&self, sources: usize, do_travel: bool) {
        let on_its_way = if do_travel { 1 + TRAVELLING } else { 1 };
        let sources = u16::try_from(sources).unwrap_or(u16::MAX);
        let cap = LEFT_BEHIND.saturating_add(sources.saturating_mul(on_its_way));
        let before = self.settled_cap.swap(cap, Ordering::Relaxed);
        // What moves have left behind stays so.
        let moved = self.cap.load(Ordering::Relaxed).saturating_sub(before);
        self.cap.store(cap.saturating_add(moved), Ordering::Relaxed);
    }

    /// Takes note of what is seen of the device's status.
    #[inline]
    pub(super) fn see_status(&self, status: DeviceStatus) {
        if status.is_empty() {
            self.needs_reset.store(false, Ordering::Relaxed);
        } else if status.contains(DeviceStatus::DEVICE_NEEDS_RESET)
            && !self.needs_reset.swap(true, Ordering::Relaxed)
        {
            self.owe(1);
        }
    }

    /// Takes note of the generation as it reads now; `true` if it is not that of the last time.
    pub(crate) fn see_generation(&self, now: u32) -> bool {
        let before = self.generation.swap(now, Ordering::Relaxed);
        // PCI has 8 bits of it.
        let steps = now.wrapping_sub(before) as u8;
        if now != before {
            self.owe(u16::from(steps).max(1));
        }
        now != before
    }

    /// Takes the generation as it reads now for one that no message tells of.
    pub(crate) fn begin_at(&self, now: u32) {
        self.generation.store(now, Ordering::Relaxed);
    }

    /// Takes note that so many messages more may come.
    #[cold]
    pub(crate) fn owe(&self, count: u16) {
        let cap = self.cap.load(Ordering::Relaxed);
        self.update(|credit, causes| {
            let credit = credit.saturating_add(count).min(cap);
            Some((credit, causes.wrapping_add(1)))
        });
    }

    /// Spends one credit for an interrupt, if there is one.
    pub(crate) fn spend(&self) -> bool {
        self.update(|credit, causes| Some((credit.checked_sub(1)?, causes)))
    }

    /// Changes credit and causes at once; `false` where `change` does not.
    fn update(&self, change: impl Fn(u16, u16) -> Option<(u16, u16)>) -> bool {
        let change = |owed: u32| {
            let (credit, causes) = change(owed as u16, (owed >> 16) as u16)?;
            Some(u32::from(credit) | u32::from(causes) << 16)
        };
        let outcome = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        outcome.is_ok()
    }

    /// Takes note that the vector is about to move to another CPU.
    pub(crate) fn move_vector(&self) {
        let add = |cap: u16| Some(cap.saturating_add(LEFT_BEHIND));
        let _ = self
            .cap
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Returns how many causes there have been, modulo 2^16.
    pub(crate) fn causes(&self) -> u16 {
        (self.owed.load(Ordering::Relaxed) >> 16) as u16
    }

    /// Forgets what is owed if there is no other cause than when a call before found nothing else,
    /// nor than the `before` that there were before a register was read now; `false` if there is.
    /// All CPUs have answered since that call.
    pub(crate) fn settle(&self, before: u16) -> bool {
        let (cap, settled_cap) = (
            self.cap.load(Ordering::Relaxed),
            self.settled_cap.load(Ordering::Relaxed),
        );
        let credit = self.owed.load(Ordering::Relaxed) as u16;
        if credit == 0 && cap == settled_cap {
            return true;
        }
        let quiet = u32::from(before) | 1 << 16;
        if self.quiet.swap(quiet, Ordering::Relaxed) != quiet {
            return false;
        }
        let forgot = self.update(|_, causes| (causes == before).then_some((0, causes)));
        if forgot {
            // Unless the vector moves again just now.
            let _ =
                self.cap
                    .compare_exchange(cap, settled_cap, Ordering::Relaxed, Ordering::Relaxed);
        }
        forgot
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn spent(messages: &ConfigMessages) -> usize {
        (0..100).filter(|_| messages.spend()).count()
    }

    #[test]
    fn each_cause_is_a_credit_once() {
        let messages = ConfigMessages::new();
        messages.begin_at(254);
        assert!(!messages.see_generation(254));
        // As PCI has it, after two steps.
        assert!(messages.see_generation(0));
        assert_eq!(spent(&messages), 2);
        for _ in 0..2 {
            messages.see_status(DeviceStatus::DRIVER_OK | DeviceStatus::DEVICE_NEEDS_RESET);
        }
        assert_eq!(spent(&messages), 1);
        messages.see_status(DeviceStatus::empty());
        messages.see_status(DeviceStatus::DEVICE_NEEDS_RESET);
        assert_eq!(spent(&messages), 1);
    }

    #[test]
    fn credit_is_what_can_be_on_its_way() {
        let messages = ConfigMessages::new();
        messages.owe(100);
        assert_eq!(spent(&messages), 3);
        messages.share_vector(4, false);
        messages.owe(100);
        assert_eq!(spent(&messages), 2 + 4);
        messages.move_vector();
        messages.share_vector(1, true);
        messages.owe(100);
        assert_eq!(spent(&messages), 2 + 3 + 2);
        // What moves have left behind is owed until all is settled.
        assert!(!messages.settle(messages.causes()));
        assert!(messages.settle(messages.causes()));
        messages.owe(100);
        assert_eq!(spent(&messages), 2 + 3);
    }

    #[test]
    fn what_came_after_a_look_is_not_forgotten() {
        let messages = ConfigMessages::new();
        messages.owe(1);
        let before = messages.causes();
        assert!(
            !messages.settle(before),
            "what it finds may not be answered yet"
        );
        messages.owe(1);
        assert!(!messages.settle(before));
        assert!(!messages.settle(messages.causes()));
        assert_eq!(spent(&messages), 2);
        messages.owe(5);
        assert!(!messages.settle(messages.causes()));
        assert!(messages.settle(messages.causes()));
        assert_eq!(spent(&messages), 0);
    }

    #[test]
    fn a_cause_of_which_nothing_is_left_by_the_cap_is_not_forgotten() {
        let messages = ConfigMessages::new();
        messages.owe(100);
        let before = messages.causes();
        assert!(!messages.settle(before));
        messages.owe(1);
        assert!(!messages.settle(before));
        assert_eq!(spent(&messages), 3);
    }
}
