//! The kernel itself: tables, memory, time, tasks.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    task::Context,
};

use kernel::{
    acpi::{self, AcpiError, Firmware},
    apic, boot, cpu, executor, heap,
    idle::{Choice, Sum, Way},
    interrupts, machine, memory,
    memory::paging,
    pci,
    time::{self, TimedOut},
    vectors,
};
use virtio_crypto::sync::IrqMutex;
use x86_64::structures::paging::PageTableFlags;

kernel::tests! {
    machines: ["smp=1", "smp=4 machine=pc", "smp=8 mem=32M"],
    tests: [
        no_page_is_writable_and_executable,
        guard_pages_are_not_mapped,
        frames_come_back,
        large_frames_are_contiguous_and_zeroed,
        heap_gives_back_what_it_takes,
        acpi_lists_this_cpu,
        acpi_refuses_a_bad_checksum,
        acpi_refuses_a_short_table,
        acpi_refuses_an_entry_without_length,
        pci_ways_agree,
        clock_goes_forward,
        sleepers_wake_in_order,
        timeout_drops_what_is_late,
        dropped_sleeps_leave_room,
        idle_cpus_do_what_costs_less,
        interrupt_wakes_block_on,
        unexpected_vector_is_counted,
        tasks_run_and_return,
        one_task_too_many_is_refused,
        cancelled_task_makes_room,
        lock_masks_interrupts,
        vectors_are_given_out_once,
    ],
}

fn no_page_is_writable_and_executable() {
    let mut pages = 0;
    paging::for_each_mapping(|address, flags| {
        pages += 1;
        let writable = flags.contains(PageTableFlags::WRITABLE);
        let executable = !flags.contains(PageTableFlags::NO_EXECUTE);
        assert!(
            !(writable && executable),
            "{address:?} is writable and executable"
        );
    });
    assert!(pages > 100, "only {pages} pages found");
}

fn guard_pages_are_not_mapped() {
    let top = memory::allocate_stack(2).as_u64();
    let mut mapped = Vec::new();
    paging::for_each_mapping(|address, _| {
        if (top - 4 * 4096..top).contains(&address.as_u64()) {
            mapped.push(address.as_u64());
        }
    });
    assert!(mapped.contains(&(top - 4096)) && mapped.contains(&(top - 2 * 4096)));
    assert!(
        !mapped.contains(&(top - 3 * 4096)),
        "the page below the stack is mapped"
    );
}

fn frames_come_back() {
    let before = memory::free_frame_count();
    let one = memory::allocate_frames(1).unwrap();
    let many = memory::allocate_frames(33).unwrap();
    assert_eq!(memory::free_frame_count(), before - 34);
    memory::free_frames(many, 33);
    memory::free_frames(one, 1);
    assert_eq!(memory::free_frame_count(), before);
    assert_eq!(memory::allocate_frames(usize::MAX / 8192), None);
}

fn large_frames_are_contiguous_and_zeroed() {
    let count = 64;
    let start = memory::allocate_frames(count).unwrap();
    let bytes: *mut u8 = memory::physical(start).as_mut_ptr();
    // SAFETY: frames just allocated, mapped one after the other.
    let slice = unsafe { core::slice::from_raw_parts_mut(bytes, count * memory::FRAME_LEN) };
    assert!(slice.iter().all(|byte| *byte == 0));
    slice.fill(0xa5);
    memory::free_frames(start, count);
    let again = memory::allocate_frames(count).unwrap();
    let bytes: *mut u8 = memory::physical(again).as_mut_ptr();
    // SAFETY: as above.
    let slice = unsafe { core::slice::from_raw_parts(bytes, count * memory::FRAME_LEN) };
    assert!(
        slice.iter().all(|byte| *byte == 0),
        "frames are not zeroed the second time"
    );
    memory::free_frames(again, count);
}

fn heap_gives_back_what_it_takes() {
    let before = heap::allocations();
    for round in 1..64 {
        let a = vec![round as u8; round * 100];
        let b = vec![!(round as u8); round * 777];
        assert!(a.iter().all(|byte| *byte == round as u8));
        drop(a);
        let c = vec![1u64; heap::HEAP_LEN / 16];
        assert!(b.iter().all(|byte| *byte == !(round as u8)));
        drop((b, c));
    }
    assert_eq!(heap::allocations() - before, 63 * 3);
}

fn acpi_lists_this_cpu() {
    let tables = machine::tables();
    assert!(tables.cpus.contains(&apic::id()), "{tables:?}");
    assert!(!tables.io_apics.is_empty());
    assert_eq!(cpu::number(), 0);
}

/// Firmware memory at 0.
struct Bytes(Vec<u8>);

