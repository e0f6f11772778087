//! A disk in QEMU: many requests, requests that nobody waits for any more, and requests that are
//! refused.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};
use core::{
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use common::disk::{Buffer, Disk, DiskError, Failed, MOST_LEN, SECTOR_LEN, SetupError};
use kernel::{memory, task::executor, time};
use spin::Once;

kernel::tests! {
    // Every request takes 30 ms.
    machines: [
        "args=-blockdev,,driver=null-co,node-name=disk,size=16777216,latency-ns=30000000,,\
         -device,,virtio-blk-pci,drive=disk",
        "smp=2 machine=pc \
         args=-blockdev,,driver=null-co,node-name=disk,size=16777216,latency-ns=30000000,,\
         -device,,virtio-blk-pci,drive=disk",
    ],
    tests: [
        disk_is_set_up_once,
        disk_has_many_requests_in_flight,
        more_requests_than_slots_wait_for_one,
        dropped_in_flight_keeps_its_buffer,
        dropped_before_it_has_a_slot_sends_nothing,
        refused_requests_bring_their_buffers_back,
    ],
}

const SECTORS: u64 = 32768;
const LATENCY_NS: u64 = 30_000_000;
/// Requests that the disk takes at once.
const SLOTS: usize = 21;

type Reading<'d> = Pin<Box<dyn Future<Output = Result<Buffer, Failed>> + Send + 'd>>;

fn disk() -> Disk {
    static DISK: Once<Disk> = Once::new();
    *DISK.call_once(|| Disk::open(0).expect("a disk"))
}

fn buffer() -> Buffer {
    Buffer::new(4096).expect("a page")
}

fn readings(disk: &Disk, count: usize) -> Vec<Reading<'_>> {
    let reading = |number| -> Reading<'_> { Box::pin(disk.read(8 * number as u64, buffer())) };
    (0..count).map(reading).collect()
}

/// Has each sent, as far as there are slots.
fn begin(readings: &mut [Reading<'_>]) {
    let mut context = Context::from_waker(Waker::noop());
    for reading in readings {
        assert!(reading.as_mut().poll(&mut context).is_pending());
    }
}

fn disk_is_set_up_once() {
    assert_eq!(disk().sectors(), SECTORS);
    assert!(!disk().is_read_only());
    assert_eq!(Disk::open(0).unwrap_err(), SetupError::Taken);
    assert_eq!(Disk::open(1).unwrap_err(), SetupError::Missing { disks: 1 });
    executor::block_on(disk().flush()).unwrap();
}

fn disk_has_many_requests_in_flight() {
    let disk = disk();
    let mut all = readings(&disk, SLOTS);
    let begun_ns = time::now_ns();
    begin(&mut all);
    executor::block_on(async {
        for reading in all {
            assert_eq!(reading.await.unwrap().len(), 4096);
        }
    });
    let took_ns = time::now_ns() - begun_ns;
    assert!(
        took_ns < SLOTS as u64 / 2 * LATENCY_NS,
        "one after the other: {took_ns} ns"
    );
}

fn more_requests_than_slots_wait_for_one() {
    let disk = disk();
    let tasks: Vec<_> = (0..4 * SLOTS as u64)
        .map(|number| {
            let write = async move { disk.write(8 * number, buffer()).await.map(drop) };
            executor::spawn(write).expect("room for a task")
        })
        .collect();
    executor::block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn dropped_in_flight_keeps_its_buffer() {
    let disk = disk();
    let before = memory::free_frame_count();
    let mut all = readings(&disk, SLOTS);
    begin(&mut all);
    assert_eq!(memory::free_frame_count(), before - SLOTS);
    drop(all);
    // The disk may still write to them.
    assert_eq!(memory::free_frame_count(), before - SLOTS);
    // Their slots come free, and with them the buffers.
    executor::block_on(async {
        for _ in 0..2 {
            disk.read(0, buffer()).await.unwrap();
            time::sleep_ns(2 * LATENCY_NS).await;
        }
        disk.read(0, buffer()).await.unwrap();
    });
    assert_eq!(memory::free_frame_count(), before);
}

fn dropped_before_it_has_a_slot_sends_nothing() {
    let disk = disk();
    let before = memory::free_frame_count();
    let mut all = readings(&disk, SLOTS + 5);
    begin(&mut all);
    let without_slot = all.split_off(SLOTS);
    drop(without_slot);
    assert_eq!(memory::free_frame_count(), before - SLOTS);
    executor::block_on(async {
        for reading in all {
            reading.await.unwrap();
        }
    });
    assert_eq!(memory::free_frame_count(), before);
}

fn refused_requests_bring_their_buffers_back() {
    let disk = disk();
    let len = |len_bytes| DiskError::Length { len_bytes };
    let beyond = |first_sector| DiskError::BeyondEnd {
        first_sector,
        sectors: SECTORS,
    };
    let too_long = MOST_LEN + SECTOR_LEN;
    executor::block_on(async {
        for (first_sector, len_bytes, error) in [
            (0, 0, len(0)),
            (0, 513, len(513)),
            (0, too_long, len(too_long)),
            (SECTORS, 512, beyond(SECTORS)),
            (SECTORS - 1, 1024, beyond(SECTORS - 1)),
            (u64::MAX, 512, beyond(u64::MAX)),
        ] {
            let buffer = || Buffer::new(len_bytes).expect("memory");
            for failed in [
                disk.read(first_sector, buffer()).await.unwrap_err(),
                disk.write(first_sector, buffer()).await.unwrap_err(),
            ] {
                assert_eq!(failed.error, error);
                assert_eq!(failed.buffer.map(|buffer| buffer.len()), Some(len_bytes));
            }
        }
        let last = disk
            .read(SECTORS - 1, Buffer::new(512).expect("memory"))
            .await;
        assert_eq!(last.unwrap().len(), 512);
    });
}
