//! The driver on the project's own device, in a process beside QEMU: what QEMU's device does not
//! have. Every service, with and without sessions; data queues up to one a CPU, each with its
//! vector; a device that is told from outside what to do.
//!
//! Words of the command line: `cpus=N`.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel::{
    command_line, cpu,
    crypto::{self, CryptoDevice, Reach, Wiring},
    interrupts::vectors,
    platform::{self, KernelPlatform},
    println, smp,
    task::executor,
    time,
};
use spin::Once;
use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Algorithm, Chain, ChainInput, ChainOrder,
    ChainParameters, ChainedHash, Cipher, CipherAlgorithm, Direction, Error, Features,
    HashAlgorithm, InterruptMode, Mac, MacAlgorithm, MessageDigest, Options, transport::MsixEntry,
};

kernel::tests! {
    machines: [
        "own= append=cpus=1",
        "own=stateless=off,revision_1=off,indirect=off,event_idx=off append=cpus=1",
        "own=one_per_field=on append=cpus=1",
        "own=queues=2,packed=on,in_order=on,batch=8 smp=2 append=cpus=2",
        "own=queues=2,in_order=on,batch=16,notification_data=on smp=2 append=cpus=2",
        "own=queues=2,notification_data=on,notif_config_data=on smp=2 append=cpus=2",
        "own=queues=4,shuffled=on,batch=8 smp=4 append=cpus=4",
        "own=queues=8 smp=8 append=cpus=8",
        // More CPUs than queues, and fewer.
        "own=queues=2 smp=4 append=cpus=4",
        "own=queues=8 smp=2 append=cpus=2",
    ],
    tests: [
        every_queue_has_a_vector,
        every_algorithm_gives_its_known_answer,
        stateless_requests_answer_as_sessions_do,
        queues_take_the_shares_of_their_cpus,
        sessions_serve_on_every_queue,
        vectors_move_and_lose_nothing,
        queue_that_stalls_holds_up_no_other,
        queue_that_is_reset_comes_back_alone,
        hardware_goes_away_and_comes_back,
        device_that_asks_for_a_reset_is_recovered,
    ],
}

const KEY: [u8; 16] = [7; 16];
const IV: [u8; 16] = [9; 16];
/// How long the device may take to do what it is told.
const LIMIT_NS: u64 = 30_000_000_000;

type AesCbc = Cipher<KernelPlatform>;

fn cpus() -> u32 {
    static STARTED: Once<()> = Once::new();
    STARTED.call_once(|| assert_eq!(smp::start_all(), 0, "CPUs did not come up"));
    smp::online()
}

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        assert_eq!(
            command_line::value("cpus"),
            Some(&*alloc::format!("{}", cpus()))
        );
        let opened = crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default());
        opened.unwrap().expect("a device")
    })
}

/// Tells the device's process something. It is done some time later.
fn tell(command: &str) {
    println!("to device 0 {command}");
}

/// Waits for something that the device does in its own time.
fn wait_until(what: &str, is_done: impl Fn() -> bool) {
    let start_ns = time::now_ns();
    executor::block_on(async {
        while !is_done() {
            assert!(time::now_ns() - start_ns < LIMIT_NS, "no {what}");
            time::sleep_ns(2_000_000).await;
        }
    });
}

/// Holds up a data queue: what is sent to it from now on stays in flight.
fn stall(queue: usize) {
    tell(&alloc::format!("stall {queue}"));
    // The device obeys one word after the other, and it interrupts to tell of these.
    for word in ["ready 0", "ready 1"] {
        tell(word);
        wait_until(word, || device().is_ready() == (word == "ready 1"));
    }
}

/// Waits until nothing is in flight. No interrupt was one for which nothing accounts.
fn check_interrupts() {
    crypto::wait_until_idle(device(), 0, 10_000_000_000);
    assert_eq!(device().interrupt_stats().unhandled, 0);
}

async fn open(direction: Direction) -> AesCbc {
    let opened = Cipher::open(device(), CipherAlgorithm::AesCbc, direction, &KEY).await;
    opened.unwrap()
}

fn encrypt_a_block() {
    executor::block_on(async {
        let session = open(Direction::Encrypt).await;
        session.process_slice(&IV, &mut [0; 16]).await.unwrap();
        session.close().await.unwrap();
    });
}

/// Runs a task on every CPU and waits for all of them.
fn on_every_cpu<F: Future<Output = ()> + Send + 'static>(f: impl Fn(u32) -> F) {
    let spawn = |cpu| executor::spawn_on(cpu, f(cpu)).unwrap();
    let tasks: Vec<_> = (0..cpus()).map(spawn).collect();
    executor::block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

