//! What the server offers: suites, versions, its certificate; and the seats that connections take.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{fmt, time::Duration};

use aes_gcm::Aes128Gcm;
use chacha20poly1305::ChaCha20Poly1305;
use rustls::{
    CipherSuite, CipherSuiteCommon, Error, ServerConfig, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion, Tls12CipherSuite, Tls13CipherSuite,
    crypto::{
        CryptoProvider, KeyExchangeAlgorithm, KeyProvider, SupportedKxGroup,
        WebPkiSupportedAlgorithms, cipher::Tls12AeadAlgorithm, tls12::PrfUsingHmac,
        tls13::HkdfUsingHmac,
    },
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use super::{
    curves::CURVES,
    exchange::Group,
    hash::{HashSha256, HmacSha256},
    recorder::Recorder,
    records::{Tls12, Tls13},
    signing::{Abilities, Key},
    tickets::Tickets,
};

/// The records that one key of AES-GCM protects at most (RFC 8446, 5.5); ChaCha20-Poly1305 has no
/// such limit.
const GCM_RECORDS: u64 = 1 << 24;

const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];
const ECDSA: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];

const fn common(suite: CipherSuite, confidentiality_limit: u64) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite,
        hash_provider: &HashSha256,
        confidentiality_limit,
    }
}

const fn tls12(
    common: CipherSuiteCommon,
    sign: &'static [SignatureScheme],
    aead_alg: &'static dyn Tls12AeadAlgorithm,
) -> Tls12CipherSuite {
    Tls12CipherSuite {
        common,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign,
        prf_provider: &PrfUsingHmac(&HmacSha256),
        aead_alg,
    }
}

const CHACHA12: &dyn Tls12AeadAlgorithm = &Tls12::<ChaCha20Poly1305>::NEW;
const GCM12: &dyn Tls12AeadAlgorithm = &Tls12::<Aes128Gcm>::NEW;

static RSA_CHACHA: Tls12CipherSuite = tls12(
    common(
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        u64::MAX,
    ),
    RSA,
    CHACHA12,
);
static RSA_GCM: Tls12CipherSuite = tls12(
    common(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        GCM_RECORDS,
    ),
    RSA,
    GCM12,
);
static ECDSA_CHACHA: Tls12CipherSuite = tls12(
    common(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        u64::MAX,
    ),
    ECDSA,
    CHACHA12,
);
static ECDSA_GCM: Tls12CipherSuite = tls12(
    common(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        GCM_RECORDS,
    ),
    ECDSA,
    GCM12,
);
static CHACHA13: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, u64::MAX),
    hkdf_provider: &HkdfUsingHmac(&HmacSha256),
    aead_alg: &Tls13::<ChaCha20Poly1305>::NEW,
    quic: None,
};
static GCM13: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_AES_128_GCM_SHA256, GCM_RECORDS),
    hkdf_provider: &HkdfUsingHmac(&HmacSha256),
    aead_alg: &Tls13::<Aes128Gcm>::NEW,
    quic: None,
};

impl Abilities {
    /// The suites, in the server's order: ChaCha20 first, since AES has no instructions here.
    fn suites(self) -> Vec<SupportedCipherSuite> {
        let tls13 = [&CHACHA13, &GCM13].map(SupportedCipherSuite::Tls13);
        let rsa = [&RSA_CHACHA, &RSA_GCM].map(SupportedCipherSuite::Tls12);
        let ecdsa = [&ECDSA_CHACHA, &ECDSA_GCM].map(SupportedCipherSuite::Tls12);
        match self {
            Self::Pkcs1 => rsa.into(),
            Self::Pss { .. } => [tls13, rsa].concat(),
            Self::Ecdsa => [tls13, ecdsa].concat(),
        }
    }

    /// The versions of TLS that they suffice for, in words.
    pub fn versions_text(self) -> &'static str {
        match self {
            Self::Pkcs1 => "1.2",
            Self::Pss { .. } | Self::Ecdsa => "1.2,1.3",
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Pkcs1 => &BOTH[1..],
            Self::Pss { .. } | Self::Ecdsa => &BOTH,
        }
    }
}

/// Where randomness and time come from.
#[derive(Clone, Copy, Debug)]
pub struct Sources {
    /// Fills with random bytes.
    pub fill: fn(&mut [u8]),
    /// Any clock of seconds that does not go back.
    pub now_s: fn() -> u64,
}

#[derive(Debug)]
struct Clock(fn() -> u64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        // Tickets alone are dated, by this server, and no other reads them.
        Some(UnixTime::since_unix_epoch(Duration::from_secs((self.0)())))
    }
}

#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("keys are not loaded here".into()))
    }
}

#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A TLS server: a certificate, and what its key can sign.
pub struct Server {
    chain: Vec<CertificateDer<'static>>,
    abilities: Abilities,
    sources: Sources,
    tickets: Arc<Tickets>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("abilities", &self.abilities)
            .finish_non_exhaustive()
    }
}

/// Where one connection at a time is served.
#[derive(Debug)]
pub struct Seat {
    pub(super) config: Arc<ServerConfig>,
    pub(super) recorder: &'static Recorder,
}

impl Server {
    /// Makes one with a certificate, its issuers behind it.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        abilities: Abilities,
        sources: Sources,
    ) -> Self {
        let tickets = Arc::new(Tickets::new(sources.fill, sources.now_s));
        Self {
            chain,
            abilities,
            sources,
            tickets,
        }
    }

    /// Makes a seat, of which a part stays for ever: as many are made as connections are served at
    /// once.
    pub fn seat(&self) -> Seat {
        let recorder: &'static Recorder = Box::leak(Box::new(Recorder::new(self.sources.fill)));
        let group = |curve| -> &'static dyn SupportedKxGroup {
            Box::leak(Box::new(Group { curve, recorder }))
        };
        let provider = CryptoProvider {
            cipher_suites: self.abilities.suites(),
            kx_groups: CURVES.map(group).into(),
            // Clients show no certificates.
            signature_verification_algorithms: WebPkiSupportedAlgorithms {
                all: &[],
                mapping: &[],
            },
            secure_random: recorder,
            key_provider: &NoKeys,
        };
        let key = Key {
            abilities: self.abilities,
            recorder,
        };
        let certified = CertifiedKey::new(self.chain.clone(), Arc::new(key));
        let clock = Arc::new(Clock(self.sources.now_s));
        let config = ServerConfig::builder_with_details(Arc::new(provider), clock)
            .with_protocol_versions(self.abilities.versions());
        let Ok(config) = config else {
            unreachable!("each version has suites and groups");
        };
        let mut config = config
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(OneCertificate(Arc::new(certified))));
        config.ticketer = self.tickets.clone();
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Seat {
            config: Arc::new(config),
            recorder,
        }
    }
}
