//! A device that leaves and comes back while the guest runs: its process dies, or somebody takes it
//! out of its slot, and another process has its place.
//!
//! In QEMU a device whose process is dead reads as all ones, like one that was pulled out, and
//! stays so: QEMU never connects again. So what comes back is a new device in the same slot.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel::{
    bus::{self, slot::Slot},
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    interrupts::vectors,
    memory::{self, heap},
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use spin::{Mutex, Once};
use virtio_crypto::{
    Cipher, CipherAlgorithm, DeviceFault, DevicePool, Direction, DmaBuffer, Error, InterruptMode,
    Options,
};
use virtio_drivers::transport::pci::bus::DeviceFunction;

kernel::tests! {
    machines: [
        "own= append=only=ends_every_wait",
        "own=queues=4,packed=on smp=4 append=only=ends_every_wait",
        // QEMU 11.1 ends itself when a device with MSI-X is taken out.
        "own=vectors=0 hotplug=on append=only=comes_back",
        "own=vectors=0,queues=4,packed=on hotplug=on smp=4 append=only=comes_back",
        "hotplug=on append=only=when_it_is_asked append=only=takes_no_more",
        "hotplug=on smp=4 append=only=when_it_is_asked append=only=takes_no_more",
        "hotplug=on vectors=0 append=only=takes_no_more",
    ],
    tests: [
        death_of_its_process_ends_every_wait,
        device_whose_process_died_comes_back,
        device_that_is_taken_out_under_traffic_comes_back,
        device_that_leaves_when_it_is_asked_comes_back,
        device_that_comes_back_takes_no_more,
    ],
}

const GONE: Error = Error::Broken(DeviceFault::Gone);
const SECOND_NS: u64 = 1_000_000_000;
/// How long what is outside of the guest may take.
const LIMIT_NS: u64 = 30 * SECOND_NS;
/// Requests that are in flight when a device ends, on each CPU.
const IN_FLIGHT: u32 = 4;
const LEN_BYTES: usize = 4096;

/// NIST SP 800-38A, F.2.1: the first block.
const KEY: [u8; 16] = 0x2b7e151628aed2a6abf7158809cf4f3c_u128.to_be_bytes();
const IV: [u8; 16] = 0x000102030405060708090a0b0c0d0e0f_u128.to_be_bytes();
const PLAINTEXT: [u8; 16] = 0x6bc1bee22e409f96e93d7e117393172a_u128.to_be_bytes();
const CIPHERTEXT: [u8; 16] = 0x7649abac8119b246cee98e9b12e9197d_u128.to_be_bytes();

/// Tells the device's process or QEMU something. It is done some time later.
fn tell(command: &str) {
    println!("to device 0 {command}");
}

fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let start_ns = time::now_ns();
    executor::block_on(async {
        while !is_done() {
            assert!(time::now_ns() - start_ns < LIMIT_NS, "no {what}");
            time::sleep_ns(2_000_000).await;
        }
    });
}

fn cpus() -> u32 {
    static STARTED: Once<()> = Once::new();
    STARTED.call_once(|| assert_eq!(smp::start_all(), 0, "CPUs did not come up"));
    smp::online()
}

/// The only device of the machine, and where it is.
struct Seated {
    device: Arc<CryptoDevice>,
    function: DeviceFunction,
    slot: Slot,
}

/// Between two tests.
static SEATED: Mutex<Option<Seated>> = Mutex::new(None);

impl Seated {
    /// Returns what a test before has left, or opens it.
    fn take() -> Self {
        let left = SEATED.lock().take();
        left.unwrap_or_else(Self::open)
    }

    /// Opens it.
    fn open() -> Self {
        cpus();
        let [function] = crypto::find_crypto()[..] else {
            panic!("not one device");
        };
        let slot = Slot::of(bus::pci_access(), function).expect("a slot");
        let opened = crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default());
        let device = opened.unwrap().expect("a device");
        if command_line::value("messages") == Some("asynchronous") {
            assert_eq!(device.interrupt_mode(), InterruptMode::Intx);
        }
        executor::block_on(check_answers(&device));
        Self {
            device,
            function,
            slot,
        }
    }

    /// Waits until somebody wants it to leave.
    fn wait_for_wish(&mut self) {
        assert!(self.slot.is_occupied());
        wait_until("wish that it leaves", || self.slot.is_pressed());
    }

    fn let_go(&mut self) {
        self.slot.switch_off();
        wait_until("empty slot", || !self.slot.is_occupied());
    }

    /// Has a new process take its place, and opens that.
    fn replace(mut self) -> Self {
        crypto::left(self.function, &self.device);
        tell("plug");
        wait_until("device", || {
            self.slot.is_pressed() && self.slot.is_occupied()
        });
        self.slot.switch_on(self.function).expect("room for it");
        let next = Self::open();
        // Nothing brings the one before back, though another answers in its place.
        assert!(self.device.check().is_err());
        assert!(self.device.ended().is_some());
        executor::block_on(check_answers(&next.device));
        next
    }

    fn keep(self) {
        *SEATED.lock() = Some(self);
    }
}

