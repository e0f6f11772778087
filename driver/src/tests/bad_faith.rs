//! Implementations of the traits that a kernel implements, which lie, panic or come back in:
//! whatever is no promise to `unsafe` code costs an error at most, and the next call works.
#![expect(
    unsafe_code,
    reason = "unsafe traits, implemented as badly as their contracts allow"
)]

use alloc::{
    boxed::Box,
    sync::{Arc, Weak},
    vec,
};
use core::{
    cell::Cell,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
    task::Poll,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, OnceLock},
    thread_local,
};

use virtio_drivers::{
    BufferDirection, Hal, PhysAddr,
    transport::{
        DeviceStatus, InterruptStatus,
        pci::bus::{ConfigurationAccess, DeviceFunction},
    },
};

use crate::{
    Cipher, CipherAlgorithm, Device, Direction, DmaBuffer, Error, ForcedReset, Options, Platform,
    fake::{
        Alone, FakeDevice, FakePlatform, FakeTransport, IV, KEY, Random, Rig, Setup, live_pages,
        message, oracle, poll_once, times, trusted,
    },
    transport::{
        Doorbell, MsixEntry, MsixMessage, Notify, QueueAddresses, QueueIndex, Transport,
        TransportError, pci::PciTransport,
    },
};

/// What a platform does at the allocation after so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Fails,
    Panics,
}

/// What a clock reads, and how it goes on at every look.
type Clock = (u64, fn(u64) -> u64);

thread_local! {
    static REFUSAL: Cell<Option<(u32, Refusal)>> = const { Cell::new(None) };
    static CLOCK: Cell<Clock> = const { Cell::new((0, |now| now + 1000)) };
}

/// The fake platform, with a clock and an allocator of their own.
#[derive(Debug)]
struct Odd;

// SAFETY: the fake platform's, or nothing.
unsafe impl Hal for Odd {
    fn dma_alloc(pages: usize, direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        match REFUSAL.get() {
            Some((0, Refusal::Fails)) => return (0, NonNull::dangling()),
            Some((0, Refusal::Panics)) => panic!("no memory, on purpose"),
            Some((left, refusal)) => REFUSAL.set(Some((left - 1, refusal))),
            None => {}
        }
        FakePlatform::dma_alloc(pages, direction)
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: as the caller promises.
        unsafe { FakePlatform::dma_dealloc(paddr, start, pages) }
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("not the driver's")
    }

