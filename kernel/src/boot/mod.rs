//! From the PVH entry to the entry that `bootloader_api::entry_point!` declares.
//!
//! QEMU's `-kernel` finds the note, loads the ELF and jumps to `pvh_start` in 32-bit protected mode
//! without paging, with the address of `hvm_start_info` in EBX (Xen, "PVH boot ABI"). The assembly
//! maps the first 4 GiB twice with large pages, at 0 and at [`PHYSICAL_OFFSET`], and enters long
//! mode; `boot_main` turns the start info into a `BootInfo`. Rights come with the final tables
//! (`memory`).
//!
//! The one rule: nothing here runs again once `_start` does, but for what a further CPU begins
//! with.
//!
//! # Invariant
//!
//! *Alone*: until `_start`, the boot CPU runs this and nothing else, with all of the first 4 GiB
//! mapped.
#![expect(
    unsafe_code,
    reason = "the first instructions, and what the loader left in memory"
)]

pub(crate) mod further;
mod needs;

use core::{arch::global_asm, cell::UnsafeCell, slice};

use bootloader_api::{
    BootInfo,
    info::{MemoryRegion, MemoryRegionKind, MemoryRegions, Optional},
};

use crate::{
    cpu,
    memory::layout::{PHYSICAL_OFFSET, image},
};

/// Bytes of the boot CPU's stack.
pub const BOOT_STACK_LEN: usize = 128 * 1024;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .align 4
    .long 4             // name
    .long 4             // descriptor
    .long 18            // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

    .section .bss.stack_guard, "aw", @nobits
    .align 4096
    .global boot_stack_guard
boot_stack_guard:
    .skip 4096
    .section .bss.boot_stack, "aw", @nobits
    .global boot_stack
boot_stack:
    .skip {stack_len}
boot_stack_top:

    .section .bss.boot_tables, "aw", @nobits
    .align 4096
    .global boot_pml4           // `further` begins with it too
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096

    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cld
    movl $boot_stack_top, %esp
    call check_cpu              // `needs`

    // 4 GiB in pages of 2 MiB: present, writable, large.
    movl $boot_pd, %edi
    movl $0x83, %eax
    xorl %edx, %edx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 1b

    movl $boot_pdpt, %edi
    movl $(boot_pd + 3), %eax
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $4096, %eax
    loop 2b

    // The same at 0 and at PHYSICAL_OFFSET, which is entry 256.
    movl $(boot_pdpt + 3), %eax
    movl %eax, boot_pml4
    movl %eax, boot_pml4 + 256 * 8

    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax             // PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx      // EFER: long mode, no-execute
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax       // paging, write protection in the kernel too
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $long_start

    .align 8
    .global boot_gdt            // and with this one
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 64-bit code
    .quad 0x00cf93000000ffff    // data
    .quad 0x00cf9b000000ffff    // 32-bit code, for the further CPUs' way up
boot_gdt_pointer:
    .word 31
    .long boot_gdt

    .code64
long_start:
    movw $16, %ax
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    xorl %ebp, %ebp
    movl %ebx, %edi
    call {boot_main}
    ud2
"#,
    stack_len = const BOOT_STACK_LEN,
    boot_main = sym boot_main,
    options(att_syntax)
);

const START_MAGIC: u32 = 0x336e_c578;

/// `struct hvm_start_info`, version 1.
#[derive(Clone, Copy)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct MemoryMapEntry {
    start: u64,
    len_bytes: u64,
    kind: u32,
    reserved: u32,
}

const KIND_RAM: u32 = 1;

/// Most regions of a memory map, the image counted apart.
const MAX_REGIONS: usize = 64;
/// Longest command line.
const MAX_COMMAND_LINE: usize = 1024;

struct BootData {
    regions: [MemoryRegion; MAX_REGIONS],
    info: Option<BootInfo>,
    command_line: [u8; MAX_COMMAND_LINE],
    command_line_len: usize,
}

struct BootCell(UnsafeCell<BootData>);

// SAFETY: written by `boot_main`, on one CPU, before anything else runs; the part that is read
// later (`command_line`) is never written again.
unsafe impl Sync for BootCell {}

