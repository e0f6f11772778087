# QEMU's `-kernel` jumps to what the PVH note names, in 32-bit mode without paging: here are page
# tables that map 512 GiB where they are, long mode, a stack, and the call of `main`.
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_start
    .section .bss.boot_stack, "aw", @nobits
    .align 4096
pml4:   .skip 4096
pdpt:   .skip 4096
stack:  .skip 65536
stack_top:
    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    movl $stack_top, %esp
    movl $(pdpt + 3), pml4
    xorl %ecx, %ecx
1:  movl %ecx, %eax             # page `ecx` of 512: present, writable, 1 GiB
    shll $30, %eax
    orl $0x83, %eax
    movl %eax, pdpt(, %ecx, 8)
    movl %ecx, %eax
    shrl $2, %eax
    movl %eax, pdpt + 4(, %ecx, 8)
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0x20, %eax            # CR4: PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx      # EFER: long mode
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80000011, %eax      # CR0: paging, protected mode
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_start
gdt:
    .quad 0, 0x00af9b000000ffff
gdt_pointer:
    .word 15
    .long gdt
    .code64
long_start:
    xorl %eax, %eax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    call {main}
    ud2
