//! A CPU's own descriptor tables: the GDT, and the TSS with stacks for the worst exceptions.
//!
//! The one rule: double fault, NMI and machine check have a stack that nothing else uses.

use alloc::boxed::Box;

use x86_64::{
    instructions::tables::load_tss,
    registers::segmentation::{CS, DS, ES, SS, Segment},
    structures::{
        gdt::{Descriptor, GlobalDescriptorTable},
        tss::TaskStateSegment,
    },
};

use crate::memory;

/// Places in the TSS's interrupt stack table.
pub(super) const DOUBLE_FAULT_STACK: u16 = 0;
/// For the non-maskable interrupt.
pub(super) const NMI_STACK: u16 = 1;
/// For the machine check.
pub(super) const MACHINE_CHECK_STACK: u16 = 2;

/// Pages of such a stack.
const STACK_PAGES: usize = 4;

/// Gives the calling CPU its own GDT and TSS, with a guarded stack each for double fault, NMI and
/// machine check: those must work whatever the stack was.
pub(crate) fn load() {
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
