//! Protection of records: ChaCha20-Poly1305 (RFC 7905) and AES-128-GCM (RFC 5288), in TLS 1.2 and
//! 1.3 (RFC 8446, 5.2).

use alloc::boxed::Box;
use core::marker::PhantomData;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadCore, AeadInOut, Nonce as AeadNonce, Tag, consts::U12, consts::U16},
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    crypto::cipher::{
        AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
        MessageEncrypter, NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage,
        PrefixedPayload, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
        make_tls12_aad, make_tls13_aad,
    },
};

const TAG_LEN: usize = 16;
/// Most bytes of a record's content.
const MAX_CONTENT_LEN: usize = 16384;

/// A cipher of records, with what TLS 1.2 does otherwise for each.
pub trait Cipher:
    AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
    /// Bytes of the key.
    const KEY_LEN: usize;
    /// Bytes of the nonce that TLS 1.2 sends with each record; the others are a secret.
    const EXPLICIT_LEN: usize;
}

impl Cipher for ChaCha20Poly1305 {
    const KEY_LEN: usize = 32;
    const EXPLICIT_LEN: usize = 0;
}

impl Cipher for aes_gcm::Aes128Gcm {
    const KEY_LEN: usize = 16;
    const EXPLICIT_LEN: usize = 8;
}

/// Records of TLS 1.2 under one cipher.
#[derive(Debug)]
pub struct Tls12<C>(PhantomData<fn() -> C>);

/// Records of TLS 1.3 under one cipher.
#[derive(Debug)]
pub struct Tls13<C>(PhantomData<fn() -> C>);

/// A key and its nonces, in one direction.
struct Records<C> {
    cipher: C,
    iv: Iv,
}

struct Records12<C>(Records<C>);
struct Records13<C>(Records<C>);

impl<C> Tls12<C> {
    /// Makes it.
    pub const NEW: Self = Self(PhantomData);
}

impl<C> Tls13<C> {
    /// Makes it.
    pub const NEW: Self = Self(PhantomData);
}

impl<C: Cipher> Records<C> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        let Ok(cipher) = C::new_from_slice(key.as_ref()) else {
            unreachable!("rustls gives a key of the length that it was told");
        };
        Self { cipher, iv }
    }

    /// Protects what `payload` has from `from` on, and puts the tag behind it.
    fn seal(
        &self,
        nonce: Nonce,
        associated: &[u8],
        payload: &mut PrefixedPayload,
        from: usize,
    ) -> Result<(), Error> {
        let content = payload
            .as_mut()
            .get_mut(from..)
            .ok_or(Error::EncryptError)?;
        let nonce = AeadNonce::<C>::from(nonce.0);
        let sealed = self
            .cipher
            .encrypt_inout_detached(&nonce, associated, content.into());
        let tag = sealed.map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens `protected`, whose last bytes are the tag; returns how long the content is.
    fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        protected: &mut [u8],
    ) -> Result<usize, Error> {
        let Some((content, tag)) = protected.split_last_chunk_mut::<TAG_LEN>() else {
            return Err(Error::DecryptError);
        };
        let nonce = AeadNonce::<C>::from(nonce);
        let tag = Tag::<C>::from(*tag);
        let len_bytes = content.len();
        let opened = self
            .cipher
            .decrypt_inout_detached(&nonce, associated, content.into(), &tag);
        opened.map_err(|_| Error::DecryptError)?;
        Ok(len_bytes)
    }
}

impl<C: Cipher> Tls12AeadAlgorithm for Tls12<C> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Records12(Records::<C>::new(&key, whole_iv(iv, explicit))))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Records12(Records::<C>::new(&key, whole_iv(iv, &[]))))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: C::KEY_LEN,
            fixed_iv_len: NONCE_LEN - C::EXPLICIT_LEN,
            explicit_nonce_len: C::EXPLICIT_LEN,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// Joins the secret part of a nonce with the first one that is sent; what neither has is zero.
fn whole_iv(fixed: &[u8], explicit: &[u8]) -> Iv {
    let mut iv = [0; NONCE_LEN];
    for (byte, given) in iv.iter_mut().zip(fixed.iter().chain(explicit)) {
        *byte = *given;
    }
    Iv::new(iv)
}

impl<C: Cipher> MessageEncrypter for Records12<C> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let (kind, version, len_bytes) = (message.typ, message.version, message.payload.len());
        let capacity = self.encrypted_payload_len(len_bytes);
        let mut payload = PrefixedPayload::with_capacity(capacity);
        let nonce = Nonce::new(&self.0.iv, sequence);
        payload.extend_from_slice(&nonce.0[NONCE_LEN - C::EXPLICIT_LEN..]);
        payload.extend_from_chunks(&message.payload);
        let associated = make_tls12_aad(sequence, kind, version, len_bytes);
        self.0
            .seal(nonce, &associated, &mut payload, C::EXPLICIT_LEN)?;
        Ok(OutboundOpaqueMessage::new(kind, version, payload))
    }

    fn encrypted_payload_len(&self, len_bytes: usize) -> usize {
        C::EXPLICIT_LEN + len_bytes + TAG_LEN
    }
}

impl<C: Cipher> MessageDecrypter for Records12<C> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let overhead = C::EXPLICIT_LEN + TAG_LEN;
        let len_bytes = message.payload.len().checked_sub(overhead);
        let len_bytes = len_bytes.ok_or(Error::DecryptError)?;
        if len_bytes > MAX_CONTENT_LEN {
            return Err(Error::PeerSentOversizedRecord);
        }
        let mut nonce = Nonce::new(&self.0.iv, sequence).0;
        let (explicit, protected) = message.payload.split_at_mut(C::EXPLICIT_LEN);
        nonce[NONCE_LEN - C::EXPLICIT_LEN..].copy_from_slice(explicit);
        let associated = make_tls12_aad(sequence, message.typ, message.version, len_bytes);
        self.0.open(nonce, &associated, protected)?;
        let content = C::EXPLICIT_LEN..C::EXPLICIT_LEN + len_bytes;
        Ok(message.into_plain_message_range(content))
    }
}

impl<C: Cipher> Tls13AeadAlgorithm for Tls13<C> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Records13(Records::<C>::new(&key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Records13(Records::<C>::new(&key, iv)))
    }

    fn key_len(&self) -> usize {
        C::KEY_LEN
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<C: Cipher> MessageEncrypter for Records13<C> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let len_bytes = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(len_bytes);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[u8::from(message.typ)]);
        let nonce = Nonce::new(&self.0.iv, sequence);
        let associated = make_tls13_aad(len_bytes);
        self.0.seal(nonce, &associated, &mut payload, 0)?;
        // Every protected record says that it is application data of TLS 1.2 (RFC 8446, 5.2).
        let (kind, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        Ok(OutboundOpaqueMessage::new(kind, version, payload))
    }

    fn encrypted_payload_len(&self, len_bytes: usize) -> usize {
        len_bytes + 1 + TAG_LEN
    }
}

impl<C: Cipher> MessageDecrypter for Records13<C> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let nonce = Nonce::new(&self.0.iv, sequence).0;
        let associated = make_tls13_aad(message.payload.len());
        let len_bytes = self.0.open(nonce, &associated, &mut message.payload)?;
        message.payload.truncate(len_bytes);
        message.into_tls13_unpadded_message()
    }
}