    unsafe fn share(_: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        unreachable!("not the driver's")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

// SAFETY: the fake platform's.
unsafe impl Platform for Odd {
    fn mask_interrupts() -> bool {
        FakePlatform::mask_interrupts()
    }

    unsafe fn restore_interrupts(were_enabled: bool) {
        // SAFETY: as the caller promises.
        unsafe { FakePlatform::restore_interrupts(were_enabled) }
    }

    fn cpu() -> u32 {
        FakePlatform::cpu()
    }

    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        FakePlatform::map_registers(address, len_bytes)
    }

    fn now_ns() -> u64 {
        let (now_ns, go_on) = CLOCK.get();
        CLOCK.set((go_on(now_ns), go_on));
        now_ns
    }
}

fn open_odd(setup: Setup) -> (Result<Device<Odd>, Error>, Arc<FakeDevice>) {
    let fake = Arc::new(FakeDevice::new(&setup));
    let options = Options {
        forced_reset: ForcedReset::Reclaim(trusted()),
        reset_limit_ns: 1_000_000_000,
        ..Options::default()
    };
    (
        Device::new(FakeTransport::new(setup, fake.clone()), options),
        fake,
    )
}

/// A session on a device that serves when the test says so.
fn open_session(device: &Device<Odd>, fake: &FakeDevice) -> Result<Cipher<Odd>, Error> {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    drive(fake, Cipher::open(device, algorithm, direction, &KEY))
}

/// Polls a future and serves, in turn, until it ends.
fn drive<F: Future>(fake: &FakeDevice, future: F) -> F::Output {
    let mut future = core::pin::pin!(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
        for queue in fake.enabled() {
            fake.serve(queue, usize::MAX);
        }
    }
    panic!("no end");
}

fn check_works(device: &Device<Odd>, fake: &FakeDevice) {
    let session = open_session(device, fake).unwrap();
    let mut data = [3; 48];
    drive(fake, session.process_slice(&IV, &mut data)).unwrap();
    assert_eq!(data[..], oracle(&KEY, &IV, &[3; 48])[..]);
    drive(fake, session.close()).unwrap();
}

/// Clocks that no limit ends by.
const CLOCKS: [Clock; 4] = [
    (0, |now| now),
    (u64::MAX, |now| now),
    (1 << 40, |now| now.saturating_sub(1000)),
    (1 << 40, |now| now ^ 1),
];

#[test]
fn wait_ends_whatever_the_clock_does() {
    let _alone = Alone::new();
    for clock in CLOCKS {
        CLOCK.set(clock);
        let mute = Setup {
            resets: false,
            ..Setup::default()
        };
        let (device, _) = open_odd(mute);
        assert!(matches!(device.unwrap_err(), Error::ResetTimeout { .. }));

        let (device, fake) = open_odd(Setup::default());
        let device = device.unwrap();
        let session = open_session(&device, &fake).unwrap();
        let mut request = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
        assert!(poll_once(request.as_mut()).is_pending());
        assert_eq!(device.recover(1_000_000_000).unwrap().in_flight, 1);
        assert!(matches!(poll_once(request.as_mut()), Poll::Ready(Err(_))));
        drop(request);
        drop(session);
        check_works(&device, &fake);
        assert_eq!(device.shutdown(u64::MAX).unwrap().in_flight, 0);
    }
}

#[test]
fn memory_that_is_refused_at_any_time_costs_nothing() {
    let _alone = Alone::new();
    for refusal in [Refusal::Fails, Refusal::Panics] {
        let before = live_pages();
        let mut refused = 0;
        for allowed in 0..100 {
            REFUSAL.set(Some((allowed, refusal)));
            let opened = catch_unwind(|| open_odd(Setup::default()).0);
            REFUSAL.set(None);
            match opened {
                Ok(Ok(_)) => break,
                Ok(Err(error)) => assert!(matches!(error, Error::OutOfDeviceMemory { .. })),
                Err(_) => assert_eq!(refusal, Refusal::Panics),
            }
            refused += 1;
            assert_eq!(live_pages(), before, "after {allowed} allocations");
        }
        assert!((2..100).contains(&refused), "{refused}");

        let (device, fake) = open_odd(Setup::default());
        let device = device.unwrap();
        let session = open_session(&device, &fake).unwrap();
        let pages = live_pages();
        for len_bytes in times([4096, 20_000], [2048, 5000]) {
            let mut data = vec![7; len_bytes];
            for allowed in 0.. {
                REFUSAL.set(Some((allowed, refusal)));
                let request = session.process_slice(&IV, &mut data);
                let sent = catch_unwind(AssertUnwindSafe(|| drive(&fake, request)));
                REFUSAL.set(None);
                match sent {
                    Ok(Ok(())) => break,
                    Ok(Err(error)) => assert!(matches!(error, Error::OutOfDeviceMemory { .. })),
                    Err(_) => assert_eq!(refusal, Refusal::Panics),
                }
                assert!(data.iter().all(|byte| *byte == 7), "changed");
                device.poll();
                assert_eq!(live_pages(), pages);
            }
            assert_eq!(data, oracle(&KEY, &IV, &vec![7; len_bytes]));
        }
        check_works(&device, &fake);
    }
}

/// How often a liar's set-up came so far.
static DOORBELLS: AtomicU32 = AtomicU32::new(0);

/// Answers every question with a number that looks random.
#[derive(Debug)]
struct Liar(Mutex<Random>);

impl Liar {
    fn word(&self) -> u64 {
        let mut random = self.0.lock().unwrap();
        let any = random.next();
        random.one_of(&[0, 1, 2, 0xff, 0xffff, u64::MAX, any, any & 0xff])
    }
}

impl Notify for Liar {
    fn notify(&self, _: QueueIndex) {}
}

// SAFETY: there is no device at all, so there is none that could touch memory.
unsafe impl Transport for Liar {
    fn read_device_features(&self) -> u64 {
        self.word() | 1 << 32
    }
    fn write_driver_features(&self, _: u64) {}
    fn read_status(&self) -> DeviceStatus {
        // Mostly what leads on.
        let status = [0, 0, 8, 15, self.word() as u32];
        DeviceStatus::from_bits_retain(self.0.lock().unwrap().one_of(&status))
    }
    fn write_status(&self, _: DeviceStatus) {}
    fn is_present(&self) -> bool {
        self.word() > 0
    }
    fn read_max_queue_size(&self, _: QueueIndex) -> u16 {
        self.word() as u16
    }
    fn set_queue(&self, _: QueueIndex, _: u16, _: QueueAddresses) {}
    fn enable_queue(&self, _: QueueIndex) {}
    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        DOORBELLS.fetch_add(1, Ordering::Relaxed);
        match self.word() {
            0 => Err(TransportError::Legacy),
            seed => {
                let liar = Self(Mutex::new(Random::new(seed)));
                Ok(Doorbell::shared(Arc::new(liar), queue))
            }
        }
    }
    fn read_config_generation(&self) -> u32 {
        (self.word() == 0).into()
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        if self.word() == 0xffff {
            let len = bytes.len();
            return Err(TransportError::ConfigTooShort { offset, len });
        }
        bytes.fill_with(|| self.word() as u8);
        // A number of data queues that leads on.
        if let Some(data_queues) = bytes.get_mut(4..8).filter(|_| self.word() > 0) {
            data_queues.copy_from_slice(&[2, 0, 0, 0]);
        }
        Ok(())
    }
    fn msix_entries(&self) -> u16 {
        self.word() as u16
    }
    fn set_queue_vector(&self, _: QueueIndex, entry: Option<MsixEntry>) -> Option<MsixEntry> {
        match self.word() {
            0 => None,
            1 => Some(MsixEntry(self.word() as u16)),
            _ => entry,
        }
    }
    fn set_msix_message(&self, _: MsixEntry, _: Option<MsixMessage>) {}
    fn read_interrupt_status(&self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.word() as u32)
    }
}

