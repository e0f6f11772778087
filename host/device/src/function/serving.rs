//! How a queue is served: chains in, answers out, an interrupt where the driver wants one.
//!
//! For the workers, and for tests that serve by hand. The one rule: results are in memory before
//! their chains are used, and an interrupt comes after both.

use std::{
    sync::{MutexGuard, atomic::Ordering},
    thread,
    time::Duration,
};

use super::{
    Function, ISR_QUEUE,
    lock::lock,
    queue::{Half, Kept, Queue},
};
use crate::{
    engine::{Answer, Chain, QueueKind},
    feature,
    memory::{Unmapped, View},
    options::Completion,
    ring::{Fault, Piece, Taken},
    rules::Rule,
};

/// What is read of a request beyond `max_size`: header, fixed-length fields and keys, and a part of
/// what is too much. Behind it is nothing but a reason to refuse the request.
const BEYOND_MAX_SIZE_BYTES: u64 = 1 << 20;

/// How far serving a queue came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that were answered.
    pub requests: usize,
    /// There is more to serve, of which no notification has to come.
    pub has_more: bool,
}

/// Why serving ends in a device that asks for a reset.
enum Broken {
    Fault(Fault),
    Request,
}

impl<E: Into<Fault>> From<E> for Broken {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

impl Function {
    /// Serves so many requests of a queue at most. A queue that is not to be served has none.
    pub fn serve(&self, index: u16, budget: usize) -> Served {
        let Some(queue) = self.queues.get(usize::from(index)) else {
            return Served::default();
        };
        let mut half = lock(&queue.half);
        match self.serve_half(index, queue, &mut half, budget) {
            Ok(served) => served,
            Err(broken) => {
                self.break_off(index, half, broken);
                Served::default()
            }
        }
    }

    /// Returns how many chains of a queue are answered and not used yet ([`Answer::Kept`]).
    pub fn kept(&self, index: u16) -> usize {
        let queue = self.queues.get(usize::from(index));
        queue.map_or(0, |queue| lock(&queue.half).kept.len())
    }

    /// Writes the answer of one of these chains, and uses it.
    pub fn finish(&self, index: u16, which: usize) {
        let Some(queue) = self.queues.get(usize::from(index)) else {
            return;
        };
        let mut half = lock(&queue.half);
        if which >= half.kept.len() || !self.is_served(index, queue) {
            return;
        }
        let kept = half.kept.remove(which);
        let view = self.memory.view();
        let features = self.agreed_features().unwrap_or(0);
        let finished = write_answer(&view, &kept.taken, &kept.writes)
            .map_err(Broken::from)
            .and_then(|()| {
                half.finished.push((kept.taken, kept.written_bytes));
                self.use_finished(index, &mut half, &view, features)
            });
        if let Err(broken) = finished {
            self.break_off(index, half, broken);
        }
    }

    fn break_off(&self, index: u16, mut half: MutexGuard<'_, Half>, broken: Broken) {
        half.clear();
        drop(half);
        match broken {
            Broken::Fault(fault) => self.needs_reset(format_args!("queue {index}: {fault}")),
            Broken::Request => {
                self.needs_reset(format_args!("queue {index}: a request breaks it"));
            }
        }
    }

    /// Tells whether a queue is to be served now.
    fn is_served(&self, index: u16, queue: &Queue) -> bool {
        let is_stalled = queue.is_stalled.load(Ordering::Relaxed);
        let is_gone = self.is_gone.load(Ordering::Relaxed);
        !is_stalled
            && !is_gone
            && !self.is_forgotten(index)
            && self.look(|it| it.vector_if_served(index, &self.options).is_some())
    }

    fn serve_half(
        &self,
        index: u16,
        queue: &Queue,
        half: &mut Half,
        budget: usize,
    ) -> Result<Served, Broken> {
        let mut served = Served::default();
        let features = self.agreed_features().unwrap_or(0);
        let view = self.memory.view();
        if let Some(announced) = lock(&queue.announced).take()
            && let Some(ring) = &half.ring
        {
            ring.check(&view, announced)?;
        }
        while self.is_served(index, queue) && !half.is_blocked {
            let Some(ring) = &mut half.ring else { break };
            if served.requests == 0 {
                ring.disarm(&view)?;
            }
            let only_first = self.breaks(Rule::SeveralInFlight)
                || self.breaks(Rule::PackedSeveralInFlight) && features & feature::RING_PACKED != 0;
            let budget = if only_first { 1 } else { budget };
            let next = if served.requests < budget {
                ring.take(&view)?
            } else {
                None
            };
            let Some(taken) = next else {
                self.use_finished(index, half, &view, features)?;
                let Some(ring) = &mut half.ring else { break };
                served.has_more = ring.arm(&view)? && !only_first;
                if served.requests == 0 && self.breaks(Rule::SpuriousKickIgnored) {
                    return Err(Broken::Request);
                }
                return Ok(served);
            };
            served.requests += 1;
            self.serve_chain(index, half, &view, taken, features)?;
            let is_full = half.finished.len() >= usize::from(self.options.batch);
            if is_full && !self.breaks(Rule::ResultsInTheirOwnBuffers) {
                self.use_finished(index, half, &view, features)?;
            }
        }
        self.use_finished(index, half, &view, features)?;
        Ok(served)
    }

