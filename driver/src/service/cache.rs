//! Sessions kept open for the keys that were used last.
//!
//! For callers with more keys than the device has sessions. The rule: a session that somebody uses
//! is never closed, and none is opened or closed under the cache's lock.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    device::Device,
    epoch::Epoch,
    heap::room_for,
    service::cipher::Cipher,
    sync::IrqMutex,
    wire::{CipherAlgorithm, Direction, Refusal},
};

/// Cipher sessions of a device, kept open by algorithm, direction and key; the one that was used
/// least recently makes room for a new one.
///
/// A session in use, which is one whose [`Arc`] somebody holds, is never closed. One from before a
/// recovery of the device is opened anew when it is asked for again.
///
/// Shared freely; not for interrupt handlers. Use one cache for each device.
///
/// ```no_run
/// # use virtio_crypto::{CipherAlgorithm, Device, Direction, Error, Platform, SessionCache};
/// # async fn example<P: Platform>(
/// #     device: &Device<P>, cache: &SessionCache<P>, key: &[u8], sector: &mut [u8],
/// # ) -> Result<(), Error> {
/// let session = cache.get(device, CipherAlgorithm::AesXts, Direction::Encrypt, key).await?;
/// session.process_slice(&[0; 16], sector).await
/// # }
/// ```
///
/// # Keys
///
/// A cache keeps a copy of each key for as long as it keeps the session, compares in constant time
/// and wipes the copy with the entry. A digest would have to be keyed to be safe to keep where keys
/// are short or guessable, and its key kept in the same memory.
pub struct SessionCache<P: Platform> {
    capacity: u16,
    entries: IrqMutex<P, Entries<P>>,
}

/// Never more than there is room for: nothing is allocated or freed under the lock.
struct Entries<P: Platform> {
    /// In the order of their last use.
    open: Vec<Entry<P>>,
    /// Callers that are opening a session, forgotten ones included: a hint and no more.
    opening: u16,
    /// How many have been opened so far.
    opened: u64,
}

struct Entry<P: Platform> {
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: Zeroizing<Vec<u8>>,
    session: Arc<Cipher<P>>,
}

/// The key of an entry: what a caller asks for.
#[derive(Clone, Copy)]
struct Wanted<'k> {
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &'k [u8],
}

/// What the cache has for a caller.
enum Found<P: Platform> {
    Session(Arc<Cipher<P>>),
    /// This is to be closed first: it is stale, or in the way of a new one.
    Old(Entry<P>),
    /// There is a place for a new one.
    Place,
    /// Every place has a session that is in use.
    Full,
}

/// What becomes of a new session.
enum Kept<P: Platform> {
    /// It is kept, in place of another one.
    New(Option<Entry<P>>),
    /// Another caller has been faster, with this one.
    Other(Arc<Cipher<P>>, Entry<P>),
    /// Every place has a session that is in use.
    Full(Entry<P>),
    /// There is no memory for entries yet.
    NoRoom(Entry<P>),
}

impl<P: Platform> Entries<P> {
    /// Finds a session of `epoch`, and notes its use, or makes a step towards a new one.
    fn find(&mut self, wanted: Wanted<'_>, epoch: &Arc<Epoch<P>>, capacity: u16) -> Found<P> {
        if let Some(index) = self.open.iter().rposition(|entry| entry.is(wanted)) {
            let entry = self.open.remove(index);
            if !entry.session.is_of(epoch) {
                return Found::Old(entry);
            }
            let session = entry.session.clone();
            self.open.push(entry);
            return Found::Session(session);
        }
        if self.open.len() < usize::from(capacity) {
            return Found::Place;
        }
        self.take_idle().map_or(Found::Full, Found::Old)
    }

