//! Clients and devices that do not behave.

use super::*;

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

/// Rustls keeps places in what came, and an error leaves them behind.
#[test]
fn unfinished_message_with_anything_behind_it_is_refused() {
    let rig = rsa(PSS);
    let mut seat = rig.server.seat();
    let unfinished = [0x16, 3, 1, 0, 5, 1, 0, 1, 0, 0];
    let too_long = [0x16, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0];
    let (data, garbage) = (&[0x17, 3, 3, 0, 1, 0][..], &[0xff; 20][..]);
    let mut greeting = Vec::new();
    hello(&any_client()).write_tls(&mut greeting).unwrap();
    for bytes in [
        too_long.to_vec(),
        [&unfinished, data].concat(),
        [&unfinished, garbage].concat(),
        [&greeting[..], &unfinished, data].concat(),
        [&greeting[..], &[0x16, 3, 3, 0, 40], &[0xa5; 40]].concat(),
    ] {
        for cut in 0..bytes.len() {
            let mut server = Connection::new(&mut seat).unwrap();
            let mut advance = |part: &[u8]| {
                server.receive(part)?;
                match server.advance()? {
                    Wants::Signature(_) => server.signed(vec![1; 256]),
                    _ => Ok(()),
                }?;
                server.advance().map(drop)
            };
            let outcome = advance(&bytes[..cut]).and_then(|()| advance(&bytes[cut..]));
            assert!(outcome.is_err(), "{bytes:?} cut at {cut}");
            assert!(server.advance().is_err(), "{bytes:?} cut at {cut}");
        }
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
