//! A stream of data through a session: each call goes on where the last one ended.
//!
//! The one rule: a stream moves on only with a whole result.

use alloc::sync::Arc;
use core::{fmt, marker::PhantomData};

use zeroize::Zeroizing;

use super::{
    Cipher, MAX_IV_LEN,
    chaining::{Chaining, add_to_counter, last_block},
};
use crate::{Error, Platform, request::exchange::INLINE_PAYLOAD_LEN, wire::Direction};

/// A stream of data through a session in counter mode or CBC, which keeps the counter or IV from
/// call to call.
///
/// `C` is the session, owned, borrowed or shared ([`StreamSession`]). Streams of one session know
/// nothing of each other. In counter mode a call takes any number of bytes, though QEMU's builtin
/// backend takes whole blocks only: the last block is filled up on its way to the device, and what
/// is left of its keystream serves the next call. In CBC a call takes whole blocks.
///
/// A counter is a number as long as the block, and wraps as such. The caller sees to it that no
/// counter block comes twice under one key.
///
/// ```no_run
/// # use virtio_crypto::{Cipher, CipherStream, Error, Platform};
/// # async fn example<P: Platform>(session: Cipher<P>) -> Result<(), Error> {
/// let mut stream = CipherStream::new(&session, &[0; 16])?;
/// let mut text = *b"any number of bytes";
/// stream.process(&mut text[..5]).await?;
/// stream.process(&mut text[5..]).await
/// # }
/// ```
///
/// # Cancellation
///
/// The stream moves on only with a whole result. A call that fails or whose future is dropped
/// leaves stream and data as they were, so it can be made again.
pub struct CipherStream<P: Platform, C: StreamSession<P>> {
    session: C,
    state: Zeroizing<State>,
    _platform: PhantomData<fn() -> P>,
}

/// The session that a [`CipherStream`] goes through: `Cipher<P>`, `&Cipher<P>` or `Arc<Cipher<P>>`.
///
/// These alone: each is the same session at every call, which a stream's state belongs to.
///
/// ```compile_fail,E0277
/// # use virtio_crypto::{Cipher, Platform, StreamSession};
/// struct NowThisNowThat<P: Platform>(Cipher<P>, Cipher<P>);
/// impl<P: Platform> StreamSession<P> for NowThisNowThat<P> {}
/// ```
pub trait StreamSession<P: Platform>: sealed::Sealed<P> {}

impl<P: Platform> StreamSession<P> for Cipher<P> {}
impl<P: Platform> StreamSession<P> for &Cipher<P> {}
impl<P: Platform> StreamSession<P> for Arc<Cipher<P>> {}

mod sealed {
    use alloc::sync::Arc;

    use crate::{Platform, service::cipher::Cipher};

    /// Keeps others from implementing [`StreamSession`](super::StreamSession).
    pub trait Sealed<P: Platform> {
        /// Returns the session.
        fn cipher(&self) -> &Cipher<P>;
    }

    impl<P: Platform> Sealed<P> for Cipher<P> {
        fn cipher(&self) -> &Cipher<P> {
            self
        }
    }

    impl<P: Platform> Sealed<P> for &Cipher<P> {
        fn cipher(&self) -> &Cipher<P> {
            self
        }
    }

    impl<P: Platform> Sealed<P> for Arc<Cipher<P>> {
        fn cipher(&self) -> &Cipher<P> {
            self
        }
    }
}

/// Where a stream is.
#[derive(Clone, Copy)]
struct State {
    /// The next IV or counter block, in the first bytes.
    iv: [u8; MAX_IV_LEN],
    /// The keystream of the last block, of which the last `left` bytes are not used yet.
    keystream: [u8; MAX_IV_LEN],
    left: usize,
}

impl zeroize::DefaultIsZeroes for State {}

impl Default for State {
    fn default() -> Self {
        Self {
            iv: [0; MAX_IV_LEN],
            keystream: [0; MAX_IV_LEN],
            left: 0,
        }
    }
}

