//! What a server's first flight is made of besides the client's bytes, so that it can be made a
//! second time, alike.
//!
//! rustls asks for a signature and waits for it on the spot; a device's answer has to be awaited.
//! So the flight is made twice. In the first pass the signature is noted as asked for, and the pass
//! ends with an error. When the device has answered, a second connection gets the same client's
//! bytes, the same random bytes and the same key share, so it asks for the same signature, which is
//! there. That it does ask for the same one is checked, not assumed.
//!
//! ```text
//!            begin                sign: not known               answer
//! Off ──────────────▶ Recording ────────────────▶ Recording ───────────▶ Recording
//!  ▲                   nothing asked               asked                  answered
//!  └────────────────────────────── end: wiped ───────────────────────────────┘
//! ```
//!
//! rustls wants its sources of randomness to live for ever, so a recorder does, and belongs to one
//! [`Seat`](super::Seat): one connection at a time records in it.

use alloc::vec::Vec;
use core::fmt;

use rustls::{
    Error,
    crypto::{GetRandomFailed, SecureRandom},
};
use spin::Mutex;
use zeroize::{Zeroize, Zeroizing};

use super::{
    curves::{Curve, Pair},
    to_sign::ToSign,
};

/// Random bytes and key shares of one connection at a time, and the signature that it asks for.
pub struct Recorder {
    fill: fn(&mut [u8]),
    /// `None`: nothing is recorded.
    recording: Mutex<Option<Recording>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Recording {
    random: Zeroizing<Vec<u8>>,
    /// How many of them this pass has had.
    taken: usize,
    pair: Option<(Curve, Pair)>,
    asked: Option<ToSign>,
    answer: Option<Vec<u8>>,
}

impl Recorder {
    /// Makes one whose random bytes come from `fill`.
    pub fn new(fill: fn(&mut [u8])) -> Self {
        Self {
            fill,
            recording: Mutex::new(None),
        }
    }

    /// Begins to record, from nothing.
    pub(super) fn begin(&self) {
        *self.recording.lock() = Some(Recording::default());
    }

    /// Begins the next pass: what the one before had comes again.
    pub(super) fn rewind(&self) {
        if let Some(recording) = &mut *self.recording.lock() {
            recording.taken = 0;
        }
    }

    /// Ends the recording, and wipes it.
    pub(super) fn end(&self) {
        *self.recording.lock() = None;
    }

    /// Returns what a pass has asked to have signed, until it has been.
    pub(super) fn unanswered(&self) -> Option<ToSign> {
        let recording = self.recording.lock();
        let recording = recording.as_ref()?;
        let asked = recording.asked.clone();
        asked.filter(|_| recording.answer.is_none())
    }

    /// Whether the signature that was asked for is there.
    pub(super) fn is_answered(&self) -> bool {
        let recording = self.recording.lock();
        recording.as_ref().is_some_and(|r| r.answer.is_some())
    }

    /// Keeps the signature that was asked for, for the next pass.
    pub(super) fn answer(&self, signature: Vec<u8>) {
        if let Some(recording) = &mut *self.recording.lock() {
            recording.answer = Some(signature);
        }
    }

    /// Returns the signature of `to_sign` if it is there.
    ///
    /// # Errors
    ///
    /// Not yet, or the second pass asks for another one.
    pub(super) fn sign(&self, to_sign: ToSign) -> Result<Vec<u8>, Error> {
        let mut recording = self.recording.lock();
        let Some(recording) = &mut *recording else {
            return Err(Error::General("a signature after the first flight".into()));
        };
        match &recording.answer {
            Some(answer) if recording.asked.as_ref() == Some(&to_sign) => Ok(answer.clone()),
            Some(_) => Err(Error::General("the second pass differs".into())),
            None => {
                recording.asked = Some(to_sign);
                Err(Error::General("to be signed".into()))
            }
        }
    }

    /// Fills `bytes` with random ones: new, or those of the pass before.
    pub(super) fn draw(&self, bytes: &mut [u8]) {
        let mut recording = self.recording.lock();
        let Some(recording) = &mut *recording else {
            return (self.fill)(bytes);
        };
        let end = recording.taken + bytes.len();
        let known = recording.random.len();
        if known < end {
            // A vector that grows leaves its bytes behind where it was.
            let mut grown = Zeroizing::new(alloc::vec![0; end]);
            grown[..known].copy_from_slice(&recording.random);
            (self.fill)(&mut grown[known..]);
            recording.random.zeroize();
            recording.random = grown;
        }
        bytes.copy_from_slice(&recording.random[recording.taken..end]);
        recording.taken = end;
    }

    /// Returns a key for an exchange: a new one, or that of the pass before.
    pub(super) fn pair(&self, curve: Curve) -> Pair {
        let mut recording = self.recording.lock();
        let Some(recording) = &mut *recording else {
            return curve.pair(self.fill);
        };
        match &recording.pair {
            Some((made, pair)) if *made == curve => pair.clone(),
            _ => {
                let pair = curve.pair(self.fill);
                recording.pair = Some((curve, pair.clone()));
                pair
            }
        }
    }
}

impl SecureRandom for Recorder {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.draw(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    fn count(bytes: &mut [u8]) {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        bytes.fill_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    }

    fn drawn<const N: usize>(recorder: &Recorder) -> [u8; N] {
        let mut bytes = [0; N];
        recorder.draw(&mut bytes);
        bytes
    }

    #[test]
    fn pass_after_rewind_draws_the_same_bytes_and_then_new_ones() {
        let recorder = Recorder::new(count);
        recorder.begin();
        let first: ([u8; 5], [u8; 7]) = (drawn(&recorder), drawn(&recorder));
        assert_ne!(first.0, first.1[..5]);
        recorder.rewind();
        assert_eq!(first, (drawn(&recorder), drawn(&recorder)));
        let more: [u8; 3] = drawn(&recorder);
        assert_ne!(more, first.0[..3]);
        recorder.end();
        assert_ne!(first.0, drawn(&recorder));
    }

    #[test]
    fn key_share_is_the_same_in_each_pass_of_one_connection_alone() {
        let recorder = Recorder::new(count);
        recorder.begin();
        let first = recorder.pair(Curve::X25519);
        recorder.rewind();
        assert_eq!(*first.public(), *recorder.pair(Curve::X25519).public());
        assert_ne!(*first.public(), *recorder.pair(Curve::P256).public());
        recorder.begin();
        assert_ne!(*first.public(), *recorder.pair(Curve::X25519).public());
    }

    #[test]
    fn signature_is_given_to_who_asked_for_it() {
        let recorder = Recorder::new(count);
        let (mine, other) = (ToSign::Pkcs1([1; 32]), ToSign::Pkcs1([2; 32]));
        assert!(recorder.sign(mine.clone()).is_err());
        assert_eq!(recorder.unanswered(), None);
        recorder.begin();
        assert!(recorder.sign(mine.clone()).is_err());
        assert_eq!(recorder.unanswered(), Some(mine.clone()));
        recorder.answer([7; 4].into());
        assert!(recorder.is_answered() && recorder.unanswered().is_none());
        assert_eq!(recorder.sign(mine.clone()), Ok([7; 4].into()));
        assert!(recorder.sign(other).is_err());
        recorder.begin();
        assert!(recorder.sign(mine).is_err() && !recorder.is_answered());
    }
}
