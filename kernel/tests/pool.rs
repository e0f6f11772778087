//! Several devices under one pool: they share the work, come and go, and interrupt CPUs of their
//! own.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Waker},
};

use kernel::{
    cpu,
    crypto::{self, CryptoDevice, Reach, Wiring},
    interrupts::vectors,
    memory,
    platform::{self, KernelPlatform},
    println, smp,
    task::executor,
    time,
};
use spin::Once;
use virtio_crypto::{
    Cipher, CipherAlgorithm, DevicePool, Direction, DmaBuffer, Error, InterruptMode, Options,
    transport::MsixEntry,
};

kernel::tests! {
    machines: [
        "smp=2 devices=2 append=count=2",
        "smp=4 devices=4 append=count=4",
        "smp=8 devices=4 machine=pc append=count=4",
        "smp=4 devices=3 vectors=1 append=count=3",
    ],
    tests: [
        sessions_spread_evenly_over_the_devices,
        near_device_is_chosen_until_it_is_busy,
        proof_and_claim_decide_who_serves_what,
        each_device_interrupts_its_own_cpu_alone,
        devices_leave_and_come_back_under_traffic,
        nothing_is_left_on_any_device,
    ],
}

const KEY: [u8; 16] = [0x42; 16];
const IV: [u8; 16] = [0x17; 16];
const CBC: CipherAlgorithm = CipherAlgorithm::AesCbc;
const SECOND_NS: u64 = 1_000_000_000;
const MAX_DEVICES: usize = 4;

/// How many interrupts of each device each CPU has answered.
static ANSWERED: [[AtomicU64; cpu::MAX_CPUS]; MAX_DEVICES] =
    [const { [const { AtomicU64::new(0) }; cpu::MAX_CPUS] }; MAX_DEVICES];

fn on_queue<const DEVICE: usize, const ENTRY: u16>(_vector: u8) {
    ANSWERED[DEVICE][cpu::number() as usize].fetch_add(1, Ordering::Relaxed);
    devices()[DEVICE].handle_interrupt(MsixEntry(ENTRY));
}

/// Handlers cannot capture, so there is one for each place.
const HANDLERS: [[fn(u8); 3]; MAX_DEVICES] = [
    [on_queue::<0, 0>, on_queue::<0, 1>, on_queue::<0, 2>],
    [on_queue::<1, 0>, on_queue::<1, 1>, on_queue::<1, 2>],
    [on_queue::<2, 0>, on_queue::<2, 1>, on_queue::<2, 2>],
    [on_queue::<3, 0>, on_queue::<3, 1>, on_queue::<3, 2>],
];

fn cpus() -> u32 {
    static STARTED: Once<()> = Once::new();
    STARTED.call_once(|| assert_eq!(smp::start_all(), 0, "CPUs did not come up"));
    smp::online()
}

/// Returns the CPU that a device interrupts.
fn cpu_of(device: usize) -> u32 {
    (device as u32 + 1) % cpus()
}

fn devices() -> &'static [Arc<CryptoDevice>] {
    static DEVICES: Once<Vec<Arc<CryptoDevice>>> = Once::new();
    let devices = DEVICES.call_once(|| {
        let open = |index| crypto::open_crypto(index, Reach::Pci, Wiring::Best, Options::default());
        let opened = (0..crypto::find_crypto().len()).map(open);
        opened
            .map(|device| device.unwrap().expect("a device"))
            .collect()
    });
    static MOVED: Once<()> = Once::new();
    if !MOVED.is_completed() && cpu::number() == 0 {
        MOVED.call_once(|| move_interrupts(devices));
    }
    devices
}

/// Each device's interrupts go to a CPU of its own, as far as there are so many.
fn move_interrupts(devices: &[Arc<CryptoDevice>]) {
    for (index, device) in devices.iter().enumerate() {
        let entries = match device.interrupt_mode() {
            InterruptMode::PerQueue => 3,
            InterruptMode::Shared => 1,
            other => panic!("interrupts come by {other:?}"),
        };
        for (entry, handler) in (0..).zip(&HANDLERS[index][..entries]) {
            let vector = vectors::allocate(*handler).unwrap();
            let message = platform::message_for(cpu_of(index), vector).unwrap();
            device.move_interrupt(MsixEntry(entry), message).unwrap();
        }
    }
}

type TestPool = DevicePool<KernelPlatform>;

/// Returns a pool of all devices; device *n* is on node *n*.
fn pool(distance: fn(u32, u32) -> u32) -> TestPool {
    let pool = DevicePool::new(distance);
    for (node, device) in (0..).zip(devices()) {
        pool.add(device.clone(), node, device.capabilities().advertised());
    }
    pool
}

/// The pool of the traffic: only load counts.
fn shared_pool() -> &'static TestPool {
    static POOL: Once<TestPool> = Once::new();
    POOL.call_once(|| pool(|_, _| 0))
}