impl<P: Platform, C: StreamSession<P>> CipherStream<P, C> {
    /// Begins a stream with `iv`: the IV of CBC, or the first counter block.
    ///
    /// # Errors
    ///
    /// [`Error::UnfitAlgorithm`] for a session of another mode; [`Error::InvalidLength`] for an IV
    /// of another length than the algorithm's.
    pub fn new(session: C, iv: &[u8]) -> Result<Self, Error> {
        let cipher = session.cipher();
        let algorithm = cipher.algorithm();
        match Chaining::of(algorithm) {
            Chaining::Ciphertext | Chaining::Counter => {}
            Chaining::Independent | Chaining::Hidden => {
                return Err(Error::UnfitAlgorithm { algorithm });
            }
        }
        cipher.check_iv(iv)?;
        let mut state = Zeroizing::new(State::default());
        state.iv[..iv.len()].copy_from_slice(iv);
        Ok(Self {
            session,
            state,
            _platform: PhantomData,
        })
    }

    /// Returns the session.
    pub fn session(&self) -> &Cipher<P> {
        self.session.cipher()
    }

    /// Ends the stream and gives the session back.
    pub fn into_session(self) -> C {
        self.session
    }

    /// Processes the next bytes of the stream in place, through a copy in device memory.
    ///
    /// No bytes at all are nothing to do. In counter mode no request is made for bytes that the
    /// keystream of the last block is long enough for.
    ///
    /// # Errors
    ///
    /// Those of [`Cipher::process_slice`]; [`Error::InvalidLength`] for a part of a block in CBC.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, stream and data are as before.
    pub async fn process(&mut self, data: &mut [u8]) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        match Chaining::of(self.session().algorithm()) {
            Chaining::Counter => self.count(data).await,
            _ => self.chain(data).await,
        }
    }

    async fn chain(&mut self, data: &mut [u8]) -> Result<(), Error> {
        let cipher = self.session.cipher();
        let iv_len_bytes = cipher.algorithm().iv_len_bytes();
        let iv = &mut self.state.iv[..iv_len_bytes];
        // The next IV is ciphertext: never a copy of plaintext, which a future that ends early
        // would keep.
        let before = match cipher.direction() {
            Direction::Encrypt => None,
            Direction::Decrypt => Some(last_block(data, iv_len_bytes)),
        };
        cipher.process_slice(iv, data).await?;
        iv.copy_from_slice(&before.unwrap_or_else(|| last_block(data, iv_len_bytes)));
        Ok(())
    }

    async fn count(&mut self, data: &mut [u8]) -> Result<(), Error> {
        let cipher = self.session.cipher();
        let block_len_bytes = cipher.algorithm().block_len_bytes();
        let mut next = Zeroizing::new(*self.state);
        let left = next.left;
        let (first, rest) = data.split_at_mut(left.min(data.len()));
        next.left -= first.len();
        if !rest.is_empty() {
            let blocks = rest.len().div_ceil(block_len_bytes);
            let State {
                iv,
                keystream,
                left,
            } = &mut *next;
            let iv = &mut iv[..block_len_bytes];
            let keystream = &mut keystream[..block_len_bytes];
            let used = block_len_bytes - (blocks * block_len_bytes - rest.len());
            // Of zeros the cipher makes the keystream itself.
            let unused = &mut keystream[used..];
            unused.fill(0);
            process_padded(cipher, iv, rest, unused).await?;
            add_to_counter(iv, blocks as u64);
            *left = block_len_bytes - used;
        }
        let unused = &self.state.keystream[block_len_bytes - left..block_len_bytes];
        for (byte, key) in first.iter_mut().zip(unused) {
            *byte ^= key;
        }
        *self.state = *next;
        Ok(())
    }
}

/// Processes `data` and then `padding` in one request, or in as few as it takes.
async fn process_padded<P: Platform>(
    cipher: &Cipher<P>,
    iv: &[u8],
    data: &mut [u8],
    padding: &mut [u8],
) -> Result<(), Error> {
    let len_bytes = data.len() + padding.len();
    if len_bytes > INLINE_PAYLOAD_LEN.min(cipher.max_len_bytes()) {
        return cipher.process_copies(iv, data, padding).await;
    }
    let mut copy = Zeroizing::new([0; INLINE_PAYLOAD_LEN]);
    let copy = &mut copy[..len_bytes];
    copy[..data.len()].copy_from_slice(data);
    cipher.process_slice(iv, copy).await?;
    let (result, padded) = copy.split_at(data.len());
    data.copy_from_slice(result);
    padding.copy_from_slice(padded);
    Ok(())
}

impl<P: Platform, C: StreamSession<P>> fmt::Debug for CipherStream<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CipherStream")
            .field("algorithm", &self.session().algorithm())
            .finish_non_exhaustive()
    }
}
