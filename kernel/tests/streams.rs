//! Long data, data units, streams, batches and the cache of sessions on a real device.
//!
//! Words of the command line: `max-size=BYTES` of a request, `refuse=indirect`, `slots=N`,
//! `sessions=N` of the driver.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt, BlockModeEncrypt, KeyInit, KeyIvInit, block_padding::NoPadding},
};
use kernel::{
    bus, command_line,
    crypto::{self, CryptoDevice, Reach, Wiring, join_all},
    platform::KernelPlatform,
    task::executor,
};
use spin::Once;
use virtio_crypto::{
    Cipher, CipherAlgorithm, CipherStream, Device, Direction, DmaBuffer, Error, Features, Options,
    Refusal, SessionCache, transport::pci::PciTransport,
};

use self::{
    disk_sectors_xts::{Disk, EncryptedDisk, SECTOR_LEN},
    session_batch::{Message, encrypt_all},
};

#[path = "../../driver/examples/disk_sectors_xts.rs"]
mod disk_sectors_xts;
#[path = "../../driver/examples/session_batch.rs"]
mod session_batch;

kernel::tests! {
    machines: [
        "vectors=3",
        "vectors=3 append=max-size=2500 append=sessions=400",
        "vectors=0 append=max-size=2500 append=refuse=indirect append=slots=3",
        "smp=4 vectors=3 append=max-size=40000",
        "smp=2 vectors=3 device=packed=on append=refuse=indirect append=slots=3",
    ],
    tests: [
        counters_wrap_as_they_are_counted_here,
        long_data_is_one_piece_to_the_caller,
        data_units_equal_single_requests,
        streams_equal_one_call,
        batches_share_one_kick,
        cache_serves_more_keys_than_the_device_has_sessions,
        example_disk_sectors,
        example_session_batch,
        nothing_survives_a_shutdown,
    ],
}

const KEY: [u8; 24] = *b"0123456789abcdefghijklmn";

fn slots() -> usize {
    command_line::value("slots").map_or(64, |slots| slots.parse().unwrap())
}

fn options() -> Options {
    let mut options = Options::default();
    if let Some(max_size) = command_line::value("max-size") {
        options.max_size_bytes = max_size.parse().unwrap();
    }
    if command_line::value("refuse") == Some("indirect") {
        options.refuse |= Features::INDIRECT_DESC;
    }
    options.data_slots = slots() as u16;
    if let Some(sessions) = command_line::value("sessions") {
        options.sessions = sessions.parse().unwrap();
    }
    options
}

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        crypto::open_crypto(0, Reach::Pci, Wiring::Best, options())
            .unwrap()
            .expect("a device")
    })
}

fn key_of(algorithm: CipherAlgorithm) -> &'static [u8] {
    match algorithm {
        CipherAlgorithm::TripleDesEcb
        | CipherAlgorithm::TripleDesCbc
        | CipherAlgorithm::TripleDesCtr => &KEY,
        CipherAlgorithm::AesXts => b"0123456789abcdefghijklmnopqrstuv",
        _ => &KEY[..16],
    }
}

fn open(algorithm: CipherAlgorithm, direction: Direction) -> Cipher<KernelPlatform> {
    let opening = Cipher::open(device(), algorithm, direction, key_of(algorithm));
    executor::block_on(opening).unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Polls a future once, as a task that is then cancelled would. No interrupt comes meanwhile, so
/// the device's answer is still to come.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    x86_64::instructions::interrupts::without_interrupts(|| {
        future.poll(&mut Context::from_waker(Waker::noop()))
    })
}

/// AES-128 in counter mode, of another hand.
fn aes_ctr(iv: [u8; 16], data: &mut [u8]) {
    let cipher = Aes128::new_from_slice(key_of(CipherAlgorithm::AesCtr)).unwrap();
    let mut counter = u128::from_be_bytes(iv);
    for chunk in data.chunks_mut(16) {
        let mut block = counter.to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        for (byte, key) in chunk.iter_mut().zip(block) {
            *byte ^= key;
        }
        counter = counter.wrapping_add(1);
    }
}

