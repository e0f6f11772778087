//! The server against rustls' own client, whose primitives are ring's.

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

#[test]
fn clients_of_every_suite_and_group_are_served() {
    let suites = [
        (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 0),
        (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0),
        (
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            1,
        ),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 1),
        (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, 2),
        (CipherSuite::TLS13_AES_128_GCM_SHA256, 2),
    ];
    let rsa_rigs = [rsa(Abilities::Pkcs1), rsa(PSS)];
    let p256 = rig(P256_KEY, P256_CERTIFICATE, Abilities::Ecdsa);
    for (suite, kind) in suites {
        let rigs: &[&Rig] = match kind {
            0 => &[&rsa_rigs[0], &rsa_rigs[1]],
            1 => &[&p256],
            _ => &[&rsa_rigs[1], &p256],
        };
        for rig in rigs {
            for group in 0..2 {
                let mut provider = ring::default_provider();
                provider
                    .cipher_suites
                    .retain(|known| known.suite() == suite);
                provider.kx_groups = vec![provider.kx_groups[group]];
                let version = if kind == 2 { &TLS13 } else { &TLS12 };
                let config = client_config(provider, &[version], schemes());
                let mut seat = rig.server.seat();
                let (mut client, mut server) =
                    (hello(&config), Connection::new(&mut seat).unwrap());
                let course = run(rig, &mut client, &mut server, usize::MAX);
                assert_eq!(course, open(1), "{suite:?}");
                assert!(!server.is_resumed());
                exchange(rig, &mut client, &mut server);
            }
        }
    }
}

#[test]
fn hello_may_come_byte_by_byte() {
    for (rig, version) in [(rsa(Abilities::Pkcs1), &TLS12), (rsa(PSS), &TLS13)] {
        let mut seat = rig.server.seat();
        let mut server = Connection::new(&mut seat).unwrap();
        let mut client = hello(&of_version(version));
        assert_eq!(run(&rig, &mut client, &mut server, 1), open(1));
        exchange(&rig, &mut client, &mut server);
    }
}

#[test]
fn second_hello_is_answered_with_one_signature() {
    // The share is of a group that the server does not have: it asks for another one first.
    let mut provider = ring::default_provider();
    provider.kx_groups.reverse();
    let rig = rsa(PSS);
    let mut seat = rig.server.seat();
    for step in [1, usize::MAX] {
        let config = client_config(provider.clone(), &[&TLS13], schemes());
        let mut server = Connection::new(&mut seat).unwrap();
        let mut client = hello(&config);
        assert_eq!(run(&rig, &mut client, &mut server, step), open(1));
        let kind = client.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
        exchange(&rig, &mut client, &mut server);
    }
}

#[test]
fn client_that_comes_back_needs_no_signature() {
    for (rig, version) in [(rsa(Abilities::Pkcs1), &TLS12), (rsa(PSS), &TLS13)] {
        let config = of_version(version);
        // The second one sits elsewhere, and comes back all the same.
        for (is_back, mut seat) in [(false, rig.server.seat()), (true, rig.server.seat())] {
            let (mut client, mut server) = (hello(&config), Connection::new(&mut seat).unwrap());
            let course = run(&rig, &mut client, &mut server, usize::MAX);
            assert_eq!(course, open(usize::from(!is_back)));
            assert_eq!(server.is_resumed(), is_back);
            exchange(&rig, &mut client, &mut server);
        }
    }
}

