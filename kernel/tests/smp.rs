//! Several CPUs: they come up, run what they are given, and use one device side by side.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    ops::ControlFlow,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use kernel::{
    bus, cpu,
    crypto::{self, CryptoDevice, Reach, Wiring, halt_polling},
    interrupts::vectors,
    platform::{self, KernelPlatform},
    smp,
    task::executor,
    testing, time,
};
use spin::Once;
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Features, InterruptMode, Options, WakeFlag,
    sync::IrqMutex, transport::MsixEntry,
};
use x86_64::instructions::interrupts as hardware;

kernel::tests! {
    machines: [
        "smp=1 append=cpus=1",
        "smp=2 append=cpus=2",
        "smp=4 machine=pc append=cpus=4",
        "smp=8 append=cpus=8",
        "smp=16 machine=pc append=cpus=16",
        "smp=64 append=cpus=64 append=only=cpu append=only=put append=only=lock",
        "smp=4 vectors=1 append=cpus=4 append=refuse=event",
        "smp=4 vectors=0 append=cpus=4",
        "smp=2 append=cpus=2 append=wiring=polling",
        "smp=1 append=cpus=1 append=idle=poll",
        "smp=4 append=cpus=4 append=idle=poll",
        "smp=1 device=packed=on append=cpus=1",
        "smp=2 device=packed=on append=cpus=2",
        "smp=4 device=packed=on append=cpus=4 append=idle=poll",
        "smp=8 device=packed=on append=cpus=8",
    ],
    tests: [
        listed_cpus_come_up,
        tasks_run_where_they_are_put,
        tasks_wake_each_other_across_cpus,
        sleeps_end_on_every_cpu,
        lock_keeps_every_cpu_out,
        every_cpu_uses_the_device,
        every_cpu_opens_and_closes_sessions,
        drops_on_every_cpu_leave_nothing,
        tasks_that_drain_and_interrupts_make_no_false_report,
        rings_that_are_looked_at_send_no_interrupts,
        waits_within_tasks_end,
        vectors_move_between_cpus_and_lose_nothing,
    ],
}

fn cpus() -> u32 {
    static STARTED: Once<()> = Once::new();
    STARTED.call_once(|| assert_eq!(smp::start_all(), 0, "CPUs did not come up"));
    smp::online()
}

/// Runs `f` as a task on every CPU, and waits for all.
fn on_every_cpu<F: Future<Output = ()> + Send + 'static>(f: impl Fn(u32) -> F) {
    let tasks: Vec<_> = (0..cpus())
        .map(|cpu| executor::spawn_on(cpu, f(cpu)).unwrap())
        .collect();
    executor::block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        let mut options = Options::default();
        if kernel::command_line::value("refuse") == Some("event") {
            options.refuse = Features::EVENT_IDX;
        }
        let polling = kernel::command_line::value("wiring") == Some("polling");
        let wiring = if polling {
            Wiring::Polling
        } else {
            Wiring::Best
        };
        let device = crypto::open_crypto(0, Reach::Pci, wiring, options)
            .unwrap()
            .expect("a device");
        if idle_cpus_poll() {
            halt_polling::enable(device.clone());
        }
        device
    })
}

fn idle_cpus_poll() -> bool {
    kernel::command_line::value("idle") == Some("poll")
}

fn listed_cpus_come_up() {
    let expected: u32 = kernel::command_line::value("cpus")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(cpus(), expected);
    assert_eq!(bus::tables().cpus.len(), expected as usize);
}

fn tasks_run_where_they_are_put() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    on_every_cpu(|wanted| async move {
        for _ in 0..10 {
            assert_eq!(cpu::number(), wanted);
            executor::yield_now().await;
        }
        SEEN.fetch_or(1 << wanted, Ordering::Relaxed);
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), u64::MAX >> (64 - cpus()));
    assert!(executor::spawn_on(cpus(), async {}).is_err());
}

fn tasks_wake_each_other_across_cpus() {
    // A ring of tasks that pass a number on, each asleep until it is its turn.
    type Place = IrqMutex<KernelPlatform, Option<core::task::Waker>>;
    static TURN: AtomicU32 = AtomicU32::new(0);
    static WAITERS: [Place; cpu::MAX_CPUS] = [const { IrqMutex::new("turn", None) }; cpu::MAX_CPUS];
    const ROUNDS: u32 = 500;
    TURN.store(0, Ordering::SeqCst);
    on_every_cpu(|cpu| async move {
        for round in 0..ROUNDS {
            let mine = round * cpus() + cpu;
            core::future::poll_fn(|context| {
                let waker = context.waker().clone();
                let old = WAITERS[cpu as usize].with(|place| place.replace(waker));
                drop(old);
                match TURN.load(Ordering::SeqCst) == mine {
                    true => core::task::Poll::Ready(()),
                    false => core::task::Poll::Pending,
                }
            })
            .await;
            TURN.store(mine + 1, Ordering::SeqCst);
            let next = (cpu + 1) % cpus();
            if let Some(waker) = WAITERS[next as usize].with(Option::take) {
                waker.wake();
            }
        }
    });
    assert_eq!(TURN.load(Ordering::SeqCst), ROUNDS * cpus());
}

