//! The rings against device halves by another hand, across the index's wrap.

use alloc::{vec, vec::Vec};
use core::{
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU16, Ordering, fence},
    task::Poll,
};
use std::{
    thread,
    time::{Duration, Instant},
};

use super::requests::join;
use crate::{
    Direction, DmaBuffer, Features, Options,
    dma::DmaRegion,
    fake::{
        Alone, FakePlatform, IV, KEY, Rig, Setup, View, is_packed, memory, oracle, poll_once,
        request, ring_field, run, times,
    },
    transport::QueueAddresses,
    virtqueue::{
        Available, AvailableHalf, Chain, Format, Outstanding, Ring, RingLayout, Tables, Used,
        UsedHalf, need_event,
    },
};

#[test]
fn every_event_is_judged_by_the_indices_that_were_stepped_over() {
    const LEN: usize = 1 << 16;
    for old in [0u16, 0x7fff, 0xfffe] {
        let mut stepped_over = vec![false; LEN];
        for step in 0..LEN {
            let new = old.wrapping_add(step as u16);
            // All steps that a queue can take, and those at which arithmetic may go wrong.
            if step <= 66 || step.is_power_of_two() || (step + 2).is_power_of_two() {
                let events = (0..=u16::MAX).zip(&stepped_over);
                for (event, stepped_over) in events.step_by(times(1, 4099)) {
                    assert_eq!(
                        need_event(event, new, old),
                        *stepped_over,
                        "{event} {new} {old}"
                    );
                }
            }
            stepped_over[usize::from(new)] = true;
        }
    }
}

