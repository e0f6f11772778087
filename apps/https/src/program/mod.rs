//! A unikernel that serves HTTPS; the key of its certificate is in the crypto device.
//!
//! ```text
//! mod       reads the words and the files, starts the workers, ends in order
//! serving   workers: connections, requests, answers
//! stream    TLS on a socket
//! keeper    who signs, and what becomes of that when the device is recovered
//! signers   sessions of the device with the key
//! files     files of an encrypted disk
//! counts    what is counted
//! stop      the end, as workers hear of it
//! ```
//!
//! Words of the command line:
//!
//! | word | default | |
//! |---|---|---|
//! | `sockets=96` | 96, or fewer | connections at once |
//! | `sign=device` | `device` | who signs: `device` or `software` |
//! | `verify=device` | `off` | the device verifies each signature of RSA before it is sent |
//! | `handshake=10`, `silence=30` | | seconds that a handshake and a silent connection may take |
//! | `grace=15` | | seconds that connections have to end, at the end |
//! | `log=off` | `on` | a line a request |
//! | `idle=poll` | `halt` | what a CPU does with nothing to do |
//! | `recover=500` | | recovers the device each so many milliseconds, for tests |
//! | `shutdown=allowed` | | `POST /shutdown` ends the server, as the power button does |

mod counts;
mod files;
mod keeper;
mod serving;
mod signers;
mod stop;
mod stream;

use alloc::{boxed::Box, format, string::ToString, sync::Arc, vec::Vec};
use core::net::Ipv4Addr;

use common::{
    net::{Addresses, Network},
    random,
};
use https::{
    pages::Machine,
    tls::{
        Abilities, Identity, KeyKind, MIN_MODULUS_BITS, PrivateKey, Server, SoftwareKey, Sources,
    },
};
use kernel::{
    bench::measure,
    bus::power::{self, Button},
    command_line::{self, choice, number_in},
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode},
    memory::heap,
    println, smp,
    task::executor,
    time,
};
use virtio_crypto::{InterruptMode, Options};

use self::{
    files::Files,
    keeper::{InDevice, Keeper, read_files},
    serving::{PORT, Shared},
    signers::{Refused, Signers},
    stop::Stop,
};

const WORDS: &[&str] = &[
    "grace=",
    "handshake=",
    "idle=",
    "log=",
    "recover=",
    "shutdown=",
    "sign=",
    "silence=",
    "sockets=",
    "verify=",
];
/// Where QEMU's user network has its guest, and itself.
const ADDRESSES: Addresses = Addresses {
    own: Ipv4Addr::new(10, 0, 2, 15),
    prefix_len: 24,
    gateway: Ipv4Addr::new(10, 0, 2, 2),
};
const NS_PER_S: u64 = 1_000_000_000;
/// Connections at once, where the heap has room for them.
const MOST_SOCKETS: u64 = 96;
/// Bytes of the heap for one: 48 KiB for its place, and for what it holds at most while it is
/// served 35 KiB of what came, 17 of what goes, 16 of a body, and the rest for TLS.
const CONNECTION_LEN: usize = 128 << 10;
/// How often the power button is looked at.
const LOOK_NS: u64 = 100_000_000;

/// Random bytes, or the end: no key is made of anything else.
fn fill(bytes: &mut [u8]) {
    if let Err(error) = random::fill(bytes) {
        exit::fail(format_args!("https: {error}"));
    }
}

fn random_number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Serves until it is told to end.
pub fn main() -> ! {
    command_line::expect(WORDS);
    smp::start_all();
    let seed = random_number();
    let (identity, key) = match read_files() {
        Some(Ok(read)) => read,
        Some(Err(fault)) => exit::fail(format_args!("https: {fault}")),
        None => exit::fail(format_args!(
            "https: no certificate: give QEMU -fw_cfg name=opt/https/key,file=.. and \
             name=opt/https/certificate,file=.. (./run.sh app https makes some)"
        )),
    };
    let device = match crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default()) {
        Ok(device) => device,
        Err(error) => exit::fail(format_args!("https: virtio-crypto: {error}")),
    };
    let sign = choice("sign", &["device", "software"]);
    let files = open_files(device.as_ref());
    let (keeper, abilities) = match (sign, device) {
        ("software", _) => in_software(&key),
        (_, Some(device)) => in_device(device, &identity, &key),
        (_, None) => exit::fail(format_args!(
            "https: no virtio-crypto device: start QEMU with -device virtio-crypto-pci, or say \
             sign=software"
        )),
    };
    // The device has it, or the software that signs; this copy is wiped.
    drop(key);
    let network = match Network::open(ADDRESSES, seed) {
        Ok(network) => network,
        Err(error) => exit::fail(format_args!("https: {error}")),
    };
    serve(identity, keeper, abilities, network, files, sign)
}

