use crate::{
    feature,
    wire::{
        algorithm::{
            AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm, Service,
        },
        config::{CONFIG_BYTES, Config, HW_READY},
        control::{CREATED_BYTES, DESTROYED_BYTES, created},
        header::{
            ControlHeader, ControlOperation, DataHeader, Direction, Form, KeyOperation, Mode,
            Operation, stateless_mode,
        },
        status::Status,
    },
};

/// 5.9.7.2.
#[test]
fn control_opcodes() {
    use ControlOperation::{Create, Destroy};
    let known = [
        (0x002, Service::Cipher, Create),
        (0x003, Service::Cipher, Destroy),
        (0x102, Service::Hash, Create),
        (0x103, Service::Hash, Destroy),
        (0x202, Service::Mac, Create),
        (0x203, Service::Mac, Destroy),
        (0x302, Service::Aead, Create),
        (0x303, Service::Aead, Destroy),
        (0x404, Service::Akcipher, Create),
        (0x405, Service::Akcipher, Destroy),
    ];
    for opcode in 0..0x1_0000 {
        let header = ControlHeader {
            opcode,
            algo: 0,
            flag: 0,
            reserved: 0,
        };
        let expected = known.iter().find(|(known, ..)| *known == opcode);
        let expected = expected.map(|(_, service, operation)| (*service, *operation));
        assert_eq!(header.operation(), expected, "{opcode:#x}");
    }
}

/// 5.9.7.3.
#[test]
fn data_opcodes() {
    let known = [
        (0x000, Operation::Cipher(Direction::Encrypt)),
        (0x001, Operation::Cipher(Direction::Decrypt)),
        (0x100, Operation::Hash),
        (0x200, Operation::Mac),
        (0x300, Operation::Aead(Direction::Encrypt)),
        (0x301, Operation::Aead(Direction::Decrypt)),
        (0x400, Operation::Akcipher(KeyOperation::Encrypt)),
        (0x401, Operation::Akcipher(KeyOperation::Decrypt)),
        (0x402, Operation::Akcipher(KeyOperation::Sign)),
        (0x403, Operation::Akcipher(KeyOperation::Verify)),
    ];
    for opcode in 0..0x1_0000 {
        let expected = known.iter().find(|(known, _)| *known == opcode);
        let expected = expected.map(|(_, operation)| *operation);
        assert_eq!(header(opcode, 0).operation(), expected, "{opcode:#x}");
    }
}

fn header(opcode: u32, flag: u32) -> DataHeader {
    DataHeader {
        opcode,
        algo: 0,
        session_id: 0,
        flag,
        padding: 0,
    }
}

/// 5.9.7.3: bit 0 says session mode, if REVISION_1 was negotiated.
#[test]
fn the_flag_tells_the_mode() {
    for (flag, exact) in [
        (0, Mode::Stateless),
        (1, Mode::Session),
        (2, Mode::Stateless),
    ] {
        assert_eq!(header(0, flag).mode(Form::Exact), exact);
        assert_eq!(header(0, flag).mode(Form::Padded), Mode::Session);
    }
    assert_eq!(Form::of(1), Form::Exact);
    assert_eq!(Form::of(!1), Form::Padded);
}

/// 5.9.3.
#[test]
fn features_of_stateless_modes() {
    let modes = Service::ALL.map(stateless_mode);
    assert_eq!(modes, [1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5]);
    assert_eq!(feature::REVISION_1, 1 << 0);
}

/// 5.9.7.1, 5.9.7.2.1.
#[test]
fn statuses_and_directions() {
    let statuses = [
        Status::Ok,
        Status::Err,
        Status::BadMessage,
        Status::NotSupported,
        Status::InvalidSession,
        Status::NoSpace,
        Status::KeyRejected,
    ];
    assert_eq!(statuses.map(|status| status as u32), [0, 1, 2, 3, 4, 5, 6]);
    let directions = [0, 1, 2, 3].map(|number| Direction::of(number).ok());
    let known = [
        None,
        Some(Direction::Encrypt),
        Some(Direction::Decrypt),
        None,
    ];
    assert_eq!(directions, known);
    assert_eq!(Direction::of(3).unwrap_err().status, Status::NotSupported);
}

/// 5.9.4: numbers, in the order of the text.
#[test]
fn services_and_algorithms() {
    assert_eq!(Service::ALL.map(|one| one as u32), [0, 1, 2, 3, 4]);
    let ciphers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
    assert_eq!(CipherAlgorithm::ALL.map(|one| one as u32), ciphers);
    let hashes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert_eq!(HashAlgorithm::ALL.map(|one| one as u32), hashes);
    let macs = [1, 2, 3, 4, 5, 6, 25, 26, 27, 28, 41, 42, 49, 50, 53, 54];
    assert_eq!(MacAlgorithm::ALL.map(|one| one as u32), macs);
    assert_eq!(AeadAlgorithm::ALL.map(|one| one as u32), [1, 2, 3]);
    let akcipher = [AkcipherAlgorithm::Rsa, AkcipherAlgorithm::Ecdsa];
    assert_eq!(akcipher.map(|one| one as u32), [1, 2]);
    assert_eq!(CipherAlgorithm::of(0), None);
    assert_eq!(CipherAlgorithm::of(13), Some(CipherAlgorithm::AesXts));
    assert_eq!(HashAlgorithm::of(13), None);
    assert_eq!(MacAlgorithm::of(7), None);
    assert_eq!(AeadAlgorithm::of(4), None);
    assert_eq!(Service::of(5), None);
}

/// 5.9.5.
#[test]
fn the_configuration_has_its_fields_in_their_places() {
    let config = Config {
        status: 0x0001_0203,
        max_dataqueues: 0x0405_0607,
        crypto_services: 0x0809_0a0b,
        cipher_algo: 0x1011_1213_0c0d_0e0f,
        hash_algo: 0x1415_1617,
        mac_algo: 0x1c1d_1e1f_1819_1a1b,
        aead_algo: 0x2021_2223,
        max_cipher_key_len: 0x2425_2627,
        max_auth_key_len: 0x2829_2a2b,
        akcipher_algo: 0x2c2d_2e2f,
        max_size: 0x3435_3637_3031_3233,
    };
    // Each byte says where it would be if numbers began with their highest.
    let bytes: [u8; CONFIG_BYTES] = core::array::from_fn(|at| at as u8 ^ 3);
    assert_eq!(config.bytes(), bytes);
    assert_eq!(CONFIG_BYTES, 56);
    assert_eq!(HW_READY, 1);
}

/// `struct virtio_crypto_create_session_input`.
#[test]
fn a_session_id_comes_before_the_status() {
    let expected = [8, 7, 6, 5, 4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(created(0x0102_0304_0506_0708, 5), expected);
    assert_eq!((CREATED_BYTES, DESTROYED_BYTES), (expected.len(), 1));
}
