//! What is cut into several requests: a batch, pieces of what is long, data units, a stream.

use std::{fmt, rc::Rc};

use virtio_crypto::{Cipher, CipherAlgorithm, CipherStream, DmaBuffer, Error, Failed};

use crate::{
    machine::{self, kernel::Kernel},
    service::Buffer,
    world::{Session, World},
};

/// What is sent as a whole.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    /// In which way, and in how large parts.
    pub(super) how: u8,
    pub(super) iv: &'static [u8],
    pub(super) data: &'static [u8],
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("how", &self.how)
            .field("data_len", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// Bytes of a data unit.
const UNIT_LEN: usize = 16;
const FIRST_UNIT: u64 = 7;

impl World {
    /// Sends it, and judges what comes of it.
    pub(super) async fn whole(self: Rc<Self>, session: Rc<Session>, whole: Whole) {
        let Some(cipher) = session.opened.cipher() else {
            return;
        };
        // Other algorithms have other granules, or no such form.
        let is_valid = session.spec.is_simple() && whole.how % 4 != 2;
        let outcome = match whole.how % 4 {
            0 => self.batch(&session, cipher, whole).await,
            1 => self.long(&session, cipher, whole).await,
            2 => self.units(&session, cipher, whole).await,
            _ => self.stream(&session, cipher, whole).await,
        };
        if let Err(error) = outcome {
            let is_unfit = matches!(error, Error::UnfitAlgorithm { .. });
            self.judge_error(error, is_valid && !is_unfit, &(&session.spec, whole));
        }
    }

    async fn batch(
        &self,
        session: &Session,
        cipher: &Cipher<Kernel>,
        whole: Whole,
    ) -> Result<(), Error> {
        let parts = || whole.data.chunks(16 * (1 + usize::from(whole.how / 64)));
        let buffers: Result<Vec<_>, Error> = parts()
            .map(|part| Ok((whole.iv, DmaBuffer::from_slice(part)?)))
            .collect();
        let sent = cipher.process_batch(buffers?).await;
        let results = sent.expect("there is room in the heap");
        let mut outcome = Ok(());
        for (part, result) in parts().zip(results) {
            outcome = outcome.and(self.back(session, whole.iv, part, result));
        }
        outcome
    }

    async fn long(
        &self,
        session: &Session,
        cipher: &Cipher<Kernel>,
        whole: Whole,
    ) -> Result<(), Error> {
        let buffer = DmaBuffer::from_slice(whole.data)?;
        let sent = cipher.process_long(whole.iv, buffer).await;
        self.back(session, whole.iv, whole.data, sent)
    }

    async fn units(
        &self,
        session: &Session,
        cipher: &Cipher<Kernel>,
        whole: Whole,
    ) -> Result<(), Error> {
        let buffer = DmaBuffer::from_slice(whole.data)?;
        let sent = cipher.process_units(FIRST_UNIT, UNIT_LEN, buffer).await;
        match sent {
            Ok(buffer) => {
                let mut expected = Vec::new();
                for (number, unit) in (u128::from(FIRST_UNIT)..).zip(whole.data.chunks(UNIT_LEN)) {
                    expected.extend(session.spec.transform(&number.to_le_bytes(), unit));
                }
                assert!(
                    buffer[..] == expected[..] || !self.is_honest.get(),
                    "another result: {whole:?}"
                );
                Ok(())
            }
            Err(failed) => Err(failed.error),
        }
    }

    async fn stream(
        &self,
        session: &Session,
        cipher: &Cipher<Kernel>,
        whole: Whole,
    ) -> Result<(), Error> {
        let mut stream = CipherStream::new(cipher, whole.iv)?;
        let mut data = whole.data.to_vec();
        let (first, second) = match cipher.algorithm() {
            CipherAlgorithm::AesCtr | CipherAlgorithm::TripleDesCtr => data.split_at_mut(5),
            _ => data.split_at_mut(whole.data.len() / 32 * 16),
        };
        stream.process(first).await?;
        stream.process(second).await?;
        let expected = session.spec.transform(whole.iv, whole.data);
        assert!(
            data == expected || !self.is_honest.get(),
            "another result: {whole:?}"
        );
        Ok(())
    }

    /// Judges a buffer that came back, and keeps it for a while.
    fn back(
        &self,
        session: &Session,
        iv: &[u8],
        data: &[u8],
        result: Result<Buffer, Failed<Buffer>>,
    ) -> Result<(), Error> {
        let (outcome, buffer) = match result {
            Ok(buffer) => (Ok(()), Some(buffer)),
            Err(failed) => (Err(failed.error), failed.returned),
        };
        let Some(buffer) = buffer else { return outcome };
        machine::is_back(&buffer);
        let is_right = match outcome {
            Ok(()) => !self.is_honest.get() || buffer[..] == session.spec.transform(iv, data)[..],
            // Wiped wherever the device had it: some pieces, of whatever length they are.
            Err(_) => {
                let mut bytes = buffer.iter().zip(data);
                bytes.all(|(now, was)| now == was || *now == 0)
            }
        };
        assert!(
            is_right,
            "{outcome:?} and another result of {} bytes",
            data.len()
        );
        self.shelve(buffer);
        outcome
    }
}