    fn serve_chain(
        &self,
        index: u16,
        half: &mut Half,
        view: &View,
        taken: Taken,
        features: u64,
    ) -> Result<(), Broken> {
        let max_size_bytes = self.options.max_size_bytes;
        let chain = read_chain(
            view,
            &taken,
            max_size_bytes.saturating_add(BEYOND_MAX_SIZE_BYTES),
        )?;
        let is_ready = self.is_ready.load(Ordering::Relaxed);
        self.stats.count_request(index, is_ready);
        let kind = match index == self.options.data_queues {
            true => QueueKind::Control,
            false => QueueKind::Data,
        };
        half.requests += 1;
        if self.is_one_too_many(half.requests) {
            return Err(Broken::Request);
        }
        let broken = self.broken_answer(index, &taken);
        if self.breaks(Rule::ReadableUntouched)
            && let Some(piece) = taken.readable.last()
        {
            view.write(piece.address, &[0xa5])?;
        }
        let answer = broken.unwrap_or_else(|| self.engine.serve(kind, &chain));
        let answer = match &self.change {
            Some(change) => change(kind, &chain, answer),
            None => answer,
        };
        match answer {
            Answer::Used {
                writes,
                written_bytes,
            } => {
                write_answer(view, &taken, &writes)?;
                if self.breaks(Rule::ResultsInTheirOwnBuffers)
                    && let (QueueKind::Data, Some((other, _))) = (kind, half.finished.last())
                {
                    swap_results(view, &taken, other)?;
                }
                if self.options.delay_us > 0 {
                    thread::sleep(Duration::from_micros(self.options.delay_us.into()));
                }
                half.finished.push((taken, written_bytes));
            }
            Answer::Kept {
                writes,
                written_bytes,
            } => half.kept.push(Kept {
                taken,
                writes,
                written_bytes,
            }),
            Answer::NeedsReset => return Err(Broken::Request),
            Answer::Withheld => half.is_blocked = features & feature::IN_ORDER != 0,
        }
        Ok(())
    }

    /// Uses the chains that are finished, and tells the driver if it wants to know.
    fn use_finished(
        &self,
        index: u16,
        half: &mut Half,
        view: &View,
        features: u64,
    ) -> Result<(), Broken> {
        if half.finished.is_empty() {
            return Ok(());
        }
        let is_free = features & feature::IN_ORDER == 0;
        if !is_free && self.breaks(Rule::InOrder) {
            half.finished.reverse();
        }
        if is_free && self.options.completion == Completion::Shuffled {
            half.random.shuffle(&mut half.finished);
        }
        let Half {
            ring,
            finished,
            used_last,
            ..
        } = half;
        let Some(ring) = ring else { return Ok(()) };
        if self.breaks(Rule::SilentAfterReset) {
            *used_last = finished.last().map(|(taken, _)| taken.clone());
        }
        for (taken, written_bytes) in finished.drain(..) {
            ring.put(view, &taken, written_bytes)?;
        }
        ring.publish(view)?;
        if ring.wants_interrupt(view)?
            && let Some(vector) = self.look(|it| it.vector_if_served(index, &self.options))
        {
            self.interrupt(ISR_QUEUE, vector);
        }
        Ok(())
    }
}

/// Swaps what stands at the beginning of what two chains let the device write.
fn swap_results(view: &View, one: &Taken, other: &Taken) -> Result<(), Unmapped> {
    if let (Some(one), Some(other)) = (one.writable.first(), other.writable.first()) {
        // 32 bits fit.
        let len_bytes = one.len_bytes.min(other.len_bytes) as usize;
        let [ours, theirs] = [one, other].map(|piece| view.read(piece.address, len_bytes));
        let (ours, theirs) = (ours?, theirs?);
        view.write(one.address, &theirs)?;
        view.write(other.address, &ours)?;
    }
    Ok(())
}

/// Reads what is readable, up to so many bytes, and notes how much is writable. A chain may name
/// the same memory again and again, and be longer than all that the guest has.
fn read_chain(view: &View, taken: &Taken, most_bytes: u64) -> Result<Chain, Unmapped> {
    let mut chain = Chain::default();
    let mut room_bytes = most_bytes;
    for piece in &taken.readable {
        // 32 bits fit.
        let (address, len_bytes) = (piece.address, piece.len_bytes as usize);
        if !view.has(address, len_bytes) {
            return Err(Unmapped { address, len_bytes });
        }
        let read_bytes = room_bytes.min(piece.len_bytes.into());
        room_bytes -= read_bytes;
        if read_bytes > 0 {
            chain
                .readable
                .push(view.read(address, read_bytes as usize)?);
        }
    }
    for piece in &taken.writable {
        let (address, len_bytes) = (piece.address, piece.len_bytes as usize);
        if !view.has(address, len_bytes) {
            return Err(Unmapped { address, len_bytes });
        }
        chain.writable.push(len_bytes);
    }
    Ok(chain)
}

/// Writes an answer into what a chain lets the device write.
fn write_answer(view: &View, taken: &Taken, writes: &[(usize, Vec<u8>)]) -> Result<(), Unmapped> {
    let mut writes = writes.iter();
    writes.try_for_each(|(offset, bytes)| write_at(view, &taken.writable, *offset, bytes))
}

/// Writes bytes at an offset into what is writable.
fn write_at(
    view: &View,
    pieces: &[Piece],
    mut offset: usize,
    mut bytes: &[u8],
) -> Result<(), Unmapped> {
    for piece in pieces {
        let len_bytes = piece.len_bytes as usize;
        if offset >= len_bytes {
            offset -= len_bytes;
            continue;
        }
        let (now, later) = bytes.split_at(bytes.len().min(len_bytes - offset));
        view.write(piece.address + offset as u64, now)?;
        (offset, bytes) = (0, later);
        if bytes.is_empty() {
            return Ok(());
        }
    }
    assert!(bytes.is_empty(), "an answer longer than its chain");
    Ok(())
}
