//! The clock, what it goes by, and those who sleep.

use alloc::{format, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::Context,
};

use kernel::{
    crypto,
    platform::KernelPlatform,
    task::executor,
    time::{
        self, TimedOut,
        calibration::{self, NoClock, Vote},
        references::Reference,
    },
};
use virtio_crypto::sync::IrqMutex;
use x86_64::instructions::port::Port;

pub fn clock_goes_forward() {
    let mut last_ns = time::now_ns();
    for _ in 0..10_000 {
        let now_ns = time::now_ns();
        assert!(now_ns >= last_ns);
        last_ns = now_ns;
    }
    assert!(time::tsc_hz() > 1_000_000);
}

/// Waits until the calendar clock's second changes, and returns when by the TSC's clock, and how
/// long it was not looked at before.
fn calendar_second() -> (u64, u64) {
    let (mut index, mut data) = (Port::<u8>::new(0x70), Port::<u8>::new(0x71));
    let mut second = || {
        // SAFETY: register 0 of the PC's calendar clock, which nobody else reads.
        unsafe {
            index.write(0);
            data.read()
        }
    };
    let (first, mut before_ns) = (second(), time::now_ns());
    loop {
        let (now, now_ns) = (second(), time::now_ns());
        if now != first {
            return (now_ns, now_ns - before_ns);
        }
        before_ns = now_ns;
    }
}

pub fn clock_keeps_step_with_the_calendar() {
    // A clock of the host's that the TSC is not measured by. Where the host was busy at an edge it
    // was seen too late, so there are several goes.
    const SECOND_NS: u64 = 1_000_000_000;
    const CLOSE_NS: u64 = SECOND_NS / 50;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let ((from_ns, _), (to_ns, unseen_ns)) = (calendar_second(), calendar_second());
        let elapsed_ns = to_ns - from_ns;
        if elapsed_ns.abs_diff(SECOND_NS) <= CLOSE_NS {
            return;
        }
        seen.push((elapsed_ns, unseen_ns));
    }
    panic!("a second takes, and was not looked at for, {seen:?} ns");
}

fn vote(reference: Reference, hz: u64, error_ppm: u64) -> Vote {
    Vote {
        reference,
        hz,
        error_ppm,
    }
}

fn winner(votes: &[Vote]) -> Option<u64> {
    calibration::winner(votes).map(|vote| vote.hz)
}

pub fn clock_goes_by_what_most_references_say() {
    use Reference::{Cpuid, Hpet, Hypervisor, Pit, PmTimer};
    let (pit, pm_timer) = (vote(Pit, 2_000, 900), vote(PmTimer, 2_010, 500));
    // The most exact one of those that agree.
    assert_eq!(winner(&[pit, pm_timer]), Some(2_010));
    // A bad one is outvoted, wherever it stands, and however sure it is.
    for bad in [0, 40, 1_950, 1_000_000] {
        let bad = vote(Hpet, bad, 0);
        assert_eq!(winner(&[bad, pit, pm_timer]), Some(2_010), "{bad:?}");
        assert_eq!(winner(&[pit, pm_timer, bad]), Some(2_010), "{bad:?}");
        assert_eq!(winner(&[pit, bad]), None, "{bad:?}");
    }
    // As many for as against is no agreement.
    let others = [vote(Hpet, 1_000, 0), vote(Cpuid, 1_000, 0)];
    assert_eq!(winner(&[pit, pm_timer, others[0], others[1]]), None);
    // What the machine says of itself counts beside a measurement, not without.
    let told = [vote(Cpuid, 2_000, 0), vote(Hypervisor, 2_000, 0)];
    assert_eq!(winner(&told), None);
    assert_eq!(
        winner(&[told[0], told[1], vote(Pit, 2_001, 900)]),
        Some(2_000)
    );
    assert_eq!(winner(&[]), None);
}

pub fn clock_goes_by_the_only_counter_when_it_says_so_twice() {
    let pit = |hz| vote(Reference::Pit, hz, 900);
    assert_eq!(winner(&[pit(2_000)]), None);
    assert_eq!(winner(&[pit(2_000), pit(2_005)]), Some(2_000));
    assert_eq!(winner(&[pit(2_000), pit(3_000)]), None);
    assert_eq!(winner(&[pit(3_000), pit(2_000), pit(2_005)]), Some(2_000));
    // Windows of one do not outvote another reference.
    let other = vote(Reference::Hpet, 1_000, 0);
    assert_eq!(winner(&[pit(2_000), pit(2_000), other]), None);
}

pub fn clock_tells_how_far_references_are_apart() {
    let votes = vec![
        vote(Reference::PmTimer, 2_100_000_000, 100),
        vote(Reference::Pit, 4_200_500_000, 100),
    ];
    let text = format!("{}", NoClock::Disagreement { votes });
    assert_eq!(
        text,
        "the clock: references do not agree on the TSC, 100 % apart: PM-timer 2100.000 MHz, \
         PIT 4200.500 MHz"
    );
    let nothing = NoClock::Disagreement { votes: vec![] };
    assert!(format!("{nothing}").starts_with("the clock: nothing to measure the TSC by"));
}

pub fn sleepers_wake_in_order() {
    // Where the host leaves the CPU alone for so long that all are due, they wake together.
    const TRIES: u32 = 10;
    let orders = (0..TRIES).map(|_| order_of_sleepers());
    let in_order = |order: &Vec<u64>| order[..] == [10, 20, 30];
    assert!(orders.into_iter().any(|order| in_order(&order)));
}

/// Lets three sleep at the same time, and returns for how long each did, in the order of their
/// waking.
fn order_of_sleepers() -> Vec<u64> {
    let order = Arc::new(IrqMutex::<KernelPlatform, _>::new(
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
    executor::block_on(crypto::join_all(sleepers));
    order.with(core::mem::take)
}

pub fn timeout_drops_what_is_late() {
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

pub fn dropped_sleeps_leave_room() {
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
