//! Linux's driver as user space reaches it: sockets, keys, interrupts.
//!
//! For the benchmarks and for the known answers. The one rule: an algorithm is asked for by the
//! name of the driver's own implementation.

use std::{
    error::Error,
    fs,
    io::IoSlice,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, AlgAddr, ControlMessage, MsgFlags, SockFlag, SockType, bind, sendmsg,
    setsockopt, socket, sockopt::AlgSetKey,
};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The driver by its own name, so that no other implementation can take its place.
pub const DRIVER: &str = "virtio_crypto_aes_cbc";
/// `ALG_OP_ENCRYPT`.
pub const ENCRYPT: i32 = 1;
/// `pkcs1pad(rsa)`, which is the name that the device's driver has it under.
pub const PKCS1: &str = "enc=pkcs1";
pub const RSA_KEY: &[u8] = include_bytes!("../../../../../driver/testdata/rsa/2048.pkcs8.der");
pub const RSA_ENCRYPTED: &[u8] =
    include_bytes!("../../../../../driver/testdata/rsa/2048.encrypted");
pub const RSA_MESSAGE: &[u8] = include_bytes!("../../../../../driver/testdata/rsa/message");
/// `KEY_SPEC_PROCESS_KEYRING`.
pub const PROCESS_KEYRING: i32 = -2;

pub fn open(key: &[u8]) -> Outcome<OwnedFd> {
    let socket = socket(
        AddressFamily::Alg,
        SockType::SeqPacket,
        SockFlag::empty(),
        None,
    )?;
    bind(socket.as_raw_fd(), &AlgAddr::new("skcipher", DRIVER))
        .map_err(|error| format!("{DRIVER}: {error}"))?;
    setsockopt(&socket, AlgSetKey::default(), &key)?;
    Ok(socket)
}

/// Encrypts or decrypts `data` in place, through the kernel's copies.
pub fn process(request: &OwnedFd, operation: i32, iv: &[u8; 16], data: &mut [u8]) -> Outcome<()> {
    let control = [
        ControlMessage::AlgSetOp(&operation),
        ControlMessage::AlgSetIv(iv),
    ];
    let parts = [IoSlice::new(data)];
    let fd = request.as_raw_fd();
    let sent = sendmsg::<AlgAddr>(fd, &parts, &control, MsgFlags::empty(), None)?;
    let received = rustix::io::read(request, &mut *data)?;
    if sent == data.len() && received == data.len() {
        Ok(())
    } else {
        Err(format!("{sent} bytes sent, {received} received").into())
    }
}

/// How many interrupts of virtio devices all CPUs have taken.
pub fn device_interrupts() -> Outcome<u64> {
    let table = fs::read_to_string("/proc/interrupts")?;
    let lines = table.lines().filter(|line| line.contains("virtio"));
    let counts = lines.flat_map(|line| {
        let counts = line.split_whitespace().skip(1);
        counts.map_while(|word| word.parse::<u64>().ok())
    });
    Ok(counts.sum())
}