fn chosen(pool: &TestPool) -> usize {
    let device = pool.device_for(CBC).unwrap();
    let place = devices().iter().position(|one| Arc::ptr_eq(one, &device));
    place.expect("a device of this machine")
}

fn on_every_cpu<F>(f: impl Fn(u32) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: Vec<_> = (0..cpus())
        .map(|cpu| executor::spawn_on(cpu, f(cpu)).unwrap())
        .collect();
    executor::block_on(crypto::join_all(tasks))
}

/// Waits until nothing is in flight and no session is open on any device.
fn settle() {
    for device in devices() {
        crypto::wait_until_idle(device, 0, 20 * SECOND_NS);
    }
}

fn check_interrupts() {
    for device in devices() {
        let stats = device.interrupt_stats();
        assert_eq!(stats.unhandled, 0, "{stats:?}");
    }
}

fn sessions_spread_evenly_over_the_devices() {
    let count: usize = kernel::command_line::value("count")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(devices().len(), count);
    let submitted = || devices().iter().map(|device| device.data_stats().submitted);
    let before: Vec<_> = submitted().collect();
    const SESSIONS: usize = 8;
    const REQUESTS: u64 = 25;
    let open = || shared_pool().open_cipher(CBC, Direction::Encrypt, &KEY);
    let sessions: Vec<_> = (0..SESSIONS * count)
        .map(|_| executor::block_on(open()).unwrap())
        .collect();
    for device in devices() {
        assert_eq!(device.sessions_taken(), SESSIONS);
    }
    let sessions = Arc::new(sessions);
    on_every_cpu(|cpu| {
        let sessions = sessions.clone();
        async move {
            let mine = sessions.iter().skip(cpu as usize).step_by(cpus() as usize);
            crypto::join_all(mine.map(use_session)).await;
        }
    });
    async fn use_session(session: &Cipher<KernelPlatform>) {
        for _ in 0..REQUESTS {
            session.process_slice(&IV, &mut [1; 64]).await.unwrap();
        }
    }
    let done: Vec<_> = submitted()
        .zip(before)
        .map(|(now, then)| now - then)
        .collect();
    println!("data requests of each device: {done:?}");
    assert!(done.iter().all(|done| *done == REQUESTS * SESSIONS as u64));
    drop(sessions);
    settle();
    check_interrupts();
}

fn near_device_is_chosen_until_it_is_busy() {
    const WORTH: u32 = 8;
    let count = devices().len() as u32;
    let pool = Arc::new(pool(|cpu, node| {
        let near = cpu % devices().len() as u32 == node;
        if near { 0 } else { WORTH }
    }));
    let places = on_every_cpu(|_| {
        let pool = pool.clone();
        async move { chosen(&pool) }
    });
    for (cpu, place) in (0..).zip(places) {
        assert_eq!(place as u32, cpu % count, "CPU {cpu}");
    }
    let device = &devices()[0];
    let session = Cipher::open(device, CBC, Direction::Encrypt, &KEY);
    let session = executor::block_on(session).unwrap();
    // A batch notifies the device at its end, so until then all of them are in flight.
    let requests = executor::block_on(device.batch(async {
        let mut requests = Vec::new();
        for _ in 0..WORTH {
            assert_eq!(chosen(&pool), 0, "{} in flight", requests.len());
            let mut request = Box::pin(session.process(&IV, DmaBuffer::new(4096).unwrap()));
            let waker = Waker::noop();
            let polled = request.as_mut().poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
            requests.push(request);
        }
        assert_ne!(chosen(&pool), 0);
        requests
    }));
    for request in executor::block_on(crypto::join_all(requests)) {
        request.unwrap();
    }
    drop(session);
    settle();
    check_interrupts();
}

fn proof_and_claim_decide_who_serves_what() {
    // QEMU serves CTR, and does not say so.
    let ctr = CipherAlgorithm::AesCtr;
    let pool = pool(|_, _| 0);
    assert_eq!(pool.device_for(ctr).err(), Some(Error::NoDevice));
    let device = &devices()[1];
    pool.add(
        device.clone(),
        1,
        device.capabilities().advertised().with(ctr),
    );
    let before = device.control_stats().submitted;
    let session = executor::block_on(pool.open_cipher(ctr, Direction::Encrypt, &KEY)).unwrap();
    executor::block_on(session.process_slice(&IV, &mut [0; 32])).unwrap();
    executor::block_on(session.close()).unwrap();
    assert_eq!(device.control_stats().submitted - before, 2);
    settle();
}

