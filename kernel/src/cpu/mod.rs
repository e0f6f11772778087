//! What every CPU has of its own: a number, a GDT with its TSS, stacks for the worst exceptions.

pub mod usage;

use core::{
    arch::{asm, x86_64::_rdtsc},
    sync::atomic::{AtomicU32, Ordering},
};

use alloc::boxed::Box;
use x86_64::{
    VirtAddr,
    instructions::tables::load_tss,
    registers::{
        model_specific::GsBase,
        segmentation::{CS, DS, ES, SS, Segment},
    },
    structures::{
        gdt::{Descriptor, GlobalDescriptorTable},
        tss::TaskStateSegment,
    },
};

use crate::memory;

/// Most CPUs that the kernel has room for.
pub const MAX_CPUS: usize = 64;

/// Places in the TSS's interrupt stack table.
pub const DOUBLE_FAULT_STACK: u16 = 0;
/// For the non-maskable interrupt.
pub const NMI_STACK: u16 = 1;
/// For the machine check.
pub const MACHINE_CHECK_STACK: u16 = 2;

/// Pages of such a stack.
const STACK_PAGES: usize = 4;

/// Found through the GS base.
#[derive(Debug)]
#[repr(C)]
struct PerCpu {
    /// At offset 0.
    number: AtomicU32,
}

static PER_CPU: [PerCpu; MAX_CPUS] = [const {
    PerCpu {
        number: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// Returns the number of the calling CPU.
#[inline]
pub fn number() -> u32 {
    let number;
    // SAFETY: the GS base points to this CPU's `PerCpu` from the first instruction of Rust on
    // (`prepare_boot_cpu`, `prepare`), whose first field is the number.
    unsafe {
        asm!("mov {0:e}, gs:[0]", out(reg) number, options(nostack, preserves_flags, readonly));
    }
    number
}

/// Returns the time-stamp counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: the instruction exists on every x86-64.
    unsafe { _rdtsc() }
}

/// Makes [`number`] work on the boot CPU.
pub(crate) fn prepare_boot_cpu() {
    prepare(0);
}

/// Makes [`number`] work on the calling CPU, which is to have number `cpu`.
pub(crate) fn prepare(cpu: usize) {
    let per_cpu = &PER_CPU[cpu];
    per_cpu.number.store(cpu as u32, Ordering::Relaxed);
    GsBase::write(VirtAddr::from_ptr(per_cpu));
}

/// Gives the calling CPU its own GDT and TSS, with a guarded stack each for double fault, NMI and
/// machine check: those must work whatever the stack was.
pub fn load_tables() {
    let tss = Box::leak(Box::new(TaskStateSegment::new()));
    for place in [DOUBLE_FAULT_STACK, NMI_STACK, MACHINE_CHECK_STACK] {
        tss.interrupt_stack_table[usize::from(place)] = memory::allocate_stack(STACK_PAGES).top();
    }
    let gdt = Box::leak(Box::new(GlobalDescriptorTable::new()));
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let task = gdt.append(Descriptor::tss_segment(tss));
    gdt.load();
    // SAFETY: the selectors are those of the table just loaded, which is never freed.
    unsafe {
        CS::set_reg(code);
        SS::set_reg(data);
        DS::set_reg(data);
        ES::set_reg(data);
        load_tss(task);
    }
}