fn counters_wrap_as_they_are_counted_here() {
    let session = open(CipherAlgorithm::AesCtr, Direction::Encrypt);
    for low in [0u64, u64::MAX, u64::MAX - 1, u64::MAX - 3, 0xffff_ffff] {
        for high in [0u64, u64::MAX, 0xff] {
            let iv = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            let mut expected = text(16 * 8);
            aes_ctr(iv, &mut expected);
            let mut data = text(16 * 8);
            executor::block_on(session.process_slice(&iv, &mut data)).unwrap();
            assert_eq!(data, expected, "{high:x} {low:x}");
        }
    }
    let session = open(CipherAlgorithm::TripleDesCtr, Direction::Encrypt);
    for first in [0, u64::MAX, u64::MAX - 2, 0xffff_fffe] {
        let mut whole = text(8 * 8);
        executor::block_on(session.process_slice(&first.to_be_bytes(), &mut whole)).unwrap();
        let mut blocks = text(8 * 8);
        for (number, block) in (0u64..).zip(blocks.chunks_mut(8)) {
            let counter = first.wrapping_add(number).to_be_bytes();
            executor::block_on(session.process_slice(&counter, block)).unwrap();
        }
        assert_eq!(whole, blocks, "{first:x}");
    }
}

fn long_data_is_one_piece_to_the_caller() {
    let iv = [0xfe; 16];
    let len = 16 * 4000;
    // By other hands.
    let mut cbc = text(len);
    let mode = cbc::Encryptor::<Aes128>::new_from_slices(&KEY[..16], &iv).unwrap();
    mode.encrypt_padded::<NoPadding>(&mut cbc, len).unwrap();
    let mut ctr = text(len);
    aes_ctr(iv, &mut ctr);
    for (algorithm, expected) in [
        (CipherAlgorithm::AesCbc, Some(cbc)),
        (CipherAlgorithm::AesCtr, Some(ctr)),
        (CipherAlgorithm::AesEcb, None),
        (CipherAlgorithm::TripleDesEcb, None),
        (CipherAlgorithm::TripleDesCbc, None),
        (CipherAlgorithm::TripleDesCtr, None),
    ] {
        let encrypt = open(algorithm, Direction::Encrypt);
        let decrypt = open(algorithm, Direction::Decrypt);
        let iv = &iv[..algorithm.iv_len_bytes()];
        let before = device().data_stats().submitted;
        let mut data = text(len);
        executor::block_on(encrypt.process_slice(iv, &mut data)).unwrap();
        let requests = device().data_stats().submitted - before;
        let block = algorithm.block_len_bytes();
        let piece = encrypt.max_len_bytes() / block * block;
        assert_eq!(requests, len.div_ceil(piece) as u64, "{algorithm:?}");
        if let Some(expected) = expected {
            assert!(data == expected, "{algorithm:?}");
        }
        // The other direction is cut in another way; and as a buffer.
        let buffer = DmaBuffer::from_slice(&data).unwrap();
        let buffer = executor::block_on(decrypt.process_long(iv, buffer)).unwrap();
        assert!(buffer[..] == text(len), "{algorithm:?}");
        let buffer = executor::block_on(encrypt.process_long(iv, buffer)).unwrap();
        assert!(buffer[..] == data, "{algorithm:?}");
        executor::block_on(decrypt.process_slice(iv, &mut data)).unwrap();
        assert!(data == text(len), "{algorithm:?}");
    }
    let xts = open(CipherAlgorithm::AesXts, Direction::Encrypt);
    if xts.max_len_bytes() < len {
        let refused = executor::block_on(xts.process_slice(&iv, &mut text(len)));
        assert!(matches!(refused, Err(Error::InvalidLength { .. })));
    }
}

fn data_units_equal_single_requests() {
    let encrypt = open(CipherAlgorithm::AesXts, Direction::Encrypt);
    let decrypt = open(CipherAlgorithm::AesXts, Direction::Decrypt);
    for (first, unit_len, count) in [(0, 512, 70), (u64::MAX - 3, 512, 8), (9, 1024, 5)] {
        let mut expected = text(unit_len * count);
        for (number, unit) in (u128::from(first)..).zip(expected.chunks_mut(unit_len)) {
            let tweak = number.to_le_bytes();
            executor::block_on(encrypt.process_slice(&tweak, unit)).unwrap();
        }
        let mut data = text(unit_len * count);
        let before = device().data_stats();
        executor::block_on(encrypt.process_units_slice(first, unit_len, &mut data)).unwrap();
        let after = device().data_stats();
        assert!(data == expected, "{first} {unit_len}");
        assert_eq!(after.submitted - before.submitted, count as u64);
        if count <= slots() {
            assert_eq!(after.kicks - before.kicks, 1);
        }
        let buffer = DmaBuffer::from_slice(&data).unwrap();
        let buffer = decrypt.process_units(first, unit_len, buffer);
        assert!(executor::block_on(buffer).unwrap()[..] == text(unit_len * count));
    }
}

