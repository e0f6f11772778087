//! What is asked of a session, as the input says it.

use core::{fmt, ops::Range};

use virtio_crypto::{AeadAlgorithm, CipherAlgorithm};

use super::spec::{Draw, Kind, Spec};
use crate::secrets::secret;

/// The form of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Slice,
    One,
    Try,
    List,
    /// Of ciphers alone; others take one buffer.
    Into,
}

const FORMS: [Form; 5] = [Form::Slice, Form::One, Form::Try, Form::List, Form::Into];

/// What is asked for.
#[derive(Clone)]
pub(crate) struct Request {
    pub(super) form: Form,
    /// The plaintext, whichever way it goes.
    pub(super) data: &'static [u8],
    /// IV or nonce.
    pub(super) iv: &'static [u8],
    pub(super) aad: &'static [u8],
    /// Of a chain.
    pub(super) ciphered: Range<usize>,
    pub(super) hashed: Range<usize>,
    /// Where a list is cut.
    pub(super) cuts: [usize; 3],
    /// The tag is another.
    pub(super) is_forged: bool,
    /// A MAC is compared, not computed.
    pub(super) is_verified: bool,
    /// Every length is one that the service takes.
    pub(crate) is_valid: bool,
}

/// Lengths, since what is in them is known.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("form", &self.form)
            .field("data_len", &self.data.len())
            .field("iv_len", &self.iv.len())
            .field("aad_len", &self.aad.len())
            .field("ciphered", &self.ciphered)
            .field("hashed", &self.hashed)
            .field("cuts", &self.cuts)
            .field("is_forged", &self.is_forged)
            .field("is_verified", &self.is_verified)
            .field("is_valid", &self.is_valid)
            .finish()
    }
}

/// Returns a length: mostly short, sometimes around what a slot has room for, sometimes pages.
fn len(draw: Draw<'_>) -> usize {
    let byte = usize::from(draw());
    match byte % 8 {
        0..4 => byte / 8,
        4 => 496 + byte / 4,
        5 => 16 * byte,
        6 => 4 * byte + usize::from(draw()),
        _ => usize::from(draw()),
    }
}

impl Request {
    /// A few blocks of AES-CBC in a form.
    pub(crate) fn simple(draw: Draw<'_>) -> Self {
        let shape = usize::from(draw());
        let blocks = match shape % 16 {
            0 => 33,
            1 => 150,
            few => few % 5 + 1,
        };
        Self {
            data: secret(usize::from(draw()), 16 * blocks),
            form: FORMS[shape / 16 % FORMS.len()],
            iv: secret(shape, 16),
            cuts: [16, 16 * blocks / 2, 16 * blocks],
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            form: Form::Slice,
            data: &[],
            iv: &[],
            aad: &[],
            ciphered: 0..0,
            hashed: 0..0,
            cuts: [0; 3],
            is_forged: false,
            is_verified: false,
            is_valid: true,
        }
    }

    /// Any that fits the session, or nearly.
    pub(crate) fn draw(draw: Draw<'_>, spec: &Spec) -> Self {
        let shape = draw();
        let mut len_bytes = len(draw);
        let mut request = Self {
            form: FORMS[usize::from(shape) % FORMS.len()],
            is_forged: shape & 0x80 != 0,
            is_verified: shape & 0x40 != 0 && matches!(spec.kind, Kind::Mac(_)),
            ..Self::empty()
        };
        match spec.kind {
            Kind::Cipher(algorithm, _) => {
                let granule = algorithm.granule_len_bytes();
                len_bytes = len_bytes.next_multiple_of(granule);
                len_bytes = len_bytes.max(algorithm.min_len_bytes());
                request.iv = secret(usize::from(draw()), algorithm.iv_len_bytes());
            }
            Kind::Aead(algorithm, _) => {
                let nonce_len = match algorithm {
                    AeadAlgorithm::Ccm => 13,
                    _ => 12,
                };
                request.iv = secret(usize::from(draw()), nonce_len);
                request.aad = secret(usize::from(draw()), spec.aad_len);
            }
            Kind::Chain(cipher, ..) => {
                len_bytes += 16;
                request.iv = secret(usize::from(draw()), 16);
                request.aad = secret(usize::from(draw()), spec.aad_len);
                let start = usize::from(draw()) % (len_bytes - 15);
                let most = (len_bytes - start) / 16;
                let blocks = 1 + usize::from(draw()) % most;
                request.ciphered = start..start + 16 * blocks;
                if cipher == CipherAlgorithm::AesCtr && shape & 8 != 0 {
                    request.ciphered.end -= 1;
                }
                let start = usize::from(draw()) % (len_bytes + 1);
                request.hashed = start..start + usize::from(draw()) % (len_bytes - start + 1);
            }
            _ => {}
        }
        request.data = secret(usize::from(draw()), len_bytes);
        request.cuts = [1; 3].map(|_| 1 + usize::from(draw()) % len_bytes.max(1));
        request.cuts.sort_unstable();
        // One in a hundred is wrong.
        match draw() {
            0 if !request.iv.is_empty() => {
                // Fewer than CCM's shortest nonce has.
                request.iv = &request.iv[..3];
                request.is_valid = false;
            }
            1 if matches!(spec.kind, Kind::Cipher(algorithm, _)
                if algorithm.min_len_bytes() > 1) =>
            {
                request.data = &request.data[..algorithm_less(spec)];
                request.is_valid = false;
            }
            2 if matches!(spec.kind, Kind::Chain(..)) => {
                request.hashed.end = len_bytes + 1;
                request.is_valid = false;
            }
            _ => {}
        }
        request
    }
}

/// Returns a length below the shortest that the session's cipher takes.
fn algorithm_less(spec: &Spec) -> usize {
    match spec.kind {
        Kind::Cipher(algorithm, _) => algorithm.min_len_bytes() - 1,
        _ => 0,
    }
}
