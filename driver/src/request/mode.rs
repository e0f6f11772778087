//! Session mode and stateless mode (Virtio 1.3, 5.9.7): the device keeps the key, or the driver
//! does.
//!
//! For the services, whose requests go one way in both modes (`sending`). The one rule: a key that
//! is kept here is wiped when it goes.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, future::Future};

use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    epoch::Epoch,
    heap::room_for,
    queue::{SessionIndex, len_bytes},
    request::{
        exchange::{complete, own_waker},
        session::{Session, watched},
    },
    wire::{Features, MAX_HEAD_LEN, REQUEST_LEN},
};

/// How the requests of a service name key and parameters.
#[derive(Debug)]
pub(crate) enum Mode<P: Platform> {
    /// The device keeps key and parameters.
    Session(Session<P>),
    /// Each request brings them. Boxed, so that a session, which most callers have, is moved in two
    /// words.
    Stateless(Box<Stateless<P>>),
}

/// A key that travels with each request.
pub(crate) struct Stateless<P: Platform> {
    epoch: Arc<Epoch<P>>,
    key: Zeroizing<Vec<u8>>,
    /// Where the second key begins in it.
    first_len_bytes: usize,
}

/// Without the key.
impl<P: Platform> fmt::Debug for Stateless<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateless").finish_non_exhaustive()
    }
}

impl<P: Platform> Stateless<P> {
    /// Keeps `keys`, one after the other, for requests of a service whose stateless mode is
    /// `feature`.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`], [`Error::OutOfMemory`].
    pub(crate) fn new(
        epoch: Arc<Epoch<P>>,
        feature: StatelessFeature,
        keys: &[&[u8]],
    ) -> Result<Box<Self>, Error> {
        let StatelessFeature { bit, name } = feature;
        if !epoch.features.contains(bit) {
            return Err(Error::FeatureMissing { feature: name });
        }
        // It never grows: a key that moves would leave a copy behind.
        let mut key = Zeroizing::new(room_for(len_bytes(keys))?);
        for part in keys {
            key.extend_from_slice(part);
        }
        let first_len_bytes = keys.first().map_or(0, |first| first.len());
        Ok(Box::new(Self {
            epoch,
            key,
            first_len_bytes,
        }))
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The feature that allows the stateless mode of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatelessFeature {
    bit: Features,
    name: &'static str,
}

impl StatelessFeature {
    pub(crate) const CIPHER: Self = Self {
        bit: Features::CIPHER_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
    };
    pub(crate) const HASH: Self = Self {
        bit: Features::HASH_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_HASH_STATELESS_MODE",
    };
    pub(crate) const MAC: Self = Self {
        bit: Features::MAC_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_MAC_STATELESS_MODE",
    };
    pub(crate) const AEAD: Self = Self {
        bit: Features::AEAD_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
    };
    pub(crate) const AKCIPHER: Self = Self {
        bit: Features::AKCIPHER_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
    };
}

impl<P: Platform> Mode<P> {
    /// Returns the epoch that this belongs to.
    #[inline]
    pub(crate) fn epoch(&self) -> &Arc<Epoch<P>> {
        match self {
            Self::Session(session) => &session.epoch,
            Self::Stateless(stateless) => &stateless.epoch,
        }
    }

    /// Returns the key that goes in front of everything; nothing in session mode.
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Session(_) => &[],
            Self::Stateless(stateless) => stateless.key(),
        }
    }

    /// Returns the session that a request uses, if it uses one.
    #[inline]
    pub(crate) fn session(&self) -> Option<SessionIndex> {
        match self {
            Self::Session(session) => Some(session.index),
            Self::Stateless(_) => None,
        }
    }

    /// Returns the keys of a request that brings two, each a field of its own.
    pub(crate) fn keys(&self) -> [&[u8]; 2] {
        match self {
            Self::Session(_) => [&[]; 2],
            Self::Stateless(stateless) => {
                let (first, second) = stateless.key.split_at(stateless.first_len_bytes);
                [first, second]
            }
        }
    }

    /// Returns the bytes of a request beside its own parts: head, key and status.
    #[inline]
    pub(crate) fn overhead_bytes(&self) -> usize {
        match self {
            Self::Session(_) => REQUEST_LEN + 1,
            Self::Stateless(stateless) => MAX_HEAD_LEN + stateless.key.len() + 1,
        }
    }

    /// Ends the session and waits for the device's answer; without one, there is nothing to end.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the session ends all the same.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would move its arguments once more"
    )]
    pub(crate) fn close(self) -> impl Future<Output = Result<(), Error>> {
        async move {
            let Self::Session(mut session) = self else {
                return Ok(());
            };
            let waker = own_waker().await;
            let index = session.give_up_use();
            let epoch = &*session.epoch;
            let Some(mut in_flight) = epoch.control.close_session(index, waker) else {
                return watched(epoch, epoch.control.watch_close(index)).await;
            };
            complete(epoch, &mut in_flight).await?;
            let destroyed = in_flight.take_destroyed();
            // Before an error is made, which then goes straight to the caller.
            drop(session);
            destroyed.map_err(Error::from)
        }
    }
}
