//! Requests: their answers, lengths, buffers, slots.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{
    future::Future,
    task::{Context, Waker},
};

use kernel::{command_line, crypto, memory::heap, task::executor};
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Failed, InterruptMode, Requirement,
};

use crate::random::Random;
use crate::rig::*;

/// NIST SP 800-38A, F.2.1 to F.2.6.
pub fn nist_vectors() {
    for (key, ciphertext) in VECTORS {
        let (encrypt, decrypt) = pair(key);
        let mut data = PLAINTEXT;
        executor::block_on(encrypt.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data, *ciphertext, "slice, key of {}", key.len());
        executor::block_on(decrypt.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data, PLAINTEXT, "slice, key of {}", key.len());

        let buffer = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
        let buffer = executor::block_on(encrypt.process(&IV, buffer)).unwrap();
        assert_eq!(buffer[..], *ciphertext, "in place, key of {}", key.len());
        let buffer = executor::block_on(decrypt.process(&IV, buffer)).unwrap();
        assert_eq!(buffer[..], PLAINTEXT, "in place, key of {}", key.len());
        executor::block_on(encrypt.close()).unwrap();
        executor::block_on(decrypt.close()).unwrap();
    }
    settle_to(0);
}

pub fn slices_of_every_length() {
    let mut random = Random::new(1);
    let (encrypt, decrypt) = pair(&random.bytes(32));
    for len in (16..=1024).step_by(16) {
        let plaintext = random.bytes(len);
        let iv = random_iv(&mut random);
        let mut whole = plaintext.clone();
        executor::block_on(encrypt.process_slice(&iv, &mut whole)).unwrap();
        assert_ne!(whole, plaintext);
        // CBC: the last block is the IV of what follows.
        let mut first = plaintext.clone();
        let (head, tail) = first.split_at_mut(len / 32 * 16);
        let mut next_iv = iv;
        if !head.is_empty() {
            executor::block_on(encrypt.process_slice(&iv, head)).unwrap();
            next_iv.copy_from_slice(&head[head.len() - 16..]);
        }
        executor::block_on(encrypt.process_slice(&next_iv, tail)).unwrap();
        assert_eq!(first, whole, "{len} bytes");
        executor::block_on(decrypt.process_slice(&iv, &mut whole)).unwrap();
        assert_eq!(whole, plaintext, "{len} bytes");
    }
}

pub fn longest_request_in_place() {
    let mut random = Random::new(2);
    let (encrypt, decrypt) = pair(&random.bytes(24));
    let plaintext = random.bytes(long_len(&encrypt));
    let iv = random_iv(&mut random);
    let buffer = DmaBuffer::from_slice(&plaintext).unwrap();
    let buffer = executor::block_on(encrypt.process(&iv, buffer)).unwrap();
    assert!(buffer[..] != plaintext[..]);
    let buffer = executor::block_on(decrypt.process(&iv, buffer)).unwrap();
    let len = buffer.len();
    assert!(buffer[..] == plaintext[..], "{len} bytes did not come back");
}

pub fn out_of_place_keeps_the_source() {
    let mut random = Random::new(3);
    let (encrypt, _) = pair(VECTORS[0].0);
    for len in [64, 4096, 70_000 / 16 * 16] {
        let plaintext = random.bytes(len);
        let mut slice = plaintext.clone();
        executor::block_on(encrypt.process_slice(&IV, &mut slice)).unwrap();
        let source = DmaBuffer::from_slice(&plaintext).unwrap();
        let destination = DmaBuffer::new(len).unwrap();
        let request = encrypt.process_into(&IV, source, destination);
        let (source, destination) = executor::block_on(request).unwrap();
        assert!(source[..] == plaintext[..]);
        assert!(destination[..] == slice[..]);
    }
}

pub fn many_tasks_share_the_slots() {
    let mut random = Random::new(4);
    let (encrypt, decrypt) = pair(&random.bytes(16));
    let (encrypt, decrypt) = (Arc::new(encrypt), Arc::new(decrypt));
    executor::block_on(async {
        let mut tasks = Vec::new();
        for seed in 0..200 {
            let (encrypt, decrypt) = (encrypt.clone(), decrypt.clone());
            let task = async move {
                let mut random = Random::new(seed + 100);
                for _ in 0..5 {
                    let iv = random_iv(&mut random);
                    let len = 16 * (1 + random.next() as usize % 64);
                    let plaintext = random.bytes(len);
                    let mut data = plaintext.clone();
                    encrypt.process_slice(&iv, &mut data).await.unwrap();
                    assert_ne!(data, plaintext);
                    decrypt.process_slice(&iv, &mut data).await.unwrap();
                    assert_eq!(data, plaintext, "task {seed}, {len} bytes");
                }
            };
            tasks.push(executor::spawn(task).unwrap());
        }
        for task in tasks {
            task.await;
        }
    });
}

