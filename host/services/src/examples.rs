//! What the examples show, run.

use self::{
    disk_sectors_xts::{Disk, EncryptedDisk, SECTOR_LEN},
    session_batch::{Message, encrypt_all},
};
use virtio_crypto::{CipherAlgorithm, Direction, Error};

use crate::{
    oracle::cipher_oracle,
    rig::{Rig, run},
};

#[allow(dead_code, missing_docs, reason = "an example has a main")]
#[path = "../../../driver/examples/disk_sectors_xts.rs"]
mod disk_sectors_xts;
#[allow(dead_code, missing_docs, reason = "an example has a main")]
#[path = "../../../driver/examples/session_batch.rs"]
mod session_batch;
#[cfg(feature = "pkcs8")]
#[allow(dead_code, missing_docs, reason = "an example has a main")]
#[path = "../../../driver/examples/tls_sign.rs"]
mod tls_sign;

struct Memory(Vec<u8>);

impl Memory {
    fn range(first: u64, len: usize) -> core::ops::Range<usize> {
        let start = first as usize * SECTOR_LEN;
        start..start + len
    }
}

impl Disk for Memory {
    fn read(&self, first: u64, sectors: &mut [u8]) {
        sectors.copy_from_slice(&self.0[Self::range(first, sectors.len())]);
    }

    fn write(&mut self, first: u64, sectors: &[u8]) {
        self.0[Self::range(first, sectors.len())].copy_from_slice(sectors);
    }
}

#[test]
fn disk_sectors_hold_what_was_written_and_show_nothing() {
    let rig = Rig::simple().go();
    let key: Vec<u8> = (0..64).collect();
    let (algorithm, direction) = (CipherAlgorithm::AesXts, Direction::Encrypt);
    let sector = |number: u64, bytes: &[u8]| {
        let tweak = u128::from(number).to_le_bytes();
        cipher_oracle(algorithm, direction, &key, &tweak, bytes)
    };
    let mut plain = vec![0u8; 100 * SECTOR_LEN];
    let mut content = Vec::new();
    for (number, bytes) in (0..).zip(plain.chunks(SECTOR_LEN)) {
        content.extend(sector(number, bytes));
    }
    run(async {
        let mut disk = EncryptedDisk::new(&rig.device, Memory(content), &key)
            .await
            .unwrap();
        for (offset, len) in [
            (0, 512),
            (700, 100),
            (1000, 2000),
            (510, 4),
            (40_000, 11_200),
        ] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 3 + offset) as u8).collect();
            disk.write(offset as u64, &bytes).await.unwrap();
            plain[offset..offset + len].copy_from_slice(&bytes);
            let mut read = vec![0; len];
            disk.read(offset as u64, &mut read).await.unwrap();
            assert_eq!(read, bytes);
        }
        let mut all = vec![0; plain.len()];
        disk.read(0, &mut all).await.unwrap();
        assert!(all == plain);
        let content = disk.close().await.unwrap();
        for (number, bytes) in (0..).zip(plain.chunks(SECTOR_LEN)) {
            let at = Memory::range(number, SECTOR_LEN);
            assert!(content.0[at] == sector(number, bytes), "sector {number}");
        }
    });
    assert_eq!(rig.far.sessions(), 0);
}

#[test]
fn session_batch_has_a_result_for_each_message() {
    let rig = Rig::simple().go();
    let message = |number: u8| Message {
        key: vec![number; [16, 24, 32][usize::from(number) % 3]],
        first_counter_block: [number; 16],
        data: vec![number; 16 * usize::from(number)],
    };
    let originals: Vec<_> = (1..100).map(message).collect();
    let mut messages = originals.clone();
    messages[40].key.push(0);
    let results = run(encrypt_all(&rig.device, &mut messages)).unwrap();
    for (number, (message, original)) in messages.iter().zip(&originals).enumerate() {
        if number == 40 {
            assert!(matches!(results[40], Err(Error::InvalidLength { .. })));
            continue;
        }
        assert_eq!(results[number], Ok(()));
        let expected = cipher_oracle(
            CipherAlgorithm::AesCtr,
            Direction::Encrypt,
            &original.key,
            &original.first_counter_block,
            &original.data,
        );
        assert!(message.data == expected);
    }
    assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
}

#[cfg(feature = "pkcs8")]
#[test]
fn tls_handshakes_are_signed_side_by_side() {
    use self::tls_sign::{ServerKey, verify};
    use virtio_crypto::join_all;

    let rig = Rig::simple().go();
    let der = include_bytes!("../../../driver/testdata/rsa/2048.pkcs8.der").to_vec();
    run(async {
        let server = ServerKey::load(&rig.device, der.into()).await.unwrap();
        let digests: Vec<[u8; 32]> = (0..20).map(|number| [number; 32]).collect();
        let signing = digests.iter().map(|digest| Box::pin(server.sign(digest)));
        let signing = rig.device.batch(join_all(signing.collect()));
        let messages = signing.await.unwrap();
        for (digest, message) in digests.iter().zip(messages) {
            let mut message = message.unwrap();
            assert_eq!(message[..4], [4, 1, 1, 0]);
            let key = server.public_key();
            verify(&rig.device, key, digest, &message).await.unwrap();
            message[200] ^= 1;
            let forged = verify(&rig.device, key, digest, &message).await;
            assert_eq!(forged, Err(Error::InvalidSignature));
            let cut = verify(&rig.device, key, digest, &message[..259]).await;
            assert_eq!(cut, Err(Error::InvalidSignature));
        }
        server.close().await.unwrap();
    });
    assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
}