static BOOT: BootCell = BootCell(UnsafeCell::new(BootData {
    regions: [MemoryRegion {
        start: 0,
        end: 0,
        kind: MemoryRegionKind::Bootloader,
    }; MAX_REGIONS],
    info: None,
    command_line: [0; MAX_COMMAND_LINE],
    command_line_len: 0,
}));

#[expect(
    improper_ctypes,
    reason = "both sides are Rust of one build; `entry_point!` chose the ABI"
)]
unsafe extern "C" {
    /// What `entry_point!` declares.
    fn _start(info: &'static mut BootInfo) -> !;
}

/// Returns the words after `-append`.
pub fn command_line() -> &'static str {
    // SAFETY: written by `boot_main` only, before anything could call this.
    let data = unsafe { &*BOOT.0.get() };
    core::str::from_utf8(&data.command_line[..data.command_line_len]).unwrap_or("")
}

/// Runs on the boot CPU, on the boot stack, with everything below 4 GiB mapped.
extern "C" fn boot_main(start_info: u32) -> ! {
    cpu::prepare(0);
    // SAFETY: nothing else runs yet (see `BootCell`).
    let data = unsafe { &mut *BOOT.0.get() };
    // SAFETY: the boot ABI puts the address of a start info into EBX, below 4 GiB, where all of
    // memory is mapped; any bits are a valid `StartInfo`.
    let info = unsafe { (u64::from(start_info) as *const StartInfo).read() };
    assert!(info.magic == START_MAGIC, "not booted by the PVH entry");
    assert!(info.version >= 1, "the PVH start info has no memory map");

    let count = (info.memory_map_entries as usize).min(MAX_REGIONS);
    // SAFETY: as for the start info itself; the loader gives address and count together.
    let map = unsafe { slice::from_raw_parts(info.memory_map as *const MemoryMapEntry, count) };
    let mut used = 0;
    for entry in map {
        used += put_region(&mut data.regions[used..], entry);
    }
    if info.command_line != 0 {
        copy_command_line(data, info.command_line);
    }

    let (start, end) = image();
    let mut boot_info = BootInfo::new(MemoryRegions::from(&mut data.regions[..used]));
    boot_info.physical_memory_offset = Optional::Some(PHYSICAL_OFFSET);
    boot_info.rsdp_addr = if info.rsdp == 0 {
        Optional::None
    } else {
        Optional::Some(info.rsdp)
    };
    boot_info.kernel_addr = start;
    boot_info.kernel_len = end - start;
    let boot_info = data.info.insert(boot_info);
    // SAFETY: `entry_point!` gives `_start` this signature, and the info lives in a static that is
    // not touched again.
    unsafe { _start(boot_info) }
}

/// Adds a region of the loader's map, and returns how many places it took: a usable one that holds
/// the image falls into up to three.
fn put_region(regions: &mut [MemoryRegion], entry: &MemoryMapEntry) -> usize {
    let (first, last) = image();
    let (start, end) = (entry.start, entry.start.saturating_add(entry.len_bytes));
    let kind = MemoryRegionKind::UnknownBios(entry.kind);
    let usable = MemoryRegionKind::Usable;
    let other = [(start, end, kind)];
    let ram = [
        (start, end.min(first), usable),
        (
            start.max(first),
            end.min(last),
            MemoryRegionKind::Bootloader,
        ),
        (start.max(last), end, usable),
    ];
    let parts = if entry.kind == KIND_RAM {
        &ram[..]
    } else {
        &other[..]
    };
    let parts = parts.iter().filter(|(start, end, _)| start < end);
    let mut used = 0;
    for (region, &(start, end, kind)) in regions.iter_mut().zip(parts) {
        *region = MemoryRegion { start, end, kind };
        used += 1;
    }
    used
}

fn copy_command_line(data: &mut BootData, address: u64) {
    for (i, place) in data.command_line.iter_mut().enumerate() {
        // SAFETY: a zero-terminated string, below 4 GiB; reading stops at the zero.
        let byte = unsafe { ((address + i as u64) as *const u8).read() };
        if byte == 0 {
            break;
        }
        *place = byte;
        data.command_line_len = i + 1;
    }
}
