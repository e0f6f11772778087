//! What callers do with sessions and requests.

use std::rc::Rc;

use virtio_crypto::{begin_wait, join_all};

use crate::{
    secrets::secret,
    service::{Request, Spec},
    world::{Pair, Session, World, callers::WakerMode, excuses::Excuse},
};

use super::many::Whole;

/// CPUs that callers run on.
const CPUS: usize = 4;

impl World {
    /// Does the next thing that the input says.
    pub(crate) fn step_of_a_caller(self: &Rc<Self>) {
        let what = self.byte();
        match what {
            0..30 => self.open_some(what < 20),
            30..100 => self.request_some(),
            100..125 => drop(self.poll_woken()),
            125..135 => self.poll_some(what & 1 == 0),
            135..150 => self.drop_some(),
            150..153 => self.forget_some(),
            153..160 => self.close_some(),
            160..166 => drop(self.take_session()),
            166..176 => self.with_device(|world, pair| {
                let queue = world.below(pair.far.queues().into()) as u16;
                pair.far.serve(queue, 1 + usize::from(what & 3));
            }),
            176..184 => self.with_device(|world, pair| {
                if crate::machine::takes_interrupts() {
                    world.contain(|| {
                        pair.far.deliver();
                    });
                }
            }),
            184..188 => self.with_device(|_, pair| pair.device.poll()),
            188..190 => self.with_device(|_, pair| pair.device.drain()),
            190..194 => self.with_device(|world, pair| {
                let poller = pair.device.poller();
                world.some_steps();
                poller.drain();
                world.some_steps();
            }),
            194..200 => self.with_device(|world, pair| {
                pair.device.share_kicks(|| world.some_steps());
            }),
            200..206 => self.batch_some(),
            206..212 => self.many_at_once(),
            212..216 => crate::machine::migrate(self.below(CPUS) as u32),
            216 => begin_wait(),
            217..224 => {
                let modes = WakerMode::ALL;
                self.callers.set_mode(modes[self.below(modes.len())]);
            }
            224..228 => crate::machine::refuse_after(u32::from(self.byte()) % 12),
            _ => self.with_device(|world, pair| world.change(pair, what)),
        }
    }

    fn with_device(self: &Rc<Self>, f: impl FnOnce(&Rc<Self>, &Rc<Pair>)) {
        if let Some(pair) = self.some_pair() {
            f(self, &pair);
        }
    }

    /// Does a few things within another.
    fn some_steps(self: &Rc<Self>) {
        for _ in 0..self.below(4) {
            if !self.is_over() {
                self.step_of_a_caller();
            }
        }
    }

    fn open_some(self: &Rc<Self>, is_simple: bool) {
        let Some(pair) = self.some_pair() else { return };
        let is_stateless = pair.is_stateless() && self.byte() & 1 == 1;
        let draw = || self.byte();
        let spec = match is_simple {
            true => Spec::simple(&draw, is_stateless),
            false => Spec::draw(&draw, is_stateless),
        };
        self.call(self.clone().open(pair.device.clone(), spec));
    }

    fn draw_request(&self, session: &Session) -> Request {
        let draw = || self.byte();
        // The short way is the one that most calls go.
        match session.opened.cipher() {
            Some(_) if session.spec.is_simple() => Request::simple(&draw),
            _ => Request::draw(&draw, &session.spec),
        }
    }

    fn request_some(self: &Rc<Self>) {
        if let Some(session) = self.some_session() {
            let request = self.draw_request(&session);
            self.call(self.clone().request(session, request));
        }
    }

    fn close_some(self: &Rc<Self>) {
        // Where a request still has it, it ends with that.
        if let Some(session) = self.take_session().and_then(Rc::into_inner) {
            self.call(self.clone().close(session));
        }
    }

    /// Awaits several requests together, with their kicks put off.
    fn batch_some(self: &Rc<Self>) {
        let Some((pair, session)) = self.some_pair().zip(self.some_session()) else {
            return;
        };
        let count = 1 + self.below(5);
        let requests: Vec<_> = (0..count).map(|_| self.draw_request(&session)).collect();
        let world = self.clone();
        self.call(async move {
            let requests = requests.into_iter();
            let calls = requests
                .map(|request| Box::pin(world.clone().request(session.clone(), request)))
                .collect();
            let outcome = pair.device.batch(join_all(calls)).await;
            assert!(outcome.is_ok(), "there is room in the heap");
        });
    }

    /// Sends what is cut into several requests.
    fn many_at_once(self: &Rc<Self>) {
        let Some(session) = self.some_session() else {
            return;
        };
        let (how, blocks) = (self.byte(), 1 + self.below(40));
        let whole = Whole {
            how,
            iv: secret(how.into(), session.spec.iv_len()),
            data: secret(blocks, 16 * blocks),
        };
        self.call(self.clone().whole(session, whole));
    }

    /// Notes what calls may end for from here on.
    pub(super) fn expect(&self, excuse: Excuse) {
        self.excuses.add(excuse);
    }
}