pub fn batch_shares_one_kick() {
    let (encrypt, _) = pair(VECTORS[0].0);
    let slots = command_line::value("slots").map_or(64, |slots| slots.parse().unwrap());
    let count = slots.min(32usize);
    let before = device().data_stats();
    let mut data = vec![[0u8; 16]; count];
    let requests = data.iter_mut().map(|data| encrypt.process_slice(&IV, data));
    let results = executor::block_on(device().batch(crypto::join_all(requests)));
    assert!(results.iter().all(Result::is_ok));
    assert!(data.windows(2).all(|pair| pair[0] == pair[1]));
    let after = device().data_stats();
    assert_eq!(after.submitted - before.submitted, count as u64);
    assert_eq!(after.kicks - before.kicks, 1, "kicks of a batch of {count}");
}

pub fn wrong_lengths_come_back_with_the_buffer() {
    let (encrypt, decrypt) = pair(VECTORS[0].0);
    for len in [0, 1, 15, 17, 100] {
        let mut slice = vec![7; len];
        let expected = Error::InvalidLength {
            field: "data",
            len_bytes: len,
            requirement: Requirement::BlocksOf { block_bytes: 16 },
        };
        assert_eq!(
            executor::block_on(encrypt.process_slice(&IV, &mut slice)),
            Err(expected)
        );
        let buffer = DmaBuffer::from_slice(&slice).unwrap();
        let failed = executor::block_on(decrypt.process(&IV, buffer)).unwrap_err();
        assert_eq!(failed.error, expected);
        assert_eq!(failed.returned.unwrap()[..], slice);
    }
    let (source, destination) = (DmaBuffer::new(32).unwrap(), DmaBuffer::new(48).unwrap());
    let failed = executor::block_on(encrypt.process_into(&IV, source, destination)).unwrap_err();
    assert!(matches!(
        failed.error,
        Error::InvalidLength {
            field: "destination",
            ..
        }
    ));
    assert!(
        failed
            .returned
            .is_some_and(|(source, destination)| { source.len() == 32 && destination.len() == 48 })
    );
    for len in [0, 8, 15, 17, 33, 64] {
        let opened = executor::block_on(Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &vec![1; len],
        ));
        let expected = Error::InvalidLength {
            field: "key",
            len_bytes: len,
            requirement: Requirement::OneOf {
                lens_bytes: CipherAlgorithm::AesCbc.key_lens_bytes(),
            },
        };
        assert_eq!(opened.map(drop), Err(expected));
    }
    nist_vectors_still_work(&encrypt);
}

pub fn full_queue_gives_the_buffer_back() {
    let (encrypt, _) = pair(VECTORS[0].0);
    let mut pending = Vec::new();
    let refused = loop {
        let buffer = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
        let mut request = Box::pin(encrypt.try_process(&IV, buffer));
        // Nothing is drained while this CPU masks interrupts.
        let ready = x86_64::instructions::interrupts::without_interrupts(|| {
            match request
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                core::task::Poll::Ready(result) => Some(result),
                core::task::Poll::Pending => None,
            }
        });
        match ready {
            None => pending.push(request),
            Some(Ok(_)) => {}
            Some(Err(failed)) => break failed,
        }
        if pending.len() > 100 || device().interrupt_mode() == InterruptMode::Polling {
            return;
        }
    };
    let Failed {
        error, returned, ..
    } = refused;
    assert_eq!(error, Error::QueueFull);
    assert_eq!(returned.unwrap()[..], PLAINTEXT);
    for request in pending {
        assert_eq!(executor::block_on(request).unwrap()[..], *VECTORS[0].1);
    }
}

pub fn requests_allocate_nothing() {
    let key = VECTORS[0].0;
    let counted = executor::block_on(async {
        let encrypt = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
            .await
            .unwrap();
        let mut data = PLAINTEXT;
        encrypt.process_slice(&IV, &mut data).await.unwrap();
        let before = heap::allocations();
        for _ in 0..20 {
            encrypt.process_slice(&IV, &mut data).await.unwrap();
            let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
                .await
                .unwrap();
            session.close().await.unwrap();
            drop(
                Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
                    .await
                    .unwrap(),
            );
        }
        heap::allocations() - before
    });
    assert_eq!(counted, 0, "allocations");
}

pub fn index_wraps() {
    let session = open(Direction::Encrypt, VECTORS[0].0);
    let start = device().data_stats().submitted;
    let slots = command_line::value("slots").is_some();
    // Past 2^16 where requests come in batches; some hundred otherwise.
    let target = if slots { 300 } else { 66_000 };
    let mut round = 0;
    while device().data_stats().submitted - start < target {
        // Batches of changing size, so that some cross the wrap.
        round += 1;
        let mut data = vec![PLAINTEXT; 1 + round % 60];
        let requests = data.iter_mut().map(|data| session.process_slice(&IV, data));
        let results = executor::block_on(device().batch(crypto::join_all(requests)));
        assert!(results.iter().all(Result::is_ok));
        assert!(data.iter().all(|data| data == VECTORS[0].1));
    }
    let stats = device().data_stats();
    assert_eq!(stats.submitted, stats.completed);
    assert_eq!(stats.published, stats.completed);
}