    /// Puts a new session in its place, unless another caller has been faster.
    fn keep(&mut self, new: Entry<P>, capacity: u16) -> Kept<P> {
        let same = self.open.iter().find(|entry| entry.is(new.wanted()));
        if let Some(entry) = same
            && entry.session.is_of(new.session.epoch())
        {
            return Kept::Other(entry.session.clone(), new);
        }
        if self.open.capacity() == 0 {
            return Kept::NoRoom(new);
        }
        let mut old = None;
        if self.open.len() >= usize::from(capacity) {
            // Others have been opened beside it.
            old = self.take_idle();
            if old.is_none() {
                return Kept::Full(new);
            }
        }
        self.open.push(new);
        self.opened += 1;
        Kept::New(old)
    }

    /// Takes the entry out that was used least recently, of those that nobody uses.
    fn take_idle(&mut self) -> Option<Entry<P>> {
        // Only the cache has it, and a caller that wants it has to come through the lock.
        let idle = |entry: &Entry<P>| Arc::strong_count(&entry.session) == 1;
        let position = self.open.iter().position(idle)?;
        Some(self.open.remove(position))
    }
}

impl<P: Platform> Entry<P> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            algorithm: self.algorithm,
            direction: self.direction,
            key: &self.key,
        }
    }

    fn is(&self, wanted: Wanted<'_>) -> bool {
        self.algorithm == wanted.algorithm
            && self.direction == wanted.direction
            && bool::from(self.key.ct_eq(wanted.key))
    }

    /// Ends the session, if nobody has it, and waits until its place on the device is free.
    async fn close(self) {
        if let Some(session) = Arc::into_inner(self.session) {
            // Of a device that has broken or been reset there is nothing left to end.
            let _ = session.close().await;
        }
    }
}

/// A caller that is opening a session.
struct Opening<'c, P: Platform>(&'c SessionCache<P>);

impl<'c, P: Platform> Opening<'c, P> {
    fn new(cache: &'c SessionCache<P>) -> Self {
        let add = |entries: &mut Entries<P>| entries.opening = entries.opening.saturating_add(1);
        cache.entries.with(add);
        Self(cache)
    }
}

impl<P: Platform> Drop for Opening<'_, P> {
    fn drop(&mut self) {
        let take = |entries: &mut Entries<P>| entries.opening = entries.opening.saturating_sub(1);
        self.0.entries.with(take);
    }
}

impl<P: Platform> SessionCache<P> {
    /// Makes an empty cache with room for `capacity` sessions: fewer than the device has and
    /// [`Options::sessions`](crate::Options::sessions) allows, for those that are opened otherwise,
    /// and for those that callers open side by side before the cache keeps them.
    pub fn new(capacity: u16) -> Self {
        let entries = Entries {
            open: Vec::new(),
            opening: 0,
            opened: 0,
        };
        Self {
            capacity,
            entries: IrqMutex::new("session cache", entries),
        }
    }

    /// Returns how many sessions are kept.
    pub fn len(&self) -> usize {
        self.entries.with(|entries| entries.open.len())
    }

    /// Tells whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a session for this algorithm, direction and key: one that is kept, or a new one.
    ///
    /// If the cache is full, or the driver or the device has no session left, the session that was
    /// used least recently and is not in use is closed to make room. (QEMU says the same then as of
    /// an algorithm that it does not know: that costs a session and one more try, and one more for
    /// each caller that is opening a session meanwhile.) If two callers miss the same key at once,
    /// each opens a session, and one is closed again. The first call finds memory for `capacity`
    /// entries.
    ///
    /// # Errors
    ///
    /// Those of [`Cipher::open`]. [`Error::OutOfMemory`]. [`Error::TooManySessions`], with the
    /// number of the limit that was met, when every session that could make room is in use.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, a session that it was opening does not stay
    /// behind, and one that it was closing ends. Forgotten, it keeps a session of the device's, as
    /// every forgotten request does, and no place in the cache.
    pub async fn get(
        &self,
        device: &Device<P>,
        algorithm: CipherAlgorithm,
        direction: Direction,
        key: &[u8],
    ) -> Result<Arc<Cipher<P>>, Error> {
        let epoch = device.epoch();
        let wanted = Wanted {
            algorithm,
            direction,
            key,
        };
        loop {
            let capacity = self.capacity;
            match self
                .entries
                .with(|entries| entries.find(wanted, &epoch, capacity))
            {
                Found::Session(session) => return Ok(session),
                Found::Old(entry) => entry.close().await,
                Found::Place => break,
                Found::Full => return Err(Error::TooManySessions { max: capacity }),
            }
        }
        self.prepare()?;
        let mut copy = Zeroizing::new(room_for(key.len())?);
        copy.extend_from_slice(key);
        let opening = Opening::new(self);
        let session = self.open(device, wanted).await?;
        drop(opening);
        self.keep(wanted, copy, session).await
    }

