//! Requests that are in flight together.

use alloc::vec::Vec;

use crate::requests::{
    chain::{Chain, Part},
    layout::Layout,
    raw::{Answer, Queue, Raw},
    ring::Ring,
    split::Split,
    trouble::Trouble,
};

/// Chains that were published by one kick, each with its id.
#[derive(Debug)]
pub struct Batch {
    pub queue: Queue,
    pub chains: Vec<(u16, Chain)>,
}

impl Raw {
    /// Returns how many chains of so many descriptors find room, and 64 at most.
    pub fn room(&mut self, queue: Queue, descriptors: usize) -> Result<usize, Trouble> {
        const MOST: usize = 64;
        let size = usize::from(self.ring(queue)?.size());
        Ok((size / descriptors.max(1)).min(MOST))
    }

    /// Publishes requests, with one kick for all of them.
    pub fn publish_all(&mut self, queue: Queue, requests: &[Vec<Part>]) -> Result<Batch, Trouble> {
        let descriptors = requests.iter().map(Vec::len).sum();
        let ring = self.ring_for(queue, descriptors)?;
        let mut head = 0;
        let chains = requests.iter().map(|parts| {
            let chain = Chain::new(parts);
            let own = ring.head(head, parts.len());
            ring.add(own, &chain, Layout::Direct);
            head += parts.len() as u16;
            (own, chain)
        });
        let chains = chains.collect();
        ring.expose();
        ring.kick();
        Ok(Batch { queue, chains })
    }

    /// Waits for all of a batch; returns each answer in the order of the requests.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); a life has ended then.
    pub fn collect(&mut self, batch: &Batch) -> Result<Vec<Answer>, Trouble> {
        match self.try_collect(batch) {
            Ok(lens) => {
                let chains = batch.chains.iter().zip(lens);
                let answers = chains.map(|((_, chain), len)| self.note_answer(chain, len));
                Ok(answers.collect())
            }
            Err(trouble) if trouble.is_ours() => Err(trouble),
            Err(trouble) => {
                self.start_anew(trouble);
                Err(trouble)
            }
        }
    }

    fn try_collect(&mut self, batch: &Batch) -> Result<Vec<u32>, Trouble> {
        let mut lens: Vec<Option<u32>> = batch.chains.iter().map(|_| None).collect();
        for _ in &batch.chains {
            let Some((id, len)) = self.wait(batch.queue)? else {
                return Err(Trouble::NeverAnswered);
            };
            let mut ids = batch.chains.iter();
            let place = ids.position(|(own, _)| u32::from(*own) == id);
            match place.and_then(|place| lens.get_mut(place)) {
                Some(place @ None) => *place = Some(len),
                _ => return Err(Trouble::WrongId(id)),
            }
        }
        Ok(lens.into_iter().flatten().collect())
    }

    /// Returns a split ring of this life, for what only one of those has.
    pub fn split(&mut self, queue: Queue) -> Result<&mut Split, Trouble> {
        match self.ring(queue)? {
            Ring::Split(ring) => Ok(ring),
            Ring::Packed(_) => Err(Trouble::NotTried),
        }
    }
}