/// Returns the requests that each data queue has been sent.
fn submitted() -> Vec<u64> {
    let queues = 0..device().data_queues();
    let stats = queues.filter_map(|queue| device().data_queue_stats(queue));
    stats.map(|stats| stats.submitted).collect()
}

fn every_queue_has_a_vector() {
    assert_eq!(device().interrupt_mode(), InterruptMode::PerQueue);
    assert_eq!(device().data_queues_left_out(), 0);
    encrypt_a_block();
    check_interrupts();
}

fn every_algorithm_gives_its_known_answer() {
    let proved = executor::block_on(device().prove()).unwrap();
    let advertised = device().capabilities().advertised();
    assert!(advertised.iter().count() > 30);
    for algorithm in advertised.difference(proved.algorithms).iter() {
        let is_expected = match algorithm {
            // There is no published answer that the specification's words lead to.
            Algorithm::Mac(MacAlgorithm::CbcMacAes | MacAlgorithm::XcbcAes) => true,
            // The driver gives a tag a descriptor of its own, while in the specification it is a
            // part of source or destination (5.9.7.7).
            Algorithm::Aead(_) => has_one_per_field(),
            _ => false,
        };
        assert!(is_expected, "{algorithm:?}");
    }
    let queues = proved.data_queues.count_ones() as usize;
    assert_eq!(queues, device().data_queues());
    check_interrupts();
}

/// Tells whether the device wants one descriptor a field.
fn has_one_per_field() -> bool {
    command_line::value("framing") == Some("fields")
}

/// What each service answers, by sessions or without.
async fn answers(by_sessions: bool) -> Result<Vec<Vec<u8>>, Error> {
    let device = device();
    let data: Vec<u8> = (0..=255).cycle().take(1000 / 16 * 16).collect();
    let mut answers = Vec::new();

    let algorithm = CipherAlgorithm::AesCbc;
    let cipher = match by_sessions {
        true => Cipher::open(device, algorithm, Direction::Encrypt, &KEY).await?,
        false => Cipher::stateless(device, algorithm, Direction::Encrypt, &KEY)?,
    };
    let mut text = data.clone();
    cipher.process_slice(&IV, &mut text).await?;
    answers.push(text);
    cipher.close().await?;

    let hash = match by_sessions {
        true => MessageDigest::open(device, HashAlgorithm::Sha256, 32).await?,
        false => MessageDigest::stateless(device, HashAlgorithm::Sha256, 32)?,
    };
    let mut digest = [0; 32];
    hash.digest_slice(&data, &mut digest).await?;
    answers.push(digest.to_vec());
    hash.close().await?;

    let mac = match by_sessions {
        true => Mac::open(device, MacAlgorithm::HmacSha512, &KEY, 64).await?,
        false => Mac::stateless(device, MacAlgorithm::HmacSha512, &KEY, 64)?,
    };
    let mut tag = [0; 64];
    mac.tag_slice(&data, &mut tag).await?;
    answers.push(tag.to_vec());
    mac.close().await?;

    if !has_one_per_field() {
        answers.extend(sealed(by_sessions, &data).await?);
    }

    let parameters = ChainParameters {
        order: ChainOrder::CipherThenHash,
        cipher: algorithm,
        direction: Direction::Encrypt,
        cipher_key: &KEY,
        hash: match has_one_per_field() {
            // Without a session the driver sends the keys of cipher and MAC in one descriptor.
            true => ChainedHash::Plain(HashAlgorithm::Sha1),
            false => ChainedHash::Authenticated(MacAlgorithm::HmacSha1, &KEY),
        },
        digest_len_bytes: 20,
    };
    let chain = match by_sessions {
        true => Chain::open(device, &parameters, 0).await?,
        false => Chain::stateless(device, &parameters)?,
    };
    let (mut text, mut digest) = (data.clone(), [0; 20]);
    let input = ChainInput {
        iv: &IV,
        aad: &[],
        cipher: 0..data.len(),
        hash: 0..data.len(),
    };
    chain.process_slice(input, &mut text, &mut digest).await?;
    answers.push(text);
    answers.push(digest.to_vec());
    chain.close().await?;
    Ok(answers)
}

