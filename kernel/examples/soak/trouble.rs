//! What is done to the devices while they work.

use alloc::{format, vec::Vec};

use kernel::{
    bus::{self, slot::Slot},
    command_line,
    crypto::{self, CryptoDevice},
    exit,
    memory::FRAME_LEN,
    platform, println, smp,
    task::executor,
    time,
};
use virtio_crypto::{DeviceFault, Error, Features, InterruptMode, transport::MsixEntry};

use crate::{
    SECOND_NS,
    books::GIVEN_UP,
    place::{self, Place},
    random::Random,
    spawn_on, tally,
};

/// How long what is outside of the guest may take.
const LIMIT_NS: u64 = 30 * SECOND_NS;
/// How long what is in flight may take where it is to end by itself.
const DRAIN_NS: u64 = 10 * SECOND_NS;
/// How long a vector stays where it is, and how long nobody polls, at most.
const STAY_NS: usize = 60_000_000;
const UNPOLLED_NS: usize = 400_000_000;
/// How long somebody polls at most.
const POLLED_NS: usize = 40_000_000;
/// How long nothing is done to a device at most.
const PEACE_NS: usize = 900_000_000;

/// A place, and the slot that it is, if its device may leave.
pub struct Seat {
    place: &'static Place,
    slot: Option<Slot>,
}

/// What may be done.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Recover,
    ResetQueue,
    AskForReset,
    HardwareAway,
    Stall,
    Unplug,
    PullOut,
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::Recover => "recovery on some CPU",
            Self::ResetQueue => "reset of a queue",
            Self::AskForReset => "wish for a reset",
            Self::HardwareAway => "hardware that is away",
            Self::Stall => "stall",
            Self::Unplug => "unplug",
            Self::PullOut => "pull out",
        }
    }
}

/// Returns the places with their slots, as the word `unplug=` has it.
pub fn seats(places: &'static [Place]) -> Vec<Seat> {
    let may_leave: Vec<usize> = command_line::value("unplug")
        .into_iter()
        .flat_map(|numbers| numbers.split(','))
        .map(|number| match number.parse() {
            Ok(number) if number < places.len() => number,
            _ => exit::fail(format_args!("unplug={number}: no such device")),
        })
        .collect();
    let seat = |place: &'static Place| {
        let slot = may_leave.contains(&place.number).then(|| {
            let slot = Slot::of(bus::pci_access(), place.function);
            match slot {
                Some(slot) => slot,
                None => exit::fail(format_args!("device {} lies in no slot", place.number)),
            }
        });
        Seat { place, slot }
    };
    places.iter().map(seat).collect()
}

/// Does each thing once that may be done to a device, while nothing is sent.
pub fn do_each_once(seats: &mut [Seat]) {
    let mut random = Random::new(0);
    for seat in seats {
        for trouble in seat.possible() {
            executor::block_on(seat.make(trouble, &mut random));
        }
        recover(seat.place, DRAIN_NS);
    }
}

/// Makes trouble until the time is up, and says how far the run has come.
pub async fn make(seats: &mut [Seat], random: &mut Random, end_ns: u64) {
    let places: Vec<_> = seats.iter().map(|seat| seat.place).collect();
    let mover = spawn_on(
        0,
        move_vectors(places.clone(), Random::new(random.next()), end_ns),
    );
    let poller = spawn_on(0, poll(places.clone(), Random::new(random.next()), end_ns));
    let tell = || tally::tell_progress(place::all());
    let progress = spawn_on(0, tally::tell_until(end_ns, tell));
    while time::now_ns() < end_ns {
        time::sleep_ns(random.below(PEACE_NS) as u64).await;
        let seat_index = random.below(seats.len());
        let seat = &mut seats[seat_index];
        let mut possible = seat.possible();
        if random.below(8) > 0 {
            // These take seconds.
            possible.retain(|it| !matches!(it, Trouble::Unplug | Trouble::PullOut));
        }
        let trouble = random.one_of(&possible);
        seat.make(trouble, random).await;
    }
    for task in [mover, poller, progress] {
        task.await;
    }
}

