//! The machine of an execution: memory whose pages have an owner, a clock, CPUs.
//!
//! Each thread has one, so that tests do not meet; [`begin`] makes it as new. A page that has been
//! freed is not handed out again in the same execution, so whoever still reaches it is found.
#![expect(unsafe_code, reason = "the memory of a machine")]

pub(crate) mod kernel;

use std::{
    cell::{Cell, RefCell},
    ptr::NonNull,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use device::memory::{Access, Memory, Watch};
use virtio_crypto::{DmaBuffer, ForcedReset, Platform, transport};
use virtio_drivers::PAGE_SIZE;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use crate::secrets;

/// Bus address of the first byte: nothing like a pointer.
const BASE: u64 = 0x7_0000_0000;
/// Pages of an execution, freed ones included.
const PAGES: usize = 4096;
/// Calls of the platform in an execution after which it has no end.
const MOST_STEPS: u64 = 400_000;
/// CPUs of a machine at most: a number that every number of queues divides.
const MOST_CPUS: u32 = 60;

/// Who has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody: it was never handed out, or has been freed.
    Nobody,
    /// The driver, and by it the device.
    Driver,
    /// A caller, to whom the driver has given it back.
    Caller,
}

/// What happens between two steps of the driver; told whether no lock can be held.
pub(crate) type Hook = dyn Fn(bool);

struct Machine {
    first_cpu: u32,
    memory: GuestMemoryMmap,
    owners: RefCell<Vec<Owner>>,
    /// Pages handed out until now.
    used: Cell<usize>,
    live: Cell<usize>,
    clock_ns: Cell<u64>,
    cpu: Cell<u32>,
    /// Calls that masked interrupts and are not over.
    masked: Cell<u32>,
    /// The CPU is in an interrupt handler.
    is_in_handler: Cell<bool>,
    steps: Cell<u64>,
    /// Device memory is refused after so many allocations; 0 for never.
    refused_in: Cell<u32>,
    refusals: Cell<u32>,
    hook: RefCell<Option<Rc<Hook>>>,
}

thread_local!(static MACHINE: Machine = Machine::new());

/// How many there are: no two have CPUs of the same number.
static MACHINES: AtomicU32 = AtomicU32::new(0);

impl Machine {
    fn new() -> Self {
        let range = (GuestAddress(BASE), PAGES * PAGE_SIZE);
        Self {
            first_cpu: MOST_CPUS * MACHINES.fetch_add(1, Ordering::Relaxed),
            memory: GuestMemoryMmap::from_ranges(&[range]).expect("memory of a machine"),
            owners: RefCell::new(vec![Owner::Nobody; PAGES]),
            used: Cell::new(0),
            live: Cell::new(0),
            clock_ns: Cell::new(0),
            cpu: Cell::new(0),
            masked: Cell::new(0),
            is_in_handler: Cell::new(false),
            steps: Cell::new(0),
            refused_in: Cell::new(0),
            refusals: Cell::new(0),
            hook: RefCell::new(None),
        }
    }

    fn start(&self, page: usize) -> NonNull<u8> {
        let address = GuestAddress(BASE + (page * PAGE_SIZE) as u64);
        let start = self.memory.get_host_address(address);
        NonNull::new(start.expect("inside the memory")).expect("memory is somewhere")
    }

    fn allocate(&self, pages: usize) -> Option<usize> {
        match self.refused_in.get() {
            0 => {}
            1 => {
                self.refused_in.set(0);
                self.refusals.set(self.refusals.get() + 1);
                return None;
            }
            more => self.refused_in.set(more - 1),
        }
        let first = self.used.get();
        if pages == 0 || first + pages > PAGES {
            self.refusals.set(self.refusals.get() + 1);
            return None;
        }
        self.used.set(first + pages);
        self.live.set(self.live.get() + pages);
        self.owners.borrow_mut()[first..first + pages].fill(Owner::Driver);
        // SAFETY: these pages are nobody's, and stay mapped as long as the thread lives.
        unsafe { self.start(first).write_bytes(0, pages * PAGE_SIZE) };
        Some(first)
    }