#[test]
fn client_that_offers_less_gets_the_right_alert() {
    let refusal = |rig: &Rig, config: &Arc<ClientConfig>| {
        let mut seat = rig.server.seat();
        let (mut client, mut server) = (hello(config), Connection::new(&mut seat).unwrap());
        let course = run(rig, &mut client, &mut server, usize::MAX);
        assert!(
            course.server.is_some() && course.signatures == 0,
            "{course:?}"
        );
        course.client
    };
    let pkcs1 = rsa(Abilities::Pkcs1);
    assert_eq!(
        refusal(&pkcs1, &of_version(&TLS13)),
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion))
    );
    let failure = Some(Error::AlertReceived(AlertDescription::HandshakeFailure));
    let mut provider = ring::default_provider();
    provider
        .cipher_suites
        .retain(|known| known.suite() == CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);
    let aes256 = client_config(provider, &[&TLS12], schemes());
    assert_eq!(refusal(&pkcs1, &aes256), failure);
    let sha512 = vec![SignatureScheme::RSA_PKCS1_SHA512];
    let sha512 = client_config(ring::default_provider(), &[&TLS12], sha512);
    assert_eq!(refusal(&pkcs1, &sha512), failure);
    let p256 = rig(P256_KEY, P256_CERTIFICATE, Abilities::Ecdsa);
    let rsa_alone = vec![SignatureScheme::RSA_PSS_SHA256];
    let rsa_alone = client_config(ring::default_provider(), &[&TLS13], rsa_alone);
    assert_eq!(refusal(&p256, &rsa_alone), failure);
}

#[test]
fn wrong_signature_reaches_no_client_that_believes_it() {
    let rig = rsa(Abilities::Pkcs1);
    let mut seat = rig.server.seat();
    let (mut client, mut server) = (hello(&any_client()), Connection::new(&mut seat).unwrap());
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    server.receive(&bytes).unwrap();
    assert!(matches!(server.advance(), Ok(Wants::Signature(_))));
    server.signed(vec![1; 256]).unwrap();
    assert_eq!(server.advance(), Ok(Wants::Bytes));
    let outgoing = core::mem::take(server.outgoing());
    client.read_tls(&mut &*outgoing).unwrap();
    assert!(client.process_new_packets().is_err());
}

#[test]
fn flight_begins_anew_with_another_digest() {
    let rig = rsa(Abilities::Pkcs1);
    let mut seat = rig.server.seat();
    let (mut client, mut server) = (
        hello(&of_version(&TLS12)),
        Connection::new(&mut seat).unwrap(),
    );
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    server.receive(&bytes).unwrap();
    let first = server.advance().unwrap();
    server.restart().unwrap();
    let Ok(Wants::Signature(second)) = server.advance() else {
        panic!("no signature is wanted");
    };
    assert_ne!(first, Wants::Signature(second.clone()));
    server.signed(rig.key.sign(&second).unwrap()).unwrap();
    server.advance().unwrap();
    let outgoing = core::mem::take(server.outgoing());
    client.read_tls(&mut &*outgoing).unwrap();
    client.process_new_packets().unwrap();
    run(&rig, &mut client, &mut server, usize::MAX);
    exchange(&rig, &mut client, &mut server);
}

#[test]
fn flight_of_which_the_client_has_a_part_goes_on() {
    let mut provider = ring::default_provider();
    provider.kx_groups.reverse();
    let rig = rsa(PSS);
    let mut seat = rig.server.seat();
    let mut client = hello(&client_config(provider, &[&TLS13], schemes()));
    let mut server = Connection::new(&mut seat).unwrap();
    let mut wants = Wants::Bytes;
    while wants == Wants::Bytes {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.receive(&bytes).unwrap();
        wants = server.advance().unwrap();
        let outgoing = core::mem::take(server.outgoing());
        client.read_tls(&mut &*outgoing).unwrap();
        client.process_new_packets().unwrap();
    }
    server.restart().unwrap();
    assert_eq!(server.advance(), Ok(wants.clone()));
    let Wants::Signature(to_sign) = wants else {
        panic!("no signature is wanted");
    };
    server.signed(rig.key.sign(&to_sign).unwrap()).unwrap();
    server.advance().unwrap();
    run(&rig, &mut client, &mut server, usize::MAX);
    exchange(&rig, &mut client, &mut server);
}

