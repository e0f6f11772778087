//! Clients that are served.

use super::*;

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
