//! What the CPU has to have, asked before any of it is used: without, the machine would reset and
//! nobody could tell why.
//!
//! For a reader who has started the kernel on too small a CPU. The one rule: this uses only what
//! every CPU has.

use core::arch::global_asm;

use crate::{cpu::ports::EXIT, exit::ExitCode};

global_asm!(
    r#"
    // A leaf of CPUID, a bit of EDX there, and its name.
    .macro need leaf, bit, name
    .section .rodata.boot, "a", @progbits
    .pushsection .rodata.boot_names, "a", @progbits
9:  .asciz "\name"
    .popsection
    .long \leaf
    .long 1 << \bit
    .long 9b
    .endm

    .section .rodata.boot, "a", @progbits
    .align 4
boot_needs:
    need 1, 4, "time-stamp counter (TSC)"
    need 1, 5, "model-specific registers (MSR)"
    need 1, 6, "physical address extension (PAE)"
    need 1, 9, "local APIC"
    need 1, 15, "conditional moves (CMOV)"
    need 1, 25, "SSE, without which QEMU has no LFENCE"
    need 1, 26, "SSE2, of which LFENCE is one"
    need 0x80000001, 20, "no-execute pages (NX)"
    need 0x80000001, 29, "long mode (LM)"
    .long 0

boot_lacks:
    .asciz "failed: this CPU has no "
boot_advice:
    .asciz ": start QEMU with -cpu max, or -cpu host under KVM\r\n"

    // Called in 32-bit protected mode, with a stack. Keeps EBX, and comes back if all is there.
    .section .text.boot, "ax", @progbits
    .code32
    .global check_cpu
check_cpu:
    pushl %ebx
    movl $boot_needs, %esi
1:  movl (%esi), %edi
    testl %edi, %edi
    jz 2f
    // The highest leaf first: one beyond it is answered with anything.
    movl %edi, %eax
    andl $0x80000000, %eax
    cpuid
    cmpl %edi, %eax
    jb lacks
    movl %edi, %eax
    xorl %ecx, %ecx
    cpuid
    testl %edx, 4(%esi)
    jz lacks
    addl $12, %esi
    jmp 1b
2:  popl %ebx
    ret

lacks:
    movl 8(%esi), %edi
    movl $boot_lacks, %esi
    call print_early
    movl %edi, %esi
    call print_early
    movl $boot_advice, %esi
    call print_early
    movl ${failure}, %eax
    outl %eax, ${exit_port}
    // Without QEMU's device for that, here it ends.
    cli
3:  hlt
    jmp 3b

    // Prints what ESI points to, up to a zero, on COM1 as it is: the firmware has set it up, and
    // QEMU's needs no setting up.
print_early:
    lodsb
    testb %al, %al
    jz 5f
    movb %al, %cl
    movw $0x3fd, %dx
4:  inb %dx, %al
    testb $0x20, %al            // room for a byte
    jz 4b
    movb %cl, %al
    movw $0x3f8, %dx
    outb %al, %dx
    jmp print_early
5:  ret
    // Whatever the compiler puts behind this in one file is 64-bit code.
    .code64
"#,
    failure = const ExitCode::Failure as u32,
    exit_port = const EXIT.number(),
    options(att_syntax)
);
