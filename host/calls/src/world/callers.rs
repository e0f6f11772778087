//! Callers: futures that wait, and the wakers that they were polled with.

use std::{
    cell::{Cell, RefCell},
    fmt,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

/// A call that is under way.
pub(crate) type Call = Pin<Box<dyn Future<Output = ()>>>;

/// What the next waker that is called does beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WakerMode {
    #[default]
    Plain,
    /// It drains a device.
    Drains,
    /// It polls another caller.
    Polls,
    /// It drops another caller.
    Drops,
    Panics,
}

impl WakerMode {
    pub(crate) const ALL: [Self; 5] = [
        Self::Plain,
        Self::Drains,
        Self::Polls,
        Self::Drops,
        Self::Panics,
    ];
}

thread_local!(static ON_WAKE: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) });

/// Has `on_wake` called by each waker of this thread.
pub(super) fn set_on_wake(on_wake: Option<Rc<dyn Fn()>>) {
    ON_WAKE.set(on_wake);
}

/// The waker of a call.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
        let on_wake = ON_WAKE.with_borrow(Clone::clone);
        if let Some(on_wake) = on_wake {
            on_wake();
        }
    }
}

/// A caller.
pub(super) struct Caller {
    /// None while it is polled.
    pub(super) call: Option<Call>,
    pub(super) flag: Arc<Flag>,
    /// Known by its number alone, since others come and go.
    pub(super) number: u64,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Callers {
    pub(super) waiting: RefCell<Vec<Caller>>,
    /// Those that have been forgotten: nobody polls them, and they have what they have.
    pub(super) forgotten: RefCell<Vec<Call>>,
    pub(super) numbers: Cell<u64>,
    pub(super) mode: Cell<WakerMode>,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers")
            .field("waiting", &self.waiting.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Callers {
    pub(crate) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    pub(crate) fn set_mode(&self, mode: WakerMode) {
        self.mode.set(mode);
    }

    pub(super) fn number_at(&self, position: usize) -> Option<u64> {
        let waiting = self.waiting.borrow();
        waiting.get(position).map(|caller| caller.number)
    }

    /// Takes a call out, unless it is being polled.
    pub(super) fn take(&self, position: usize) -> Option<Call> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.get(position)?.call.as_ref()?;
        waiting.remove(position).call
    }

    pub(crate) fn has_forgotten(&self) -> bool {
        !self.forgotten.borrow().is_empty()
    }
}
