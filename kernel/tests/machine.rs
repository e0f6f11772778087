//! The kernel itself: tables, memory, time, tasks.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    task::Context,
};

use kernel::{
    boot,
    bus::{
        self,
        acpi::{self, AcpiError, Firmware},
        pci,
    },
    cpu,
    crypto::{
        self,
        halt_polling::{Choice, Sum, Way},
    },
    interrupts::{apic, idt, vectors},
    memory::{self, heap, layout},
    sync::SpinLock,
    task::executor,
    time::{
        self, TimedOut,
        calibration::{self, NoClock, Vote},
        references::Reference,
    },
};
use virtio_crypto::sync::IrqMutex;
use virtio_drivers::transport::pci::bus::ConfigurationAccess;
use x86_64::{instructions::port::Port, structures::paging::PageTableFlags};

kernel::tests! {
    machines: [
        "smp=1",
        "smp=4 machine=pc",
        "smp=8 mem=32M",
        "args=-cpu,,max,-nx fails=this_CPU_has_no_no-execute_pages_(NX)",
        "args=-cpu,,max,-lm fails=this_CPU_has_no_long_mode_(LM)",
        "args=-cpu,,max,-apic fails=this_CPU_has_no_local_APIC",
        "smp=2 args=-cpu,,qemu64 append=clock append=pci append=registers",
        "smp=1 args=-machine,,pit=off append=clock",
        "smp=1 args=-machine,,pit=off,hpet=off append=clock",
    ],
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
        registers_are_where_nothing_else_is,
        registers_are_mapped_page_by_page,
        acpi_finds_the_timers,
        clock_goes_forward,
        clock_keeps_step_with_the_calendar,
        clock_goes_by_what_most_references_say,
        clock_goes_by_the_only_counter_when_it_says_so_twice,
        clock_tells_how_far_references_are_apart,
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
        own_lock_masks_interrupts,
        vectors_are_given_out_once,
    ],
}