#[test]
fn batches_cross_the_wrap_without_losing_a_kick() {
    for refuse in [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
    ] {
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let setup = Setup {
            queue_sizes: [256, 64],
            ..Setup::default()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        run(async {
            let session = rig.open().await.unwrap();
            let expected = oracle(&KEY, &IV, &[1; 16]);
            let mut sent = 0u32;
            let mut round = 0;
            // Beyond what a split ring's index counts; a packed ring's place comes round sooner.
            let requests = if is_packed() { 4000 } else { 0x1_0000 + 200 };
            while sent < times(requests, 150) {
                round += 1;
                let mut data = vec![[1u8; 16]; 1 + round % 61];
                sent += data.len() as u32;
                let requests: Vec<_> = data
                    .iter_mut()
                    .map(|data| session.process_slice(&IV, data))
                    .collect();
                rig.device.batch(join(requests)).await;
                assert!(data.iter().all(|data| data[..] == expected));
            }
        });
        let stats = rig.device.data_stats();
        assert_eq!(
            (stats.submitted, stats.published),
            (stats.completed, stats.completed)
        );
    }
}

#[test]
fn kick_says_how_far_the_driver_has_come() {
    for refuse in [Features::empty(), Features::INDIRECT_DESC] {
        let setup = Setup {
            features: Setup::default().features | Features::NOTIFICATION_DATA,
            ..Setup::default()
        };
        let options = Options {
            refuse: refuse | Features::EVENT_IDX,
            ..Rig::options()
        };
        let rig = Rig::new(setup, options).unwrap();
        let session = rig.session(Direction::Encrypt);
        // Of a split ring the entries count, of a packed one the descriptors: a short request takes
        // two.
        let step = match is_packed() && refuse == Features::INDIRECT_DESC {
            true => 2,
            false => 1,
        };
        for sent in 1..=150u16 {
            let mut request = request(&session);
            let position = sent * step;
            let expected = match is_packed() {
                true => (position % 64) | (u16::from((position / 64).is_multiple_of(2)) << 15),
                false => position,
            };
            assert_eq!(rig.fake.position(0), Some(expected), "{sent}");
            rig.fake.serve(0, 1);
            assert!(poll_once(request.as_mut()).is_ready());
        }
    }
}

/// The device marks the head of a chain alone as used. The flags of the others stay as the driver
/// wrote them, and the lap after that one bit of them is that of a used one.
#[test]
fn descriptors_inside_chains_of_the_lap_before_are_not_used() {
    let options = Options {
        refuse: Features::INDIRECT_DESC,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    // Chains of two lengths: in each lap the heads lie elsewhere.
    for sent in 0..times(150, 50) {
        let mut short = request(&session);
        assert_eq!(rig.fake.serve(0, 1), 1);
        assert_eq!(poll_once(short.as_mut()), Poll::Ready(Ok(())), "{sent}");
        let mut long = pin!(session.process(&IV, DmaBuffer::new(32).unwrap()));
        assert!(poll_once(long.as_mut()).is_pending());
        assert_eq!(rig.fake.serve(0, 1), 1);
        let answered = poll_once(long.as_mut());
        assert!(matches!(answered, Poll::Ready(Ok(_))), "{sent}");
    }
}

/// Entries of the bare rings.
const ENTRIES: u16 = 4;

fn bare_ring(format: Format) -> Ring<DmaRegion<FakePlatform>> {
    let tables = Tables {
        first: 0,
        step_bytes: 0,
        len_bytes: 16,
    };
    let layout = RingLayout {
        format,
        entries: ENTRIES,
        slots: ENTRIES,
        stride: 1,
        event_index: true,
        in_order: false,
        tables: Some(tables),
    };
    Ring::new(layout).unwrap()
}

/// A device half of bare atomics, without any lock that would order what the fences have to. A
/// position counts requests from the start.
#[derive(Debug)]
struct BareDevice {
    format: Format,
    addresses: QueueAddresses,
    memory: View,
}

impl BareDevice {
    fn new(format: Format, addresses: QueueAddresses) -> Self {
        Self {
            format,
            addresses,
            memory: memory(),
        }
    }

    fn field(&self, address: u64) -> &AtomicU16 {
        ring_field(&self.memory, address)
    }

    /// The flags of a packed ring's descriptor, and the wrap counter for it.
    fn flags(&self, position: u16) -> (&AtomicU16, bool) {
        let at = self.addresses.descriptors() + 16 * u64::from(position % ENTRIES) + 14;
        (self.field(at), position & ENTRIES == 0)
    }

    /// A packed ring's event at a position.
    fn event(position: u16) -> u16 {
        (position % ENTRIES) | (u16::from(position & ENTRIES == 0) << 15)
    }

    fn is_available(&self, position: u16) -> bool {
        match self.format {
            Format::Split => {
                let index = self.field(self.addresses.available() + 2);
                index.load(Ordering::Acquire) != position
            }
            Format::Packed => {
                let (flags, wrap) = self.flags(position);
                let flags = flags.load(Ordering::Acquire);
                (flags >> 7 & 1 != 0) == wrap && (flags >> 15 != 0) != wrap
            }
        }
    }

    fn use_one(&self, position: u16) {
        match self.format {
            Format::Split => {
                let index = self.field(self.addresses.used() + 2);
                index.store(position.wrapping_add(1), Ordering::Release);
            }
            Format::Packed => {
                let (flags, wrap) = self.flags(position);
                flags.store(if wrap { 1 << 7 | 1 << 15 } else { 0 }, Ordering::Release);
            }
        }
    }

    fn ask_for_kick(&self, position: u16) {
        match self.format {
            Format::Split => {
                let event = self.addresses.used() + 4 + 8 * u64::from(ENTRIES);
                self.field(event).store(position, Ordering::Relaxed);
            }
            Format::Packed => {
                let events = self.addresses.used();
                self.field(events)
                    .store(Self::event(position), Ordering::Relaxed);
                self.field(events + 2).store(2, Ordering::Release);
            }
        }
    }

    fn is_asked_for(&self, position: u16) -> bool {
        match self.format {
            Format::Split => {
                let event = self.addresses.available() + 4 + 2 * u64::from(ENTRIES);
                let event = self.field(event).load(Ordering::Relaxed);
                need_event(event, position.wrapping_add(1), position)
            }
            Format::Packed => {
                let events = self.addresses.available();
                assert_eq!(self.field(events + 2).load(Ordering::Acquire), 2);
                self.field(events).load(Ordering::Relaxed) == Self::event(position)
            }
        }
    }
}

/// Pauses of a few instructions, so that two threads meet in every way.
struct Jitter(u32);

impl Jitter {
    fn pause(&mut self) {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for i in 0..self.0 >> 26 {
            core::hint::black_box(i);
        }
    }
}

/// How long each of the bare rings is raced.
const RACE: Duration = Duration::from_millis(600);
/// How long a kick or an interrupt may take; far longer than any thread is put off.
const LOST: Duration = Duration::from_secs(5);

/// Spins until `done`, and says whether that came before `limit`.
fn spin_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..10_000 {
            if done() {
                return true;
            }
            core::hint::spin_loop();
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::yield_now();
    }
}

#[test]
fn kick_is_not_lost_between_a_store_and_a_load() {
    for format in [Format::Split, Format::Packed] {
        let _alone = Alone::new();
        let ring = bare_ring(format);
        let device = BareDevice::new(format, ring.addresses);
        match (ring.available, ring.used) {
            (Available::Split(available), Used::Split(used)) => {
                race_for_kicks(&device, available, used, ring.outstanding);
            }
            (Available::Packed(available), Used::Packed(used)) => {
                race_for_kicks(&device, available, used, ring.outstanding);
            }
            _ => unreachable!("halves of two rings"),
        }
    }
}

/// A device that looks at its ring by itself takes what is put off, and asks for a kick at what
/// comes next. Events come round again: after 2^16 requests in a split ring, after two laps in a
/// packed one.
#[test]
fn kick_is_not_lost_behind_requests_that_were_put_off() {
    let around = |count: usize| count - 2..count + 2;
    let two_laps = around(2 * usize::from(ENTRIES));
    let counts = two_laps.chain(if cfg!(miri) { 0..0 } else { around(1 << 16) });
    for put_off in counts {
        for format in [Format::Split, Format::Packed] {
            let _alone = Alone::new();
            let ring = bare_ring(format);
            let device = BareDevice::new(format, ring.addresses);
            let is_kicked = match ring.available {
                Available::Split(half) => is_kicked_behind(put_off, &device, half),
                Available::Packed(half) => is_kicked_behind(put_off, &device, half),
                Available::SplitInOrder(_) => unreachable!("nobody asked for order"),
            };
            assert!(is_kicked, "{format:?}: {put_off} were put off");
        }
    }
}

fn is_kicked_behind(put_off: usize, device: &BareDevice, mut half: impl AvailableHalf) -> bool {
    let mut publish = || {
        half.publish(0, Chain::InTable(1));
        half.must_decide() && half.decide_kick()
    };
    let mut position = 0u16;
    device.ask_for_kick(position);
    for _ in 0..put_off {
        publish();
        position = position.wrapping_add(1);
        device.ask_for_kick(position);
    }
    publish() || half.decide_kick()
}

fn race_for_kicks(
    device: &BareDevice,
    mut available: impl AvailableHalf,
    mut used: impl UsedHalf,
    mut outstanding: Outstanding,
) {
    // Driver: hand a request over, load the event. Device: store the event, look for a request.
    // Without a full barrier on both sides each may miss the other.
    let (kicked, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let lost = thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                if device.is_available(seen) {
                    device.use_one(seen);
                    seen = seen.wrapping_add(1);
                    continue;
                }
                device.ask_for_kick(seen);
                fence(Ordering::SeqCst);
                if !device.is_available(seen) {
                    let woken = || kicked.swap(false, Ordering::AcqRel);
                    spin_until(LOST, || woken() || stop.load(Ordering::Relaxed));
                }
            }
        });
        let start = Instant::now();
        let mut published = 0u16;
        let mut answered = true;
        while answered && start.elapsed() < RACE {
            published = published.wrapping_add(1);
            available.publish(0, Chain::InTable(1));
            if available.decide_kick() {
                kicked.store(true, Ordering::Release);
            }
            answered = spin_until(LOST / 2, || {
                used.used_index(1, &outstanding).index == published
            });
            used.take_used(&mut outstanding);
        }
        stop.store(true, Ordering::Relaxed);
        !answered
    });
    assert!(
        !lost,
        "{:?}: the device sleeps, and a request waits for it",
        device.format
    );
}

