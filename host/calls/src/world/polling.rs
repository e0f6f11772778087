//! Polling callers when they are woken, and at other times, with wakers that do what wakers may do.

use std::{
    panic::resume_unwind,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};

use super::{
    WakerPanic, World,
    callers::{Caller, WakerMode},
};

impl World {
    /// Begins a call, which is polled at once.
    pub(crate) fn call(&self, call: impl Future<Output = ()> + 'static) {
        let callers = &self.callers;
        let number = callers.numbers.get();
        callers.numbers.set(number + 1);
        callers.waiting.borrow_mut().push(Caller {
            call: Some(Box::pin(call)),
            flag: Arc::default(),
            number,
        });
        self.poll(number, false);
    }

    /// Polls a caller, by a new waker if `is_elsewhere` says so: the one before is worth nothing
    /// any more.
    fn poll(&self, number: u64, is_elsewhere: bool) {
        let (mut call, flag) = {
            let mut waiting = self.callers.waiting.borrow_mut();
            let Some(caller) = waiting.iter_mut().find(|caller| caller.number == number) else {
                return;
            };
            let Some(call) = caller.call.take() else {
                return;
            };
            if is_elsewhere {
                caller.flag = Arc::default();
            }
            caller.flag.clear();
            (call, caller.flag.clone())
        };
        let waker = Waker::from(flag);
        let mut polled = Poll::Pending;
        let has_ended = self.contain(|| {
            polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        });
        let mut waiting = self.callers.waiting.borrow_mut();
        let position = waiting.iter().position(|caller| caller.number == number);
        let position = position.expect("a caller that is polled stays");
        // One that has panicked cannot be polled again.
        if polled.is_ready() || !has_ended {
            waiting.remove(position);
        } else {
            waiting[position].call = Some(call);
            return;
        }
        drop(waiting);
        self.contain(|| drop(call));
    }

    /// Polls the callers that have been woken; tells whether there were any.
    pub(crate) fn poll_woken(&self) -> bool {
        let is_woken = |caller: &&Caller| caller.flag.is_set();
        let woken: Vec<_> = {
            let waiting = self.callers.waiting.borrow();
            let woken = waiting.iter().filter(is_woken);
            woken.map(|caller| caller.number).collect()
        };
        for number in &woken {
            self.poll(*number, false);
        }
        !woken.is_empty()
    }

    /// Polls a caller that may have been woken or not.
    pub(crate) fn poll_some(&self, is_elsewhere: bool) {
        let position = self.below(self.callers.len());
        if let Some(number) = self.callers.number_at(position) {
            self.poll(number, is_elsewhere);
        }
    }

    pub(crate) fn drop_some(&self) {
        let position = self.below(self.callers.len());
        if let Some(call) = self.callers.take(position) {
            self.contain(|| drop(call));
        }
    }

    /// Forgets a caller. Its memory stays, as that of a future that is pinned does.
    pub(crate) fn forget_some(&self) {
        let position = self.below(self.callers.len());
        let call = self.callers.take(position);
        self.callers.forgotten.borrow_mut().extend(call);
    }

    /// Drops all that wait.
    pub(crate) fn drop_all(&self) {
        while let Some(call) = self.callers.take(0) {
            self.contain(|| drop(call));
        }
    }

    /// Drops what was forgotten, at the very end.
    pub(super) fn drop_forgotten(&self) {
        let forgotten = self.callers.forgotten.take();
        for call in forgotten {
            self.contain(|| drop(call));
        }
    }

    pub(super) fn on_wake(self: Rc<Self>) {
        match self.callers.mode.take() {
            WakerMode::Plain => {}
            WakerMode::Drains => {
                let pair = self.some_pair();
                if let Some(pair) = pair {
                    self.contain(|| pair.device.drain());
                }
            }
            WakerMode::Polls => self.poll_some(false),
            WakerMode::Drops => self.drop_some(),
            WakerMode::Panics if thread::panicking() => {}
            WakerMode::Panics => resume_unwind(Box::new(WakerPanic)),
        }
    }
}
