//! Frames, page tables, the heap, and where registers may be.

use alloc::{vec, vec::Vec};
use core::fmt;

use kernel::{
    bus, crypto,
    memory::{self, heap, layout},
    platform::KernelPlatform,
    println,
    sync::SpinLock,
};
use virtio_drivers::{BufferDirection, Hal, transport::pci::bus::ConfigurationAccess};
use x86_64::{VirtAddr, structures::paging::PageTableFlags};

pub fn no_page_is_writable_and_executable() {
    let mut pages = 0;
    memory::for_each_mapping(|address, flags| {
        pages += 1;
        let writable = flags.contains(PageTableFlags::WRITABLE);
        let executable = !flags.contains(PageTableFlags::NO_EXECUTE);
        assert!(
            !(writable && executable),
            "{address:?} is writable and executable"
        );
    });
    assert!(pages > 100, "only {pages} pages found");
}

pub fn guard_pages_are_not_mapped() {
    let top = memory::allocate_stack(2).top().as_u64();
    let mut mapped = Vec::new();
    memory::for_each_mapping(|address, _| {
        if (top - 4 * 4096..top).contains(&address.as_u64()) {
            mapped.push(address.as_u64());
        }
    });
    assert!(mapped.contains(&(top - 4096)) && mapped.contains(&(top - 2 * 4096)));
    assert!(
        !mapped.contains(&(top - 3 * 4096)),
        "the page below the stack is mapped"
    );
}

pub fn frames_come_back() {
    let before = memory::free_frame_count();
    let one = memory::allocate_frames(1).unwrap();
    let many = memory::allocate_frames(33).unwrap();
    assert_eq!(memory::free_frame_count(), before - 34);
    // SAFETY: just allocated, and used by nobody.
    unsafe {
        memory::free_frames(many, 33);
        memory::free_frames(one, 1);
    }
    assert_eq!(memory::free_frame_count(), before);
    // So many that their end is past the last frame, or comes round to the first ones.
    for count in [usize::MAX / 8192, usize::MAX - 9, usize::MAX] {
        assert_eq!(memory::allocate_frames(count), None, "{count:#x} frames");
    }
    assert_eq!(memory::free_frame_count(), before);
}

/// A driver of another device shares what it sends under a lock of its own.
pub fn heap_is_shared_with_devices_under_a_lock() {
    let mut buffer = vec![0u8; 100];
    let expected = memory::translate(VirtAddr::from_ptr(buffer.as_ptr()));
    let lock = SpinLock::new("a driver", buffer.as_mut_slice());
    let direction = BufferDirection::DriverToDevice;
    // SAFETY: the buffer outlives the call, and no device is told of it.
    let address =
        lock.with(|buffer| unsafe { KernelPlatform::share((&mut **buffer).into(), direction) });
    assert_eq!(Some(address), expected);
}

pub fn large_frames_are_contiguous_and_zeroed() {
    let count = 64;
    let start = memory::allocate_frames(count).unwrap();
    let bytes: *mut u8 = memory::physical(start).as_mut_ptr();
    // SAFETY: frames just allocated, mapped one after the other.
    let slice = unsafe { core::slice::from_raw_parts_mut(bytes, count * memory::FRAME_LEN) };
    assert!(slice.iter().all(|byte| *byte == 0));
    slice.fill(0xa5);
    // SAFETY: allocated above, and the slice is used no more.
    unsafe { memory::free_frames(start, count) };
    let again = memory::allocate_frames(count).unwrap();
    let bytes: *mut u8 = memory::physical(again).as_mut_ptr();
    // SAFETY: as above.
    let slice = unsafe { core::slice::from_raw_parts(bytes, count * memory::FRAME_LEN) };
    assert!(
        slice.iter().all(|byte| *byte == 0),
        "frames are not zeroed the second time"
    );
    // SAFETY: the same.
    unsafe { memory::free_frames(again, count) };
}

/// Longer than what is printed at once, too.
pub fn what_is_printed_may_allocate() {
    struct Allocates;
    impl fmt::Display for Allocates {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let long = "ä".repeat(1500);
            println!("{}", long.len());
            f.write_str(&long)
        }
    }
    println!("a{Allocates}");
}

