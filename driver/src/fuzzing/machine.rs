//! The machine of a target: memory with bus addresses of its own, registers, a clock, CPUs.
//!
//! Each thread has one, which is made anew for each run: no run learns anything of the one before.
//! The one rule: neither driver nor device reaches what is not allocated, and whoever tries panics.
#![expect(unsafe_code, reason = "the machine's memory, and its promises")]

use alloc::{boxed::Box, vec, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    ops::Range,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};
use std::thread_local;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use crate::{
    Platform,
    dma::watch::{self, Access},
};

/// Bus address of the first byte of memory: nothing like a pointer.
const BASE: u64 = 0x7_0000_0000;
/// Pages of memory.
const PAGES: usize = 256;
/// Bytes of registers.
pub(super) const REGISTERS_LEN: usize = 0x4000;

/// What happens at an access of the driver's: what the device does then, for instance.
type Step = dyn FnMut(Access);

struct Machine {
    /// Leaked: the driver may keep pointers for as long as it likes.
    memory: NonNull<u8>,
    registers: NonNull<u8>,
    /// Pages that are allocated.
    live: RefCell<Vec<Range<usize>>>,
    /// Where registers are on the bus: the address of the first one, where it is among the bytes of
    /// registers, and how many bytes there are.
    windows: RefCell<Vec<(u64, usize, usize)>>,
    /// What was asked to be mapped.
    mapped: RefCell<Vec<(u64, usize)>>,
    step: RefCell<Option<Box<Step>>>,
    now_ns: Cell<u64>,
    /// The first number of this thread's CPUs.
    first_cpu: u32,
    /// Which of them it is now; none before a target has run on this thread.
    cpu: Cell<Option<u32>>,
    are_masked: Cell<bool>,
    /// So many allocations from now there is no memory left for one.
    allocations_left: Cell<Option<u32>>,
}

/// How many threads have a machine.
static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local!(static MACHINE: Machine = Machine::new());

impl Machine {
    fn new() -> Self {
        let leak = |len_bytes: usize| {
            // More than a page, so that what is a multiple of a page is one here, too.
            let start = vec![0u8; len_bytes + PAGE_SIZE].leak().as_mut_ptr();
            let offset = start.align_offset(PAGE_SIZE);
            NonNull::new(start.wrapping_add(offset)).expect("an address")
        };
        Self {
            memory: leak(PAGES * PAGE_SIZE),
            registers: leak(REGISTERS_LEN),
            live: RefCell::default(),
            windows: RefCell::default(),
            mapped: RefCell::default(),
            step: RefCell::default(),
            now_ns: Cell::new(0),
            // No other thread's, nor one of the fake platform; and every remainder is that of the
            // number that a target sets.
            first_cpu: ((1 << 18) + THREADS.fetch_add(1, Ordering::Relaxed)) * 2520,
            cpu: Cell::new(None),
            are_masked: Cell::new(false),
            allocations_left: Cell::new(None),
        }
    }

    /// Returns where bytes of memory are, if all of them are allocated.
    fn place(&self, bus_address: u64, len_bytes: usize) -> Option<*mut u8> {
        let offset = usize::try_from(bus_address.checked_sub(BASE)?).ok()?;
        self.is_live(offset, len_bytes)
            .then(|| self.memory.as_ptr().wrapping_add(offset))
    }

    fn is_live(&self, offset: usize, len_bytes: usize) -> bool {
        let Some(end) = offset.checked_add(len_bytes) else {
            return false;
        };
        let live = self.live.borrow();
        live.iter()
            .any(|pages| pages.start * PAGE_SIZE <= offset && end <= pages.end * PAGE_SIZE)
    }

    fn see(&self, access: Access) {
        let Access {
            address,
            len_bytes,
            writes,
        } = access;
        let offset = address.wrapping_sub(self.memory.as_ptr().addr());
        assert!(
            self.is_live(offset, len_bytes),
            "{len_bytes} bytes at {offset:#x} are not the driver's (it writes: {writes})"
        );
        // What a step does itself makes no further step.
        let Some(mut step) = self.step.take() else {
            return;
        };
        step(access);
        *self.step.borrow_mut() = Some(step);
    }
}