fn open_files(device: Option<&Arc<CryptoDevice>>) -> Option<Files> {
    match executor::block_on(Files::open(device)) {
        Ok(files) => files,
        Err(why) => exit::fail(format_args!("https: no files: {why}")),
    }
}

fn in_software(key: &PrivateKey) -> (Keeper, Abilities) {
    let Some(software) = SoftwareKey::new(key, fill) else {
        exit::fail(format_args!("https: the key computes nothing"));
    };
    let abilities = match key.kind() {
        KeyKind::Rsa { modulus_bits } if modulus_bits >= MIN_MODULUS_BITS => {
            Abilities::Pss { modulus_bits }
        }
        KeyKind::Rsa { .. } => Abilities::Pkcs1,
        KeyKind::P256 => Abilities::Ecdsa,
    };
    (Keeper::Software(software), abilities)
}

fn in_device(
    device: Arc<CryptoDevice>,
    identity: &Identity,
    key: &PrivateKey,
) -> (Keeper, Abilities) {
    crypto::watch(&device);
    measure::idle_by_word(&device);
    let verify = choice("verify", &["off", "device"]) == "device";
    let found = executor::block_on(Signers::find(&device, identity, key, verify));
    match found {
        Ok((signers, choice)) => {
            let abilities = choice.abilities(identity.kind);
            (
                Keeper::Device(InDevice::new(device, signers, choice)),
                abilities,
            )
        }
        Err(refused) => {
            let why = match refused {
                Refused::Error(error) => error.to_string(),
                Refused::Wrong => "what it signs is no signature".to_string(),
            };
            let others = match identity.kind {
                KeyKind::Rsa { .. } => "QEMU 7.2 signs with RSA, Debian's 10 and 11 do not",
                KeyKind::P256 => "QEMU's devices have no ECDSA",
            };
            exit::fail(format_args!(
                "https: the device does not sign with {}: {why}. {others}; the project's own \
                 device does (./run.sh device). sign=software serves without one",
                identity.kind
            ))
        }
    }
}

fn serve(
    identity: Identity,
    keeper: Keeper,
    abilities: Abilities,
    network: Network,
    files: Option<Files>,
    sign: &'static str,
) -> ! {
    let sockets = sockets();
    let sources = Sources {
        fill,
        now_s: || time::now_ns() / NS_PER_S,
    };
    let server = Server::new(identity.chain.clone(), abilities, sources);
    let keeper: &'static Keeper = Box::leak(Box::new(keeper));
    let cpus = smp::online();
    let machine = machine(&identity, keeper, abilities, sign, cpus);
    let shared = Shared {
        network,
        keeper,
        machine,
        files,
        identity,
        stop: Stop::new(sockets),
        handshake_ns: number_in("handshake", 10, 1..=600) * NS_PER_S,
        silence_ns: number_in("silence", 30, 1..=3600) * NS_PER_S,
        has_log: choice("log", &["on", "off"]) == "on",
        may_shut_down: choice("shutdown", &["no", "allowed"]) == "allowed",
    };
    let shared: &'static Shared = Box::leak(Box::new(shared));
    expect_room(executor::spawn(network.run())).detach();
    let mut workers: Vec<_> = (0..sockets)
        .map(|worker| {
            // A client gets the first place that is free. Made by the workers themselves, those of
            // one CPU would all come first.
            let socket = serving::socket(shared.network);
            let work = serving::work(shared, worker, socket, server.seat());
            expect_room(executor::spawn_on(worker as u32 % cpus, work))
        })
        .collect();
    let grace_ns = number_in("grace", 15, 1..=600) * NS_PER_S;
    let recover_ms = number_in("recover", 0, 0..=3_600_000);
    if let (Keeper::Device(device), 1..) = (keeper, recover_ms) {
        let recovering = async move {
            loop {
                time::sleep_ns(recover_ms * 1_000_000).await;
                if !device.recover(device.life()) {
                    break;
                }
            }
        };
        expect_room(executor::spawn(recovering)).detach();
    }
    let button = power::button();
    let Machine {
        key, tls, device, ..
    } = &shared.machine;
    println!(
        "https: listening address={} port={PORT} key={key} tls={tls} sign={sign} cpus={cpus} \
         sockets={sockets} files={} device=\"{device}\"",
        ADDRESSES.own,
        shared.files.as_ref().map_or(0, Files::count),
    );
    executor::block_on(until_end(shared, button));
    println!("https: ending");
    let ended = executor::block_on(time::timeout(grace_ns, async {
        for worker in &mut workers {
            worker.await;
        }
    }));
    if ended.is_err() {
        let left = workers.iter().filter(|worker| !worker.is_finished());
        println!("https: {} connections were cut off", left.count());
    }
    // Ends those that are left; one that runs on another CPU right now meets the end of signatures.
    drop(workers);
    executor::block_on(shared.keeper.end());
    end(shared)
}