fn streams_equal_one_call() {
    let iv = [0xff; 16];
    let session = open(CipherAlgorithm::AesCtr, Direction::Encrypt);
    // The device itself refuses a part of a block.
    let refused = executor::block_on(session.process_slice(&iv, &mut [0; 17]));
    assert_eq!(refused, Err(Error::Refused(Refusal::Error)));
    let mut expected = text(20_000);
    aes_ctr(iv, &mut expected);
    let mut stream = CipherStream::new(&session, &iv).unwrap();
    let mut data = text(20_000);
    let mut rest = &mut data[..];
    for len in [1, 1, 14, 3, 40, 500, 513, 0, 1000, 3001, 7777]
        .into_iter()
        .cycle()
    {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at_mut(rest.len().min(len));
        executor::block_on(stream.process(piece)).unwrap();
        rest = behind;
    }
    assert!(data == expected, "AES-CTR");

    for algorithm in [CipherAlgorithm::AesCbc, CipherAlgorithm::TripleDesCtr] {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let session = open(algorithm, direction);
            let iv = &iv[..algorithm.iv_len_bytes()];
            let mut whole = text(16 * 600);
            executor::block_on(session.process_slice(iv, &mut whole)).unwrap();
            let mut stream = CipherStream::new(session, iv).unwrap();
            let mut data = text(16 * 600);
            for piece in data.chunks_mut(16 * 70) {
                // A call that is cancelled in flight leaves the stream where it was.
                let mut cancelled = vec![0; piece.len()];
                let mut call = Box::pin(stream.process(&mut cancelled));
                assert!(poll_once(call.as_mut()).is_pending());
                drop(call);
                executor::block_on(stream.process(piece)).unwrap();
            }
            assert!(data == whole, "{algorithm:?} {direction:?}");
        }
    }
}

fn batches_share_one_kick() {
    let session = open(CipherAlgorithm::AesCbc, Direction::Encrypt);
    let iv = |number: u8| [number; 16];
    for count in [1, 20, 64, 200u8] {
        let buffer = |number| DmaBuffer::from_slice(&[number; 64]).unwrap();
        let requests = (0..count).map(|number| (iv(number), buffer(number)));
        let before = device().data_stats();
        let results = executor::block_on(session.process_batch(requests.collect())).unwrap();
        let after = device().data_stats();
        assert_eq!(after.submitted - before.submitted, u64::from(count));
        let kicks = after.kicks - before.kicks;
        if usize::from(count) <= slots() {
            assert_eq!(kicks, 1, "kicks of a batch of {count}");
        } else {
            assert!(kicks < u64::from(count), "{kicks} kicks");
        }
        for (number, result) in (0..).zip(results) {
            let mut expected = [number; 64];
            executor::block_on(session.process_slice(&iv(number), &mut expected)).unwrap();
            assert_eq!(result.unwrap()[..], expected);
        }
    }
}