#[test]
fn interrupt_is_not_lost_between_a_store_and_a_load() {
    for format in [Format::Split, Format::Packed] {
        let _alone = Alone::new();
        let ring = bare_ring(format);
        let device = BareDevice::new(format, ring.addresses);
        match ring.used {
            Used::Split(used) => race_for_interrupts(&device, used, ring.outstanding),
            Used::Packed(used) => race_for_interrupts(&device, used, ring.outstanding),
            _ => unreachable!("nobody asked for order"),
        }
    }
}

fn race_for_interrupts(
    device: &BareDevice,
    mut queue: impl UsedHalf + Send,
    mut outstanding: Outstanding,
) {
    // Driver: store the event, look for a used request. Device: use a request, load the event. The
    // device does so when it sees that the driver has taken the last one and is about to arm.
    let (interrupted, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let taken = AtomicU16::new(0);
    let lost = thread::scope(|scope| {
        let (interrupted, stop, taken) = (&interrupted, &stop, &taken);
        let driver = scope.spawn(move || {
            let mut lost = false;
            let mut jitter = Jitter(3);
            while !lost && !stop.load(Ordering::Relaxed) {
                while queue.taken() != queue.used_index(1, &outstanding).index {
                    queue.take_used(&mut outstanding);
                }
                taken.store(queue.taken(), Ordering::Release);
                jitter.pause();
                queue.arm();
                if queue.used_index(1, &outstanding).index == queue.taken() {
                    let woken = || interrupted.swap(false, Ordering::AcqRel);
                    lost = !spin_until(LOST, || woken() || stop.load(Ordering::Relaxed));
                }
            }
            stop.store(true, Ordering::Relaxed);
            lost
        });
        let start = Instant::now();
        let mut jitter = Jitter(5);
        let mut published = 0u16;
        while !stop.load(Ordering::Relaxed) && start.elapsed() < RACE {
            device.use_one(published);
            fence(Ordering::SeqCst);
            if device.is_asked_for(published) {
                interrupted.store(true, Ordering::Release);
            }
            published = published.wrapping_add(1);
            let seen = || taken.load(Ordering::Acquire) == published;
            spin_until(2 * LOST, || seen() || stop.load(Ordering::Relaxed));
            jitter.pause();
        }
        stop.store(true, Ordering::Relaxed);
        driver.join().unwrap()
    });
    assert!(
        !lost,
        "{:?}: the driver sleeps, and an answer waits for it",
        device.format
    );
}