#[test]
fn many_wait_for_their_signatures_at_once() {
    let rig = rsa(PSS);
    let mut seats: Vec<Seat> = (0..5).map(|_| rig.server.seat()).collect();
    let mut waiting = Vec::new();
    for (number, seat) in seats.iter_mut().enumerate() {
        let version = if number % 2 == 0 { &TLS12 } else { &TLS13 };
        let mut client = hello(&of_version(version));
        let mut server = Connection::new(seat).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.receive(&bytes).unwrap();
        let Ok(Wants::Signature(to_sign)) = server.advance() else {
            panic!("no signature is wanted");
        };
        waiting.push((client, server, to_sign));
    }
    while let Some((mut client, mut server, to_sign)) = waiting.pop() {
        server.signed(rig.key.sign(&to_sign).unwrap()).unwrap();
        server.advance().unwrap();
        let outgoing = core::mem::take(server.outgoing());
        client.read_tls(&mut &*outgoing).unwrap();
        client.process_new_packets().unwrap();
        run(&rig, &mut client, &mut server, usize::MAX);
        exchange(&rig, &mut client, &mut server);
    }
}

#[test]
fn seat_is_as_new_after_a_client_that_left_in_the_middle() {
    let rig = rsa(Abilities::Pkcs1);
    let mut seat = rig.server.seat();
    for _ in 0..2 {
        let mut server = Connection::new(&mut seat).unwrap();
        let mut bytes = Vec::new();
        hello(&any_client()).write_tls(&mut bytes).unwrap();
        server.receive(&bytes).unwrap();
        assert!(matches!(server.advance(), Ok(Wants::Signature(_))));
    }
    let (mut client, mut server) = (hello(&any_client()), Connection::new(&mut seat).unwrap());
    assert_eq!(run(&rig, &mut client, &mut server, usize::MAX), open(1));
    exchange(&rig, &mut client, &mut server);
}

#[test]
fn garbage_is_refused_with_an_alert() {
    let rig = rsa(PSS);
    let mut seat = rig.server.seat();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[0x16, 3, 1, 0xff, 0xff, 1, 2],
    ] {
        let mut server = Connection::new(&mut seat).unwrap();
        server.receive(garbage).unwrap();
        assert!(server.advance().is_err(), "{garbage:?}");
        assert_eq!(server.outgoing()[..3], [21, 3, 3], "{garbage:?}");
        assert!(server.advance().is_err(), "{garbage:?}");
        assert!(server.write(b"x").is_err());
    }
}

#[test]
fn half_a_hello_is_waited_for_and_an_endless_one_is_not() {
    let rig = rsa(PSS);
    let mut seat = rig.server.seat();
    let mut server = Connection::new(&mut seat).unwrap();
    let mut bytes = Vec::new();
    hello(&any_client()).write_tls(&mut bytes).unwrap();
    server.receive(&bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(server.advance(), Ok(Wants::Bytes));
    assert_eq!(
        server.write(b"x"),
        Err(Failure::Tls(Error::HandshakeNotComplete))
    );
    drop(server);
    // A hello that says that it is 60,000 bytes long, in records of a hundred.
    let mut server = Connection::new(&mut seat).unwrap();
    let mut first = vec![0x16, 3, 1, 0, 100, 1, 0, 0xea, 0x60];
    first.resize(105, 0);
    let mut record = vec![0x16, 3, 1, 0, 100];
    record.resize(105, 0);
    let mut outcome = server.receive(&first);
    let mut taken = 0;
    while outcome.is_ok() {
        assert_eq!(server.advance(), Ok(Wants::Bytes));
        taken += 105;
        outcome = server.receive(&record);
    }
    assert_eq!(outcome, Err(Failure::TooLong));
    assert!(taken <= MAX_HELLO_LEN, "{taken} bytes");
}

#[test]
fn damaged_record_ends_the_connection() {
    let rig = rsa(Abilities::Pkcs1);
    let mut seat = rig.server.seat();
    let (mut client, mut server) = (hello(&any_client()), Connection::new(&mut seat).unwrap());
    run(&rig, &mut client, &mut server, usize::MAX);
    std::io::Write::write_all(&mut client.writer(), b"ping").unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    server.receive(&bytes).unwrap();
    assert_eq!(server.advance(), Err(Failure::Tls(Error::DecryptError)));
    assert!(server.plain().is_empty() && !server.outgoing().is_empty());
}
