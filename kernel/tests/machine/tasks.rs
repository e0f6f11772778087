//! Tasks, interrupts that wake them, and the locks between.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel::{
    boot,
    crypto::halt_polling::{Choice, Sum, Way},
    interrupts::{apic, idt, vectors},
    platform::KernelPlatform,
    sync::SpinLock,
    task::executor,
    time,
};
use virtio_crypto::sync::IrqMutex;

pub fn idle_cpus_do_what_costs_less() {
    /// How many of 10,000 turns go by looking, if a task takes so long in either way.
    fn looks(choice: &mut Choice, slept: Sum, looked: Sum) -> u32 {
        let mut looks = 0;
        for _ in 0..10_000 {
            match choice.way() {
                Way::Halt => choice.note(slept),
                Way::Poll => {
                    looks += 1;
                    choice.note(looked);
                }
            }
        }
        looks
    }
    let turn = |ticks, tasks| Sum { ticks, tasks };
    let mut choice = Choice::new();
    let many = looks(&mut choice, turn(50, 1), turn(20, 1));
    assert!(many > 9000, "{many} looks where looking is better");
    // The same CPU, once things have changed: it finds out, and tries less and less often.
    let first = looks(&mut choice, turn(20, 1), turn(50, 1));
    let second = looks(&mut choice, turn(20, 1), turn(50, 1));
    assert!(first < 5000, "{first} looks after sleeping became better");
    assert!((16..=64).contains(&second), "{second} looks later");
    // What counts is the time of a task: longer turns that do more are better.
    let more = looks(&mut Choice::new(), turn(50, 1), turn(100, 8));
    assert!(more > 9000, "{more} looks where they do more");
    // Where it makes no difference, as in an idle machine, it sleeps.
    for tasks in [0, 1] {
        let equal = looks(&mut Choice::new(), turn(100, tasks), turn(100, tasks));
        assert!(equal < 500, "{equal} looks in vain");
    }
}

static TAKEN: AtomicU32 = AtomicU32::new(0);

static WAKER: IrqMutex<KernelPlatform, Option<core::task::Waker>> = IrqMutex::new("waker", None);

pub fn interrupt_wakes_block_on() {
    let handler = |_| {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        if let Some(waker) = WAKER.with(Option::take) {
            waker.wake();
        }
    };
    let vector = vectors::allocate(handler).unwrap();
    for round in 1..=1000 {
        executor::block_on(async {
            apic::send(apic::id(), vector.number());
            core::future::poll_fn(|context| {
                let waker = context.waker().clone();
                WAKER.with(|place| *place = Some(waker));
                match TAKEN.load(Ordering::Relaxed) {
                    taken if taken >= round => core::task::Poll::Ready(()),
                    _ => core::task::Poll::Pending,
                }
            })
            .await;
        });
    }
    assert_eq!(TAKEN.load(Ordering::Relaxed), 1000);
}

pub fn unexpected_vector_is_counted() {
    let before = idt::unexpected();
    x86_64::instructions::interrupts::enable();
    for _ in 0..3 {
        apic::send(apic::id(), 0xdf);
        let end_ns = time::now_ns() + 2_000_000;
        while time::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    }
    assert_eq!(idt::unexpected() - before, 3);
}

pub fn tasks_run_and_return() {
    static SUM: AtomicU64 = AtomicU64::new(0);
    let output = executor::block_on(async {
        let tasks: Vec<_> = (0..100u64)
            .map(|i| {
                let task = async move {
                    for _ in 0..i % 5 {
                        executor::yield_now().await;
                    }
                    SUM.fetch_add(i, Ordering::Relaxed);
                    i
                };
                executor::spawn(task).unwrap()
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!((output, SUM.load(Ordering::Relaxed)), (4950, 4950));
}

pub fn one_task_too_many_is_refused() {
    let mut tasks = Vec::new();
    for _ in 0..executor::max_tasks() {
        tasks.push(executor::spawn(core::future::pending::<()>()).unwrap());
    }
    let refused = executor::spawn(async {}).map(drop);
    assert_eq!(
        refused,
        Err(executor::TooManyTasks {
            max: executor::max_tasks()
        })
    );
    drop(tasks);
    executor::block_on(async {
        executor::yield_now().await;
        executor::spawn(async {}).unwrap().await;
    });
}

pub fn cancelled_task_makes_room() {
    executor::block_on(async {
        for _ in 0..3 * executor::max_tasks() {
            drop(executor::spawn(core::future::pending::<()>()).unwrap());
            executor::yield_now().await;
        }
    });
}

/// Checks a lock: `with` calls what it is given while it holds the lock, `with_inner` holds another
/// one for a moment, and `try_with` tells whether the first could be taken.
fn masks_interrupts(with: impl Fn(&dyn Fn()), with_inner: impl Fn(), try_with: impl Fn() -> bool) {
    use x86_64::instructions::interrupts::{are_enabled, disable, enable};
    enable();
    with(&|| {
        assert!(!are_enabled());
        with_inner();
        assert!(!are_enabled(), "an inner lock has let interrupts in");
        assert!(!try_with());
    });
    assert!(are_enabled());
    disable();
    with(&|| ());
    assert!(!are_enabled(), "the lock has let interrupts in");
    enable();
}

pub fn lock_masks_interrupts() {
    use x86_64::instructions::interrupts::are_enabled;
    let lock = IrqMutex::<KernelPlatform, _>::new("outer", ());
    let inner = IrqMutex::<KernelPlatform, _>::new("inner", ());
    masks_interrupts(
        |held| lock.with(|()| held()),
        || assert!(inner.try_with(1, |()| assert!(!are_enabled())).is_some()),
        || lock.try_with(10, |()| ()).is_some(),
    );
}

pub fn own_lock_masks_interrupts() {
    use x86_64::instructions::interrupts::are_enabled;
    let lock = SpinLock::new("outer", ());
    let inner = SpinLock::new("inner", ());
    masks_interrupts(
        |held| lock.with(|()| held()),
        || assert!(inner.try_with(1, |()| assert!(!are_enabled())).is_some()),
        || lock.try_with(10, |()| ()).is_some(),
    );
}

pub fn vectors_are_given_out_once() {
    let mut seen = [false; 256];
    let (mut given, mut last) = (0, None);
    while let Ok(vector) = vectors::allocate(|_| ()) {
        last = Some(vector);
        assert!(!core::mem::replace(
            &mut seen[usize::from(vector.number())],
            true
        ));
        assert!((apic::FIRST_VECTOR..apic::TIMER_VECTOR).contains(&vector.number()));
        given += 1;
    }
    assert!(given > 100, "only {given} vectors");
    // One that is given back is the next that is given out.
    let last = last.unwrap();
    vectors::give_back(last);
    assert_eq!(vectors::left(), 1);
    assert_eq!(vectors::allocate(|_| ()), Ok(last));
    assert!(vectors::allocate(|_| ()).is_err());
    assert!(boot::command_line().len() < 1024);
}
