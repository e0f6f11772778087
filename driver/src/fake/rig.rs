//! A driver and a fake device, put together, for tests.

use alloc::{boxed::Box, sync::Arc, vec};
use core::{future::Future, pin::Pin, task::Poll};
use std::thread::{self, JoinHandle};

use super::{
    FakeDevice, FakePlatform, FakeTransport, Setup,
    callers::{Alone, IV, KEY, poll_once},
    memory::forget_live_pages,
    platform::message,
};
use crate::{
    Error,
    device::{Device, ladder::InterruptMode, options::Options},
    service::cipher::Cipher,
    wire::{CipherAlgorithm, Direction},
};

/// A request of a test, which may be in flight.
pub(crate) type Request<'s> = Pin<Box<dyn Future<Output = Result<(), Error>> + 's>>;

/// Sends a block, which the device has not answered yet.
pub(crate) fn request(session: &Cipher<FakePlatform>) -> Request<'_> {
    let mut request: Request<'_> = Box::pin(async move {
        let mut data = [1; 16];
        session.process_slice(&IV, &mut data).await
    });
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

/// A driver on a fake device.
pub(crate) struct Rig {
    pub(crate) device: Arc<Device<FakePlatform>>,
    pub(crate) fake: Arc<FakeDevice>,
    thread: Option<JoinHandle<()>>,
    pub(crate) alone: Arc<Alone>,
}

impl Rig {
    /// Sets the driver up on a device that serves when the test says so.
    pub(crate) fn new(setup: Setup, options: Options) -> Result<Self, Error> {
        let alone = Arc::new(Alone::new());
        // Others may have given pages up, on purpose.
        forget_live_pages();
        Self::put_together(alone, setup, options)
    }

    /// Sets up another driver and device beside this one.
    pub(crate) fn beside(&self, setup: Setup, options: Options) -> Result<Self, Error> {
        Self::put_together(self.alone.clone(), setup, options)
    }

    /// Sets up another driver on the same device, as after the machine has been rebooted: this one
    /// is forgotten.
    pub(crate) fn reboot(&self, setup: Setup, options: Options) -> Result<Self, Error> {
        core::mem::forget(self.device.clone());
        self.succeed(setup, options)
    }

    /// Sets up another driver on the same device, or one that is like it and has its place.
    pub(crate) fn succeed(&self, setup: Setup, options: Options) -> Result<Self, Error> {
        Self::drive(self.fake.clone(), self.alone.clone(), setup, options)
    }

    fn put_together(alone: Arc<Alone>, setup: Setup, options: Options) -> Result<Self, Error> {
        let fake = Arc::new(FakeDevice::new(&setup));
        Self::drive(fake, alone, setup, options)
    }

    fn drive(
        fake: Arc<FakeDevice>,
        alone: Arc<Alone>,
        setup: Setup,
        options: Options,
    ) -> Result<Self, Error> {
        let transport = FakeTransport::new(setup, fake.clone());
        let device = Arc::new(Device::new(transport, options)?);
        let (weak, weak_fake) = (Arc::downgrade(&device), Arc::downgrade(&fake));
        fake.deliver_to(Arc::new(move |queue| {
            let (Some(device), Some(fake)) = (weak.upgrade(), weak_fake.upgrade()) else {
                return;
            };
            match (device.interrupt_mode(), fake.vector(queue)) {
                (InterruptMode::Intx, _) => drop(device.handle_intx()),
                (_, Some(entry)) => drop(device.handle_interrupt(entry)),
                (_, None) => {}
            }
        }));
        Ok(Self {
            device,
            fake,
            thread: None,
            alone,
        })
    }

    /// A device with a vector for everything.
    pub(crate) fn simple() -> Self {
        Self::new(Setup::default(), Self::options()).unwrap()
    }

    /// A device without any way to interrupt.
    pub(crate) fn polled() -> Self {
        let setup = Setup {
            msix_entries: 0,
            ..Setup::default()
        };
        Self::new(setup, Self::options()).unwrap()
    }

    pub(crate) fn options() -> Options {
        Options {
            messages: vec![message(1, 2); 3],
            // A device that serves by hand never answers while a driver waits for it.
            reset_limit_ns: 10_000_000,
            // Its messages have arrived when `serve` returns.
            message_travel_ns: 0,
            trial_limit_ns: 0,
            ..Options::default()
        }
    }

    /// From here on the device serves by itself, in a thread of its own.
    pub(crate) fn go(mut self) -> Self {
        let fake = self.fake.clone();
        self.thread = Some(thread::spawn(move || fake.run()));
        self.fake.go();
        self
    }

    /// Opens a session, once it is polled.
    pub(crate) fn open(
        &self,
    ) -> Pin<Box<impl Future<Output = Result<Cipher<FakePlatform>, Error>> + use<'_>>> {
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        Box::pin(Cipher::open(&self.device, algorithm, direction, &KEY))
    }

    /// Sends the *create* of a session, which the device has not answered when this returns.
    pub(crate) fn begin_open(
        &self,
    ) -> Pin<Box<impl Future<Output = Result<Cipher<FakePlatform>, Error>> + use<'_>>> {
        let mut open = self.open();
        assert!(poll_once(open.as_mut()).is_pending());
        open
    }

    /// Opens a session on a device that serves when the test says so.
    pub(crate) fn session(&self, direction: Direction) -> Cipher<FakePlatform> {
        let mut open = core::pin::pin!(Cipher::open(
            &self.device,
            CipherAlgorithm::AesCbc,
            direction,
            &KEY
        ));
        for _ in 0..10 {
            if let Poll::Ready(session) = poll_once(open.as_mut()) {
                return session.unwrap();
            }
            self.fake.serve(self.fake.control(), 1);
        }
        panic!("no session");
    }

    /// Ends every session and waits until the device has nothing any more.
    pub(crate) fn serve_all(&self) {
        let serve = |queue| self.fake.serve(queue, usize::MAX);
        while self.fake.enabled().into_iter().map(serve).sum::<usize>() > 0 {
            self.device.poll();
        }
        self.device.poll();
    }

    /// Forgets what is owed in interrupts: no message waits for a CPU that answers it.
    pub(crate) fn settle(&self) -> bool {
        self.device.settle() || self.device.settle()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.fake.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the device has found a fault of the driver");
        }
    }
}