/// Moves vectors from CPU to CPU.
async fn move_vectors(places: Vec<&'static Place>, mut random: Random, end_ns: u64) {
    while time::now_ns() < end_ns {
        let place = random.one_of(&places);
        let device = place.device();
        let modes = [InterruptMode::PerQueue, InterruptMode::SharedQueues];
        if let Some(device) = device.filter(|it| modes.contains(&it.interrupt_mode())) {
            let entry = MsixEntry(random.below(2 + device.data_queues()) as u16);
            let cpu = random.below(smp::online() as usize) as u32;
            if let Some(vector) = crypto::vector_of(&device, entry)
                && let Some(message) = platform::message_for(cpu, vector)
            {
                tally::note(place.number, "a vector moves");
                match device.move_interrupt(entry, message) {
                    Ok(()) => tally::MOVES.add(1),
                    Err(Error::Resetting | Error::ShutDown | Error::Broken(_)) => {}
                    Err(error) => panic!("{entry:?} does not move: {error}"),
                }
            }
        }
        time::sleep_ns(random.below(STAY_NS) as u64).await;
    }
}

/// Polls rings on some CPU, for a while each time.
async fn poll(places: Vec<&'static Place>, mut random: Random, end_ns: u64) {
    while time::now_ns() < end_ns {
        time::sleep_ns(random.below(UNPOLLED_NS) as u64).await;
        let place = random.one_of(&places);
        let Some(device) = place.device() else {
            continue;
        };
        tally::note(place.number, "a poller");
        let polled_until_ns = time::now_ns() + random.below(POLLED_NS) as u64;
        let work = async move {
            let poller = device.poller();
            while time::now_ns() < polled_until_ns {
                poller.drain();
                executor::yield_now().await;
            }
        };
        spawn_on(random.below(smp::online() as usize) as u32, work).await;
        tally::POLLERS.add(1);
    }
}

/// Recovers every device.
pub fn recover_all(places: &'static [Place]) {
    for place in places {
        recover(place, DRAIN_NS);
    }
}

/// Recovers a device, with so much time for what is in flight.
fn recover(place: &Place, limit_ns: u64) {
    let Some(device) = place.device() else {
        return;
    };
    let end_ns = time::now_ns() + LIMIT_NS;
    let _disturbance = place.disturb();
    tally::note(place.number, "recovery");
    loop {
        match device.recover(limit_ns) {
            Ok(report) => {
                tally::RECOVERIES.add(1);
                tally::FORCED.add((report.in_flight > 0).into());
                break;
            }
            // A vector moves just now.
            Err(Error::Resetting) if time::now_ns() < end_ns => {}
            Err(error) => panic!("device {} does not recover: {error}", place.number),
        }
    }
    place.bury();
}

/// Waits for something that happens outside.
async fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let end_ns = time::now_ns() + LIMIT_NS;
    while !is_done() {
        assert!(time::now_ns() < end_ns, "no {what}");
        time::sleep_ns(2_000_000).await;
    }
}

impl Seat {
    /// Returns what may be done to the device.
    fn possible(&self) -> Vec<Trouble> {
        let mut possible = Vec::from([Trouble::Recover]);
        let Some(device) = self.place.device() else {
            return possible;
        };
        if device.features().contains(Features::RING_RESET) {
            possible.push(Trouble::ResetQueue);
        }
        if place::is_own() {
            possible.extend([Trouble::AskForReset, Trouble::HardwareAway, Trouble::Stall]);
        }
        if self.slot.is_some() {
            possible.extend([Trouble::Unplug, Trouble::PullOut]);
        }
        possible
    }

    /// Tells the device's process, or the monitor, something. It is done some time later.
    fn tell(&self, command: &str) {
        println!("to device {} {command}", self.place.number);
    }