fn no_page_is_writable_and_executable() {
    let mut pages = 0;
    memory::for_each_mapping(|address, flags| {
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
    let top = memory::allocate_stack(2).top().as_u64();
    let mut mapped = Vec::new();
    memory::for_each_mapping(|address, _| {
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
    // SAFETY: just allocated, and used by nobody.
    unsafe {
        memory::free_frames(many, 33);
        memory::free_frames(one, 1);
    }
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
    // SAFETY: allocated above, and the slice is used no more.
    unsafe { memory::free_frames(start, count) };
    let again = memory::allocate_frames(count).unwrap();
    let bytes: *mut u8 = memory::physical(again).as_mut_ptr();
    // SAFETY: as above.
    let slice = unsafe { core::slice::from_raw_parts(bytes, count * memory::FRAME_LEN) };
    assert!(
        slice.iter().all(|byte| *byte == 0),
        "frames are not zeroed the second time"
    );
    // SAFETY: the same.
    unsafe { memory::free_frames(again, count) };
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
    let tables = bus::tables();
    assert!(tables.cpus.contains(&apic::id()), "{tables:?}");
    assert!(!tables.io_apics.is_empty());
    assert_eq!(cpu::number(), 0);
}

/// Firmware memory at 0.
struct Bytes(Vec<u8>);

impl Firmware for Bytes {
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<Vec<u8>> {
        let bytes = self.0.get(address as usize..)?.get(..len_bytes)?;
        Some(bytes.to_vec())
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

fn acpi_finds_the_timers() {
    let with = |name: &[u8], body: &[u8]| {
        let mut bytes = firmware(&[]);
        let len = 36 + body.len();
        bytes.0[256..260].copy_from_slice(name);
        bytes.0[260..264].copy_from_slice(&(len as u32).to_le_bytes());
        bytes.0[256 + 36..256 + len].copy_from_slice(body);
        fix_checksum(&mut bytes.0[256..256 + len], 9);
        acpi::read(&bytes, 64).unwrap()
    };
    // By the old port; by the generic address, which wins; in memory, where it is not looked for;
    // and none: no length, no port, a table that ends before.
    let fadt = |port: u32, len: u8, flags: u32, space: u8, address: u64| {
        let mut body = vec![0; 244 - 36];
        body[76 - 36..80 - 36].copy_from_slice(&port.to_le_bytes());
        body[91 - 36] = len;
        body[112 - 36..116 - 36].copy_from_slice(&flags.to_le_bytes());
        body[208 - 36] = space;
        body[212 - 36..220 - 36].copy_from_slice(&address.to_le_bytes());
        with(b"FACP", &body)
            .pm_timer
            .map(|timer| (timer.port, timer.has_32_bits))
    };
    assert_eq!(fadt(0x608, 4, 0x100, 1, 0), Some((0x608, true)));
    assert_eq!(fadt(0x608, 4, 0, 1, 0xb008), Some((0xb008, false)));
    assert_eq!(fadt(0x608, 4, 0, 0, 0xfed0_0000), None);
    assert_eq!(fadt(0x608, 0, 0, 1, 0), None);
    assert_eq!(fadt(0, 4, 0, 1, 0), None);
    assert_eq!(fadt(0x1_0000, 4, 0, 1, 0), None);
    assert_eq!(with(b"FACP", &[0; 40]).pm_timer, None);

    let hpet = |space: u8, address: u64| {
        let mut body = vec![0; 56 - 36];
        body[4] = space;
        body[8..16].copy_from_slice(&address.to_le_bytes());
        with(b"HPET", &body).hpet
    };
    assert_eq!(hpet(0, 0xfed0_0000), Some(0xfed0_0000));
    assert_eq!(hpet(1, 0xfed0_0000), None);
    assert_eq!(hpet(0, 0), None);
    assert_eq!(with(b"HPET", &[0; 10]).hpet, None);
}

fn pci_ways_agree() {
    let ids = |access| -> Vec<_> {
        pci::enumerate(&access)
            .iter()
            .map(|found| (found.vendor, found.device))
            .collect()
    };
    let ports = ids(pci::Access::PORTS);
    assert!(
        ports.contains(&(0x1af4, 0x1054)),
        "no virtio-crypto among {ports:x?}"
    );
    if bus::tables().ecam.is_some() {
        assert_ne!(bus::pci_access(), pci::Access::PORTS);
    }
    assert_eq!(ids(bus::pci_access()), ports);
}

/// Returns where the crypto device's first memory BAR is.
fn bar() -> u64 {
    let (access, function) = (bus::pci_access(), crypto::find_crypto()[0]);
    let bar = |index: u8| access.read_word(function, 0x10 + 4 * index);
    let index = (0..6).find(|index| bar(*index) & !0xf != 0 && bar(*index) & 1 == 0);
    let index = index.expect("a memory BAR");
    let high = if bar(index) & 0b110 == 0b100 {
        bar(index + 1)
    } else {
        0
    };
    u64::from(high) << 32 | u64::from(bar(index) & !0xf)
}

fn registers_are_where_nothing_else_is() {
    let bar = bar();
    assert!(memory::map_registers(bar, 4096).is_some(), "{bar:#x}");
    assert_eq!(
        memory::map_registers(bar, 4096),
        memory::map_registers(bar, 4096)
    );
    let frame = memory::allocate_frames(1).unwrap();
    let (image, image_end) = layout::image();
    let tables = bus::tables();
    let widest = 1 << 52;
    let mut bad = vec![
        ("nothing", bar, 0),
        ("a frame", frame, 4096),
        ("the end of a frame", frame + 4095, 1),
        ("the image", image, 64),
        ("the image's end", image_end - 1, 2),
        ("page 0", 0, 4096),
        ("the trampoline", layout::TRAMPOLINE.into(), 4096),
        ("the screen", 0xb8000, 4096),
        ("the firmware below 1 MiB", 0xf_0000, 0x1_0000),
        ("across 1 MiB", 0xf_f000, 0x2000),
        ("all below it", 0, bar as usize),
        ("messages", 0xfee0_0000, 4096),
        ("other messages", 0xfeef_f000, 4096),
        ("the flash", 0xffff_0000, 0x1_0000),
        ("past every CPU's width", widest, 4096),
        ("across that", widest - 4096, 8192),
        ("past the end", u64::MAX, 1),
        ("around the end", u64::MAX - 4095, 8192),
        ("everything", 0, usize::MAX),
        ("the HPET", tables.hpet.unwrap(), 8),
        ("the HPET's page", tables.hpet.unwrap() + 0xf00, 1),
    ];
    for io_apic in &tables.io_apics {
        bad.push(("an I/O APIC", io_apic.address.into(), 4));
    }
    if let Some(ecam) = tables.ecam {
        bad.push(("configuration space", ecam.address, 4096));
        bad.push(("bus 255", ecam.address + (255 << 20), 4096));
    }
    for (what, address, len_bytes) in bad {
        let mapped = memory::map_registers(address, len_bytes);
        assert_eq!(mapped, None, "{what}: {len_bytes:#x} bytes at {address:#x}");
    }
    // SAFETY: allocated above, and used by nobody.
    unsafe { memory::free_frames(frame, 1) };
    // What the kernel keeps is not in memory either.
    assert_eq!(memory::map_own_registers(frame, 4096), None);
    assert_eq!(memory::map_own_registers(widest, 4096), None);
    assert_eq!(memory::map_own_registers(bar, 0), None);
}

fn registers_are_mapped_page_by_page() {
    // Where nobody has asked for anything: behind all memory and in no region.
    let place = 0xc1_2345_6000;
    let mapped = || {
        let mut pages = Vec::new();
        memory::for_each_mapping(|address, _| {
            let window = layout::DEVICE_OFFSET + place - 0x10_0000
                ..=layout::DEVICE_OFFSET + place + 0x10_0000;
            if window.contains(&address.as_u64()) {
                pages.push(address.as_u64() - layout::DEVICE_OFFSET - place);
            }
        });
        pages
    };
    if memory::map_registers(place + 0xffe, 4).is_none() {
        // A CPU that does not reach there.
        assert_eq!(mapped(), []);
        return;
    }
    assert_eq!(mapped(), [0, 0x1000]);
    let before = memory::free_frame_count();
    // More than there are page tables for.
    assert_eq!(memory::map_registers(place, 1 << 38), None);
    assert_eq!(
        memory::free_frame_count(),
        before,
        "page tables that are of no use"
    );
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

fn clock_keeps_step_with_the_calendar() {
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

fn clock_goes_by_what_most_references_say() {
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

fn clock_goes_by_the_only_counter_when_it_says_so_twice() {
    let pit = |hz| vote(Reference::Pit, hz, 900);
    assert_eq!(winner(&[pit(2_000)]), None);
    assert_eq!(winner(&[pit(2_000), pit(2_005)]), Some(2_000));
    assert_eq!(winner(&[pit(2_000), pit(3_000)]), None);
    assert_eq!(winner(&[pit(3_000), pit(2_000), pit(2_005)]), Some(2_000));
    // Windows of one do not outvote another reference.
    let other = vote(Reference::Hpet, 1_000, 0);
    assert_eq!(winner(&[pit(2_000), pit(2_000), other]), None);
}

fn clock_tells_how_far_references_are_apart() {
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
    executor::block_on(crypto::join_all(sleepers));
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

fn unexpected_vector_is_counted() {
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

fn own_lock_masks_interrupts() {
    use x86_64::instructions::interrupts::{are_enabled, disable, enable};
    let lock = SpinLock::new("outer", ());
    let inner = SpinLock::new("inner", ());
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
        assert!(!core::mem::replace(
            &mut seen[usize::from(vector.number())],
            true
        ));
        assert!((apic::FIRST_VECTOR..apic::TIMER_VECTOR).contains(&vector.number()));
        given += 1;
    }
    assert!(given > 100, "only {given} vectors");
    assert!(boot::command_line().len() < 1024);
}
