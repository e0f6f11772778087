//! Opens a container: from a passphrase to the key of the volume.

use alloc::{vec, vec::Vec};
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    antiforensic,
    error::{Error, Refusal},
    header::{self, Header, KeySlot},
    kdf::Limits,
    machine::{Machine, SECTOR_LEN},
};

/// A container whose key is known.
#[non_exhaustive]
pub struct Opened {
    /// The key of AES-XTS for the volume's sectors.
    pub key: Zeroizing<Vec<u8>>,
    /// The number of the key slot that the passphrase has opened.
    pub slot: usize,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// Finds the key of a container whose header has been read.
///
/// Keys on the way are wiped. A derivation takes as long as its numbers say, and does not wait for
/// anything meanwhile.
///
/// # Errors
///
/// Any [`Error`].
///
/// # Cancellation
///
/// What there was of keys is wiped.
pub async fn unlock<M: Machine>(
    machine: &M,
    header: &Header,
    passphrase: &[u8],
) -> Result<Opened, Error<M::Error>> {
    let (mut tried, mut not_tried) = (0, None);
    for (number, slot) in &header.slots {
        let slot_tried = match slot {
            Ok(slot) => try_slot(machine, header, slot, passphrase).await,
            Err(refusal) => Err(refusal.clone().into()),
        };
        match slot_tried {
            Ok(Some(key)) => {
                let slot = *number;
                return Ok(Opened { key, slot });
            }
            Ok(None) => tried += 1,
            // Another one may ask for less memory.
            Err(Error::Header(refusal)) => {
                not_tried.get_or_insert((*number, refusal));
            }
            Err(error) => return Err(error),
        }
    }
    Err(match (tried, not_tried) {
        (0, None) => Refusal::NoKeySlot.into(),
        (0, Some((_, refusal))) => refusal.into(),
        (_, not_tried) => Error::WrongPassphrase { tried, not_tried },
    })
}

/// Reads the header of a container and finds its key.
///
/// # Errors
///
/// Any [`Error`].
pub async fn open<M: Machine>(
    machine: &M,
    passphrase: &[u8],
    limits: &Limits,
) -> Result<(Header, Opened), Error<M::Error>> {
    let header = header::read(machine, limits).await?;
    let opened = unlock(machine, &header, passphrase).await?;
    Ok((header, opened))
}

/// Returns the volume's key, if the passphrase is this slot's.
async fn try_slot<M: Machine>(
    machine: &M,
    header: &Header,
    slot: &KeySlot,
    passphrase: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, Error<M::Error>> {
    let mut area_key = Zeroizing::new(vec![0; slot.area_key_len_bytes]);
    slot.kdf.derive(passphrase, &mut area_key)?;
    let mut material = Zeroizing::new(vec![0; slot.sectors() * SECTOR_LEN]);
    let read = machine.read(slot.first_sector, &mut material);
    read.await.map_err(Error::Machine)?;
    let deciphered = machine.decipher(&area_key, &mut material);
    deciphered.await.map_err(Error::Machine)?;
    let split = &material[..slot.key_len_bytes * slot.stripes];
    let key = antiforensic::merge(slot.hash, split, slot.key_len_bytes);
    let digest = &header.digest;
    let mut found = Zeroizing::new(vec![0; digest.expected.len()]);
    digest.kdf.derive(&key, &mut found)?;
    let is_right = bool::from(found.ct_eq(&digest.expected));
    Ok(is_right.then_some(key))
}