impl Firmware for Bytes {
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<&[u8]> {
        self.0.get(address as usize..)?.get(..len_bytes)
    }
}

fn fix_checksum(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[at] = sum.wrapping_neg();
}

/// An RSDP at 64, an RSDT at 128, a MADT at 256 with `entries`.
fn firmware(entries: &[u8]) -> Bytes {
    let mut bytes = vec![0; 1024];
    let mut table = |at: usize, name: &[u8], body: &[u8]| {
        let len = 36 + body.len();
        bytes[at..at + 4].copy_from_slice(name);
        bytes[at + 4..at + 8].copy_from_slice(&(len as u32).to_le_bytes());
        bytes[at + 36..at + len].copy_from_slice(body);
        fix_checksum(&mut bytes[at..at + len], 9);
    };
    table(128, b"RSDT", &256u32.to_le_bytes());
    let madt: Vec<u8> = [0; 8].iter().chain(entries).copied().collect();
    table(256, b"APIC", &madt);
    bytes[64..72].copy_from_slice(b"RSD PTR ");
    bytes[80..84].copy_from_slice(&128u32.to_le_bytes());
    fix_checksum(&mut bytes[64..84], 8);
    Bytes(bytes)
}

const CPU_7: [u8; 8] = [0, 8, 0, 7, 1, 0, 0, 0];

fn acpi_refuses_a_bad_checksum() {
    let good = firmware(&CPU_7);
    assert_eq!(acpi::read(&good, 64).unwrap().cpus, [7]);
    for (at, table) in [(70, *b"RSD "), (128 + 30, *b"RSDT"), (256 + 40, *b"APIC")] {
        let mut bad = firmware(&CPU_7);
        bad.0[at] ^= 1;
        let error = acpi::read(&bad, 64).unwrap_err();
        let expected = AcpiError::Checksum { table };
        assert!(
            error == expected || at == 70 && error == AcpiError::NoRsdp,
            "{error:?}"
        );
    }
}

fn acpi_refuses_a_short_table() {
    let mut short = firmware(&CPU_7);
    short.0[256 + 4..256 + 8].copy_from_slice(&20u32.to_le_bytes());
    let expected = AcpiError::Length {
        table: *b"APIC",
        len_bytes: 20,
    };
    assert_eq!(acpi::read(&short, 64), Err(expected));
    let mut long = firmware(&CPU_7);
    long.0[256 + 4..256 + 8].copy_from_slice(&2000u32.to_le_bytes());
    assert_eq!(
        acpi::read(&long, 64),
        Err(AcpiError::Unreachable { address: 256 })
    );
    assert_eq!(
        acpi::read(&firmware(&[]), 5000),
        Err(AcpiError::Unreachable { address: 5000 })
    );
    assert_eq!(acpi::read(&firmware(&[]), 0), Err(AcpiError::NoRsdp));
}

fn acpi_refuses_an_entry_without_length() {
    for entry in [
        &[0u8, 0][..],
        &[0, 1],
        &[0, 9, 0, 7, 1, 0, 0, 0],
        &[1, 8, 0, 0, 0, 0, 0, 0],
    ] {
        let error = acpi::read(&firmware(entry), 64).unwrap_err();
        assert!(
            matches!(error, AcpiError::Length { table, .. } if table == *b"APIC"),
            "{error:?}"
        );
    }
    assert_eq!(acpi::read(&firmware(&[200, 4, 1, 2]), 64).unwrap().cpus, []);
}

fn pci_ways_agree() {
    let ids = |access| -> Vec<_> {
        pci::enumerate(&access)
            .iter()
            .map(|found| (found.vendor, found.device))
            .collect()
    };
    let ports = ids(pci::Access::Ports);
    assert!(
        ports.contains(&(0x1af4, 0x1054)),
        "no virtio-crypto among {ports:x?}"
    );
    if machine::tables().ecam.is_some() {
        assert_ne!(machine::pci_access(), pci::Access::Ports);
    }
    assert_eq!(ids(machine::pci_access()), ports);
}

fn clock_goes_forward() {
    let mut last_ns = time::now_ns();
    for _ in 0..10_000 {
        let now_ns = time::now_ns();
        assert!(now_ns >= last_ns);
        last_ns = now_ns;
    }
    assert!(time::tsc_hz() > 1_000_000);
}

fn sleepers_wake_in_order() {
    let order = Arc::new(IrqMutex::<kernel::platform::KernelPlatform, _>::new(
        "order",
        Vec::with_capacity(3),
    ));
    let sleepers = [30u64, 10, 20].map(|ms| {
        let order = order.clone();
        async move {
            let start_ns = time::now_ns();
            time::sleep_ns(ms * 1_000_000).await;
            assert!(
                time::now_ns() - start_ns >= ms * 1_000_000,
                "woken too early"
            );
            order.with(|order| order.push(ms));
        }
    });
    executor::block_on(executor::join_all(sleepers));
    order.with(|order| assert_eq!(order[..], [10, 20, 30]));
}

