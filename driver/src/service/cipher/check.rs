//! Lengths that a device would choke on: refused before anything is sent.

use super::Cipher;
use crate::{
    Error, Platform,
    error::{Requirement, invalid_len},
};

impl<P: Platform> Cipher<P> {
    /// Checks what the device would choke on: what [`check_shape`](Self::check_shape) does, and
    /// more than it takes in one request.
    #[inline]
    pub(super) fn check_lens(&self, iv: &[u8], len_bytes: usize) -> Result<(), Error> {
        self.check_shape(iv, len_bytes)?;
        let max_bytes = self.max_len_bytes();
        if len_bytes > max_bytes {
            let max_bytes = max_bytes as u64;
            return Err(invalid_len(
                "data",
                len_bytes,
                Requirement::AtMost { max_bytes },
            ));
        }
        Ok(())
    }

    /// Checks for an IV that is missing (QEMU goes on with the state that the last request left),
    /// for an empty descriptor and for a partial block.
    #[inline]
    pub(super) fn check_shape(&self, iv: &[u8], len_bytes: usize) -> Result<(), Error> {
        if self.has_shape(iv, len_bytes) {
            return Ok(());
        }
        self.misshapen(iv, len_bytes)
    }

    /// Tells whether IV and data have lengths that the algorithm takes.
    #[inline(always)]
    pub(super) fn has_shape(&self, iv: &[u8], len_bytes: usize) -> bool {
        let shape = self.algorithm.shape();
        iv.len() == usize::from(shape.iv_len_bytes)
            && len_bytes & usize::from(shape.granule_mask) == 0
            && len_bytes >= usize::from(shape.min_len_bytes)
    }

    /// Says what [`check_shape`](Self::check_shape) found.
    #[cold]
    fn misshapen(&self, iv: &[u8], len_bytes: usize) -> Result<(), Error> {
        self.check_iv(iv)?;
        let granule = self.algorithm.granule_len_bytes();
        let requirement = if granule > 1 {
            Requirement::BlocksOf {
                block_bytes: granule,
            }
        } else {
            Requirement::AtLeast {
                min_bytes: self.algorithm.min_len_bytes(),
            }
        };
        Err(invalid_len("data", len_bytes, requirement))
    }

    #[inline]
    pub(super) fn check_iv(&self, iv: &[u8]) -> Result<(), Error> {
        let len_bytes = self.algorithm.iv_len_bytes();
        if iv.len() != len_bytes {
            let requirement = Requirement::Exactly { len_bytes };
            return Err(invalid_len("IV", iv.len(), requirement));
        }
        Ok(())
    }
}
