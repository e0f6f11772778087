//! The interrupt descriptor table: exceptions end the run with a report, vectors from 32 on go to
//! the handlers that asked for them.
//!
//! The one rule: an exception is answered by the end of the run, an interrupt by its handler and
//! the end-of-interrupt.

use core::{
    arch::global_asm,
    fmt::Write,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use spin::Once;
use x86_64::{VirtAddr, registers::control::Cr2, structures::idt::InterruptDescriptorTable};

use crate::{
    console,
    cpu::{self, usage},
    exit,
    interrupts::{
        apic::{self, FIRST_VECTOR},
        tables,
    },
};

const VECTORS: usize = 256;

global_asm!(
    r#"
    // One stub a vector, 16 bytes apart. Those of exceptions without an error code push a zero.
    .section .text
    .align 16
    .global interrupt_stubs
interrupt_stubs:
    vector = 0
    .rept 256
    .align 16
    .if vector < 32
        .if (0x60227d00 >> vector) & 1
        .else
            push 0
        .endif
        push vector
        jmp exception_entry
    .else
        push vector
        jmp interrupt_entry
    .endif
    vector = vector + 1
    .endr

    // An exception ends the run, so everything is saved for the report and nothing restored.
    .align 16
exception_entry:
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    cld
    mov rdi, rsp
    and rsp, -16
    call {exception}
    ud2

    // An interrupt comes back, so only what a called function may change is saved. There is no
    // vector state to save: the target is soft-float.
    .align 16
interrupt_entry:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    movzx edi, byte ptr [rsp + 72]
    cld
    // 5 words by the CPU, the vector, 9 registers, and one for the stack's alignment.
    sub rsp, 8
    call {interrupt}
    add rsp, 8
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
    iretq
"#,
    exception = sym exception,
    interrupt = sym interrupt,
);

unsafe extern "C" {
    static interrupt_stubs: [[u8; 16]; VECTORS];
}

/// What the stub and the CPU pushed.
#[derive(Debug)]
#[repr(C)]
struct ExceptionFrame {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// What a vector calls. Runs with interrupts masked, on any CPU.
pub type Handler = fn(vector: u8);

static HANDLERS: [AtomicUsize; VECTORS] = [const { AtomicUsize::new(0) }; VECTORS];
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);
static IDT: Once<InterruptDescriptorTable> = Once::new();

/// Loads the table on the calling CPU.
pub fn load() {
    IDT.call_once(build).load();
}

fn build() -> InterruptDescriptorTable {
    let mut idt = InterruptDescriptorTable::new();
    // SAFETY: an array of stubs of 16 bytes each, in the image; only addresses are taken.
    let stub = |vector: usize| VirtAddr::from_ptr(unsafe { &raw const interrupt_stubs[vector] });
    // SAFETY: each address is the stub of its vector, which pushes what `ExceptionFrame` says or
    // returns by `iretq`; the stack indices are those that `tables::load` fills.
    unsafe {
        idt.divide_error.set_handler_addr(stub(0));
        idt.debug.set_handler_addr(stub(1));
        idt.non_maskable_interrupt
            .set_handler_addr(stub(2))
            .set_stack_index(tables::NMI_STACK);
        idt.breakpoint.set_handler_addr(stub(3));
        idt.overflow.set_handler_addr(stub(4));
        idt.bound_range_exceeded.set_handler_addr(stub(5));
        idt.invalid_opcode.set_handler_addr(stub(6));
        idt.device_not_available.set_handler_addr(stub(7));
        idt.double_fault
            .set_handler_addr(stub(8))
            .set_stack_index(tables::DOUBLE_FAULT_STACK);
        idt.invalid_tss.set_handler_addr(stub(10));
        idt.segment_not_present.set_handler_addr(stub(11));
        idt.stack_segment_fault.set_handler_addr(stub(12));
        idt.general_protection_fault.set_handler_addr(stub(13));
        idt.page_fault.set_handler_addr(stub(14));
        idt.x87_floating_point.set_handler_addr(stub(16));
        idt.alignment_check.set_handler_addr(stub(17));
        idt.machine_check
            .set_handler_addr(stub(18))
            .set_stack_index(tables::MACHINE_CHECK_STACK);
        idt.simd_floating_point.set_handler_addr(stub(19));
        idt.virtualization.set_handler_addr(stub(20));
        idt.cp_protection_exception.set_handler_addr(stub(21));
        idt.hv_injection_exception.set_handler_addr(stub(28));
        idt.vmm_communication_exception.set_handler_addr(stub(29));
        idt.security_exception.set_handler_addr(stub(30));
        for vector in usize::from(FIRST_VECTOR)..VECTORS {
            idt[vector as u8].set_handler_addr(stub(vector));
        }
    }
    idt
}

/// Sets what a vector from 32 on calls.
pub fn set_handler(vector: u8, handler: Handler) {
    assert!(vector >= FIRST_VECTOR, "vector {vector} is an exception");
    // Release: pairs with the acquire in `interrupt`, for what the handler relies on.
    HANDLERS[usize::from(vector)].store(handler as usize, Ordering::Release);
}

/// From here on nobody expects a vector. What it called may still be at work on another CPU.
pub fn remove_handler(vector: u8) {
    HANDLERS[usize::from(vector)].store(0, Ordering::Relaxed);
}

/// Returns how many interrupts came that nobody had asked for.
pub fn unexpected() -> u64 {
    UNEXPECTED.load(Ordering::Relaxed)
}

extern "C" fn interrupt(vector: u8) {
    usage::wake_up();
    let handler = HANDLERS[usize::from(vector)].load(Ordering::Acquire);
    if handler == 0 {
        count_unexpected(vector);
    } else {
        // SAFETY: a value other than 0 is a `Handler` that `set_handler` stored.
        let handler: Handler = unsafe { core::mem::transmute(handler) };
        handler(vector);
    }
    if vector != apic::SPURIOUS_VECTOR {
        apic::end_of_interrupt();
    }
}

#[cold]
fn count_unexpected(vector: u8) {
    if UNEXPECTED.fetch_add(1, Ordering::Relaxed) == 0 {
        log::warn!("interrupt {vector} was not expected; further ones are only counted");
    }
}

extern "C" fn exception(frame: &ExceptionFrame) -> ! {
    let mut report = Last;
    let name = NAMES
        .get(frame.vector as usize)
        .copied()
        .unwrap_or("reserved");
    let _ = writeln!(
        report,
        "\nexception {} ({name}) on CPU {}, error code {:#x}",
        frame.vector,
        cpu::number(),
        frame.error_code,
    );
    if frame.vector == 14 {
        let _ = writeln!(report, "faulting address {:#018x}", Cr2::read_raw());
    }
    let _ = writeln!(report, "{frame:#x?}");
    exit::fail(format_args!("exception {} ({name})", frame.vector));
}

/// The printer of last resort as a writer.
struct Last;

impl Write for Last {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        console::print_last(format_args!("{text}"));
        Ok(())
    }
}

const NAMES: [&str; 22] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack-segment fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
    "virtualization",
    "control protection",
];
