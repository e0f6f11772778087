//! A machine with devices on it, callers, and what is judged at the end.
//!
//! For the targets. The one rule: whatever happens between two steps of the driver, it happens in
//! one thread and as the input says, so it happens again.

pub(crate) mod callers;
mod ending;
pub(crate) mod excuses;
mod meanwhile;
mod mischief;
mod polling;
pub(crate) mod setup;

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    sync::Arc,
};

use virtio_crypto::{Device, Error};

use self::{
    callers::{Callers, set_on_wake},
    excuses::Excuses,
};
use crate::{
    far::{self, FarSide, Fate},
    input::Input,
    machine::{self, kernel::Kernel},
    service::{Buffer, Opened, Reply, Request, Spec},
};

/// A driver and its device.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) device: Arc<Device<Kernel>>,
    pub(crate) far: Arc<FarSide>,
}

/// A session, and what it was opened for.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) opened: Opened,
    pub(crate) spec: Spec,
}

/// Everything of an execution.
#[derive(Debug)]
pub(crate) struct World {
    input: RefCell<Input>,
    /// The devices keep to the rules, as far as the call of now is concerned.
    pub(crate) is_honest: Cell<bool>,
    /// One call at a time: what was done to an answer was done to its.
    pub(crate) is_alone: Cell<bool>,
    pub(crate) pairs: RefCell<Vec<Rc<Pair>>>,
    pub(crate) sessions: RefCell<Vec<Rc<Session>>>,
    /// Buffers that came back, and what was in them.
    shelf: RefCell<Vec<(Buffer, Vec<u8>)>>,
    pub(crate) callers: Callers,
    pub(crate) excuses: Excuses,
    /// Calls that are under way, one within the other.
    nesting: Cell<u32>,
    /// Steps of the driver until something happens.
    quiet_steps: Cell<u32>,
    /// What was done to answers.
    pub(crate) fates: RefCell<Vec<(Fate, far::Request)>>,
}

thread_local! {
    /// One that has found something is as it was then, so nothing of it can be dropped.
    static WORLD: RefCell<Option<ManuallyDrop<Rc<World>>>> = const { RefCell::new(None) };
}

/// Buffers that are kept to see whether anybody still writes into them.
const MOST_ON_SHELF: usize = 6;

/// The panic of a waker, which is nobody's fault.
pub(crate) struct WakerPanic;

impl World {
    /// Begins an execution: a machine that is as new, and no device on it yet.
    pub(crate) fn begin(bytes: &[u8], is_honest: bool) -> Rc<Self> {
        machine::begin();
        far::set_fates(None);
        let world = Rc::new(Self {
            input: RefCell::new(Input::new(bytes)),
            is_honest: Cell::new(is_honest),
            is_alone: Cell::new(true),
            pairs: RefCell::default(),
            sessions: RefCell::default(),
            shelf: RefCell::default(),
            callers: Callers::default(),
            excuses: Excuses::default(),
            nesting: Cell::new(0),
            quiet_steps: Cell::new(0),
            fates: RefCell::default(),
        });
        WORLD.set(Some(ManuallyDrop::new(world.clone())));
        let weak = Rc::downgrade(&world);
        set_on_wake(Some(Rc::new(move || {
            if let Some(world) = weak.upgrade() {
                world.on_wake();
            }
        })));
        world
    }

    /// Ends an execution that has found nothing.
    fn forget() {
        far::set_fates(None);
        set_on_wake(None);
        drop(WORLD.take().map(ManuallyDrop::into_inner));
    }

