//! A task that takes the answer to its own request while the interrupt of that answer is on its
//! way: the load of the RFC "virtio: false unhandled irqs from vring_interrupt()".

use core::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use virtio_crypto::{Cipher, InterruptStats};
use x86_64::instructions::interrupts;

use crate::{crypto::CryptoDevice, platform::KernelPlatform};

const IV: [u8; 16] = [1; 16];

/// What keeps the handler away while a task drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// The CPU's interrupts are masked.
    Masked,
    /// Nothing: a plain spinlock is held, which the handler does not take. If it did, it would
    /// deadlock.
    Unmasked,
}

/// The lock of [`Drain::Unmasked`].
static PLAIN: spin::Mutex<()> = spin::Mutex::new(());

/// Encrypts one block and drains until that is done.
pub fn send_and_drain(device: &CryptoDevice, session: &Cipher<KernelPlatform>, drain: Drain) {
    let mut data = [0; 16];
    let mut request = pin!(session.process_slice(&IV, &mut data));
    let mut context = Context::from_waker(Waker::noop());
    let mut until_done = || {
        while request.as_mut().poll(&mut context).is_pending() {
            device.drain();
        }
    };
    match drain {
        Drain::Masked => interrupts::without_interrupts(until_done),
        Drain::Unmasked => {
            let _guard = PLAIN.lock();
            until_done();
        }
    }
}

/// Returns what interrupts have come since `before`, of each kind.
pub fn since(now: InterruptStats, before: InterruptStats) -> InterruptStats {
    let mut since = InterruptStats::default();
    since.handled = now.handled - before.handled;
    since.already_drained = now.already_drained - before.already_drained;
    since.unhandled = now.unhandled - before.unhandled;
    since
}

/// Returns how many interrupts a driver would call unhandled that checks the ring alone: it is
/// empty.
pub fn naive_unhandled(interrupts: InterruptStats) -> u64 {
    interrupts.already_drained + interrupts.unhandled
}