fn sleeps_end_on_every_cpu() {
    on_every_cpu(|cpu| async move {
        for i in 0..5 {
            let start_ns = time::now_ns();
            let duration_ns = 1_000_000 * u64::from(1 + (cpu + i) % 4);
            time::sleep_ns(duration_ns).await;
            assert!(
                time::now_ns() - start_ns >= duration_ns,
                "CPU {cpu} woke too early"
            );
        }
    });
}

fn lock_keeps_every_cpu_out() {
    static COUNT: IrqMutex<KernelPlatform, (u64, u64)> = IrqMutex::new("count", (0, 0));
    const ROUNDS: u64 = 5000;
    let before = COUNT.with(|count| count.0);
    on_every_cpu(|_| async {
        for _ in 0..ROUNDS {
            COUNT.with(|count| {
                count.0 += 1;
                core::hint::black_box(&mut *count);
                count.1 += 1;
            });
        }
    });
    let (first, second) = COUNT.with(|count| *count);
    assert_eq!(
        (first - before, first),
        (ROUNDS * u64::from(cpus()), second)
    );
}

const KEY: [u8; 16] = [0x42; 16];
const IV: [u8; 16] = [0x17; 16];

fn settle() {
    crypto::wait_until_idle(device(), 0, 20_000_000_000);
}

fn check_interrupts() {
    let stats = device().interrupt_stats();
    assert_eq!(stats.unhandled, 0, "{stats:?}");
}

fn every_cpu_uses_the_device() {
    let open = |direction| {
        executor::block_on(Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            direction,
            &KEY,
        ))
        .unwrap()
    };
    let encrypt = Arc::new(open(Direction::Encrypt));
    let decrypt = Arc::new(open(Direction::Decrypt));
    on_every_cpu(|cpu| {
        let (encrypt, decrypt) = (encrypt.clone(), decrypt.clone());
        async move {
            for round in 0..40u32 {
                let byte = (cpu * 41 + round) as u8;
                let plaintext = vec![byte; 16 * (1 + round as usize)];
                let mut data = plaintext.clone();
                encrypt.process_slice(&IV, &mut data).await.unwrap();
                assert_ne!(data, plaintext);
                let buffer = DmaBuffer::from_slice(&data).unwrap();
                let buffer = decrypt.process(&IV, buffer).await.unwrap();
                assert_eq!(buffer[..], plaintext, "CPU {cpu}, round {round}");
            }
        }
    });
    drop((encrypt, decrypt));
    settle();
    check_interrupts();
}

fn every_cpu_opens_and_closes_sessions() {
    on_every_cpu(|cpu| async move {
        for round in 0..40 {
            let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY)
                .await
                .unwrap();
            let mut data = [cpu as u8; 32];
            session.process_slice(&IV, &mut data).await.unwrap();
            match round % 2 {
                0 => session.close().await.unwrap(),
                _ => drop(session),
            }
        }
    });
    settle();
    check_interrupts();
}

fn drops_on_every_cpu_leave_nothing() {
    on_every_cpu(|cpu| async move {
        for round in 0..30u64 {
            let task = executor::spawn(async move {
                let session =
                    Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY)
                        .await
                        .unwrap();
                let mut data = vec![1; 4096];
                for _ in 0..4 {
                    session.process_slice(&IV, &mut data).await.unwrap();
                }
            });
            // Dropped wherever it is by then.
            time::sleep_ns(20_000 * ((round * 7 + u64::from(cpu)) % 13)).await;
            drop(task);
        }
    });
    settle();
    check_interrupts();
}

fn tasks_that_drain_and_interrupts_make_no_false_report() {
    let session = executor::block_on(Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ))
    .unwrap();
    let session = Arc::new(session);
    on_every_cpu(|cpu| {
        let session = session.clone();
        async move {
            for round in 0..100u32 {
                let mut data = [round as u8; 16];
                session.process_slice(&IV, &mut data).await.unwrap();
                // Others' completions, while their interrupts arrive where the vector points.
                if (cpu + round) % 3 == 0 {
                    device().poll();
                }
            }
        }
    });
    drop(session);
    settle();
    check_interrupts();
    if device().interrupt_mode() != InterruptMode::Polling {
        assert!(device().interrupt_stats().handled > 0);
    }
}

