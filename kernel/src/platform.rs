//! What this kernel gives the driver: memory, registers, interrupt masking, a clock, messages.
//!
//! For the driver, and for rooms that name its types with this kernel. The one rule: everything
//! here is a promise of the kernel's, and the rooms below keep it.
#![expect(
    unsafe_code,
    reason = "the contracts of `Hal`, `Platform` and `MsixMessage`"
)]

use core::ptr::NonNull;

use virtio_crypto::{Device, Platform, transport::MsixMessage};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};
use x86_64::{VirtAddr, instructions::interrupts};

use crate::{
    cpu::{self, usage},
    interrupts::vectors::{self, Message, Vector},
    memory, sync, time,
};

/// This kernel, as the driver knows it.
#[derive(Clone, Copy, Debug)]
pub struct KernelPlatform;

/// A crypto device of this kernel.
pub type CryptoDevice = Device<KernelPlatform>;

// SAFETY: frames come zeroed, page aligned and contiguous from the frame allocator, which hands
// out each once, and are reached through the physical map only; registers stay mapped for good.
unsafe impl Hal for KernelPlatform {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let start = memory::allocate_frames(pages);
        match start
            .and_then(|start| Some((start, NonNull::new(memory::physical(start).as_mut_ptr())?)))
        {
            Some(memory) => memory,
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _vaddr: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller gives back what `dma_alloc` gave, and its device has done with it.
        unsafe { memory::free_frames(paddr, pages) };
        0
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        match Self::map_registers(paddr, size) {
            Some(registers) => registers,
            None => panic!("no registers of {size} bytes at {paddr:#x}"),
        }
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        // Memory is coherent and there is no IOMMU: where the buffer is is where the device finds
        // it. The heap and the image are contiguous.
        let address = VirtAddr::from_ptr(buffer.as_ptr().cast::<u8>());
        // Frames and the heap without a look at the page tables, which takes a lock: the caller may
        // have one.
        if let Some(address) = memory::in_physical_map(address) {
            return address;
        }
        match memory::translate(address) {
            Some(address) => address,
            None => panic!("{address:?} is not mapped"),
        }
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

// SAFETY: interrupts are masked by the CPU's flag, tasks are not preempted and never change CPU
// while they run, and a CPU's number never changes. Registers are mapped where there is no memory.
unsafe impl Platform for KernelPlatform {
    #[inline]
    fn mask_interrupts() -> bool {
        let were_enabled = interrupts::are_enabled();
        interrupts::disable();
        sync::bar();
        usage::mask();
        were_enabled
    }

    #[inline]
    unsafe fn restore_interrupts(were_enabled: bool) {
        usage::unmask();
        sync::unbar();
        if were_enabled {
            interrupts::enable();
        }
    }

    #[inline]
    fn cpu() -> u32 {
        cpu::number()
    }

    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        memory::map_registers(address, len_bytes)
    }

    fn now_ns() -> u64 {
        time::now_ns()
    }
}

/// Returns the message that delivers `vector` to the calling CPU.
pub fn message_here(vector: Vector) -> Option<MsixMessage> {
    vectors::message_here(vector).map(vouch_for)
}

/// Returns the message that delivers `vector` to CPU `cpu`, if that is up.
pub fn message_for(cpu: u32, vector: Vector) -> Option<MsixMessage> {
    vectors::message_for(cpu, vector).map(vouch_for)
}

fn vouch_for(message: Message) -> MsixMessage {
    // SAFETY: it raises a vector that was given out, whose handler may be called at any time, and
    // its address is in the range of messages: it reaches no memory.
    unsafe { MsixMessage::new(message.address(), message.data()) }
}
