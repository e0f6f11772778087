//! The server against rustls' own client, whose primitives are ring's.

mod refusing;
mod serving;

use std::{sync::Arc, vec, vec::Vec};

use rustls::{
    AlertDescription, CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};

use super::*;
use crate::testing::{self, P256_CERTIFICATE, P256_KEY, RSA_CERTIFICATE, RSA_KEY};

/// Believes every certificate, and no signature that is wrong.
#[derive(Debug)]
struct SignaturesAlone(Vec<SignatureScheme>);

impl ServerCertVerifier for SignaturesAlone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

fn schemes() -> Vec<SignatureScheme> {
    let algorithms = ring::default_provider().signature_verification_algorithms;
    algorithms.supported_schemes()
}

/// A client that offers as little as it is told.
fn client_config(
    provider: CryptoProvider,
    versions: &[&'static rustls::SupportedProtocolVersion],
    schemes: Vec<SignatureScheme>,
) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(SignaturesAlone(schemes)))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

fn any_client() -> Arc<ClientConfig> {
    client_config(ring::default_provider(), &[&TLS13, &TLS12], schemes())
}

fn of_version(version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    client_config(ring::default_provider(), &[version], schemes())
}

fn hello(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap()
}

struct Rig {
    server: Server,
    key: SoftwareKey,
}

fn rig(key: &[u8], certificate: &[u8], abilities: Abilities) -> Rig {
    let (identity, key) = read_identity(key, certificate).unwrap();
    let sources = Sources {
        fill: testing::fill,
        now_s: || 77,
    };
    Rig {
        server: Server::new(identity.chain, abilities, sources),
        key: SoftwareKey::new(&key, testing::fill).unwrap(),
    }
}

const PSS: Abilities = Abilities::Pss { modulus_bits: 2048 };

fn rsa(abilities: Abilities) -> Rig {
    rig(RSA_KEY, RSA_CERTIFICATE, abilities)
}

/// What a handshake came to.
#[derive(Debug, Default, PartialEq)]
struct Course {
    signatures: usize,
    client: Option<Error>,
    server: Option<Failure>,
}

/// Carries bytes to and fro, `step` of the client's at a time, until nobody has any to send.
fn run(rig: &Rig, client: &mut ClientConnection, server: &mut Connection, step: usize) -> Course {
    let mut course = Course::default();
    loop {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let had = bytes.len();
        for part in bytes.chunks(step) {
            if course.server.is_some() {
                break;
            }
            let outcome = server.receive(part).and_then(|()| {
                while let Wants::Signature(to_sign) = server.advance()? {
                    // Asked again meanwhile, it wants the same.
                    assert_eq!(server.advance()?, Wants::Signature(to_sign.clone()));
                    course.signatures += 1;
                    server.signed(rig.key.sign(&to_sign).unwrap())?;
                }
                Ok(())
            });
            course.server = outcome.err();
        }
        let outgoing = core::mem::take(server.outgoing());
        let mut rest = &*outgoing;
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            if let Err(error) = client.process_new_packets() {
                course.client = Some(error);
                return course;
            }
        }
        if had == 0 && outgoing.is_empty() {
            return course;
        }
    }
}

/// A handshake that works.
fn open(signatures: usize) -> Course {
    Course {
        signatures,
        ..Course::default()
    }
}

fn read(client: &mut ClientConnection, len_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; len_bytes];
    std::io::Read::read_exact(&mut client.reader(), &mut bytes).unwrap();
    bytes
}

/// Data in both directions, and the end.
fn exchange(rig: &Rig, client: &mut ClientConnection, server: &mut Connection) {
    assert!(server.is_open());
    std::io::Write::write_all(&mut client.writer(), b"ping").unwrap();
    assert_eq!(run(rig, client, server, 7), open(0));
    assert_eq!(core::mem::take(server.plain()), b"ping");
    let long: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    for part in long.chunks(MAX_PLAIN_LEN) {
        server.write(part).unwrap();
        run(rig, client, server, 7);
        assert_eq!(read(client, part.len()), part);
    }
    client.send_close_notify();
    run(rig, client, server, 7);
    assert_eq!(server.advance(), Ok(Wants::Nothing));
    server.close().unwrap();
    run(rig, client, server, 7);
    assert!(client.process_new_packets().unwrap().peer_has_closed());
}