/// Makes the machine anew: no memory allocated, no registers, nothing that happens by itself.
pub(super) fn start() {
    watch::set(|access| MACHINE.with(|machine| machine.see(access)));
    MACHINE.with(|machine| {
        machine.live.borrow_mut().clear();
        machine.windows.borrow_mut().clear();
        machine.mapped.borrow_mut().clear();
        machine.step.take();
        machine.now_ns.set(0);
        machine.cpu.set(Some(0));
        machine.are_masked.set(false);
        machine.allocations_left.set(None);
        // SAFETY: so many bytes of this thread's own.
        unsafe { machine.registers.write_bytes(0, REGISTERS_LEN) };
    });
}

/// Has `step` happen before each access of the driver to rings and slots from here on.
pub(super) fn set_step(step: impl FnMut(Access) + 'static) {
    MACHINE.with(|machine| *machine.step.borrow_mut() = Some(Box::new(step)));
}

/// Nothing happens by itself from here on.
pub(super) fn clear_step() {
    MACHINE.with(|machine| drop(machine.step.take()));
}

/// The calls that follow are those of a CPU with this number.
pub(super) fn set_cpu(cpu: u32) {
    MACHINE.with(|machine| machine.cpu.set(Some(cpu)));
}

/// Tells whether interrupts are masked.
pub(super) fn are_interrupts_masked() -> bool {
    MACHINE.with(|machine| machine.are_masked.get())
}

/// So many allocations from now there is no memory for one; `None` for no such time.
pub(super) fn fail_allocation(after: Option<u32>) {
    MACHINE.with(|machine| machine.allocations_left.set(after));
}

/// Returns how many bytes are allocated, whole pages.
pub(super) fn live_bytes() -> u64 {
    MACHINE.with(|machine| {
        let live = machine.live.borrow();
        let pages: usize = live.iter().map(Range::len).sum();
        (pages * PAGE_SIZE) as u64
    })
}

/// Returns the bus address of a place that the driver reaches.
pub(super) fn bus_address(access: Access) -> u64 {
    MACHINE.with(|machine| BASE + (access.address - machine.memory.as_ptr().addr()) as u64)
}

/// Reads memory as a device does; `None` if not all of it is allocated.
pub(super) fn read<const LEN: usize>(bus_address: u64) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    MACHINE.with(|machine| {
        let from = machine.place(bus_address, LEN)?;
        // SAFETY: inside the memory (`place` has checked it), which nobody refers to.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), LEN) };
        Some(bytes)
    })
}

/// Writes memory as a device does; `None`, and nothing written, if not all of it is allocated.
pub(super) fn write(bus_address: u64, bytes: &[u8]) -> Option<()> {
    MACHINE.with(|machine| {
        let to = machine.place(bus_address, bytes.len())?;
        // SAFETY: as in `read`.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(())
    })
}

/// Puts registers on the bus: `len_bytes` of them at an address, from `offset` on of all that there
/// are. Both have the same place in their page.
pub(super) fn add_registers(address: u64, offset: usize, len_bytes: usize) {
    assert!(offset + len_bytes <= REGISTERS_LEN);
    assert_eq!(address % PAGE_SIZE as u64, (offset % PAGE_SIZE) as u64);
    MACHINE.with(|machine| {
        let mut windows = machine.windows.borrow_mut();
        windows.push((address, offset, len_bytes));
    });
}

