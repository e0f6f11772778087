//! `queue`: a whole driver on a small device, which takes a step whenever the bytes say so, also
//! between any two accesses of the driver to rings and slots.
//!
//! An honest device answers as it likes in the order that it likes. Then every result is right,
//! every interrupt is accounted for, and in the end nobody waits who was not woken. A hostile one
//! answers and uses what it likes, and goes away. In both the driver gives the device no memory
//! that is not allocated, and frees none that the device has; and at the end nothing is allocated
//! but what was given up.

mod calls;
mod device;

use alloc::{boxed::Box, rc::Rc, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Waker},
};

use self::{
    calls::{Sessions, check_error, open, process, process_slice},
    device::Device as Fake,
};
use super::{
    input::Input,
    machine::{self, Kernel},
    transport::{Shared, message, trusted},
};
use crate::{
    device::{Device, ladder::InterruptMode, options::Options, poller::Poller},
    index::MsixEntry,
    queue::{Framing, WhenNotReady},
    service::cipher::Cipher,
    transport::reset::ForcedReset,
};

/// Most calls that are under way at a time.
const MAX_CALLERS: usize = 12;

/// A call that is under way.
struct Caller {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

/// Tells that a caller is to be polled.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the target.
pub fn run(input: &[u8]) {
    machine::start();
    let mut input = Input::new(input);
    let flags = input.u16();
    let options = options(&mut input);
    let is_hostile = flags >> 15 != 0;
    let fake = Shared::new(Fake::new(flags, is_hostile, input));
    let Ok(device) = Device::new(fake.clone(), options) else {
        // What it offers does not do: a queue may be too small.
        assert_eq!(
            machine::live_bytes(),
            0,
            "left of a device that was not set up"
        );
        return;
    };
    Rig::new(device, fake, is_hostile).run();
}

fn options(input: &mut Input) -> Options {
    let bits = input.byte();
    Options {
        messages: vec![message(); usize::from(bits & 3) + 1],
        intx: bits & 4 != 0,
        data_slots: [1, 2, 4, 8][usize::from(bits >> 3 & 3)],
        control_slots: 2,
        sessions: 4,
        framing: match bits & 0x20 {
            0 => Framing::Compact,
            _ => Framing::OnePerField,
        },
        when_not_ready: match bits & 0x40 {
            0 => WhenNotReady::Fail,
            _ => WhenNotReady::Wait,
        },
        forced_reset: match bits & 0x80 {
            0 => ForcedReset::Quarantine,
            _ => ForcedReset::Reclaim(trusted()),
        },
        trial_limit_ns: 0,
        message_travel_ns: 0,
        reset_limit_ns: 10_000_000,
        ..Options::default()
    }
}

/// A driver, its device, and who calls.
struct Rig {
    device: Arc<Device<Kernel>>,
    fake: Shared<Fake>,
    is_hostile: bool,
    /// Interrupts that wait until somebody lets them come, by their entries.
    pending: Rc<RefCell<Vec<Option<u16>>>>,
    sessions: Sessions,
    callers: Vec<Caller>,
    forgotten: Vec<Caller>,
    pollers: Vec<Poller<Kernel>>,
}

/// Takes note of interrupts; messages of one vector merge on their way.
fn note(pending: &RefCell<Vec<Option<u16>>>, interrupts: Vec<Option<u16>>) {
    let mut pending = pending.borrow_mut();
    for entry in interrupts {
        if !pending.contains(&entry) {
            pending.push(entry);
        }
    }
}

/// Delivers the interrupts that are on their way, unless they are masked.
fn deliver(device: &Device<Kernel>, pending: &RefCell<Vec<Option<u16>>>) {
    while !machine::are_interrupts_masked() {
        let Some(entry) = pending.borrow_mut().pop() else {
            return;
        };
        match (device.interrupt_mode(), entry) {
            (InterruptMode::Intx, _) => drop(device.handle_intx()),
            (_, Some(entry)) => drop(device.handle_interrupt(MsixEntry(entry))),
            (_, None) => {}
        }
    }
}

impl Rig {
    fn new(device: Device<Kernel>, fake: Shared<Fake>, is_hostile: bool) -> Self {
        let device = Arc::new(device);
        let pending = Rc::<RefCell<Vec<_>>>::default();
        machine::set_step({
            let (device, fake, pending) = (Arc::downgrade(&device), fake.clone(), pending.clone());
            move |_| {
                let interrupts = {
                    let mut fake = fake.lock();
                    fake.step();
                    fake.take_interrupts()
                };
                note(&pending, interrupts);
                if let Some(device) = device.upgrade() {
                    deliver(&device, &pending);
                }
            }
        });
        Self {
            device,
            fake,
            is_hostile,
            pending,
            sessions: Sessions::default(),
            callers: Vec::new(),
            forgotten: Vec::new(),
            pollers: Vec::new(),
        }
    }