/// Encrypts and decrypts on every data queue.
async fn check_answers(device: &Arc<CryptoDevice>) {
    let tasks: Vec<_> = (0..cpus())
        .map(|cpu| {
            let device = device.clone();
            let work = async move {
                let open =
                    |direction| Cipher::open(&device, CipherAlgorithm::AesCbc, direction, &KEY);
                let encrypt = open(Direction::Encrypt).await.unwrap();
                let decrypt = open(Direction::Decrypt).await.unwrap();
                let mut data = PLAINTEXT;
                encrypt.process_slice(&IV, &mut data).await.unwrap();
                assert_eq!(data, CIPHERTEXT);
                decrypt.process_slice(&IV, &mut data).await.unwrap();
                assert_eq!(data, PLAINTEXT);
                encrypt.close().await.unwrap();
                decrypt.close().await.unwrap();
            };
            executor::spawn_on(cpu, work).unwrap()
        })
        .collect();
    crypto::join_all(tasks).await;
    assert_eq!(device.interrupt_stats().unhandled, 0);
}

/// Has every CPU send some requests at a time, one after the other, until they fail. Returns how.
fn traffic(device: &Arc<CryptoDevice>) -> impl Future<Output = Vec<Vec<Error>>> + use<> {
    let send = |cpu| {
        let device = device.clone();
        let work = async move {
            let open = Cipher::open(&device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
            let session = open.await.unwrap();
            let requests = async || {
                let mut buffer = DmaBuffer::<KernelPlatform>::new(LEN_BYTES).unwrap();
                loop {
                    match session.process(&IV, buffer).await {
                        Ok(back) => buffer = back,
                        Err(failed) => return failed.error,
                    }
                }
            };
            crypto::join_all((0..IN_FLIGHT).map(|_| requests())).await
        };
        executor::spawn_on(cpu, work).unwrap()
    };
    let tasks: Vec<_> = (0..cpus()).map(send).collect();
    crypto::join_all(tasks)
}

/// Has the device checked now and then, since one that is gone says nothing, and waits for the end
/// of every wait. Each tells that the device is gone.
fn check_ends(device: &Arc<CryptoDevice>, ends: impl Future<Output = Vec<Vec<Error>>>) {
    crypto::watch(device);
    let ends = executor::block_on(time::timeout(LIMIT_NS, ends));
    for end in ends.expect("an end of every wait").into_iter().flatten() {
        assert_eq!(end, GONE);
    }
    assert_eq!(device.ended(), Some(GONE));
    let open = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    assert_eq!(executor::block_on(open).err(), Some(GONE));
}

/// Holds up every data queue, so that what is sent stays in flight.
fn stall(device: &CryptoDevice) {
    for queue in 0..device.data_queues() {
        tell(&alloc::format!("stall {queue}"));
    }
    // The device obeys one word after the other, and it interrupts to tell of these.
    for word in ["ready 0", "ready 1"] {
        tell(word);
        wait_until(word, || device.is_ready() == (word == "ready 1"));
    }
}

/// Has the process die while requests are in flight.
fn kill(device: &Arc<CryptoDevice>) {
    stall(device);
    let requests = traffic(device);
    let all = cpus() * IN_FLIGHT;
    wait_until("request in flight", || device.data_stats().in_flight == all);
    let free_frames = memory::free_frame_count();
    // A read is answered behind all kicks: QEMU 11.1 ends itself where the process leaves a message
    // unread (`error_setv`). So the device is left alone, too, until it has died.
    device.check().unwrap();
    tell("die");
    executor::block_on(time::sleep_ns(SECOND_NS));
    check_ends(device, requests);
    // What the device was told of stays away from everybody else.
    assert!(memory::free_frame_count() <= free_frames);
}

fn death_of_its_process_ends_every_wait() {
    cpus();
    let opened = crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default());
    let device = opened.unwrap().expect("a device");
    assert_eq!(device.interrupt_mode(), InterruptMode::PerQueue);
    executor::block_on(check_answers(&device));
    kill(&device);
    // It stays so, and nothing makes it come back.
    assert_eq!(device.recover(SECOND_NS), Err(GONE));
    assert!(device.check().is_err());
}

