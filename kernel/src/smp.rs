//! Further CPUs: each is started, one after the other, and then runs its own tasks.
//!
//! For programs that want more than the boot CPU. The one rule: the next CPU is started when the
//! one before runs tasks or is held in reset, so no two find the same stack.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{
    boot::further,
    bus, cpu, exit,
    interrupts::{apic, idt, tables},
    memory::{self, layout::TRAMPOLINE},
    task::executor,
    time,
};

/// Pages of a further CPU's stack.
const STACK_PAGES: usize = 16;
/// How long a CPU may take to come up: the host may have many more of them than cores.
const LIMIT_NS: u64 = 5_000_000_000;

/// CPUs that are up, the boot CPU included.
static ONLINE: AtomicU32 = AtomicU32::new(1);

/// Returns how many CPUs run tasks. Their numbers are those below.
pub fn online() -> u32 {
    ONLINE.load(Ordering::Acquire)
}

/// Starts every CPU that the ACPI tables list, as far as there is room for them, and returns how
/// many did not come up. Those are reported, and the rest runs on without them.
///
/// On the boot CPU, once.
pub fn start_all() -> u32 {
    let own = apic::id();
    let others = bus::tables().cpus.iter().copied().filter(|id| *id != own);
    // One that is listed twice runs already the second time, and must not be reset.
    let runs = |id| (0..online()).any(|cpu| cpu::apic_id(cpu) == Some(id));
    if memory::place_trampoline(further::code()).is_none() {
        exit::fail(format_args!(
            "no memory to map what further CPUs begin with"
        ));
    }
    let mut missing = 0;
    for id in others {
        if runs(id) {
            continue;
        }
        let number = online();
        if number as usize >= cpu::MAX_CPUS {
            log::warn!(
                "CPU with local APIC {id}: no room for more than {}",
                cpu::MAX_CPUS
            );
            missing += 1;
            continue;
        }
        let stack = memory::allocate_stack(STACK_PAGES);
        further::prepare(stack, number.into(), further_main);
        start(id);
        let deadline_ns = time::now_ns() + LIMIT_NS;
        while online() == number && time::now_ns() < deadline_ns {
            core::hint::spin_loop();
        }
        if online() == number {
            // Held in reset: should it come to life after all, it must not find another's stack.
            apic::send_init(id);
            log::warn!(
                "CPU with local APIC {id} did not come up in {} ms",
                LIMIT_NS / 1_000_000
            );
            missing += 1;
        }
    }
    missing
}

/// Like [`start_all`], for a run that makes no sense without them: one that is missing ends it.
pub fn expect_all() {
    let missing = start_all();
    if missing > 0 {
        exit::fail(format_args!("{missing} CPUs did not come up"));
    }
}

/// Waits until every CPU has run a task: whatever interrupt had come before is answered by then.
///
/// # Panics
///
/// If a CPU has no room for one task more.
pub async fn run_everywhere() {
    let tasks = (0..online()).map(|cpu| executor::spawn_on(cpu, async {}));
    for task in tasks.collect::<Vec<_>>() {
        match task {
            Ok(task) => task.await,
            Err(full) => panic!("no room for one task more than {}", full.max),
        }
    }
}

/// INIT, and the start-up interrupt twice (Intel SDM volume 3, 9.4.4.1).
fn start(id: u32) {
    apic::send_init(id);
    time::spin_ns(10_000_000);
    for _ in 0..2 {
        apic::send_startup(id, (TRAMPOLINE >> 12) as u8);
        time::spin_ns(200_000);
    }
}

/// A further CPU's first Rust, on its own stack, with the final tables.
extern "C" fn further_main(number: u64) -> ! {
    cpu::prepare(number as usize);
    tables::load();
    idt::load();
    apic::init();
    executor::prepare();
    // Release: pairs with the acquire in `online`; the CPU can be given tasks from here on.
    ONLINE.fetch_add(1, Ordering::Release);
    executor::block_on(core::future::pending::<core::convert::Infallible>());
    unreachable!("it never ends")
}