    /// Does it to the device.
    async fn make(&mut self, trouble: Trouble, random: &mut Random) {
        let Some(device) = self.place.device() else {
            return;
        };
        let limit_ns = random.one_of(&[0, 1_000_000, 100_000_000]);
        let place = self.place;
        tally::note(place.number, trouble.name());
        match trouble {
            Trouble::Recover => {
                // On whatever CPU.
                let cpu = random.below(smp::online() as usize) as u32;
                spawn_on(cpu, async move { recover(place, limit_ns) }).await;
            }
            Trouble::ResetQueue => {
                reset_queue(place, &device, random.below(device.data_queues()), limit_ns);
            }
            Trouble::AskForReset => {
                let _disturbance = place.disturb();
                self.tell("needs-reset");
                wait_until("NEEDS_RESET", || device.ended().is_some()).await;
                tally::AILMENTS.add(1);
                recover(place, limit_ns);
            }
            Trouble::HardwareAway => {
                self.tell("ready 0");
                wait_until("HW_READY", || !device.is_ready()).await;
                time::sleep_ns(limit_ns).await;
                self.tell("ready 1");
                wait_until("HW_READY", || device.is_ready()).await;
                tally::AILMENTS.add(1);
            }
            Trouble::Stall => {
                let queue = random.below(device.data_queues());
                self.tell(&format!("stall {queue}"));
                time::sleep_ns(30_000_000).await;
                match random.below(3) {
                    0 if device.features().contains(Features::RING_RESET) => {
                        reset_queue(place, &device, queue, 0);
                    }
                    1 => recover(place, 0),
                    _ => {}
                }
                self.tell(&format!("go {queue}"));
            }
            Trouble::Unplug => self.replace(false).await,
            Trouble::PullOut => self.replace(true).await,
        }
    }

    /// Has the device leave, asked or pulled out, and another one take its place.
    async fn replace(&mut self, is_pulled: bool) {
        let place = self.place;
        self.tell("unplug");
        let Some(slot) = &mut self.slot else { return };
        wait_until("wish that it leaves", || slot.is_pressed()).await;
        let _disturbance = place.disturb();
        let device = if is_pulled {
            slot.switch_off();
            let device = place.device();
            wait_until("empty slot", || !slot.is_occupied()).await;
            if let Some(device) = &device {
                wait_until("end of its waits", || device.check().is_err()).await;
            }
            place.take();
            device
        } else {
            let device = place.take();
            if let Some(device) = &device {
                shut_down(device).await;
            }
            slot.switch_off();
            wait_until("empty slot", || !slot.is_occupied()).await;
            device
        };
        if let Some(device) = device {
            crypto::left(place.function, &device);
            place.bury();
            if is_pulled {
                // It is gone: nothing is asked of it, and all that it was told of is given up.
                let gone = Error::Broken(DeviceFault::Gone);
                assert_eq!(device.shutdown(0), Err(gone));
                let given_up = device.given_up_bytes();
                assert!(given_up > 0 && given_up.is_multiple_of(FRAME_LEN as u64));
                GIVEN_UP.add(given_up);
            }
            tally::UNHANDLED_BEFORE.add(device.interrupt_stats().unhandled);
        }
        println!("to device {} plug", place.number);
        wait_until("device", || slot.is_pressed() && slot.is_occupied()).await;
        if slot.switch_on(place.function).is_none() {
            exit::fail(format_args!("no room for the device that has come"));
        }
        place.reopen(is_pulled).await;
        tally::UNPLUGS.add(1);
        tally::PULLED.add(is_pulled.into());
    }
}

/// Shuts a device down that is to leave: everything has time to end.
async fn shut_down(device: &CryptoDevice) {
    let end_ns = time::now_ns() + LIMIT_NS;
    loop {
        match device.shutdown(DRAIN_NS) {
            Ok(_) => return,
            // A vector moves just now.
            Err(Error::Resetting) if time::now_ns() < end_ns => executor::yield_now().await,
            Err(error) => panic!("a device that is to leave does not shut down: {error}"),
        }
    }
}

/// Resets a queue, with so much time for what is in flight; recovers the device where that has been
/// done too often.
fn reset_queue(place: &Place, device: &CryptoDevice, queue: usize, limit_ns: u64) {
    let _disturbance = place.disturb();
    match device.reset_queue(queue, limit_ns) {
        Ok(_) => tally::QUEUE_RESETS.add(1),
        Err(Error::TooManyQueueResets { .. }) => recover(place, limit_ns),
        Err(Error::Resetting) => {}
        Err(error) => panic!("queue {queue} of device {}: {error}", place.number),
    }
}
