//! Sessions of every service, and what does without one.

use std::cell::OnceCell;

use virtio_crypto::{
    AeadDecrypt, AeadEncrypt, Chain, ChainParameters, ChainedHash, Cipher, Curve, Device,
    Direction, EcdsaNumber, EcdsaPrivateKey, EcdsaPublicKey, EcdsaSigner, EcdsaVerifier, Error,
    HashAlgorithm, Mac, MacAlgorithm, MessageDigest, RsaDecryptor, RsaEncryptor, RsaHash,
    RsaPrivateKey, RsaRawDecryptor, RsaSigner, RsaVerifier,
};

use super::spec::{Hashed, Kind, Spec};
use crate::{machine::kernel::Kernel, oracle::ecdsa_public};

/// The hash of chains, and the MAC.
pub(super) const CHAIN_HASH: HashAlgorithm = HashAlgorithm::Sha256;
pub(super) const CHAIN_MAC: MacAlgorithm = MacAlgorithm::HmacSha256;

pub(super) const CURVE: Curve = Curve::P256;
const SCALAR: [u8; 32] = [0x35; 32];

/// A session, or what is kept to do without one.
#[derive(Debug)]
pub(crate) enum Opened {
    Cipher(Cipher<Kernel>),
    Hash(MessageDigest<Kernel>),
    Mac(Mac<Kernel>),
    Seal(AeadEncrypt<Kernel>),
    Unseal(AeadDecrypt<Kernel>),
    Chain(Chain<Kernel>),
    RsaSign(RsaSigner<Kernel>),
    RsaVerify(RsaVerifier<Kernel>),
    RsaEncrypt(RsaEncryptor<Kernel>),
    RsaDecrypt(RsaDecryptor<Kernel>),
    RsaRawDecrypt(RsaRawDecryptor<Kernel>),
    EcdsaSign(EcdsaSigner<Kernel>),
    EcdsaVerify(EcdsaVerifier<Kernel>),
}

/// Keys that are made once in a thread: to check them takes longer than all else.
struct Keys {
    rsa: RsaPrivateKey,
    ecdsa: EcdsaPrivateKey,
    ecdsa_public: EcdsaPublicKey,
}

thread_local!(static KEYS: OnceCell<Keys> = const { OnceCell::new() });

impl Keys {
    fn new() -> Self {
        let der = include_bytes!("../../../../driver/testdata/rsa/1024.pkcs1.der");
        let point = ecdsa_public(CURVE, &SCALAR);
        let keys = || {
            Ok::<_, Error>(Self {
                rsa: RsaPrivateKey::from_pkcs1_der(der)?,
                ecdsa: EcdsaPrivateKey::from_scalar(CURVE, &SCALAR)?,
                ecdsa_public: EcdsaPublicKey::from_sec1_bytes(CURVE, &point)?,
            })
        };
        keys().expect("keys that are valid")
    }
}

fn rsa_key() -> RsaPrivateKey {
    KEYS.with(|keys| keys.get_or_init(Keys::new).rsa.clone())
}

fn ecdsa_keys() -> (EcdsaPrivateKey, EcdsaPublicKey) {
    KEYS.with(|keys| {
        let keys = keys.get_or_init(Keys::new);
        (keys.ecdsa.clone(), keys.ecdsa_public.clone())
    })
}

/// Opens a session, or does without one.
macro_rules! open {
    ($spec:expr, $device:expr, $name:ident: $type:ident($($argument:expr),*) $(, $aad:expr)?) => {
        Self::$name(if $spec.is_stateless {
            $type::stateless($device, $($argument),*)?
        } else {
            $type::open($device, $($argument,)* $($aad)?).await?
        })
    };
}

impl Opened {
    pub(crate) async fn open(device: &Device<Kernel>, spec: &Spec) -> Result<Self, Error> {
        let Spec {
            key,
            result_len,
            aad_len,
            ..
        } = *spec;
        Ok(match spec.kind {
            Kind::Cipher(algorithm, direction) => {
                open!(spec, device, Cipher: Cipher(algorithm, direction, key))
            }
            Kind::Hash(algorithm) => {
                open!(spec, device, Hash: MessageDigest(algorithm, result_len))
            }
            Kind::Mac(algorithm) => open!(spec, device, Mac: Mac(algorithm, key, result_len)),
            Kind::Aead(algorithm, Direction::Encrypt) => {
                open!(spec, device, Seal: AeadEncrypt(algorithm, key, result_len), aad_len)
            }
            Kind::Aead(algorithm, Direction::Decrypt) => {
                open!(spec, device, Unseal: AeadDecrypt(algorithm, key, result_len), aad_len)
            }
            Kind::Chain(cipher, direction, order, hashed) => {
                let parameters = ChainParameters {
                    order,
                    cipher,
                    direction,
                    cipher_key: key,
                    hash: match hashed {
                        Hashed::Plain => ChainedHash::Plain(CHAIN_HASH),
                        Hashed::Nested => ChainedHash::Nested(CHAIN_HASH),
                        Hashed::Authenticated => {
                            ChainedHash::Authenticated(CHAIN_MAC, spec.hash_key)
                        }
                    },
                    digest_len_bytes: result_len,
                };
                open!(spec, device, Chain: Chain(&parameters), aad_len)
            }
            Kind::RsaSign => open!(spec, device, RsaSign: RsaSigner(&rsa_key(), RsaHash::Sha256)),
            Kind::RsaVerify => {
                let key = rsa_key();
                open!(spec, device, RsaVerify: RsaVerifier(key.public_key(), RsaHash::Sha256))
            }
            Kind::RsaEncrypt => {
                open!(spec, device, RsaEncrypt: RsaEncryptor(rsa_key().public_key()))
            }
            Kind::RsaDecrypt => open!(spec, device, RsaDecrypt: RsaDecryptor(&rsa_key())),
            Kind::RsaRawDecrypt => open!(spec, device, RsaRawDecrypt: RsaRawDecryptor(&rsa_key())),
            Kind::EcdsaSign => {
                let (key, _) = ecdsa_keys();
                open!(spec, device, EcdsaSign: EcdsaSigner(&key, EcdsaNumber::Linux))
            }
            Kind::EcdsaVerify => {
                let (_, key) = ecdsa_keys();
                open!(spec, device, EcdsaVerify: EcdsaVerifier(&key, EcdsaNumber::Linux))
            }
        })
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Cipher(session) => session.close().await,
            Self::Hash(session) => session.close().await,
            Self::Mac(session) => session.close().await,
            Self::Seal(session) => session.close().await,
            Self::Unseal(session) => session.close().await,
            Self::Chain(session) => session.close().await,
            Self::RsaSign(session) => session.close().await,
            Self::RsaVerify(session) => session.close().await,
            Self::RsaEncrypt(session) => session.close().await,
            Self::RsaDecrypt(session) => session.close().await,
            Self::RsaRawDecrypt(session) => session.close().await,
            Self::EcdsaSign(session) => session.close().await,
            Self::EcdsaVerify(session) => session.close().await,
        }
    }

    /// Returns the session of a cipher, for what only ciphers have.
    pub(crate) fn cipher(&self) -> Option<&Cipher<Kernel>> {
        match self {
            Self::Cipher(cipher) => Some(cipher),
            _ => None,
        }
    }
}
