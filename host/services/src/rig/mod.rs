//! A driver and a device put together: memory, a platform, and the far side of the rings.

#[path = "../../../../driver/src/fake/callers.rs"]
mod callers;
mod far;
#[expect(dead_code, reason = "some of it only the driver's own tests need")]
#[path = "../../../../driver/src/fake/memory.rs"]
mod memory;
#[expect(dead_code, reason = "some of it only the driver's own tests need")]
#[path = "../../../../driver/src/fake/platform.rs"]
mod platform;
#[expect(dead_code, reason = "some of it only the driver's own tests need")]
#[path = "../../../../driver/src/fake/rings.rs"]
mod rings;
mod setup;
mod transport;

use std::{pin::Pin, sync::Arc, task::Poll, thread};

use virtio_crypto::{
    Cipher, CipherAlgorithm, Device, Direction, Error, Features, Options, transport::MsixEntry,
};

pub(crate) use self::{
    callers::{Alone, IV, KEY, Wakes, oracle, poll_once, run},
    far::{FarSide, Fault, Results, Served},
    memory::{is_in_freed_memory, is_in_memory, live_pages},
    platform::FakePlatform,
    setup::{MAX_AUTH_KEY_LEN, MAX_CIPHER_KEY_LEN, Setup},
};
use self::{
    memory::forget_live_pages, platform::message, rings::ring_features, transport::TestTransport,
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

/// A driver on a device.
pub(crate) struct Rig {
    pub(crate) device: Arc<Device<FakePlatform>>,
    pub(crate) far: Arc<FarSide>,
    alone: Arc<Alone>,
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

    fn put_together(alone: Arc<Alone>, setup: Setup, options: Options) -> Result<Self, Error> {
        let far = Arc::new(FarSide::new(&setup));
        let device = Arc::new(Device::new(TestTransport(far.clone()), options)?);
        let rings = device.features() & (Features::RING_PACKED | Features::IN_ORDER);
        assert_eq!(rings, ring_features(), "other rings than this run is on");
        let weak = Arc::downgrade(&device);
        far.deliver_to(Box::new(move |vector| {
            if let Some(device) = weak.upgrade() {
                device.handle_interrupt(MsixEntry(vector));
            }
        }));
        Ok(Self { device, far, alone })
    }

    /// A device with a vector for everything.
    pub(crate) fn simple() -> Self {
        Self::new(Setup::default(), Self::options()).unwrap()
    }

    /// A device without any way to interrupt.
    pub(crate) fn polled() -> Self {
        let options = Self::options_with(|options| options.messages.clear());
        Self::new(Setup::default(), options).unwrap()
    }

    pub(crate) fn options() -> Options {
        let mut options = Options::default();
        options.messages = vec![message(1, 2); 3];
        // A device that serves by hand never answers while a driver waits for it.
        options.reset_limit_ns = 10_000_000;
        // Its messages have arrived when `serve` returns.
        options.message_travel_ns = 0;
        options.trial_limit_ns = 0;
        options
    }

    /// Returns the options of all rigs, with a change.
    pub(crate) fn options_with(change: impl FnOnce(&mut Options)) -> Options {
        let mut options = Self::options();
        change(&mut options);
        options
    }

    /// From here on the device serves by itself.
    pub(crate) fn go(self) -> Self {
        self.far.go();
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
            self.far.serve(self.far.control(), 1);
        }
        panic!("no session");
    }

    /// Serves until nothing is left.
    pub(crate) fn serve_all(&self) {
        let serve = |queue| self.far.serve(queue, usize::MAX);
        while self.far.queues().map(serve).sum::<usize>() > 0 {
            self.device.poll();
        }
        self.device.poll();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let complaints = self.far.stop();
        if !thread::panicking() {
            assert!(complaints.is_empty(), "{complaints:?}");
        }
    }
}