    /// Finds memory for all entries, unless there is some.
    fn prepare(&self) -> Result<(), Error> {
        if self.entries.with(|entries| entries.open.capacity()) > 0 {
            return Ok(());
        }
        let mut room = room_for(self.capacity.into())?;
        self.entries.with(|entries| {
            if entries.open.capacity() == 0 {
                core::mem::swap(&mut entries.open, &mut room);
            }
        });
        Ok(())
    }

    /// Opens a session, and makes room for it if that is what is missing.
    async fn open(&self, device: &Device<P>, wanted: Wanted<'_>) -> Result<Cipher<P>, Error> {
        // What else was opened when room was made for this one.
        let mut opened_before = None;
        // How often the room may still have gone to a caller that nobody has seen opening yet.
        let mut others_left = None;
        loop {
            let opened = Cipher::open(device, wanted.algorithm, wanted.direction, wanted.key).await;
            let Err(error) = opened else { return opened };
            let (count, others) = self
                .entries
                .with(|entries| (entries.opened, entries.opening.saturating_sub(1)));
            match error {
                Error::TooManySessions { .. } | Error::Refused(Refusal::NoSpace) => {}
                // Not for want of room, unless another caller has taken it.
                Error::Refused(Refusal::Error) if opened_before == Some(count) => {
                    let left = others_left.get_or_insert(others);
                    *left = left.checked_sub(1).ok_or(error)?;
                }
                Error::Refused(Refusal::Error) => opened_before = Some(count),
                _ => return Err(error),
            }
            // One from before a recovery makes no room on the device.
            let mut made_room = false;
            while !made_room {
                let idle = self.entries.with(Entries::take_idle).ok_or(error)?;
                made_room = idle.session.is_of(&device.epoch());
                idle.close().await;
            }
        }
    }

    /// Puts a session in its place, unless another caller has been faster.
    async fn keep(
        &self,
        wanted: Wanted<'_>,
        key: Zeroizing<Vec<u8>>,
        session: Cipher<P>,
    ) -> Result<Arc<Cipher<P>>, Error> {
        let session = Arc::new(session);
        let mut new = Entry {
            algorithm: wanted.algorithm,
            direction: wanted.direction,
            key,
            session: session.clone(),
        };
        loop {
            let capacity = self.capacity;
            match self.entries.with(|entries| entries.keep(new, capacity)) {
                Kept::New(old) => {
                    if let Some(old) = old {
                        old.close().await;
                    }
                    return Ok(session);
                }
                Kept::Other(kept, new) => {
                    drop(session);
                    new.close().await;
                    return Ok(kept);
                }
                Kept::Full(new) => {
                    drop(session);
                    new.close().await;
                    return Err(Error::TooManySessions { max: capacity });
                }
                // Another caller has cleared the cache meanwhile.
                Kept::NoRoom(entry) => {
                    self.prepare()?;
                    new = entry;
                }
            }
        }
    }

    /// Forgets every session and key. Sessions that nobody uses end, without waiting for the
    /// device; the others end with their last user.
    pub fn clear(&self) {
        let old = self.entries.with(|entries| {
            entries.opening = 0;
            core::mem::take(&mut entries.open)
        });
        drop(old);
    }
}

impl<P: Platform> fmt::Debug for SessionCache<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish()
    }
}
