//! The rule that is broken, as far as registers, queues and interrupts go.
//!
//! For the function. The one rule: what it does wrong on purpose is said here, or asks `breaks`
//! where it is.

use std::{thread, time::Duration};

use super::{Function, ISR_QUEUE, lock::lock, queue::Queue, registers::NO_VECTOR};
use crate::{
    engine::Answer,
    feature,
    ring::{Shape, Taken},
    rules::Rule,
};

/// Statuses (5.9.7.1) that are answered instead of the engine's.
const ERR: u8 = 1;
const INVSESS: u8 = 4;

/// Most descriptors of a table that a device has room for which breaks that rule.
const FEW_ENTRIES: usize = 8;
/// Requests after which a device asks for a reset that breaks that rule.
const SOME_REQUESTS: u64 = 50;
/// When a device writes after a reset that breaks that rule.
const LATE: Duration = Duration::from_millis(20);

impl Function {
    /// Tells whether a rule is broken.
    pub(super) fn breaks(&self, rule: Rule) -> bool {
        self.options.broken == Some(rule)
    }

    /// Tells whether a queue goes on where it was before it was reset. How it was reset is all the
    /// same, since the driver's half begins anew either way.
    pub(super) fn keeps_indices(&self) -> bool {
        self.breaks(Rule::ResetEmptiesQueues) || self.breaks(Rule::QueueResetEmpties)
    }

    /// Returns the vector at which an interrupt is sent; `None` for no interrupt.
    pub(super) fn broken_vector(&self, cause: u8, vector: u16) -> Option<u16> {
        let is_queue = cause == ISR_QUEUE;
        match self.options.broken {
            Some(Rule::InterruptWhenDone) if is_queue => None,
            Some(Rule::InterruptAtItsVector) if is_queue => Some(0),
            Some(Rule::NoInterruptWithoutVector) if vector == NO_VECTOR => Some(0),
            _ => Some(vector),
        }
    }

    /// Tells whether a queue is one that is never served.
    pub(super) fn is_forgotten(&self, index: u16) -> bool {
        self.breaks(Rule::DataQueuesServe) && index + 1 == self.options.data_queues
    }

    /// Tells whether a request is the one after which the device asks for a reset.
    pub(super) fn is_one_too_many(&self, requests: u64) -> bool {
        self.breaks(Rule::NoResetAskedFor) && requests.is_multiple_of(SOME_REQUESTS)
    }

    /// Returns what is answered instead, if anything is.
    pub(super) fn broken_answer(&self, index: u16, taken: &Taken) -> Option<Answer> {
        let Shape {
            table_entries,
            has_direct,
            has_write_flag,
            is_over_end,
        } = taken.shape;
        let has_table = table_entries > 0;
        let is_data = index < self.options.data_queues;
        let status = match self.options.broken? {
            Rule::IndirectAnyFraming if table_entries > FEW_ENTRIES => ERR,
            Rule::DirectThenIndirect if has_table && has_direct => ERR,
            Rule::IndirectIgnoresWriteFlag if has_table && has_write_flag => ERR,
            Rule::PackedIndirect if has_table && self.is_packed() => ERR,
            Rule::PackedAnyFraming if is_over_end => ERR,
            Rule::SessionsOnEveryQueue if is_data && index > 0 => INVSESS,
            _ => return None,
        };
        let all = u32::try_from(taken.writable_bytes()).unwrap_or(u32::MAX);
        // A data request has its status at the end; of a create it is the word behind the id.
        let at = if is_data {
            (all as usize).saturating_sub(1)
        } else {
            8.min(all as usize)
        };
        Some(Answer::Used {
            writes: if all > 0 {
                vec![(at, vec![status])]
            } else {
                Vec::new()
            },
            written_bytes: all,
        })
    }

    /// Writes to what was used before a reset, some time after it.
    pub(super) fn write_later(&self) {
        let used = |queue: &Queue| lock(&queue.half).used_last.take();
        let used: Vec<_> = self.queues.iter().filter_map(used).collect();
        let view = self.memory.view();
        thread::spawn(move || {
            thread::sleep(LATE);
            for piece in used.iter().filter_map(|taken| taken.writable.first()) {
                // Where nothing is mapped any more nothing can be written.
                let _ = view.write(piece.address, &[0xa5]);
            }
        });
    }

    fn is_packed(&self) -> bool {
        let features = self.agreed_features().unwrap_or(0);
        features & feature::RING_PACKED != 0
    }
}