fn cache_serves_more_keys_than_the_device_has_sessions() {
    crypto::wait_until_idle(device(), 0, 10_000_000_000);
    let key = |number: u32| {
        let mut key = [0x77; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    };
    // Larger than the limits, so that they are met; and smaller.
    for capacity in [1000, 100] {
        let cache = SessionCache::new(capacity);
        let get = async |number| {
            let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
            let key = key(number);
            let session = cache.get(device(), algorithm, direction, &key);
            let session = session.await?;
            let mut data = [number as u8; 32];
            let mut expected = data;
            let mode = cbc::Encryptor::<aes::Aes256>::new_from_slices(&key, &[3; 16]);
            let mode = mode.unwrap();
            mode.encrypt_padded::<NoPadding>(&mut expected, 32).unwrap();
            session.process_slice(&[3; 16], &mut data).await?;
            assert_eq!(data, expected, "the session of another key");
            Ok::<_, Error>(session)
        };
        executor::block_on(async {
            let first = get(0).await.unwrap();
            for number in 1..400 {
                drop(get(number).await.unwrap());
            }
            let kept = usize::from(capacity.min(256));
            assert_eq!((cache.len(), device().sessions_taken()), (kept, kept));
            // In use all the time, so still the same one; the last is, too, and 1 is not.
            assert!(Arc::ptr_eq(&first, &get(0).await.unwrap()));
            let before = device().control_stats().submitted;
            drop(get(399).await.unwrap());
            assert_eq!(device().control_stats().submitted, before);
            drop(get(1).await.unwrap());
            assert!(device().control_stats().submitted > before);
            // Side by side.
            let sessions = join_all((0..90).map(get)).await;
            assert!(sessions.iter().all(Result::is_ok));
            drop((first, sessions));
            // From before a recovery.
            device().recover(1_000_000_000).unwrap();
            drop(get(399).await.unwrap());
            drop(get(0).await.unwrap());
        });
        // All in use.
        let held = executor::block_on(join_all((0..u32::from(capacity.min(256))).map(get)));
        assert!(held.iter().all(Result::is_ok));
        let refused = executor::block_on(get(9999)).map(drop);
        // Whose limit is met: the cache's, the device's, the driver's.
        let expected = match options().sessions {
            _ if capacity < 256 => Error::TooManySessions { max: capacity },
            257.. => Error::Refused(Refusal::Error),
            max => Error::TooManySessions { max },
        };
        assert_eq!(refused, Err(expected));
        drop(held);
        cache.clear();
        crypto::wait_until_idle(device(), 0, 10_000_000_000);
    }
}

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

fn example_disk_sectors() {
    executor::block_on(async {
        let key: Vec<u8> = (0..64).collect();
        let disk = Memory(vec![0; 64 * SECTOR_LEN]);
        let mut disk = EncryptedDisk::new(device(), disk, &key).await.unwrap();
        for (offset, len) in [(0, 64 * SECTOR_LEN), (700, 100), (1000, 2000), (510, 4)] {
            let bytes = text(len);
            disk.write(offset as u64, &bytes).await.unwrap();
            let mut read = vec![0; len];
            disk.read(offset as u64, &mut read).await.unwrap();
            assert!(read == bytes);
        }
        let mut one = vec![0; 1];
        disk.read(5000, &mut one).await.unwrap();
        assert_eq!(one, text(5001)[5000..]);
        let raw = disk.close().await.unwrap();
        assert!(raw.0[..4096] != text(4096)[..]);
    });
}

fn example_session_batch() {
    let mut messages: Vec<_> = (0..100u8)
        .map(|number| Message {
            key: KEY[..16].to_vec(),
            first_counter_block: [number; 16],
            data: text(160),
        })
        .collect();
    let before = (device().control_stats(), device().data_stats());
    let results = executor::block_on(encrypt_all(device(), &mut messages)).unwrap();
    assert!(results.iter().all(Result::is_ok));
    for (number, message) in (0..).zip(&messages) {
        let mut expected = text(160);
        aes_ctr([number; 16], &mut expected);
        assert_eq!(message.data, expected);
    }
    let control = device().control_stats();
    assert_eq!(control.submitted - before.0.submitted, 200);
    assert!(control.kicks - before.0.kicks < 20, "{control:?}");
}

/// A first life of the driver leaves sessions behind in every way there is; a second has the whole
/// device.
fn nothing_survives_a_shutdown() {
    let mut kept = Vec::new();
    let session = || open(CipherAlgorithm::AesCbc, Direction::Encrypt);
    for number in 0..180 {
        match number % 6 {
            0 => drop(session()),
            1 => core::mem::forget(session()),
            2 => kept.push(session()),
            3 if number < 6 * (slots() - 1).min(20) => {
                let session: &'static _ = Box::leak(session().into());
                let request = async {
                    let buffer = DmaBuffer::new(32).unwrap();
                    let _ = Cipher::process(session, &[0; 16], buffer).await;
                };
                let mut request = Box::pin(request);
                let _ = poll_once(request.as_mut());
                core::mem::forget(request);
            }
            4 => {
                let session = session();
                let mut close = Box::pin(session.close());
                let _ = poll_once(close.as_mut());
                if number < 60 {
                    core::mem::forget(close);
                }
            }
            _ => {
                let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
                let key = &KEY[..16];
                let create = async move {
                    drop(Cipher::open(device(), algorithm, direction, key).await);
                };
                let mut create = Box::pin(create);
                let _ = poll_once(create.as_mut());
                if number < 60 {
                    core::mem::forget(create);
                }
            }
        }
    }
    let drained = device().shutdown(5_000_000_000).unwrap();
    assert_eq!(drained.in_flight, 0);
    drop(kept);

    let function = crypto::find_crypto()[0];
    let access = bus::pci_access();
    // SAFETY: the bus's own configuration space; the driver before has shut down.
    let transport = unsafe { PciTransport::<KernelPlatform, _>::new(access, function) };
    let second = Device::<KernelPlatform>::new(transport.unwrap(), options()).unwrap();
    let open = || {
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        Cipher::open(&second, algorithm, direction, &KEY[..16])
    };
    executor::block_on(async {
        let opened = join_all((0..256).map(|_| open())).await;
        let refused = opened.iter().filter(|session| session.is_err()).count();
        assert_eq!(
            refused, 0,
            "sessions of the first life are left on the device"
        );
    });
    second.shutdown(5_000_000_000).unwrap();
}
