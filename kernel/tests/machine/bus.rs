//! The ACPI tables and PCI configuration space.

use alloc::{vec, vec::Vec};

use kernel::{
    bus::{
        self,
        acpi::{self, AcpiError, Firmware},
        pci,
    },
    cpu,
    interrupts::apic,
};

pub fn acpi_lists_this_cpu() {
    let tables = bus::tables();
    assert!(tables.cpus.contains(&apic::id()), "{tables:?}");
    assert!(!tables.io_apics.is_empty());
    assert_eq!(cpu::number(), 0);
}

/// Firmware memory at 0.
struct Bytes(Vec<u8>);

impl Firmware for Bytes {
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<Vec<u8>> {
        let bytes = self.0.get(address as usize..)?.get(..len_bytes)?;
        Some(bytes.to_vec())
    }
}

fn fix_checksum(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[at] = sum.wrapping_neg();
}

/// An RSDP at 64, an RSDT at 128, a MADT at 256 with `entries`.
fn firmware(entries: &[u8]) -> Bytes {
    let mut bytes = vec![0; 1024];
    let mut table = |at: usize, name: &[u8], body: &[u8]| {
        let len = 36 + body.len();
        bytes[at..at + 4].copy_from_slice(name);
        bytes[at + 4..at + 8].copy_from_slice(&(len as u32).to_le_bytes());
        bytes[at + 36..at + len].copy_from_slice(body);
        fix_checksum(&mut bytes[at..at + len], 9);
    };
    table(128, b"RSDT", &256u32.to_le_bytes());
    let madt: Vec<u8> = [0; 8].iter().chain(entries).copied().collect();
    table(256, b"APIC", &madt);
    bytes[64..72].copy_from_slice(b"RSD PTR ");
    bytes[80..84].copy_from_slice(&128u32.to_le_bytes());
    fix_checksum(&mut bytes[64..84], 8);
    Bytes(bytes)
}

const CPU_7: [u8; 8] = [0, 8, 0, 7, 1, 0, 0, 0];

pub fn acpi_refuses_a_bad_checksum() {
    let good = firmware(&CPU_7);
    assert_eq!(acpi::read(&good, 64).unwrap().cpus, [7]);
    for (at, table) in [(70, *b"RSD "), (128 + 30, *b"RSDT"), (256 + 40, *b"APIC")] {
        let mut bad = firmware(&CPU_7);
        bad.0[at] ^= 1;
        let error = acpi::read(&bad, 64).unwrap_err();
        let expected = AcpiError::Checksum { table };
        assert!(
            error == expected || at == 70 && error == AcpiError::NoRsdp,
            "{error:?}"
        );
    }
}

pub fn acpi_refuses_a_short_table() {
    let mut short = firmware(&CPU_7);
    short.0[256 + 4..256 + 8].copy_from_slice(&20u32.to_le_bytes());
    let expected = AcpiError::Length {
        table: *b"APIC",
        len_bytes: 20,
    };
    assert_eq!(acpi::read(&short, 64), Err(expected));
    let mut long = firmware(&CPU_7);
    long.0[256 + 4..256 + 8].copy_from_slice(&2000u32.to_le_bytes());
    assert_eq!(
        acpi::read(&long, 64),
        Err(AcpiError::Unreachable { address: 256 })
    );
    assert_eq!(
        acpi::read(&firmware(&[]), 5000),
        Err(AcpiError::Unreachable { address: 5000 })
    );
    assert_eq!(acpi::read(&firmware(&[]), 0), Err(AcpiError::NoRsdp));
}

pub fn acpi_refuses_an_entry_without_length() {
    for entry in [
        &[0u8, 0][..],
        &[0, 1],
        &[0, 9, 0, 7, 1, 0, 0, 0],
        &[1, 8, 0, 0, 0, 0, 0, 0],
    ] {
        let error = acpi::read(&firmware(entry), 64).unwrap_err();
        assert!(
            matches!(error, AcpiError::Length { table, .. } if table == *b"APIC"),
            "{error:?}"
        );
    }
    assert_eq!(acpi::read(&firmware(&[200, 4, 1, 2]), 64).unwrap().cpus, []);
}