/// What authenticated encryption answers, there and back.
async fn sealed(by_sessions: bool, data: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let device = device();
    let (gcm, nonce) = (AeadAlgorithm::Gcm, [3; 12]);
    let (seal, unseal) = match by_sessions {
        true => (
            AeadEncrypt::open(device, gcm, &KEY, 16, 5).await?,
            AeadDecrypt::open(device, gcm, &KEY, 16, 5).await?,
        ),
        false => (
            AeadEncrypt::stateless(device, gcm, &KEY, 16)?,
            AeadDecrypt::stateless(device, gcm, &KEY, 16)?,
        ),
    };
    let (mut text, mut tag) = (data.to_vec(), [0; 16]);
    seal.encrypt_slice(&nonce, b"extra", &mut text, &mut tag)
        .await?;
    let answers = Vec::from([text.clone(), tag.to_vec()]);
    unseal
        .decrypt_slice(&nonce, b"extra", &mut text, &tag)
        .await?;
    assert_eq!(text, data);
    tag[0] ^= 1;
    let forged = unseal
        .decrypt_slice(&nonce, b"extra", &mut text, &tag)
        .await;
    assert_eq!(forged.unwrap_err(), Error::TagMismatch);
    seal.close().await?;
    unseal.close().await?;
    Ok(answers)
}

fn stateless_requests_answer_as_sessions_do() {
    let by_sessions = executor::block_on(answers(true)).unwrap();
    let stateless = executor::block_on(answers(false));
    if device().features().contains(Features::REVISION_1) {
        assert_eq!(stateless.unwrap(), by_sessions);
    } else {
        assert!(matches!(stateless, Err(Error::FeatureMissing { .. })));
    }
    check_interrupts();
}

fn queues_take_the_shares_of_their_cpus() {
    const REQUESTS: u64 = 100;
    let before = submitted();
    let sessions: Vec<_> = (0..cpus())
        .map(|_| Arc::new(executor::block_on(open(Direction::Encrypt))))
        .collect();
    on_every_cpu(|cpu| {
        let session = sessions[cpu as usize].clone();
        async move {
            for _ in 0..REQUESTS {
                session.process_slice(&IV, &mut [0; 64]).await.unwrap();
            }
        }
    });
    let queues = device().data_queues() as u32;
    for (queue, (before, after)) in (0..).zip(before.into_iter().zip(submitted())) {
        let senders = (0..cpus()).filter(|cpu| cpu % queues == queue).count() as u64;
        assert_eq!(after - before, senders * REQUESTS, "queue {queue}");
    }
    drop(sessions);
    check_interrupts();
}

fn sessions_serve_on_every_queue() {
    let encrypt = Arc::new(executor::block_on(open(Direction::Encrypt)));
    let decrypt = Arc::new(executor::block_on(open(Direction::Decrypt)));
    on_every_cpu(|cpu| {
        let (encrypt, decrypt) = (encrypt.clone(), decrypt.clone());
        async move {
            for round in 0..20 {
                let plaintext = alloc::vec![cpu as u8; 16 * (1 + round)];
                let mut data = plaintext.clone();
                encrypt.process_slice(&IV, &mut data).await.unwrap();
                assert_ne!(data, plaintext);
                decrypt.process_slice(&IV, &mut data).await.unwrap();
                assert_eq!(data, plaintext, "CPU {cpu}, round {round}");
            }
        }
    });
    drop((encrypt, decrypt));
    check_interrupts();
}

fn vectors_move_and_lose_nothing() {
    const MOVES: u32 = 60;
    static STOP: AtomicBool = AtomicBool::new(false);
    // Entries 1 and 2: data queue 0, and data queue 1 or the control queue.
    fn answer(entry: u16) {
        device().handle_interrupt(MsixEntry(entry));
    }
    let vectors = [
        (1, vectors::allocate(|_| answer(1)).unwrap()),
        (2, vectors::allocate(|_| answer(2)).unwrap()),
    ];
    let mover = async {
        for round in 0..MOVES {
            for (entry, vector) in vectors {
                let message = platform::message_for(round % cpus(), vector).unwrap();
                device().move_interrupt(MsixEntry(entry), message).unwrap();
            }
            time::sleep_ns(1_000_000).await;
        }
        STOP.store(true, Ordering::Relaxed);
    };
    let spawn = |cpu| {
        let work = async move {
            while !STOP.load(Ordering::Relaxed) {
                let session = open(Direction::Encrypt).await;
                session.process_slice(&IV, &mut [0; 16]).await.unwrap();
                session.close().await.unwrap();
            }
        };
        executor::spawn_on(cpu, work).unwrap()
    };
    let tasks: Vec<_> = (0..cpus()).map(spawn).collect();
    // Nobody polls: a lost interrupt is a task that never ends, which the watchdog reports.
    executor::block_on(async {
        mover.await;
        for task in tasks {
            task.await;
        }
    });
    check_interrupts();
}