fn each_device_interrupts_its_own_cpu_alone() {
    let answered = |device: usize| {
        let cpus = 0..cpus() as usize;
        let answered = cpus.map(|cpu| ANSWERED[device][cpu].load(Ordering::Relaxed));
        answered.collect::<Vec<_>>()
    };
    let before: Vec<_> = (0..devices().len()).map(answered).collect();
    on_every_cpu(|_| async {
        for _ in 0..20 {
            for device in devices() {
                let open = Cipher::open(device, CBC, Direction::Encrypt, &KEY);
                let session = open.await.unwrap();
                session.process_slice(&IV, &mut [0; 16]).await.unwrap();
                session.close().await.unwrap();
            }
        }
    });
    settle();
    for (device, before) in before.into_iter().enumerate() {
        let now = answered(device);
        println!("interrupts of device {device} on each CPU: {now:?}");
        for cpu in 0..cpus() {
            let news = now[cpu as usize] - before[cpu as usize];
            assert_eq!(
                news > 0,
                cpu == cpu_of(device),
                "device {device}, CPU {cpu}"
            );
        }
    }
    check_interrupts();
}

static STOP: AtomicBool = AtomicBool::new(false);
/// Requests answered, and times that a session's device was taken away.
static ANSWERS: AtomicU64 = AtomicU64::new(0);
static MOVES: AtomicU64 = AtomicU64::new(0);

/// Uses one device after the other; whenever one is taken away, goes on with another.
async fn use_devices(lane: u32) {
    while !STOP.load(Ordering::Relaxed) {
        let open = shared_pool().open_cipher(CBC, Direction::Encrypt, &KEY);
        let session = open.await.expect("one device is always there");
        for round in 0..20 {
            let plaintext = [(lane + round) as u8; 1024];
            let buffer = DmaBuffer::from_slice(&plaintext).unwrap();
            match session.process(&IV, buffer).await {
                Ok(buffer) => assert_ne!(buffer[..], plaintext),
                Err(failed) => {
                    assert_eq!(failed.error, Error::ShutDown);
                    // Orderly: the device had let go of everything.
                    assert!(failed.returned.is_some());
                    MOVES.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
            ANSWERS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn devices_leave_and_come_back_under_traffic() {
    const ROUNDS: usize = 12;
    let frames = free_frames();
    STOP.store(false, Ordering::Relaxed);
    let tasks: Vec<_> = (0..4 * cpus())
        .map(|lane| executor::spawn_on(lane % cpus(), use_devices(lane)).unwrap())
        .collect();
    let pool = shared_pool();
    let come_and_go = async {
        for round in 0..ROUNDS {
            time::sleep_ns(SECOND_NS / 100).await;
            let index = round % devices().len();
            let device = &devices()[index];
            let unhandled_by_others = || {
                let others = devices().iter().filter(|other| !Arc::ptr_eq(other, device));
                others
                    .map(|other| other.interrupt_stats().unhandled)
                    .sum::<u64>()
            };
            let before = unhandled_by_others();
            let drained = pool.remove(device, SECOND_NS).unwrap();
            assert_eq!(drained.in_flight, 0);
            assert_eq!(device.ended(), Some(Error::ShutDown));
            assert_ne!(chosen(pool), index);
            // The others do all of the work meanwhile.
            let answers = ANSWERS.load(Ordering::Relaxed);
            while ANSWERS.load(Ordering::Relaxed) < answers + 50 {
                time::sleep_ns(SECOND_NS / 1000).await;
            }
            device.recover(SECOND_NS).unwrap();
            pool.add(
                device.clone(),
                index as u32,
                device.capabilities().advertised(),
            );
            assert_eq!(unhandled_by_others(), before);
        }
        STOP.store(true, Ordering::Relaxed);
    };
    executor::block_on(async {
        come_and_go.await;
        crypto::join_all(tasks).await;
    });
    let (answers, moves) = (&ANSWERS, &MOVES);
    println!("{answers:?} answers, {moves:?} moves to another device in {ROUNDS} removals");
    assert!(moves.load(Ordering::Relaxed) > 0);
    settle();
    check_interrupts();
    assert_eq!(free_frames(), frames);
}

/// Returns how many frames are free. What sessions from before a recovery had is given back at the
/// next one.
fn free_frames() -> usize {
    for device in devices() {
        device.recover(SECOND_NS).unwrap();
    }
    // An interrupt that was answered meanwhile has kept what was before it, until somebody looks
    // again.
    executor::block_on(time::sleep_ns(SECOND_NS / 1000));
    devices().iter().for_each(|device| device.poll());
    memory::free_frame_count()
}

fn nothing_is_left_on_any_device() {
    // QEMU's backend has room for 256 sessions, and keeps them across a reset.
    for device in devices() {
        let open = || Cipher::open(device, CBC, Direction::Encrypt, &KEY);
        let all: Vec<_> = (0..256).map(|_| executor::block_on(open())).collect();
        assert!(all.iter().all(Result::is_ok));
    }
    settle();
    check_interrupts();
}
