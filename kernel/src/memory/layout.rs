//! Where things are: the physical addresses that have a purpose from the start, and the map of
//! virtual memory.
//!
//! | where | what | rights |
//! |---|---|---|
//! | where it is linked | the image: code, constants, data | RX, R, RW |
//! | [`PHYSICAL_OFFSET`] | usable memory, without the image | RW |
//! | [`DEVICE_OFFSET`] | device registers, firmware tables, as they are asked for | RW, uncached |
//! | [`STACKS`] | stacks, each above a page that is not mapped | RW |
//!
//! The page below the boot stack is not mapped either, nor is page 0.

use x86_64::VirtAddr;

/// Bytes of a frame.
pub const FRAME_LEN: usize = 4096;

/// Frames below belong to the firmware, and to the code that starts further CPUs.
pub const FIRST_BYTE: u64 = 1 << 20;

/// The page below [`FIRST_BYTE`] at which further CPUs begin.
pub const TRAMPOLINE: u32 = 0x8000;

/// Where physical memory is mapped.
pub const PHYSICAL_OFFSET: u64 = 0xffff_8000_0000_0000;
/// Where device registers are mapped: at their bus address plus this.
pub const DEVICE_OFFSET: u64 = 0xffff_c000_0000_0000;
/// Where stacks are.
pub const STACKS: u64 = 0xffff_f000_0000_0000;
/// Bus addresses from here on have no place in the device window.
pub const DEVICE_LEN: u64 = STACKS - DEVICE_OFFSET;

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
}

/// Returns the kernel image's physical start and end: it is linked where it is loaded.
pub fn image() -> (u64, u64) {
    (&raw const image_start as u64, &raw const image_end as u64)
}

/// Returns where usable physical memory is mapped.
pub fn physical(address: u64) -> VirtAddr {
    VirtAddr::new(PHYSICAL_OFFSET + address)
}

/// Returns the physical address of one that lies where physical memory is mapped, whether there is
/// memory or not.
pub fn in_physical_map(address: VirtAddr) -> Option<u64> {
    let address = address.as_u64();
    let range = PHYSICAL_OFFSET..DEVICE_OFFSET;
    range.contains(&address).then(|| address - PHYSICAL_OFFSET)
}