    fn free(&self, first: usize, pages: usize) {
        let mut owners = self.owners.borrow_mut();
        let freed = &mut owners[first..first + pages];
        assert!(
            thread::panicking() || freed.iter().all(|owner| *owner != Owner::Nobody),
            "pages were freed twice, or not as they were allocated"
        );
        freed.fill(Owner::Nobody);
        self.live.set(self.live.get() - pages);
    }

    /// Returns the pages in which so many bytes lie; `None` where some lie in none.
    fn pages_of(&self, address: u64, len_bytes: usize) -> Option<core::ops::Range<usize>> {
        let offset = usize::try_from(address.checked_sub(BASE)?).ok()?;
        let end = offset.checked_add(len_bytes)?;
        let pages = offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE);
        (pages.end <= PAGES).then_some(pages)
    }
}

/// Begins an execution on a machine that is as new.
pub(crate) fn begin() {
    MACHINE.with(|machine| {
        machine.owners.borrow_mut()[..machine.used.get()].fill(Owner::Nobody);
        machine.used.set(0);
        machine.live.set(0);
        machine.clock_ns.set(0);
        machine.cpu.set(0);
        machine.masked.set(0);
        machine.is_in_handler.set(false);
        machine.steps.set(0);
        machine.refused_in.set(0);
        machine.refusals.set(0);
        *machine.hook.borrow_mut() = None;
    });
}

/// Has something happen between any two steps of the driver, or nothing.
pub(crate) fn set_hook(hook: Option<Rc<Hook>>) {
    MACHINE.with(|machine| *machine.hook.borrow_mut() = hook);
}

/// Lets something happen: the driver is at a call of its platform or at a register.
pub(crate) fn step() {
    if thread::panicking() {
        return;
    }
    let (hook, is_free) = MACHINE.with(|machine| {
        let steps = machine.steps.get() + 1;
        machine.steps.set(steps);
        assert!(steps < MOST_STEPS, "no end");
        (machine.hook.borrow().clone(), machine.masked.get() == 0)
    });
    if let Some(hook) = hook {
        hook(is_free);
    }
}

/// Refuses device memory once, after so many allocations.
pub(crate) fn refuse_after(allocations: u32) {
    MACHINE.with(|machine| machine.refused_in.set(allocations + 1));
}

/// Refuses no device memory any more.
pub(crate) fn refuse_no_more() {
    MACHINE.with(|machine| machine.refused_in.set(0));
}

/// Returns how often device memory was refused.
pub(crate) fn refusals() -> u32 {
    MACHINE.with(|machine| machine.refusals.get())
}

/// Runs `f` as another CPU.
pub(crate) fn as_cpu<R>(cpu: u32, f: impl FnOnce() -> R) -> R {
    let before = place();
    return_to(Place {
        cpu,
        is_in_handler: false,
    });
    let result = f();
    return_to(before);
    result
}

/// Moves the calling task to another CPU.
pub(crate) fn migrate(cpu: u32) {
    MACHINE.with(|machine| machine.cpu.set(cpu));
}

/// Where what is running runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    cpu: u32,
    is_in_handler: bool,
}

/// Returns where the caller runs.
pub(crate) fn place() -> Place {
    MACHINE.with(|machine| Place {
        cpu: machine.cpu.get(),
        is_in_handler: machine.is_in_handler.get(),
    })
}

/// Goes back to where a panic has come from.
pub(crate) fn return_to(place: Place) {
    MACHINE.with(|machine| {
        machine.cpu.set(place.cpu);
        machine.is_in_handler.set(place.is_in_handler);
    });
}