fn device_whose_process_died_comes_back() {
    let mut seated = Seated::take();
    for _ in 0..2 {
        kill(&seated.device);
        tell("unplug");
        seated.wait_for_wish();
        seated.let_go();
        seated = seated.replace();
    }
    seated.keep();
}

fn device_that_is_taken_out_under_traffic_comes_back() {
    let mut seated = Seated::take();
    for _ in 0..2 {
        let device = seated.device.clone();
        let requests = traffic(&device);
        let sent = || device.data_stats().submitted;
        let before = sent();
        wait_until("traffic", || sent() > before + 100);
        tell("unplug");
        seated.wait_for_wish();
        // Nobody is asked, and nothing is drained.
        seated.let_go();
        check_ends(&device, requests);
        seated = seated.replace();
    }
    seated.keep();
}

fn device_that_leaves_when_it_is_asked_comes_back() {
    const ANSWERS: u64 = 500;
    static POOL: Once<DevicePool<KernelPlatform>> = Once::new();
    static ANSWERED: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let pool = POOL.call_once(|| DevicePool::new(|_, _| 0));
    let add = |device: &Arc<CryptoDevice>| {
        pool.add(device.clone(), 0, device.capabilities().advertised());
    };
    async fn work() {
        while !STOP.load(Ordering::Relaxed) {
            let algorithm = CipherAlgorithm::AesCbc;
            let open = POOL.wait().open_cipher(algorithm, Direction::Encrypt, &KEY);
            let session = match open.await {
                Ok(session) => session,
                Err(Error::NoDevice | Error::ShutDown) => {
                    time::sleep_ns(1_000_000).await;
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            for _ in 0..20 {
                let mut data = PLAINTEXT;
                match session.process_slice(&IV, &mut data).await {
                    Ok(()) => assert_eq!(data, CIPHERTEXT),
                    Err(Error::ShutDown) => break,
                    Err(error) => panic!("{error}"),
                }
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    // However many there were: so each device has traffic when it is to leave.
    let wait_for_answers = || {
        let answered = || ANSWERED.load(Ordering::Relaxed);
        let before = answered();
        wait_until("answers", || answered() > before + ANSWERS);
    };
    let mut seated = Seated::take();
    add(&seated.device);
    let tasks: Vec<_> = (0..4 * cpus())
        .map(|lane| executor::spawn_on(lane % cpus(), work()).unwrap())
        .collect();
    for _ in 0..2 {
        wait_for_answers();
        tell("unplug");
        seated.wait_for_wish();
        let drained = pool.remove(&seated.device, LIMIT_NS).unwrap();
        assert_eq!(drained.in_flight, 0);
        seated.let_go();
        seated = seated.replace();
        add(&seated.device);
    }
    wait_for_answers();
    STOP.store(true, Ordering::Relaxed);
    executor::block_on(crypto::join_all(tasks));
    crypto::wait_until_idle(&seated.device, 0, LIMIT_NS);
    assert_eq!(seated.device.interrupt_stats().unhandled, 0);
    seated.keep();
}

/// The frames and the heap that a device takes are free again when it has left, and so are its
/// vectors: however often one comes, there is as much as before.
fn device_that_comes_back_takes_no_more() {
    let mut seated = Seated::take();
    let mut first = None;
    for life in 0..4 {
        tell("unplug");
        seated.wait_for_wish();
        let drained = seated.device.shutdown(LIMIT_NS).unwrap();
        assert_eq!(drained.in_flight, 0);
        seated.let_go();
        seated = seated.replace();
        let left = || {
            let frames = memory::free_frame_count();
            (frames, heap::used_bytes(), vectors::left())
        };
        // What comes for the first time may take tables of pages.
        match first {
            _ if life == 0 => {}
            None => {
                // Within a wait, as below: that takes some of the heap, too.
                first = Some(executor::block_on(async {
                    time::sleep_ns(SECOND_NS / 10).await;
                    left()
                }));
            }
            // Another CPU may still be at the end of a task.
            Some(first) => wait_until("memory and vectors as before", || left() == first),
        }
    }
    seated.keep();
}