#[test]
fn set_up_by_a_transport_that_lies_costs_errors() {
    let _alone = Alone::new();
    let before = DOORBELLS.load(Ordering::Relaxed);
    for seed in 0..times(2000, 20) {
        CLOCK.set((0, |now| now + 10_000_000));
        let options = Options {
            messages: vec![message(1, 2); 3],
            intx: seed % 2 == 0,
            data_queues: 2,
            data_slots: 4,
            control_slots: 4,
            forced_reset: ForcedReset::Reclaim(trusted()),
            reset_limit_ns: 50_000_000,
            ..Options::default()
        };
        drop(Device::<Odd>::new(
            Liar(Mutex::new(Random::new(seed))),
            options,
        ));
    }
    let doorbells = DOORBELLS.load(Ordering::Relaxed) - before;
    assert!(
        doorbells > 20 || cfg!(miri),
        "{doorbells} doorbells of 2000"
    );
}

/// Configuration space of random words, into which now and then a list is put that leads on.
struct Space(Mutex<Random>);

impl ConfigurationAccess for Space {
    fn read_word(&self, _: DeviceFunction, offset: u8) -> u32 {
        let mut random = self.0.lock().unwrap();
        let any = random.next() as u32;
        let next = random.below(64) as u32 * 4;
        match offset {
            0 => 0x1054_1af4,
            4 => any | 1 << 20,
            0x10..0x28 => random.one_of(&[0, 4, 0xc, 0xffff_f000, any, any & !0xfff | 4]),
            // A structure of any kind, of about its length.
            _ => random.one_of(&[
                0,
                1,
                4,
                0x40,
                any,
                u32::MAX,
                0x0014_0009 | next << 8 | (any & 7) << 24,
                0x0014_0011 | next << 8,
            ]),
        }
    }
    fn write_word(&mut self, _: DeviceFunction, _: u8, _: u32) {}
    unsafe fn unsafe_clone(&self) -> Self {
        unreachable!("one access is enough")
    }
}

