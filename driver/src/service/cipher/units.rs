//! Data units of XTS: the sectors of a disk.
//!
//! The one rule: each unit is a request of its own, with its number as the tweak.

use core::num::NonZeroU32;

use super::{
    Cipher, MAX_IV_LEN,
    batch::{Entry, rejoin},
    chaining::Iv,
};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::{Failed, Requirement, invalid_len},
    heap::room_for,
    wire::CipherAlgorithm,
};

impl<P: Platform> Cipher<P> {
    /// Processes consecutive data units of `unit_len_bytes` bytes each in place, without copying:
    /// each is a request of its own, with its number as the tweak (IEEE 1619, 5.1), the first with
    /// `first_unit`. All are sent together, with one kick as far as there are slots.
    ///
    /// For the sectors of a disk, `first_unit` is the number of the first sector. Allocates two
    /// hundred bytes for each unit.
    ///
    /// # Errors
    ///
    /// [`Error::UnfitAlgorithm`] unless the session is for AES-XTS. Those of
    /// [`process`](Self::process), about the length of a unit too, which cannot be cut. If several
    /// units failed, that of the first. The buffer is wiped wherever the device had it, also where
    /// a unit succeeded. [`Error::OutOfMemory`], with the buffer as it was.
    ///
    /// # Cancellation
    ///
    /// That of [`process_batch`](Self::process_batch).
    pub async fn process_units(
        &self,
        first_unit: u64,
        unit_len_bytes: usize,
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        self.process_units_by(NonZeroU32::MIN, first_unit, unit_len_bytes, buffer)
            .await
    }

    /// Like [`process_units`](Self::process_units), where each unit's number is `step` more than
    /// that of the one before: sectors of 4096 bytes whose numbers count 512 bytes, as those of
    /// Linux's dm-crypt do, have steps of 8.
    ///
    /// # Errors
    ///
    /// Those of [`process_units`](Self::process_units).
    ///
    /// # Cancellation
    ///
    /// That of [`process_batch`](Self::process_batch).
    pub async fn process_units_by(
        &self,
        step: NonZeroU32,
        first_unit: u64,
        unit_len_bytes: usize,
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let checked = self.check_units(unit_len_bytes, buffer.len());
        let room = checked.and_then(|()| room_for(buffer.len() / unit_len_bytes));
        let mut entries = match room {
            Ok(room) => room,
            Err(error) => {
                let returned = Some(buffer);
                return Err(Failed { error, returned });
            }
        };
        let numbers = (u128::from(first_unit)..).step_by(step.get() as usize);
        let units = numbers.zip(buffer.split(unit_len_bytes));
        let entry = |(number, unit): (u128, _)| Entry::new(Iv::from(number.to_le_bytes()), unit);
        entries.extend(units.map(entry));
        self.process_entries(&mut entries).await;
        rejoin(entries)
    }

    /// Like [`process_units`](Self::process_units), through a copy in device memory.
    ///
    /// # Errors
    ///
    /// Also [`Error::OutOfDeviceMemory`]. `data` is unchanged unless every unit succeeds.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `data` is unchanged.
    pub async fn process_units_slice(
        &self,
        first_unit: u64,
        unit_len_bytes: usize,
        data: &mut [u8],
    ) -> Result<(), Error> {
        self.check_units(unit_len_bytes, data.len())?;
        let buffer = DmaBuffer::from_slice(data)?;
        let buffer = self
            .process_units(first_unit, unit_len_bytes, buffer)
            .await?;
        data.copy_from_slice(&buffer);
        Ok(())
    }

    fn check_units(&self, unit_len_bytes: usize, len_bytes: usize) -> Result<(), Error> {
        if self.algorithm != CipherAlgorithm::AesXts {
            return Err(Error::UnfitAlgorithm {
                algorithm: self.algorithm,
            });
        }
        self.check_lens(&[0; MAX_IV_LEN], unit_len_bytes)?;
        if len_bytes == 0 || !len_bytes.is_multiple_of(unit_len_bytes) {
            let requirement = Requirement::BlocksOf {
                block_bytes: unit_len_bytes,
            };
            return Err(invalid_len("data", len_bytes, requirement));
        }
        Ok(())
    }
}