fn queue_that_stalls_holds_up_no_other() {
    const REQUESTS: u32 = 100;
    if device().data_queues() < 2 || cpus() < 2 {
        return;
    }
    static ANSWERED: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let encrypt = Arc::new(executor::block_on(open(Direction::Encrypt)));
    let session = encrypt.clone();
    let work = async move {
        assert_eq!(cpu::number(), 1);
        while !STOP.load(Ordering::Relaxed) {
            session.process_slice(&IV, &mut [0; 16]).await.unwrap();
            ANSWERED.fetch_add(1, Ordering::Relaxed);
        }
    };
    stall(1);
    let task = executor::spawn_on(1, work).unwrap();
    let answered = || ANSWERED.load(Ordering::Relaxed);
    wait_until("request in flight", || device().data_stats().in_flight == 1);
    // CPU 0 has another queue, and sessions come and go.
    executor::block_on(async {
        for _ in 0..REQUESTS {
            encrypt.process_slice(&IV, &mut [0; 16]).await.unwrap();
        }
    });
    executor::block_on(async { open(Direction::Decrypt).await.close().await }).unwrap();
    assert_eq!(answered(), 0);
    tell("go 1");
    wait_until("answer", || answered() > 0);
    STOP.store(true, Ordering::Relaxed);
    executor::block_on(task);
    drop(encrypt);
    check_interrupts();
}

fn queue_that_is_reset_comes_back_alone() {
    const REQUESTS: u32 = 100;
    assert!(device().features().contains(Features::RING_RESET));
    let last = cpus() - 1;
    let queue = last as usize % device().data_queues();
    let session = Arc::new(executor::block_on(open(Direction::Encrypt)));
    let used = session.clone();
    let work = async move { used.process_slice(&IV, &mut [0; 16]).await };
    stall(queue);
    let task = executor::spawn_on(last, work).unwrap();
    wait_until("request in flight", || device().data_stats().in_flight == 1);
    if queue != 0 {
        executor::block_on(async {
            for _ in 0..REQUESTS {
                session.process_slice(&IV, &mut [0; 16]).await.unwrap();
            }
        });
    }
    assert_eq!(device().reset_queue(queue, 1_000_000), Ok(1));
    assert_eq!(executor::block_on(task), Err(Error::QueueReset));
    tell(&alloc::format!("go {queue}"));
    let expected = executor::block_on(encrypted(&session));
    on_every_cpu(|_| {
        let (session, expected) = (session.clone(), expected);
        async move {
            for _ in 0..REQUESTS {
                assert_eq!(encrypted(&session).await, expected);
            }
        }
    });
    // It may still meet the request that the device had.
    let session = Arc::into_inner(session).expect("the tasks are over");
    let closed = executor::block_on(session.close());
    assert_eq!(closed, Err(Error::QueueReset));
    let lost = device().data_queue_stats(queue).map(|stats| stats.lost);
    assert_eq!(lost, Some(1));
    crypto::wait_until_idle(device(), 1, 10_000_000_000);
    assert_eq!(device().interrupt_stats().unhandled, 0);
    let left_behind = device().sessions_left_behind();
    device().recover(1_000_000_000).unwrap();
    assert_eq!(device().sessions_left_behind(), left_behind + 1);
    encrypt_a_block();
    check_interrupts();
}

/// Encrypts a block of zeros.
async fn encrypted(session: &AesCbc) -> [u8; 16] {
    let mut data = [0; 16];
    session.process_slice(&IV, &mut data).await.unwrap();
    data
}

fn hardware_goes_away_and_comes_back() {
    let session = executor::block_on(open(Direction::Encrypt));
    let process = || {
        let mut data = [0; 16];
        executor::block_on(session.process_slice(&IV, &mut data))
    };
    process().unwrap();
    tell("ready 0");
    // A configuration interrupt says so: nobody reads the status.
    wait_until("HW_READY", || !device().is_ready());
    assert_eq!(process(), Err(Error::HardwareNotReady));
    assert_eq!(device().check(), Err(Error::HardwareNotReady));
    tell("ready 1");
    wait_until("HW_READY", || device().is_ready());
    process().unwrap();
    drop(session);
    check_interrupts();
}

fn device_that_asks_for_a_reset_is_recovered() {
    for _ in 0..2 {
        let session = executor::block_on(open(Direction::Encrypt));
        tell("needs-reset");
        wait_until("NEEDS_RESET", || device().ended().is_some());
        let failed = executor::block_on(session.process_slice(&IV, &mut [0; 16]));
        assert!(matches!(failed, Err(Error::Broken(_))), "{failed:?}");
        device().recover(1_000_000_000).unwrap();
        let stale = executor::block_on(session.process_slice(&IV, &mut [0; 16]));
        assert!(stale.is_err());
        drop(session);
        on_every_cpu(|_| async {
            let session = open(Direction::Encrypt).await;
            session.process_slice(&IV, &mut [0; 16]).await.unwrap();
            session.close().await.unwrap();
        });
        check_interrupts();
    }
}