#[test]
fn configuration_space_that_lies_costs_errors() {
    let at = DeviceFunction {
        bus: 0,
        device: 1,
        function: 0,
    };
    for seed in 0..times(20_000, 20) {
        let space = Space(Mutex::new(Random::new(seed)));
        // SAFETY: there is no function; whatever it claims, the platform finds no registers there.
        let transport = unsafe { PciTransport::<Odd, Space>::new(space, at) };
        assert!(transport.is_err(), "{seed}");
    }
}

/// How a doorbell misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ringing {
    Panics,
    Returns,
}

/// Comes back into the driver, or panics, whenever it is rung.
#[derive(Debug)]
struct Bell {
    ringing: Mutex<Option<Ringing>>,
    device: OnceLock<Weak<Device<FakePlatform>>>,
    /// What registers read instead.
    lies: Mutex<Option<Liar>>,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ringing: Mutex::new(None),
            device: OnceLock::new(),
            lies: Mutex::new(None),
        })
    }

    /// Returns a lie, or what is true.
    fn answer<R>(&self, lie: impl FnOnce(&Liar) -> R, truth: impl FnOnce() -> R) -> R {
        self.lies.lock().unwrap().as_ref().map_or_else(truth, lie)
    }

    fn misbehave(&self) {
        let ringing = *self.ringing.lock().unwrap();
        match ringing {
            Some(Ringing::Panics) => panic!("no bell, on purpose"),
            Some(Ringing::Returns) => {
                let device = self.device.get().and_then(Weak::upgrade).unwrap();
                device.poll();
                device.drain();
                device.poller().drain();
                let _ = device.ended();
                let _ = device.settle();
                device.share_kicks(|| device.control_stats());
                device.handle_interrupt(MsixEntry(1));
                device.handle_intx();
            }
            None => {}
        }
    }
}

#[derive(Debug)]
struct Rung(Doorbell, Arc<Bell>);

impl Notify for Rung {
    fn notify(&self, _: QueueIndex) {
        self.1.misbehave();
        self.0.ring(|| 0);
    }
}

#[derive(Debug)]
struct Belled(FakeTransport, Arc<Bell>);

// SAFETY: hands on what the fake transport says and is told.
unsafe impl Transport for Belled {
    fn read_device_features(&self) -> u64 {
        self.0.read_device_features()
    }
    fn write_driver_features(&self, features: u64) {
        self.0.write_driver_features(features);
    }
    fn read_status(&self) -> DeviceStatus {
        self.1.answer(Liar::read_status, || self.0.read_status())
    }
    fn write_status(&self, status: DeviceStatus) {
        self.0.write_status(status);
    }
    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        let lie = |liar: &Liar| liar.read_max_queue_size(queue);
        self.1.answer(lie, || self.0.read_max_queue_size(queue))
    }
    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.1
            .answer(|_| (), || self.0.set_queue(queue, size, addresses));
    }
    fn enable_queue(&self, queue: QueueIndex) {
        self.1.answer(|_| (), || self.0.enable_queue(queue));
    }
    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        let rung = Rung(self.0.doorbell(queue)?, self.1.clone());
        Ok(Doorbell::shared(Arc::new(rung), queue))
    }
    fn read_config_generation(&self) -> u32 {
        self.1.answer(Liar::read_config_generation, || {
            self.0.read_config_generation()
        })
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        self.0.read_config(offset, bytes)?;
        self.1
            .answer(|liar| liar.read_config(offset, bytes), || Ok(()))
    }
    fn read_interrupt_status(&self) -> InterruptStatus {
        self.1.answer(Liar::read_interrupt_status, || {
            self.0.read_interrupt_status()
        })
    }
}