    /// Returns the next byte of what is called.
    pub(crate) fn byte(&self) -> u8 {
        self.input.borrow_mut().byte()
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Returns the next byte of what happens meanwhile.
    pub(crate) fn meanwhile(&self) -> Option<u8> {
        self.input.borrow_mut().meanwhile()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.input.borrow().is_over()
    }

    /// Returns one of the devices.
    pub(crate) fn some_pair(&self) -> Option<Rc<Pair>> {
        let count = self.pairs.borrow().len();
        let which = if count > 1 { self.below(count) } else { 0 };
        self.pairs.borrow().get(which).cloned()
    }

    /// Tells whether a call is under way within another.
    pub(crate) fn is_nested(&self) -> bool {
        self.nesting.get() > 0
    }

    pub(crate) fn some_session(&self) -> Option<Rc<Session>> {
        let which = self.below(self.sessions.borrow().len());
        self.sessions.borrow().get(which).cloned()
    }

    pub(crate) fn take_session(&self) -> Option<Rc<Session>> {
        let which = self.below(self.sessions.borrow().len());
        let mut sessions = self.sessions.borrow_mut();
        (which < sessions.len()).then(|| sessions.swap_remove(which))
    }

    /// Runs `f`, which a waker may end by its panic; tells whether it came to its end.
    pub(crate) fn contain(&self, f: impl FnOnce()) -> bool {
        let nesting = self.nesting.get();
        let place = machine::place();
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(()) => true,
            Err(payload) if payload.is::<WakerPanic>() => {
                self.nesting.set(nesting);
                machine::return_to(place);
                false
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Opens a session, and keeps it if there is one.
    pub(crate) async fn open(self: Rc<Self>, device: Arc<Device<Kernel>>, spec: Spec) {
        match Opened::open(&device, &spec).await {
            Ok(opened) => {
                assert!(spec.is_valid, "{spec:?} was opened");
                self.sessions
                    .borrow_mut()
                    .push(Rc::new(Session { opened, spec }));
            }
            Err(error) => self.judge_error(error, spec.is_valid, &spec),
        }
    }

    /// Sends a request, and judges what comes of it.
    pub(crate) async fn request(self: Rc<Self>, session: Rc<Session>, request: Request) {
        let reply = request.send(&session.opened, &session.spec).await;
        let Reply {
            outcome,
            is_right,
            buffers,
        } = reply;
        for buffer in buffers {
            self.shelve(buffer);
        }
        if !is_right {
            match outcome {
                Ok(()) => assert!(
                    !self.is_honest.get() || !request.is_valid,
                    "another result: {request:?}, {:?}",
                    session.spec
                ),
                Err(error) => self.judge_error(error, request.is_valid, &(&session.spec, &request)),
            }
        }
        if outcome.is_ok() && self.is_alone.get() && !session.spec.is_public() {
            self.judge_answers();
        }
        assert!(
            outcome.is_err() || request.is_valid || !self.is_honest.get(),
            "accepted: {request:?}, {:?}",
            session.spec
        );
    }

    /// Judges what `Ok` came of: nothing but answers that are whole, and say that they are OK.
    fn judge_answers(&self) {
        for (fate, request) in &*self.fates.borrow() {
            let is_whole = match *fate {
                Fate::Status(status) => status == 0,
                Fate::NoStatus | Fate::Never => false,
                Fate::Length(len_bytes) => len_bytes >= request.written_bytes,
                _ => true,
            };
            // What ended a session that was dropped before was nobody's.
            let is_whole = is_whole || request.is_destroy();
            assert!(is_whole, "Ok of {fate:?}: {request:?}");
        }
    }

    pub(crate) async fn close(self: Rc<Self>, session: Session) {
        let outcome = session.opened.close().await;
        if let Err(error) = outcome {
            self.judge_error(error, true, &session.spec);
        }
    }

    /// Judges an error: of a call that was wrong, of a device that breaks rules, or for a reason
    /// that there was.
    pub(crate) fn judge_error(&self, error: Error, is_valid: bool, what: &dyn core::fmt::Debug) {
        let is_excused = !self.is_honest.get() || self.excuses.excuse(error) || !is_valid;
        assert!(is_excused, "{error:?} of an honest device: {what:?}");
    }

    /// Keeps a buffer that came back for a while.
    pub(crate) fn shelve(&self, buffer: Buffer) {
        let content = buffer.to_vec();
        let oldest = {
            let mut shelf = self.shelf.borrow_mut();
            shelf.push((buffer, content));
            (shelf.len() > MOST_ON_SHELF).then(|| shelf.remove(0))
        };
        oldest.into_iter().for_each(check_buffer);
    }

    fn clear_shelf(&self) {
        let shelf = self.shelf.take();
        shelf.into_iter().for_each(check_buffer);
    }
}

/// Checks that nobody has written into a buffer since it came back, and frees it.
fn check_buffer((buffer, content): (Buffer, Vec<u8>)) {
    assert!(
        buffer[..] == content[..],
        "a buffer has changed after it came back"
    );
    machine::is_given(&buffer);
}