    /// Does what the bytes say, and then all that has to be.
    fn run(mut self) {
        while !self.fake.lock().input.is_empty() {
            self.deliver();
            let [call, choice] = self.fake.lock().input.bytes();
            self.call(call, choice);
        }
        if !self.is_hostile {
            self.finish();
        }
        self.end();
    }

    /// Lets all interrupts come that are on their way.
    fn deliver(&self) {
        let interrupts = self.fake.lock().take_interrupts();
        note(&self.pending, interrupts);
        deliver(&self.device, &self.pending);
    }

    fn call(&mut self, call: u8, choice: u8) {
        let device = self.device.clone();
        match call % 20 {
            0 | 1 => {
                let open = open(device, self.sessions.clone(), choice, self.is_hostile);
                self.begin(open);
            }
            2..6 => {
                if let Some(session) = self.session(choice) {
                    self.begin(process_slice(session, choice, self.is_hostile));
                }
            }
            6 | 7 => {
                if let Some(session) = self.session(choice) {
                    self.begin(process(session, choice, self.is_hostile));
                }
            }
            8 | 9 => self.poll(choice.into()),
            10 => drop(self.remove(choice)),
            11 => {
                let forgotten = self.remove(choice);
                self.forgotten.extend(forgotten);
            }
            12 => self.close(choice),
            13 => machine::set_cpu(u32::from(choice & 1)),
            14 => match choice & 3 {
                0 => device.poll(),
                1 => device.drain(),
                2 => drop(device.check()),
                // What has been sent arrives between the two, before anything is forgotten.
                _ => {
                    for _ in 0..2 {
                        self.deliver();
                        device.settle();
                    }
                }
            },
            15 => match choice & 1 {
                0 if self.pollers.len() < 3 => self.pollers.push(device.poller()),
                _ => {
                    self.pollers.iter().for_each(Poller::drain);
                    self.pollers.pop();
                }
            },
            16 => device.share_kicks(|| {
                for index in 0..=choice & 3 {
                    if let Some(session) = self.session(choice >> 2) {
                        let data = (choice & 0xf8) | index;
                        self.begin(process_slice(session, data, self.is_hostile));
                    }
                }
            }),
            17 => {
                let after = (choice & 1 != 0).then_some(u32::from(choice >> 1 & 7));
                machine::fail_allocation(after);
            }
            18 => drop(device.reset_queue(usize::from(choice & 1), 5_000_000)),
            _ if choice == 0 => drop(device.shutdown(5_000_000)),
            _ if choice < 0x40 => drop(device.recover(5_000_000)),
            _ => self.poll(choice.into()),
        }
    }

    fn session(&self, choice: u8) -> Option<(u8, Rc<Cipher<Kernel>>)> {
        let sessions = self.sessions.borrow();
        let at = usize::from(choice).checked_rem(sessions.len())?;
        sessions.get(at).cloned()
    }

    /// Begins a call, and polls it once.
    fn begin(&mut self, future: impl Future<Output = ()> + 'static) {
        if self.callers.len() < MAX_CALLERS {
            self.callers.push(Caller {
                future: Box::pin(future),
                woken: Arc::new(Woken(AtomicBool::new(true))),
            });
            self.poll(self.callers.len() - 1);
        }
    }

    fn remove(&mut self, choice: u8) -> Option<Caller> {
        let at = usize::from(choice).checked_rem(self.callers.len())?;
        Some(self.callers.swap_remove(at))
    }

