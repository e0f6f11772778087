//! A thread for each queue.
//!
//! For whoever serves a device to somebody else. The one rule: when they are dropped, none is left.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{Function, queue::State};

/// Requests after which a worker looks whether it is to end.
const BUDGET: usize = 256;

/// The threads that serve a device's queues.
#[derive(Debug)]
pub struct Workers {
    function: Arc<Function>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts a thread for each queue.
    pub fn start(function: &Arc<Function>) -> Self {
        let threads = (0..function.options.queue_count()).map(|index| {
            let function = function.clone();
            thread::spawn(move || function.work(index))
        });
        Self {
            threads: threads.collect(),
            function: function.clone(),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for queue in &self.function.queues {
            queue.bell.end();
        }
        for thread in self.threads.drain(..) {
            // A panic of one has been told already.
            let _ = thread.join();
        }
    }
}

impl Function {
    /// Serves a queue whenever its bell rings, until it is over.
    fn work(&self, index: u16) {
        let Some(queue) = self.queues.get(usize::from(index)) else {
            return;
        };
        while queue.bell.wait() == State::Rung {
            let serve = || self.serve(index, BUDGET).has_more;
            match catch_unwind(AssertUnwindSafe(serve)) {
                Ok(true) => queue.bell.ring(),
                Ok(false) => {}
                // The process of a device goes on, as hardware would; this device does not.
                Err(_) => self.needs_reset(format_args!("queue {index}: a panic")),
            }
        }
    }
}