#[test]
fn doorbell_that_comes_back_or_panics_costs_nobody_else() {
    let _alone = Alone::new();
    for ringing in [Ringing::Returns, Ringing::Panics] {
        let fake = Arc::new(FakeDevice::new(&Setup::default()));
        let bell = Bell::new();
        let transport = Belled(
            FakeTransport::new(Setup::default(), fake.clone()),
            bell.clone(),
        );
        let options = Options {
            forced_reset: ForcedReset::Reclaim(trusted()),
            ..Options::default()
        };
        let device = Arc::new(Device::<FakePlatform>::new(transport, options).unwrap());
        bell.device.set(Arc::downgrade(&device)).unwrap();
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        let open = || Cipher::open(&device, algorithm, direction, &KEY);
        let session = drive(&fake, open()).unwrap();

        *bell.ringing.lock().unwrap() = Some(ringing);
        let mut data = [5; 32];
        let request = session.process_slice(&IV, &mut data);
        let answered = catch_unwind(AssertUnwindSafe(|| drive(&fake, request)));
        let opened = catch_unwind(AssertUnwindSafe(|| drive(&fake, open())));
        match answered {
            Ok(answered) => {
                answered.unwrap();
                assert_eq!(data[..], oracle(&KEY, &IV, &[5; 32])[..]);
            }
            Err(_) => assert_eq!(data, [5; 32], "changed"),
        }
        assert_eq!(
            opened.is_err() | (data == [5; 32]),
            ringing == Ringing::Panics
        );

        drop(opened);
        *bell.ringing.lock().unwrap() = None;
        let mut data = [6; 32];
        drive(&fake, session.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data[..], oracle(&KEY, &IV, &[6; 32])[..]);
        drive(&fake, session.close()).unwrap();
        let other = drive(&fake, open()).unwrap();
        drive(&fake, other.close()).unwrap();
        for _ in 0..3 {
            device.poll();
            for queue in fake.enabled() {
                fake.serve(queue, usize::MAX);
            }
        }
        let drained = device.shutdown(1_000_000_000).unwrap();
        assert_eq!(drained.in_flight, 0, "{ringing:?}");
    }
}

#[test]
fn registers_that_lie_later_cost_errors() {
    let _alone = Alone::new();
    for seed in 0..times(100, 5) {
        let fake = Arc::new(FakeDevice::new(&Setup::default()));
        let bell = Bell::new();
        let transport = Belled(
            FakeTransport::new(Setup::default(), fake.clone()),
            bell.clone(),
        );
        let options = Options {
            forced_reset: ForcedReset::Reclaim(trusted()),
            reset_limit_ns: 100_000,
            data_slots: 4,
            control_slots: 4,
            ..Options::default()
        };
        let device = Device::<FakePlatform>::new(transport, options).unwrap();
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        let open = Cipher::open(&device, algorithm, direction, &KEY);
        let session = drive(&fake, open).unwrap();
        let mut request = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
        assert!(poll_once(request.as_mut()).is_pending());

        *bell.lies.lock().unwrap() = Some(Liar(Mutex::new(Random::new(seed))));
        for entry in 0..4 {
            device.handle_interrupt(MsixEntry(entry));
            let _ = device.move_interrupt(MsixEntry(entry), message(3, 4));
        }
        device.handle_intx();
        device.clear_intx();
        device.poll();
        let _ = device.settle();
        let ended = poll_once(request.as_mut()).is_ready();
        let _ = device.recover(100_000);
        let _ = ended || poll_once(request.as_mut()).is_ready();
        let _ = device.shutdown(100_000);
        drop(request);
    }
}

/// A thread that sleeps until the device's interrupt wakes it.
#[test]
fn caller_with_a_waker_of_its_own_sleeps() {
    struct Unpark(std::thread::Thread);
    impl alloc::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let rig = Rig::simple().go();
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut sleeps = 0;
    let work = async {
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        let session = Cipher::open(&rig.device, algorithm, direction, &KEY).await?;
        let mut data = [9; 64];
        for _ in 0..20 {
            data = [9; 64];
            session.process_slice(&IV, &mut data).await?;
        }
        session.close().await.map(|()| data)
    };
    let sleep = || {
        sleeps += 1;
        std::thread::park_timeout(std::time::Duration::from_secs(20));
        core::ops::ControlFlow::Continue(())
    };
    let data = crate::block_on_with(work, &waker, sleep).unwrap().unwrap();
    assert_eq!(data[..], oracle(&KEY, &IV, &[9; 64])[..]);
    // Two wakes of the same request may come one after the other.
    assert!(sleeps <= 2 * 22, "{sleeps} sleeps for 22 requests");
    let gave_up = core::future::pending::<()>();
    let gave_up = crate::block_on_with(gave_up, &waker, || core::ops::ControlFlow::Break(()));
    assert_eq!(gave_up, Err(Error::GaveUp));
}