    /// Polls a call.
    fn poll(&mut self, choice: usize) {
        let Some(at) = choice.checked_rem(self.callers.len()) else {
            return;
        };
        let Caller { future, woken } = &mut self.callers[at];
        woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(woken.clone());
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.callers.swap_remove(at);
        }
    }

    /// Ends a session: by a call that waits, where nobody else has it, or by dropping it.
    fn close(&mut self, choice: u8) {
        let session = {
            let mut sessions = self.sessions.borrow_mut();
            let Some(at) = usize::from(choice >> 1).checked_rem(sessions.len()) else {
                return;
            };
            sessions.swap_remove(at).1
        };
        if choice & 1 != 0
            && let Some(session) = Rc::into_inner(session)
        {
            let is_hostile = self.is_hostile;
            self.begin(async move {
                let outcome = session.close().await;
                check_error(outcome.err(), is_hostile);
            });
        }
    }

    /// Lets the device do all that it has to, and nothing more: then nobody may be waiting.
    fn finish(&mut self) {
        machine::fail_allocation(None);
        self.fake.lock().be_done();
        self.pollers.clear();
        let _ = self.device.check();
        self.settle();
        // Those who were forgotten keep their slots, for which others may wait.
        self.forgotten.clear();
        self.settle();
        assert!(
            self.callers.is_empty(),
            "a kick or a wake was lost: {} wait",
            self.callers.len()
        );
        let queues = [self.device.control_stats(), self.device.data_stats()];
        assert!(
            queues.iter().all(|stats| stats.in_flight == 0) || self.device.ended().is_some(),
            "the device has nothing any more: {queues:?}"
        );
        let stats = self.device.interrupt_stats();
        assert_eq!(
            stats.unhandled, 0,
            "interrupts that nothing accounts for: {stats:?}"
        );
        if let Some(error) = self.device.ended() {
            check_error(Some(error), false);
        }
    }

    /// Has device and callers do what they have to until nobody has anything to do.
    fn settle(&mut self) {
        // Each round ends something, and everybody has a few things to do.
        for _ in 0..400 {
            let (mut worked, interrupts) = {
                let mut fake = self.fake.lock();
                (fake.work(), fake.take_interrupts())
            };
            note(&self.pending, interrupts);
            worked |= !self.pending.borrow().is_empty();
            deliver(&self.device, &self.pending);
            if self.device.interrupt_mode() == InterruptMode::Polling {
                self.device.poll();
            }
            // Each once: where no interrupt comes, whoever waits wakes itself.
            for at in (0..self.callers.len()).rev() {
                if self.callers[at].woken.0.load(Ordering::Relaxed) {
                    worked = true;
                    self.poll(at);
                }
            }
            if !worked {
                return;
            }
        }
    }

    /// Ends everything; then nothing is left but what was given up.
    fn end(self) {
        let Self {
            device,
            fake,
            sessions,
            callers,
            forgotten,
            pollers,
            is_hostile,
            ..
        } = self;
        let given_up = device.given_up.clone();
        drop((pollers, callers));
        sessions.borrow_mut().clear();
        if !is_hostile {
            // The ends of sessions.
            for _ in 0..20 {
                fake.lock().work();
                device.poll();
            }
            // Those that meet a request which was lost stay, and are counted.
            let known = device.sessions_taken() as u64 + device.sessions_left_behind();
            let left = fake.lock().sessions() as u64;
            assert!(
                left <= known,
                "{left} sessions are on the device, {known} known"
            );
        }
        drop(device);
        drop(forgotten);
        machine::clear_step();
        drop(sessions);
        let (live, given_up) = (machine::live_bytes(), given_up.len_bytes());
        assert_eq!(live, given_up, "allocated, and given up");
    }
}

#[cfg(test)]
mod tests {
    use crate::fuzzing::replay;

    #[test]
    fn corpus_is_replayed() {
        replay::corpus("queue", super::run);
    }

    #[test]
    fn random_inputs_are_borne() {
        replay::random(super::run, 2000, 300);
    }
}