fn rings_that_are_looked_at_send_no_interrupts() {
    static LEFT: AtomicU32 = AtomicU32::new(0);
    let use_it_everywhere = || {
        let before = device().interrupt_stats().total();
        on_every_cpu(|_| async {
            let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY)
                .await
                .unwrap();
            for round in 0..50 {
                session.process_slice(&IV, &mut [round; 16]).await.unwrap();
            }
            session.close().await.unwrap();
            LEFT.fetch_sub(1, Ordering::Relaxed);
        });
        device().interrupt_stats().total() - before
    };

    LEFT.store(cpus(), Ordering::Relaxed);
    let poller = device().poller();
    let looker = executor::spawn(async move {
        while LEFT.load(Ordering::Relaxed) > 0 {
            poller.drain();
            executor::yield_now().await;
        }
    });
    let interrupts = use_it_everywhere();
    executor::block_on(looker.unwrap());
    // Each queue may have asked for one before.
    assert!(
        interrupts <= 2,
        "{interrupts} interrupts that nobody asked for"
    );

    // Without the looker they come again, or nothing would ever be answered.
    LEFT.store(cpus(), Ordering::Relaxed);
    let interrupts = use_it_everywhere();
    let is_asked = device().interrupt_mode() != InterruptMode::Polling && !idle_cpus_poll();
    assert!(interrupts > 2 || !is_asked, "{interrupts} interrupts");
    settle();
    check_interrupts();
}

fn waits_within_tasks_end() {
    // Each waits twice: as a task, and by a wait of its own within, with the CPU's other tasks
    // beside it.
    async fn wait_twice(rounds: u8) {
        let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY)
            .await
            .unwrap();
        for round in 0..rounds {
            session.process_slice(&IV, &mut [round; 16]).await.unwrap();
            executor::block_on(session.process_slice(&IV, &mut [round; 16])).unwrap();
        }
    }
    executor::block_on(wait_twice(200));
    for _ in 0..5 {
        on_every_cpu(|cpu| async move {
            let others = [(); 3].map(|()| executor::spawn_on(cpu, wait_twice(60)).unwrap());
            wait_twice(60).await;
            for other in others {
                other.await;
            }
        });
    }
    // And once the executor has returned, one that knows nothing of it.
    let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    let sleep = |woken: &WakeFlag| {
        let polled = device().interrupt_mode() == InterruptMode::Polling;
        hardware::disable();
        if polled || woken.is_set() {
            hardware::enable();
        } else {
            hardware::enable_and_hlt();
        }
        ControlFlow::Continue(())
    };
    drop(virtio_crypto::block_on(session, sleep).unwrap().unwrap());
    settle();
    check_interrupts();
}

fn vectors_move_between_cpus_and_lose_nothing() {
    if device().interrupt_mode() != InterruptMode::PerQueue {
        return testing::does_not_apply("this machine's queues have no vectors of their own");
    }
    static STOP: AtomicU32 = AtomicU32::new(0);
    /// How many interrupts each CPU has answered.
    static ANSWERED: [AtomicU64; cpu::MAX_CPUS] = [const { AtomicU64::new(0) }; cpu::MAX_CPUS];
    const MOVES: u32 = 300;
    fn answer(entry: u16) {
        ANSWERED[cpu::number() as usize].fetch_add(1, Ordering::Relaxed);
        device().handle_interrupt(MsixEntry(entry));
    }
    let vectors = [
        (1, vectors::allocate(|_| answer(1)).unwrap()),
        (2, vectors::allocate(|_| answer(2)).unwrap()),
    ];
    let move_to = |cpu| {
        for (entry, vector) in vectors {
            let message = platform::message_for(cpu, vector).unwrap();
            device().move_interrupt(MsixEntry(entry), message).unwrap();
        }
    };
    let mover = async {
        for round in 0..MOVES {
            move_to(round % cpus());
            time::sleep_ns(300_000).await;
        }
        STOP.store(1, Ordering::Relaxed);
    };
    let tasks: Vec<_> = (0..cpus())
        .map(|cpu| {
            let work = async move {
                let mut rounds = 0;
                while STOP.load(Ordering::Relaxed) == 0 {
                    let session =
                        Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY)
                            .await
                            .unwrap();
                    session.process_slice(&IV, &mut [0; 16]).await.unwrap();
                    session.close().await.unwrap();
                    rounds += 1;
                }
                rounds
            };
            executor::spawn_on(cpu, work).unwrap()
        })
        .collect();
    // Nobody polls: a lost interrupt is a task that never ends, which the watchdog reports.
    let rounds = executor::block_on(async {
        mover.await;
        let mut rounds = 0;
        for task in tasks {
            rounds += task.await;
        }
        rounds
    });
    assert!(rounds > 0);
    if idle_cpus_poll() {
        // Then interrupts are asked for now and then only.
        settle();
        check_interrupts();
        return;
    }
    let answered = |cpu: u32| ANSWERED[cpu as usize].load(Ordering::Relaxed);
    for cpu in 0..cpus() {
        assert!(
            answered(cpu) > 0,
            "CPU {cpu} has answered none in {rounds} rounds"
        );
        // And where it points to now, and nowhere else, is where it arrives.
        move_to(cpu);
        // Messages that still wait on a CPU are taken before it runs a task.
        on_every_cpu(|_| async {});
        let before: Vec<_> = (0..cpus()).map(answered).collect();
        let session = executor::block_on(Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        ))
        .unwrap();
        executor::block_on(session.close()).unwrap();
        for (other, before) in (0..cpus()).zip(before) {
            assert_eq!(
                answered(other) > before,
                other == cpu,
                "CPU {other}, moved to {cpu}"
            );
        }
    }
    settle();
    check_interrupts();
}
