//! A second kernel, as small as can be: it boots in QEMU (`boot.s`), embeds the driver, encrypts
//! one block and ends QEMU.
//!
//! One CPU, no interrupts, no executor, and nothing of the `kernel` crate but its linker script.
//! Memory is mapped where it is, and is never given back.
#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{arch::global_asm, ops::ControlFlow, ptr::NonNull};
use virtio_crypto::transport::pci::{PciTransport, is_crypto_device};
use virtio_crypto::{
    Cipher, CipherAlgorithm, Device, Direction, Error, Options, Platform, block_on,
};
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};
use x86_64::instructions::{hlt, port::Port};

global_asm!(
    include_str!("boot.s"),
    main = sym main,
    options(att_syntax)
);

/// Memory for the heap and the device: 4 MiB from 16 MiB on.
struct Memory(AtomicUsize);

#[global_allocator]
static MEMORY: Memory = Memory(AtomicUsize::new(16 << 20));

// SAFETY: every byte is handed out once; RAM is zero when QEMU starts.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let end = (self.0.load(Ordering::Relaxed)).next_multiple_of(layout.align()) + layout.size();
        self.0.store(end, Ordering::Relaxed);
        assert!(end <= 20 << 20, "out of memory");
        (end - layout.size()) as *mut u8
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

struct Minimal;

// SAFETY: pages are contiguous, zeroed, aligned and nobody else's.
unsafe impl Hal for Minimal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let layout = Layout::from_size_align(pages * 4096, 4096).unwrap();
        // SAFETY: not empty.
        let start = NonNull::new(unsafe { MEMORY.alloc(layout) }).unwrap();
        (start.as_ptr() as PhysAddr, start)
    }
    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }
    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("for transports of `virtio_drivers`")
    }
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.as_ptr() as *mut u8 as PhysAddr
    }
    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// Where QEMU has the registers of PCI devices and nothing else, with less than 3 GiB of memory.
const REGISTERS: core::ops::Range<u64> = 0xc000_0000..0xfec0_0000;

// SAFETY: one CPU, and no interrupt handler calls the driver: interrupts are never enabled.
// Everything is mapped where it is, registers as the firmware has set the CPU up for them:
// uncached.
unsafe impl Platform for Minimal {
    fn mask_interrupts() -> bool {
        false
    }
    unsafe fn restore_interrupts(_: bool) {}
    fn cpu() -> u32 {
        0
    }
    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        let end = address.checked_add(len_bytes as u64)?;
        let is_there = REGISTERS.start <= address && end <= REGISTERS.end;
        is_there.then(|| NonNull::new(address as *mut u8))?
    }
    fn now_ns() -> u64 {
        // SAFETY: every x86_64 has a time stamp counter. At more than 1 GHz limits end early.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

/// PCI configuration space through ports 0xCF8 and 0xCFC.
struct Ports;

impl Ports {
    fn select(at: DeviceFunction, offset: u8) -> Port<u32> {
        let place = (at.bus as u32) << 16 | (at.device as u32) << 11 | (at.function as u32) << 8;
        // SAFETY: selecting a register changes nothing else.
        unsafe { Port::new(0xcf8).write(1 << 31 | place | u32::from(offset)) };
        Port::new(0xcfc)
    }
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, at: DeviceFunction, offset: u8) -> u32 {
        // SAFETY: one CPU, so what was selected still is; reading is harmless.
        unsafe { Self::select(at, offset).read() }
    }
    fn write_word(&mut self, at: DeviceFunction, offset: u8, value: u32) {
        // SAFETY: as above; the caller answers for what it configures.
        unsafe { Self::select(at, offset).write(value) }
    }
    unsafe fn unsafe_clone(&self) -> Self {
        Ports
    }
}

fn encrypt(function: DeviceFunction, key: &[u8], block: &mut [u8; 16]) -> Result<(), Error> {
    // SAFETY: the machine's own configuration space, and nobody else drives the device, which QEMU
    // made.
    let transport = unsafe { PciTransport::<Minimal, _>::new(Ports, function)? };
    let device = Device::<Minimal>::new(transport, Options::default())?;
    let work = async {
        let algorithm = CipherAlgorithm::AesCbc;
        let session = Cipher::open(&device, algorithm, Direction::Encrypt, key).await?;
        session.process_slice(&IV, block).await?;
        session.close().await
    };
    block_on(work, |_| ControlFlow::Continue(()))?
}

// NIST SP 800-38A, F.2.1.
const KEY: [u8; 16] = 0x2b7e151628aed2a6abf7158809cf4f3c_u128.to_be_bytes();
const IV: [u8; 16] = 0x000102030405060708090a0b0c0d0e0f_u128.to_be_bytes();
const PLAINTEXT: [u8; 16] = 0x6bc1bee22e409f96e93d7e117393172a_u128.to_be_bytes();
const CIPHERTEXT: [u8; 16] = 0x7649abac8119b246cee98e9b12e9197d_u128.to_be_bytes();

extern "C" fn main() -> ! {
    let mut functions = PciRoot::new(Ports).enumerate_bus(0);
    let found = functions.find(|(_, info)| is_crypto_device(info.vendor_id, info.device_id));
    let (function, _) = found.expect("a device");
    let mut block = PLAINTEXT;
    encrypt(function, &KEY, &mut block).expect("an answer");
    assert_eq!(block, CIPHERTEXT);
    end("minimal: pass\n", 0x10)
}

/// Says so on the first serial line and ends QEMU by its `isa-debug-exit` device.
fn end(text: &str, code: u32) -> ! {
    // SAFETY: QEMU's serial line takes bytes as it is; port 0xf4 belongs to `isa-debug-exit`.
    unsafe {
        text.bytes().for_each(|byte| Port::new(0x3f8).write(byte));
        Port::new(0xf4).write(code);
    }
    loop {
        hlt();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    end("failed: panic\n", 0x11)
}