pub fn heap_gives_back_what_it_takes() {
    let before = heap::allocations();
    for round in 1..64 {
        let a = vec![round as u8; round * 100];
        let b = vec![!(round as u8); round * 777];
        assert!(a.iter().all(|byte| *byte == round as u8));
        drop(a);
        let c = vec![1u64; heap::LEAST_LEN / 16];
        assert!(b.iter().all(|byte| *byte == !(round as u8)));
        drop((b, c));
    }
    assert_eq!(heap::allocations() - before, 63 * 3);
}

/// Returns where the crypto device's first memory BAR is.
fn bar() -> u64 {
    let (access, function) = (bus::pci_access(), crypto::find_crypto()[0]);
    let bar = |index: u8| access.read_word(function, 0x10 + 4 * index);
    let index = (0..6).find(|index| bar(*index) & !0xf != 0 && bar(*index) & 1 == 0);
    let index = index.expect("a memory BAR");
    let high = if bar(index) & 0b110 == 0b100 {
        bar(index + 1)
    } else {
        0
    };
    u64::from(high) << 32 | u64::from(bar(index) & !0xf)
}

pub fn registers_are_where_nothing_else_is() {
    let bar = bar();
    assert!(memory::map_registers(bar, 4096).is_some(), "{bar:#x}");
    assert_eq!(
        memory::map_registers(bar, 4096),
        memory::map_registers(bar, 4096)
    );
    let frame = memory::allocate_frames(1).unwrap();
    let (image, image_end) = layout::image();
    let tables = bus::tables();
    let widest = 1 << 52;
    let mut bad = vec![
        ("nothing", bar, 0),
        ("a frame", frame, 4096),
        ("the end of a frame", frame + 4095, 1),
        ("the image", image, 64),
        ("the image's end", image_end - 1, 2),
        ("page 0", 0, 4096),
        ("the trampoline", layout::TRAMPOLINE.into(), 4096),
        ("the screen", 0xb8000, 4096),
        ("the firmware below 1 MiB", 0xf_0000, 0x1_0000),
        ("across 1 MiB", 0xf_f000, 0x2000),
        ("all below it", 0, bar as usize),
        ("messages", 0xfee0_0000, 4096),
        ("other messages", 0xfeef_f000, 4096),
        ("the flash", 0xffff_0000, 0x1_0000),
        ("past every CPU's width", widest, 4096),
        ("across that", widest - 4096, 8192),
        ("past the end", u64::MAX, 1),
        ("around the end", u64::MAX - 4095, 8192),
        ("everything", 0, usize::MAX),
        ("the HPET", tables.hpet.unwrap(), 8),
        ("the HPET's page", tables.hpet.unwrap() + 0xf00, 1),
    ];
    for io_apic in &tables.io_apics {
        bad.push(("an I/O APIC", io_apic.address.into(), 4));
    }
    if let Some(ecam) = tables.ecam {
        bad.push(("configuration space", ecam.address, 4096));
        bad.push(("bus 255", ecam.address + (255 << 20), 4096));
    }
    for (what, address, len_bytes) in bad {
        let mapped = memory::map_registers(address, len_bytes);
        assert_eq!(mapped, None, "{what}: {len_bytes:#x} bytes at {address:#x}");
    }
    // SAFETY: allocated above, and used by nobody.
    unsafe { memory::free_frames(frame, 1) };
    // What the kernel keeps is not in memory either.
    assert_eq!(memory::map_own_registers(frame, 4096), None);
    assert_eq!(memory::map_own_registers(widest, 4096), None);
    assert_eq!(memory::map_own_registers(bar, 0), None);
}

pub fn registers_are_mapped_page_by_page() {
    // Where nobody has asked for anything: behind all memory and in no region.
    let place = 0xc1_2345_6000;
    let mapped = || {
        let mut pages = Vec::new();
        memory::for_each_mapping(|address, _| {
            let window = layout::DEVICE_OFFSET + place - 0x10_0000
                ..=layout::DEVICE_OFFSET + place + 0x10_0000;
            if window.contains(&address.as_u64()) {
                pages.push(address.as_u64() - layout::DEVICE_OFFSET - place);
            }
        });
        pages
    };
    if memory::map_registers(place + 0xffe, 4).is_none() {
        // A CPU that does not reach there.
        assert_eq!(mapped(), []);
        return;
    }
    assert_eq!(mapped(), [0, 0x1000]);
    let before = memory::free_frame_count();
    // More than there are page tables for.
    assert_eq!(memory::map_registers(place, 1 << 38), None);
    assert_eq!(
        memory::free_frame_count(),
        before,
        "page tables that are of no use"
    );
}
