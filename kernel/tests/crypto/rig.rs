//! What the tests share: the device as the command line has it, sessions, and known answers.

use alloc::sync::Arc;
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    platform::KernelPlatform,
    task::executor,
};
use spin::Once;
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Features, Options};

use crate::random::Random;

pub fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        let wiring = match command_line::value("wiring") {
            None => Wiring::Best,
            Some("intx") => Wiring::Intx,
            Some("polling") => Wiring::Polling,
            Some(other) => panic!("unknown wiring {other}"),
        };
        let mut options = Options::default();
        for word in command_line::value("refuse").unwrap_or("").split(',') {
            options.refuse |= match word {
                "" => Features::empty(),
                "indirect" => Features::INDIRECT_DESC,
                "event" => Features::EVENT_IDX,
                other => panic!("unknown feature {other}"),
            };
        }
        if let Some(max_size) = command_line::value("max-size") {
            options.max_size_bytes = max_size.parse().unwrap();
        }
        if let Some(slots) = command_line::value("slots") {
            options.data_slots = slots.parse().unwrap();
            options.control_slots = slots.parse().unwrap();
        }
        let reach = match command_line::value("reach") {
            None => Reach::Pci,
            Some("virtio-drivers") => Reach::VirtioDrivers,
            Some(other) => panic!("unknown transport {other}"),
        };
        let device = crypto::open_crypto(0, reach, wiring, options)
            .unwrap()
            .expect("a device");
        let is_packed = device.features().contains(Features::RING_PACKED);
        assert_eq!(is_packed, command_line::value("ring") == Some("packed"));
        device
    })
}

pub fn open(direction: Direction, key: &[u8]) -> Cipher<KernelPlatform> {
    executor::block_on(Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        direction,
        key,
    ))
    .unwrap()
}

pub fn pair(key: &[u8]) -> (Cipher<KernelPlatform>, Cipher<KernelPlatform>) {
    (open(Direction::Encrypt, key), open(Direction::Decrypt, key))
}

/// Waits until nothing is in flight and `sessions` are open.
pub fn settle_to(sessions: usize) {
    crypto::wait_until_idle(device(), sessions, 10_000_000_000);
}

pub fn random_iv(random: &mut Random) -> [u8; 16] {
    core::array::from_fn(|_| random.next() as u8)
}

/// Polls a future once, as a task that is then cancelled would. No interrupt comes meanwhile, so
/// unless requests are polled for, the device's answer is still to come.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> bool {
    x86_64::instructions::interrupts::without_interrupts(|| {
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    })
}

pub fn nist_vectors_still_work(encrypt: &Cipher<KernelPlatform>) {
    let mut data = PLAINTEXT;
    executor::block_on(encrypt.process_slice(&IV, &mut data)).unwrap();
    assert_eq!(data, *VECTORS[0].1);
}

/// Bytes of a long request: a megabyte, or about half of it where the device's `max_size` is one.
pub fn long_len(session: &Cipher<KernelPlatform>) -> usize {
    session.max_len_bytes().min(1 << 20)
}

pub const IV: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";

pub const PLAINTEXT: [u8; 64] =
    *b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a\
\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51\
\x30\xc8\x1c\x46\xa3\x5c\xe4\x11\xe5\xfb\xc1\x19\x1a\x0a\x52\xef\
\xf6\x9f\x24\x45\xdf\x4f\x9b\x17\xad\x2b\x41\x7b\xe6\x6c\x37\x10";

pub const VECTORS: [(&[u8], &[u8; 64]); 3] = [
    (
        b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d\
\x50\x86\xcb\x9b\x50\x72\x19\xee\x95\xdb\x11\x3a\x91\x76\x78\xb2\
\x73\xbe\xd6\xb8\xe3\xc1\x74\x3b\x71\x16\xe6\x9e\x22\x22\x95\x16\
\x3f\xf1\xca\xa1\x68\x1f\xac\x09\x12\x0e\xca\x30\x75\x86\xe1\xa7",
    ),
    (
        b"\x8e\x73\xb0\xf7\xda\x0e\x64\x52\xc8\x10\xf3\x2b\x80\x90\x79\xe5\
\x62\xf8\xea\xd2\x52\x2c\x6b\x7b",
        b"\x4f\x02\x1d\xb2\x43\xbc\x63\x3d\x71\x78\x18\x3a\x9f\xa0\x71\xe8\
\xb4\xd9\xad\xa9\xad\x7d\xed\xf4\xe5\xe7\x38\x76\x3f\x69\x14\x5a\
\x57\x1b\x24\x20\x12\xfb\x7a\xe0\x7f\xa9\xba\xac\x3d\xf1\x02\xe0\
\x08\xb0\xe2\x79\x88\x59\x88\x81\xd9\x20\xa9\xe6\x4f\x56\x15\xcd",
    ),
    (
        b"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81\
\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4",
        b"\xf5\x8c\x4c\x04\xd6\xe5\xf1\xba\x77\x9e\xab\xfb\x5f\x7b\xfb\xd6\
\x9c\xfc\x4e\x96\x7e\xdb\x80\x8d\x67\x9f\x77\x7b\xc6\x70\x2c\x7d\
\x39\xf2\x33\x69\xa9\xd9\xba\xcf\xa5\x30\xe2\x63\x04\x23\x14\x61\
\xb2\xeb\x05\xe2\xc3\x9b\xe9\xfc\xda\x6c\x19\x07\x8c\x6a\x9d\x1b",
    ),
];
