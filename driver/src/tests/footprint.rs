//! How much memory the driver takes, as its documents say.

use core::mem::size_of_val;

use crate::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, HashAlgorithm, MessageDigest, Options,
    fake::{IV, KEY, Rig, Setup, live_pages, run},
};

/// Sets the driver up as it is by default, but for the time that it waits.
fn rig(data_queues: u32) -> Rig {
    let setup = Setup {
        data_queues,
        queue_sizes: [1024; 2],
        ..Setup::default()
    };
    let defaults = Options::default();
    let options = Options {
        data_slots: defaults.data_slots,
        control_slots: defaults.control_slots,
        sessions: defaults.sessions,
        ..Rig::options()
    };
    Rig::new(setup, options).unwrap()
}

#[test]
fn a_queue_takes_thirty_three_pages() {
    for (data_queues, expected) in [(1, 66), (2, 99)] {
        let rig = rig(data_queues);
        assert_eq!(live_pages(), expected, "{data_queues} data queues");
        drop(rig);
    }
}

/// A future lies in a task, or on the stack of who blocks.
#[test]
fn futures_of_requests_fit_into_small_stacks() {
    const MOST_BYTES: usize = 2700;
    let rig = rig(1).go();
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let open = Cipher::open(&rig.device, algorithm, direction, &KEY);
    let mut sizes = alloc::vec![("open", size_of_val(&open))];
    let cipher = run(open).unwrap();
    let mut data = [0; 16];
    let buffer = DmaBuffer::from_slice(&data).unwrap();
    let process = cipher.process(&IV, buffer);
    sizes.push(("process", size_of_val(&process)));
    drop(process);
    let process = cipher.process_slice(&IV, &mut data);
    sizes.push(("process_slice", size_of_val(&process)));
    drop(process);
    let hash = run(MessageDigest::open(&rig.device, HashAlgorithm::Sha256, 32)).unwrap();
    let mut digest = [0; 32];
    let hashed = hash.digest_slice(&data, &mut digest);
    sizes.push(("digest_slice", size_of_val(&hashed)));
    drop(hashed);
    sizes.push(("close", size_of_val(&cipher.close())));
    for (name, len_bytes) in sizes {
        assert!(len_bytes <= MOST_BYTES, "{name}: {len_bytes} bytes");
    }
}
