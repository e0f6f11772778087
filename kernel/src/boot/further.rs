//! Further CPUs: from their start-up interrupt to their first Rust.
//!
//! For `smp`, which starts them, one after the other: it copies [`code`] to its page and says
//! by [`prepare`] what the next CPU finds. The one rule: one CPU starts at a time.

use core::{
    arch::global_asm,
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::registers::control::Cr3;

use crate::memory::{Stack, layout::TRAMPOLINE};

global_asm!(
    r#"
    // A further CPU begins here, in real mode, at the page that its start-up interrupt names.
    // Copied there: nothing but the jump out of it may depend on where it is linked.
    .section .text.boot, "ax", @progbits
    .code16
    .global trampoline
trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl {trampoline_page} + trampoline_gdt_pointer - trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $24, $further_start
trampoline_gdt_pointer:
    .word 31
    .long boot_gdt
    .global trampoline_end
trampoline_end:

    .code32
further_start:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    ljmp $8, $further_long

    .code64
further_long:
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    // The final tables first: the stack is mapped in them alone.
    movq {tables}, %rax
    movq %rax, %cr3
    movq {stack}, %rsp
    xorl %ebp, %ebp
    movq {number}, %rdi
    call *{entry}
    ud2
"#,
    trampoline_page = const TRAMPOLINE,
    tables = sym TABLES,
    stack = sym STACK,
    number = sym NUMBER,
    entry = sym ENTRY,
    options(att_syntax)
);

// What the next CPU to start finds. Read by the assembly above, which no CPU runs before its
// start-up interrupt.
static TABLES: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicU64 = AtomicU64::new(0);
static NUMBER: AtomicU64 = AtomicU64::new(0);
static ENTRY: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

/// Where a further CPU's Rust begins, with its number.
pub(crate) type Entry = extern "C" fn(number: u64) -> !;

/// Returns the code of the page at which further CPUs begin.
pub(crate) fn code() -> &'static [u8] {
    let (start, end) = (&raw const trampoline, &raw const trampoline_end);
    // SAFETY: the code lies between its own labels, in the image, and never changes.
    unsafe { slice::from_raw_parts(start, end as usize - start as usize) }
}

/// Says what the next CPU to start finds: the caller's page tables, a stack of its own, its number
/// and where it goes.
pub(crate) fn prepare(stack: Stack, number: u64, entry: Entry) {
    let (tables, _) = Cr3::read();
    TABLES.store(tables.start_address().as_u64(), Ordering::Relaxed);
    STACK.store(stack.top().as_u64(), Ordering::Relaxed);
    NUMBER.store(number, Ordering::Relaxed);
    // The start-up interrupt is sent after these.
    ENTRY.store(entry as usize as u64, Ordering::Relaxed);
}