/// Runs an interrupt handler: interrupts are masked on its CPU.
pub(crate) fn in_handler<R>(f: impl FnOnce() -> R) -> R {
    let before = MACHINE.with(|machine| machine.is_in_handler.replace(true));
    let result = f();
    MACHINE.with(|machine| machine.is_in_handler.set(before));
    result
}

/// Tells whether the CPU of now would take an interrupt.
pub(crate) fn takes_interrupts() -> bool {
    MACHINE.with(|machine| machine.masked.get() == 0 && !machine.is_in_handler.get())
}

/// Checks that every lock has been given back.
pub(crate) fn check_unmasked() {
    let masked = MACHINE.with(|machine| machine.masked.get());
    assert_eq!(masked, 0, "interrupts are still masked");
}

/// Returns how many pages are allocated.
pub(crate) fn live_pages() -> usize {
    MACHINE.with(|machine| machine.live.get())
}

/// Returns the memory of this machine for a device whose accesses are checked.
pub(crate) fn memory() -> Memory {
    let memory = Memory::default();
    MACHINE.with(|machine| memory.replace(machine.memory.clone()));
    memory.watched(Watch::new(check))
}

/// Checks an access of the device: everything that it reaches is the driver's at this time.
fn check(access: Access) {
    MACHINE.with(|machine| {
        if access.len_bytes == 0 {
            return;
        }
        let pages = machine.pages_of(access.address, access.len_bytes);
        let owners = machine.owners.borrow();
        let owners = pages.map(|pages| &owners[pages]).unwrap_or_default();
        assert!(
            !owners.is_empty() && owners.iter().all(|owner| *owner == Owner::Driver),
            "the device reaches what it was not given: {access:x?}, {owners:?}"
        );
    });
}

/// Tells whether the driver has all of these bytes, for a device that writes by itself.
pub(crate) fn is_drivers(address: u64, len_bytes: usize) -> bool {
    MACHINE.with(|machine| {
        let owners = machine.owners.borrow();
        let pages = machine.pages_of(address, len_bytes);
        pages.is_some_and(|pages| owners[pages].iter().all(|owner| *owner == Owner::Driver))
    })
}

/// Notes that the driver has given a buffer back: the device has no part in it any more.
pub(crate) fn is_back(buffer: &DmaBuffer<impl Platform>) {
    set_owner(buffer, Owner::Caller);
}

/// Notes that the driver gets a buffer again.
pub(crate) fn is_given(buffer: &DmaBuffer<impl Platform>) {
    set_owner(buffer, Owner::Driver);
}

fn set_owner(buffer: &DmaBuffer<impl Platform>, owner: Owner) {
    MACHINE.with(|machine| {
        let start = machine.start(0).as_ptr() as usize;
        let offset = buffer.as_ptr() as usize - start;
        let pages = machine.pages_of(BASE + offset as u64, buffer.len());
        let pages = pages.expect("a buffer lies in the memory");
        machine.owners.borrow_mut()[pages].fill(owner);
    });
}

/// Checks that no secret is left in any page that was ever handed out.
pub(crate) fn check_nothing_is_left() {
    MACHINE.with(|machine| {
        for page in 0..machine.used.get() {
            let start = machine.start(page);
            // SAFETY: a page of the mapping; no device is at work, and nobody has a buffer.
            let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr(), PAGE_SIZE) };
            let found = secrets::find(bytes);
            let owner = machine.owners.borrow()[page];
            assert!(
                found.is_none(),
                "a secret is left in page {page} of {owner:?} at {found:x?}"
            );
        }
    });
}

/// A message that raises an interrupt of this machine, as all do.
pub(crate) const fn message(address: u64, data: u32) -> transport::MsixMessage {
    // SAFETY: no device here writes a message anywhere.
    unsafe { transport::MsixMessage::new(address, data) }
}

/// Somebody's word for the device.
pub(crate) const fn trusted() -> ForcedReset {
    // SAFETY: it touches nothing once its reset has been confirmed; its accesses are checked.
    ForcedReset::Reclaim(unsafe { transport::TrustedReset::new() })
}