/// Tables with one more, of this name.
fn with(name: &[u8], body: &[u8]) -> acpi::Tables {
    let mut bytes = firmware(&[]);
    let len = 36 + body.len();
    bytes.0[256..260].copy_from_slice(name);
    bytes.0[260..264].copy_from_slice(&(len as u32).to_le_bytes());
    bytes.0[256 + 36..256 + len].copy_from_slice(body);
    fix_checksum(&mut bytes.0[256..256 + len], 9);
    acpi::read(&bytes, 64).unwrap()
}

pub fn acpi_finds_the_power_button() {
    let fadt = |port: u32, len: u8, flags: u32, address: u64| {
        let mut body = vec![0; 244 - 36];
        body[56 - 36..60 - 36].copy_from_slice(&port.to_le_bytes());
        body[88 - 36] = len;
        body[112 - 36..116 - 36].copy_from_slice(&flags.to_le_bytes());
        body[148 - 36] = 1;
        body[152 - 36..160 - 36].copy_from_slice(&address.to_le_bytes());
        with(b"FACP", &body).power_button
    };
    assert_eq!(fadt(0x600, 4, 0, 0), Some(0x600));
    assert_eq!(fadt(0x600, 4, 0, 0xb000), Some(0xb000));
    // Described by code; no registers; not at a port.
    assert_eq!(fadt(0x600, 4, 1 << 4, 0), None);
    assert_eq!(fadt(0x600, 0, 0, 0), None);
    assert_eq!(fadt(0, 4, 0, 0), None);
    assert_eq!(fadt(0, 4, 0, 0x1_0000), None);
    assert_eq!(with(b"FACP", &[0; 40]).power_button, None);
    // QEMU's machines have one.
    assert!(bus::power::button().is_some_and(|button| !button.take_press()));
}

pub fn acpi_finds_the_timers() {
    // By the old port; by the generic address, which wins; in memory, where it is not looked for;
    // and none: no length, no port, a table that ends before.
    let fadt = |port: u32, len: u8, flags: u32, space: u8, address: u64| {
        let mut body = vec![0; 244 - 36];
        body[76 - 36..80 - 36].copy_from_slice(&port.to_le_bytes());
        body[91 - 36] = len;
        body[112 - 36..116 - 36].copy_from_slice(&flags.to_le_bytes());
        body[208 - 36] = space;
        body[212 - 36..220 - 36].copy_from_slice(&address.to_le_bytes());
        with(b"FACP", &body)
            .pm_timer
            .map(|timer| (timer.port, timer.has_32_bits))
    };
    assert_eq!(fadt(0x608, 4, 0x100, 1, 0), Some((0x608, true)));
    assert_eq!(fadt(0x608, 4, 0, 1, 0xb008), Some((0xb008, false)));
    assert_eq!(fadt(0x608, 4, 0, 0, 0xfed0_0000), None);
    assert_eq!(fadt(0x608, 0, 0, 1, 0), None);
    assert_eq!(fadt(0, 4, 0, 1, 0), None);
    assert_eq!(fadt(0x1_0000, 4, 0, 1, 0), None);
    assert_eq!(with(b"FACP", &[0; 40]).pm_timer, None);

    let hpet = |space: u8, address: u64| {
        let mut body = vec![0; 56 - 36];
        body[4] = space;
        body[8..16].copy_from_slice(&address.to_le_bytes());
        with(b"HPET", &body).hpet
    };
    assert_eq!(hpet(0, 0xfed0_0000), Some(0xfed0_0000));
    assert_eq!(hpet(1, 0xfed0_0000), None);
    assert_eq!(hpet(0, 0), None);
    assert_eq!(with(b"HPET", &[0; 10]).hpet, None);
}

pub fn pci_ways_agree() {
    let ids = |access| -> Vec<_> {
        pci::enumerate(&access)
            .iter()
            .map(|found| (found.vendor, found.device))
            .collect()
    };
    let ports = ids(pci::Access::PORTS);
    assert!(
        ports.contains(&(0x1af4, 0x1054)),
        "no virtio-crypto among {ports:x?}"
    );
    if bus::tables().ecam.is_some() {
        assert_ne!(bus::pci_access(), pci::Access::PORTS);
    }
    assert_eq!(ids(bus::pci_access()), ports);
}
