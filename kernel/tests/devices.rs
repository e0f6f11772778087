//! Several devices: on lines that they share, with more vectors than they need or fewer, and on
//! buses that no bridge leads to.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};

use kernel::{
    bus::{self, pci},
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    interrupts::vectors,
    println, smp,
    task::executor,
    testing, time,
};
use spin::{Mutex, Once};
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, InterruptMode, Options, transport::MsixEntry,
};

kernel::tests! {
    machines: [
        "devices=3 vectors=0 append=count=3",
        "devices=4 vectors=0 machine=pc append=count=4",
        "devices=5 append=count=5",
        "devices=16 vectors=2048 append=count=16",
        "smp=4 devices=5 vectors=66 append=count=5",
        "devices=2 iommu=on device=iommu_platform=on append=count=2",
        "devices=0 append=count=1 args=-object,,cryptodev-backend-builtin,id=c0\
        ,,-device,,pxb-pcie,id=px,bus_nr=64,,-device,,pcie-root-port,id=rp,bus=px,chassis=1\
        ,,-device,,virtio-crypto-pci,cryptodev=c0,bus=rp",
        "devices=0 machine=pc append=count=1 args=-object,,cryptodev-backend-builtin,id=c0\
        ,,-device,,pxb,id=px,bus_nr=64,,-device,,virtio-crypto-pci,cryptodev=c0,bus=px,addr=3",
    ],
    tests: [
        every_device_is_found,
        devices_answer_side_by_side,
        queues_interrupt_the_cpus_that_use_them,
        one_more_joins_while_the_others_are_busy,
        vectors_that_are_left_are_enough,
    ],
}

const KEY: [u8; 16] = [0x42; 16];
const IV: [u8; 16] = [0x17; 16];
const SECOND_NS: u64 = 1_000_000_000;

static OPEN: Mutex<Vec<Arc<CryptoDevice>>> = Mutex::new(Vec::new());

fn count() -> usize {
    command_line::value("count").unwrap().parse().unwrap()
}

/// Opens devices until so many are open.
fn open_up_to(count: usize) {
    static STARTED: Once<()> = Once::new();
    STARTED.call_once(|| assert_eq!(smp::start_all(), 0, "CPUs did not come up"));
    let mut open = OPEN.lock();
    while open.len() < count {
        let options = Options::default();
        let device = crypto::open_crypto(open.len(), Reach::Pci, Wiring::Best, options);
        open.push(device.unwrap().expect("a device"));
    }
}

fn devices() -> Vec<Arc<CryptoDevice>> {
    OPEN.lock().clone()
}

async fn use_it(device: &Arc<CryptoDevice>, rounds: u8) {
    let open = |direction| Cipher::open(device, CipherAlgorithm::AesCbc, direction, &KEY);
    let encrypt = open(Direction::Encrypt).await.unwrap();
    let decrypt = open(Direction::Decrypt).await.unwrap();
    for round in 0..rounds {
        let mut data = [round; 64];
        encrypt.process_slice(&IV, &mut data).await.unwrap();
        assert_ne!(data, [round; 64]);
        decrypt.process_slice(&IV, &mut data).await.unwrap();
        assert_eq!(data, [round; 64]);
    }
    encrypt.close().await.unwrap();
    decrypt.close().await.unwrap();
}

/// Uses all that are open at the same time. Nobody polls: where one's interrupts go astray it never
/// ends.
fn use_all(rounds: u8) {
    let devices = devices();
    let all = crypto::join_all(devices.iter().map(|device| use_it(device, rounds)));
    let limit_ns = 30 * SECOND_NS;
    let modes = || devices.iter().map(|device| device.interrupt_mode());
    let ended = executor::block_on(time::timeout(limit_ns, all)).is_ok();
    assert!(ended, "stuck: {:?}", modes().collect::<Vec<_>>());
    for device in devices {
        // What another device on the line raised is not held against it.
        let stats = device.interrupt_stats();
        assert_eq!(
            stats.unhandled,
            0,
            "{:?}: {stats:?}",
            device.interrupt_mode()
        );
    }
}

fn every_device_is_found() {
    let found = crypto::find_crypto();
    assert_eq!(found.len(), count(), "{found:?}");
    let access = bus::pci_access();
    let mut lines: Vec<_> = found
        .iter()
        .map(|function| pci::interrupt_line(&access, *function))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    // The others of these tests are about lines that are shared.
    assert!(found.len() < 3 || lines.len() < found.len(), "{lines:?}");
}

fn devices_answer_side_by_side() {
    open_up_to(count() - count() / 2);
    use_all(20);
    for device in devices() {
        assert_ne!(device.interrupt_mode(), InterruptMode::Polling);
    }
}

/// A device may have any number of data queues; QEMU's builtin backend has one.
fn queues_interrupt_the_cpus_that_use_them() {
    open_up_to(1);
    let device = devices().remove(0);
    if device.interrupt_mode() != InterruptMode::PerQueue {
        return testing::does_not_apply("this machine's queues have no vectors of their own");
    }
    let queues = device.data_queues();
    let entries = (0..).map(MsixEntry).take(2 + queues);
    let mut numbers: Vec<_> = entries
        .map(|entry| crypto::vector_of(&device, entry).unwrap().number())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 2 + queues, "{numbers:?}");
    for queue in 0..queues {
        let cpu = crypto::first_cpu_of(&device, MsixEntry(1 + queue as u16));
        let user = if queues > 1 {
            queue as u32 % smp::online()
        } else {
            0
        };
        assert_eq!(cpu, Some(user), "data queue {queue} of {queues}");
    }
    let submitted = || (0..queues).map(|queue| device.data_queue_stats(queue).unwrap().submitted);
    let before: Vec<_> = submitted().collect();
    // Each CPU awaits answers that nobody polls for.
    let tasks: Vec<_> = (0..smp::online())
        .map(|cpu| {
            let device = device.clone();
            executor::spawn_on(cpu, async move { use_it(&device, 20).await }).unwrap()
        })
        .collect();
    executor::block_on(crypto::join_all(tasks));
    let used = submitted().zip(before).filter(|(now, before)| now > before);
    assert_eq!(used.count(), queues.min(smp::online() as usize));
    println!(
        "devices: data_queues={queues} cpus={} vectors={}",
        smp::online(),
        numbers.len()
    );
}

fn one_more_joins_while_the_others_are_busy() {
    let busy: Vec<_> = devices()
        .into_iter()
        .map(|device| executor::spawn(async move { use_it(&device, 60).await }).unwrap())
        .collect();
    let next = count().min(devices().len() + 1);
    executor::block_on(executor::yield_now());
    open_up_to(next);
    use_all(20);
    executor::block_on(crypto::join_all(busy));
}

fn vectors_that_are_left_are_enough() {
    open_up_to(count().saturating_sub(2));
    let before = devices();
    while vectors::left() > 2 {
        vectors::allocate(|_| ()).unwrap();
    }
    // For the first that comes now two are left: one for the configuration, one for all queues. The
    // second has to do with its line, which it shares with devices before.
    open_up_to(count());
    use_all(20);
    let devices = devices();
    let has_lines = before
        .iter()
        .any(|device| device.interrupt_mode() == InterruptMode::Intx);
    let late = [InterruptMode::SharedQueues, InterruptMode::Intx];
    for (device, mode) in devices[before.len()..].iter().zip(late) {
        let mode = if has_lines { InterruptMode::Intx } else { mode };
        assert_eq!(device.interrupt_mode(), mode);
    }
}
