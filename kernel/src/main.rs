//! The demonstration: finds a virtio-crypto device, and encrypts and decrypts with it.
#![no_std]
#![no_main]

use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{ExitCode, exit},
    interrupts::apic,
    memory::{self, heap},
    println,
    task::executor,
    testing, time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Options};

kernel::entry!(main);

/// Words that the command line may hold.
const WORDS: &[&str] = &["demo", "polling", "intx"];

fn main() -> ! {
    command_line::expect(WORDS);
    println!(
        "machine: {} CPUs listed, {} at {} MHz, {} MiB free, {} KiB heap",
        crypto::tables().cpus.len(),
        apic::mode(),
        time::tsc_hz() / 1_000_000,
        (memory::free_frame_count() * memory::FRAME_LEN) >> 20,
        heap::HEAP_LEN >> 10,
    );
    let has = |word| command_line::words().any(|given| given == word);
    let wiring = match (has("polling"), has("intx")) {
        (true, _) => Wiring::Polling,
        (false, true) => Wiring::Intx,
        (false, false) => Wiring::Best,
    };
    let device = match crypto::open_crypto(0, Reach::Pci, wiring, Options::default()) {
        Ok(Some(device)) => device,
        Ok(None) => testing::give_up(format_args!(
            "no virtio-crypto device (PCI 1af4:1054): start QEMU with -device virtio-crypto-pci"
        )),
        Err(error) => testing::give_up(format_args!("virtio-crypto: {error}")),
    };
    println!(
        "device: {:?}, interrupts {:?}",
        device.features(),
        device.interrupt_mode()
    );
    println!("device: {:?}", device.capabilities());
    crypto::watch(&device);
    match executor::block_on(demonstrate(&device)) {
        Ok(()) => {}
        Err(error) => testing::give_up(format_args!("virtio-crypto: {error}")),
    }
    println!("control queue: {:?}", device.control_stats());
    println!("data queue: {:?}", device.data_stats());
    println!("interrupts: {:?}", device.interrupt_stats());
    match device.shutdown(1_000_000_000) {
        Ok(drained) => println!("shutdown: {drained:?}"),
        Err(error) => testing::give_up(format_args!("virtio-crypto: {error}")),
    }
    println!("demo: pass");
    exit(ExitCode::Success);
}

async fn demonstrate(device: &CryptoDevice) -> Result<(), Error> {
    let encrypt = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY).await?;
    let decrypt = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Decrypt, &KEY).await?;

    let mut data = PLAINTEXT;
    encrypt.process_slice(&IV, &mut data).await?;
    assert_eq!(data, CIPHERTEXT, "NIST SP 800-38A, F.2.1");
    println!(
        "AES-128-CBC encryption of {} bytes: as in NIST SP 800-38A, F.2.1",
        data.len()
    );

    let buffer = DmaBuffer::from_slice(&data)?;
    let buffer = decrypt.process(&IV, buffer).await?;
    assert_eq!(buffer[..], PLAINTEXT, "NIST SP 800-38A, F.2.2");
    println!("AES-128-CBC decryption, zero copy: as in NIST SP 800-38A, F.2.2");

    encrypt.close().await?;
    decrypt.close().await
}

const KEY: [u8; 16] = *b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c";
const IV: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
const PLAINTEXT: [u8; 64] = *b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a\
\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51\
\x30\xc8\x1c\x46\xa3\x5c\xe4\x11\xe5\xfb\xc1\x19\x1a\x0a\x52\xef\
\xf6\x9f\x24\x45\xdf\x4f\x9b\x17\xad\x2b\x41\x7b\xe6\x6c\x37\x10";
const CIPHERTEXT: [u8; 64] = *b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d\
\x50\x86\xcb\x9b\x50\x72\x19\xee\x95\xdb\x11\x3a\x91\x76\x78\xb2\
\x73\xbe\xd6\xb8\xe3\xc1\x74\x3b\x71\x16\xe6\x9e\x22\x22\x95\x16\
\x3f\xf1\xca\xa1\x68\x1f\xac\x09\x12\x0e\xca\x30\x75\x86\xe1\xa7";
