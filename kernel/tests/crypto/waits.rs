//! How one waits: by blocking, and by interrupts, each of which is accounted for.

use core::{cell::Cell, ops::ControlFlow, pin::pin};

use kernel::{command_line, crypto, interrupts::apic, testing, time};
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Features, InterruptMode, block_on,
};

use crate::rig::*;

pub fn interrupts_come_as_they_should() {
    let mode = device().interrupt_mode();
    let expected = match command_line::value("expect").unwrap() {
        "PerQueue" => InterruptMode::PerQueue,
        "SharedQueues" => InterruptMode::SharedQueues,
        "Shared" => InterruptMode::Shared,
        "Intx" => InterruptMode::Intx,
        "Polling" => InterruptMode::Polling,
        other => panic!("unknown mode {other}"),
    };
    assert_eq!(mode, expected);
    let refused = command_line::value("refuse").unwrap_or("");
    let features = device().features();
    assert_eq!(
        features.contains(Features::INDIRECT_DESC),
        !refused.contains("indirect")
    );
    assert_eq!(
        features.contains(Features::EVENT_IDX),
        !refused.contains("event")
    );
}

pub fn blocking_form_sleeps() {
    use x86_64::instructions::interrupts::{disable, enable, enable_and_hlt};
    let polled = device().interrupt_mode() == InterruptMode::Polling;
    let slept = Cell::new(0);
    let mut idle = |woken: &virtio_crypto::WakeFlag| {
        disable();
        if polled || woken.is_set() {
            enable();
        } else {
            slept.set(slept.get() + 1);
            enable_and_hlt();
        }
        ControlFlow::Continue(())
    };
    let session = Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        VECTORS[0].0,
    );
    let session = block_on(session, &mut idle).unwrap().unwrap();
    for _ in 0..50 {
        let mut data = PLAINTEXT;
        block_on(session.process_slice(&IV, &mut data), &mut idle)
            .unwrap()
            .unwrap();
        assert_eq!(data, *VECTORS[0].1);
    }
    block_on(session.close(), &mut idle).unwrap().unwrap();
    // A device may answer before there is time to sleep. So may a clock, where the host leaves the
    // CPU alone for that long; with longer and longer waits it does not.
    let mut wait_ns = 5_000_000;
    while !polled && slept.get() == 0 && wait_ns < 2_000_000_000 {
        block_on(time::sleep_ns(wait_ns), &mut idle).unwrap();
        wait_ns *= 2;
    }
    assert!(polled || slept.get() > 0, "the blocking form never slept");
}

pub fn blocking_form_gives_up() {
    let session = open(Direction::Encrypt, VECTORS[0].0);
    let buffer = DmaBuffer::new(long_len(&session)).unwrap();
    let request = session.process(&IV, buffer);
    let outcome = block_on(request, |_| ControlFlow::Break(()));
    assert!(matches!(outcome, Ok(Ok(_)) | Err(Error::GaveUp)));
    nist_vectors_still_work(&session);
    drop(session);
    settle_to(0);
}

pub fn every_interrupt_is_accounted_for() {
    let stats = device().interrupt_stats();
    assert_eq!(stats.unhandled, 0, "{stats:?}");
    if device().interrupt_mode() != InterruptMode::Polling {
        assert!(stats.handled > 100, "{stats:?}");
    }
}

pub fn spurious_interrupts_are_counted_exactly() {
    use virtio_crypto::transport::MsixEntry;
    use x86_64::instructions::interrupts::{enable, without_interrupts};
    if matches!(
        device().interrupt_mode(),
        InterruptMode::Polling | InterruptMode::Intx
    ) {
        return testing::does_not_apply("this machine's device has no vector");
    }
    settle_to(0);
    enable();
    if command_line::value("messages") == Some("asynchronous") {
        // The message of what is taken before it comes may be on its way.
        let session = open(Direction::Encrypt, VECTORS[0].0);
        without_interrupts(|| {
            let mut data = PLAINTEXT;
            let mut request = pin!(session.process_slice(&IV, &mut data));
            while !poll_once(request.as_mut()) {
                device().poll();
            }
            assert!(!device().settle(), "no message travels");
        });
        drop(session);
        settle_to(0);
    }
    let end_ns = time::now_ns() + 5_000_000_000;
    while !device().settle() {
        assert!(time::now_ns() < end_ns, "messages travel for ever");
    }
    let before = device().interrupt_stats();
    for _ in 0..1000 {
        device().handle_interrupt(MsixEntry(0));
    }
    let after = device().interrupt_stats();
    assert_eq!(after.unhandled - before.unhandled, 1000);
    assert_eq!(after.handled, before.handled);
    // And real messages: the local APIC sends the vector of the device's queue.
    let vector = crypto::vector_of(device(), MsixEntry(0)).unwrap();
    for _ in 0..100 {
        apic::send(apic::id(), vector.number());
        let end_ns = time::now_ns() + 100_000;
        while time::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    }
    assert_eq!(device().interrupt_stats().unhandled - after.unhandled, 100);
    nist_vectors_still_work(&open(Direction::Encrypt, VECTORS[0].0));
    settle_to(0);
}