/// Writes registers.
pub(super) fn set_registers(offset: usize, bytes: &[u8]) {
    assert!(offset + bytes.len() <= REGISTERS_LEN);
    MACHINE.with(|machine| {
        let to = machine.registers.as_ptr().wrapping_add(offset);
        // SAFETY: inside the registers (just checked), which nobody refers to.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    });
}

/// Returns what registers read.
pub(super) fn registers(offset: usize, len_bytes: usize) -> Vec<u8> {
    assert!(offset + len_bytes <= REGISTERS_LEN);
    let mut bytes = vec![0; len_bytes];
    MACHINE.with(|machine| {
        let from = machine.registers.as_ptr().wrapping_add(offset);
        // SAFETY: as in `set_registers`.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), len_bytes) };
    });
    bytes
}

/// Returns the stretches that were to be mapped, address and length of each.
pub(super) fn mapped() -> Vec<(u64, usize)> {
    MACHINE.with(|machine| machine.mapped.borrow().clone())
}

/// The CPU of a thread on which another platform's driver runs.
fn other_cpu() -> u32 {
    #[cfg(test)]
    return crate::fake::FakePlatform::cpu();
    #[cfg(not(test))]
    0
}

/// What the driver calls the machine.
#[derive(Debug)]
pub(super) struct Kernel;

// SAFETY: pages lie in memory that lives for ever and that nothing else is in; each is handed out
// once, and not again before it has been given back or the machine is made anew, which is when no
// driver is left.
unsafe impl Hal for Kernel {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        const NONE: (PhysAddr, NonNull<u8>) = (0, NonNull::dangling());
        MACHINE.with(|machine| {
            if let Some(left) = machine.allocations_left.get() {
                machine.allocations_left.set(left.checked_sub(1));
                if left == 0 {
                    return NONE;
                }
            }
            let mut live = machine.live.borrow_mut();
            let mut first = 0;
            let gap = live.iter().position(|taken| {
                let fits = taken.start - first >= pages;
                first = if fits { first } else { taken.end };
                fits
            });
            if pages > PAGES - first {
                return NONE;
            }
            let at = gap.unwrap_or(live.len());
            live.insert(at, first..first + pages);
            let offset = first * PAGE_SIZE;
            // SAFETY: inside the memory (just checked), and nobody else's.
            let start = unsafe { machine.memory.add(offset) };
            // SAFETY: as above.
            unsafe { start.write_bytes(0, pages * PAGE_SIZE) };
            (BASE + offset as u64, start)
        })
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        let first = (paddr - BASE) as usize / PAGE_SIZE;
        MACHINE.with(|machine| {
            let mut live = machine.live.borrow_mut();
            let at = live
                .iter()
                .position(|taken| *taken == (first..first + pages));
            live.remove(at.expect("what is freed was allocated so"));
        });
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("the driver's transports map by `map_registers`")
    }

    unsafe fn share(_: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        unreachable!("the driver shares nothing")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

// SAFETY: one thread is all CPUs, one after the other, and stays one while interrupts are masked;
// whoever delivers an interrupt asks whether they are. What is mapped are registers of the machine,
// which live for ever.
unsafe impl Platform for Kernel {
    fn mask_interrupts() -> bool {
        MACHINE.with(|machine| !machine.are_masked.replace(true))
    }

    unsafe fn restore_interrupts(were_enabled: bool) {
        MACHINE.with(|machine| machine.are_masked.set(!were_enabled));
    }

    fn cpu() -> u32 {
        // The driver asks the first platform that it meets for all CPUs.
        MACHINE.with(|machine| match machine.cpu.get() {
            Some(cpu) => machine.first_cpu + cpu,
            None => other_cpu(),
        })
    }

    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        MACHINE.with(|machine| {
            machine.mapped.borrow_mut().push((address, len_bytes));
            let end = address.checked_add(len_bytes as u64)?;
            let windows = machine.windows.borrow();
            let (first, offset, _) = windows
                .iter()
                .find(|(first, _, len)| *first <= address && end <= first + *len as u64)?;
            let offset = offset + (address - first) as usize;
            // SAFETY: inside the registers, as whoever added them has checked.
            Some(unsafe { machine.registers.add(offset) })
        })
    }

    fn now_ns() -> u64 {
        MACHINE.with(|machine| {
            let now_ns = machine.now_ns.get();
            machine.now_ns.set(now_ns.saturating_add(1_000_000));
            now_ns
        })
    }
}