/// How many connections there may be at once: what is asked for, or what the heap has room for.
fn sockets() -> usize {
    let room = (heap::free_bytes() / CONNECTION_LEN) as u64;
    let asked = number_in("sockets", MOST_SOCKETS.min(room).max(1), 1..=512);
    if asked > room {
        exit::fail(format_args!(
            "https: the heap has room for {room} connections at once, not for {asked}: fewer \
             sockets=, or more memory or heap=MIB"
        ));
    }
    asked as usize
}

/// Waits for the power button, or for somebody who may say so.
async fn until_end(shared: &Shared, button: Option<Button>) {
    let is_pressed = || button.as_ref().is_some_and(Button::take_press);
    while !shared.stop.is_said() {
        if is_pressed() {
            shared.stop.say();
        }
        time::sleep_ns(LOOK_NS).await;
    }
}

fn end(shared: &'static Shared) -> ! {
    let figures = counts::figures(shared.network, shared.keeper.device());
    if let Some(device) = shared.keeper.device()
        && let Err(error) = device.shutdown(NS_PER_S)
    {
        exit::fail(format_args!("https: virtio-crypto: {error}"));
    }
    println!(
        "https: connections={} handshakes={} resumed={} failed={} requests={} signatures={} \
         in_flight_max={} recoveries={} repeated={} unhandled={} signature_p50_us={} \
         signature_p99_us={} handshake_p50_us={} handshake_p99_us={} net_interrupts={} \
         heap_bytes={}",
        figures.connections,
        figures.handshakes,
        figures.handshakes_resumed,
        figures.connections_failed,
        figures.requests,
        figures.signatures,
        figures.signatures_in_flight_max,
        figures.device_recoveries,
        figures.signatures_repeated,
        figures.device_interrupts_unhandled,
        figures.signature.p50_ns / 1000,
        figures.signature.p99_ns / 1000,
        figures.handshake.p50_ns / 1000,
        figures.handshake.p99_ns / 1000,
        figures.net_interrupts,
        figures.heap_bytes,
    );
    println!("https: pass");
    exit::exit(ExitCode::Success)
}

/// Says what serves.
fn machine(
    identity: &Identity,
    keeper: &Keeper,
    abilities: Abilities,
    sign: &'static str,
    cpus: u32,
) -> Machine {
    let device = match keeper.device() {
        Some(device) => format!(
            "data queues: {}, {}",
            device.data_queues(),
            interrupts(device.interrupt_mode())
        ),
        None => "none: software signs".to_string(),
    };
    Machine {
        sign,
        key: identity.kind.to_string(),
        tls: abilities.versions_text(),
        device,
        cpus: cpus.into(),
    }
}

/// How the device's interrupts come, in words.
fn interrupts(mode: InterruptMode) -> &'static str {
    match mode {
        InterruptMode::PerQueue => "an interrupt for each",
        InterruptMode::SharedQueues => "one interrupt for all",
        InterruptMode::Shared => "one interrupt for everything",
        InterruptMode::Intx => "a shared interrupt line",
        _ => "no interrupts",
    }
}

/// Takes a task that was started, or ends the run.
fn expect_room<T>(task: Result<T, executor::TooManyTasks>) -> T {
    match task {
        Ok(task) => task,
        Err(full) => exit::fail(format_args!(
            "https: room for {} tasks a CPU alone: fewer sockets=, or more tasks=",
            full.max
        )),
    }
}