fn timeout_drops_what_is_late() {
    let value = Arc::new(());
    let held = value.clone();
    let late = async move {
        let _held = held;
        core::future::pending::<()>().await;
    };
    assert_eq!(
        executor::block_on(time::timeout(5_000_000, late)),
        Err(TimedOut)
    );
    assert_eq!(Arc::strong_count(&value), 1, "what was late is still there");
    assert_eq!(
        executor::block_on(time::timeout(60_000_000_000, async { 7 })),
        Ok(7)
    );
}

/// Counts wakes.
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn dropped_sleeps_leave_room() {
    let wakes = Arc::new(Wakes(AtomicU32::new(0)));
    let waker = wakes.clone().into();
    let mut context = Context::from_waker(&waker);
    // Many more than there is room for; one too many would be woken at once to try again.
    for _ in 0..5000 {
        let mut sleep = pin!(time::sleep_ns(3600 * 1_000_000_000));
        assert!(sleep.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "no room was left");
    assert_eq!(Arc::strong_count(&wakes), 2, "wakers stayed behind");
}

fn idle_cpus_do_what_costs_less() {
    /// How many of 10,000 turns go by looking, if a task takes so long in either way.
    fn looks(choice: &mut Choice, slept: Sum, looked: Sum) -> u32 {
        let mut looks = 0;
        for _ in 0..10_000 {
            match choice.way() {
                Way::Sleep => choice.note(slept),
                Way::Look => {
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
static WAKER: IrqMutex<kernel::platform::KernelPlatform, Option<core::task::Waker>> =
    IrqMutex::new("waker", None);

fn interrupt_wakes_block_on() {
    let handler = |_| {
        TAKEN.fetch_add(1, Ordering::Relaxed);
        if let Some(waker) = WAKER.with(Option::take) {
            waker.wake();
        }
    };
    let vector = vectors::allocate(handler).unwrap();
    for round in 1..=1000 {
        executor::block_on(async {
            apic::send(apic::id(), vector);
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

fn unexpected_vector_is_counted() {
    let before = interrupts::unexpected();
    x86_64::instructions::interrupts::enable();
    for _ in 0..3 {
        apic::send(apic::id(), 0xdf);
        let end_ns = time::now_ns() + 2_000_000;
        while time::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    }
    assert_eq!(interrupts::unexpected() - before, 3);
}

fn tasks_run_and_return() {
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

fn one_task_too_many_is_refused() {
    let mut tasks = Vec::new();
    for _ in 0..executor::MAX_TASKS {
        tasks.push(executor::spawn(core::future::pending::<()>()).unwrap());
    }
    let refused = executor::spawn(async {}).map(drop);
    assert_eq!(
        refused,
        Err(executor::TooManyTasks {
            max: executor::MAX_TASKS
        })
    );
    drop(tasks);
    executor::block_on(async {
        executor::yield_now().await;
        executor::spawn(async {}).unwrap().await;
    });
}

fn cancelled_task_makes_room() {
    executor::block_on(async {
        for _ in 0..3 * executor::MAX_TASKS {
            drop(executor::spawn(core::future::pending::<()>()).unwrap());
            executor::yield_now().await;
        }
    });
}

fn lock_masks_interrupts() {
    use x86_64::instructions::interrupts::{are_enabled, disable, enable};
    let lock = IrqMutex::<kernel::platform::KernelPlatform, _>::new("outer", ());
    let inner = IrqMutex::<kernel::platform::KernelPlatform, _>::new("inner", ());
    enable();
    lock.with(|()| {
        assert!(!are_enabled());
        assert!(inner.try_with(1, |()| assert!(!are_enabled())).is_some());
        assert!(!are_enabled(), "an inner lock has let interrupts in");
        assert!(lock.try_with(10, |()| ()).is_none());
    });
    assert!(are_enabled());
    disable();
    lock.with(|()| ());
    assert!(!are_enabled(), "the lock has let interrupts in");
    enable();
}

fn vectors_are_given_out_once() {
    let mut seen = [false; 256];
    let mut given = 0;
    while let Ok(vector) = vectors::allocate(|_| ()) {
        assert!(!core::mem::replace(&mut seen[usize::from(vector)], true));
        assert!((interrupts::FIRST_VECTOR..apic::TIMER_VECTOR).contains(&vector));
        given += 1;
    }
    assert!(given > 100, "only {given} vectors");
    assert!(boot::command_line().len() < 1024);
}
