//! Session tickets (RFC 5077; RFC 8446, 4.6.1): a client that comes back brings what the server
//! knew, sealed with a key that only this boot knows, and needs no signature.
//!
//! The one rule: a ticket's key is rolled, and forgotten two periods later. A nonce is a counter,
//! so it never comes twice under one key.

use alloc::vec::Vec;
use core::fmt;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use rustls::server::ProducesTickets;
use spin::Mutex;
use zeroize::Zeroizing;

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// How long a key seals tickets. It opens them for as long again.
const PERIOD_S: u64 = 6 * 3600;

/// Seals and opens tickets.
pub struct Tickets {
    fill: fn(&mut [u8]),
    now_s: fn() -> u64,
    keys: Mutex<Keys>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

struct Keys {
    current: ChaCha20Poly1305,
    previous: Option<ChaCha20Poly1305>,
    made_s: u64,
    next_nonce: u64,
}

fn new_key(fill: fn(&mut [u8])) -> ChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    fill(&mut *key);
    ChaCha20Poly1305::new((&*key).into())
}

impl Tickets {
    /// Makes the first key, of random bytes by `fill`; `now_s` is any clock of seconds.
    pub fn new(fill: fn(&mut [u8]), now_s: fn() -> u64) -> Self {
        let keys = Keys {
            current: new_key(fill),
            previous: None,
            made_s: now_s(),
            next_nonce: 0,
        };
        Self {
            fill,
            now_s,
            keys: Mutex::new(keys),
        }
    }

    fn with_keys<R>(&self, f: impl FnOnce(&mut Keys) -> R) -> R {
        let mut keys = self.keys.lock();
        let age_s = (self.now_s)().saturating_sub(keys.made_s);
        if age_s >= PERIOD_S {
            let before = core::mem::replace(&mut keys.current, new_key(self.fill));
            keys.previous = (age_s < 2 * PERIOD_S).then_some(before);
            keys.made_s += age_s;
            keys.next_nonce = 0;
        }
        f(&mut keys)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD_S as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|keys| {
            let mut nonce = [0; NONCE_LEN];
            nonce[..8].copy_from_slice(&keys.next_nonce.to_le_bytes());
            keys.next_nonce += 1;
            let mut ticket = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
            ticket.extend_from_slice(&nonce);
            ticket.extend_from_slice(plain);
            let (_, sealed) = ticket.split_at_mut(NONCE_LEN);
            let nonce = Nonce::<ChaCha20Poly1305>::from(nonce);
            let tag = keys
                .current
                .encrypt_inout_detached(&nonce, &[], sealed.into());
            ticket.extend_from_slice(&tag.ok()?);
            Some(ticket)
        })
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_first_chunk::<NONCE_LEN>()?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
        let nonce = Nonce::<ChaCha20Poly1305>::from(*nonce);
        let tag = Tag::<ChaCha20Poly1305>::from(*tag);
        self.with_keys(|keys| {
            let keys = [Some(&keys.current), keys.previous.as_ref()];
            keys.into_iter().flatten().find_map(|key| {
                let mut plain = sealed.to_vec();
                let opened = key.decrypt_inout_detached(&nonce, &[], (&mut *plain).into(), &tag);
                opened.ok().map(|()| plain)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::testing;

    static NOW_S: AtomicU64 = AtomicU64::new(5);

    #[test]
    fn tickets_open_for_two_periods_and_damaged_ones_never() {
        let tickets = Tickets::new(testing::fill, || NOW_S.load(Ordering::Relaxed));
        let ticket = tickets.encrypt(b"state").unwrap();
        assert_ne!(ticket, tickets.encrypt(b"state").unwrap());
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        for index in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[index] ^= 1;
            assert_eq!(tickets.decrypt(&damaged), None, "byte {index}");
            assert_eq!(tickets.decrypt(&ticket[..index]), None, "{index} bytes");
        }
        NOW_S.fetch_add(PERIOD_S, Ordering::Relaxed);
        assert!(tickets.decrypt(&ticket).is_some());
        assert_ne!(tickets.encrypt(b"state").unwrap(), ticket);
        NOW_S.fetch_add(PERIOD_S, Ordering::Relaxed);
        assert_eq!(tickets.decrypt(&ticket), None);
    }
}
