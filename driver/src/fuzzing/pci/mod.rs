//! `pci`: a function whose capabilities, BARs and registers the bytes say, also between two reads.
//!
//! Where nothing changes while the transport looks, a plain model tells what it has to find, and
//! how its doorbells are made. In any case it maps what some BAR holds, writes no register outside
//! what it has mapped, sizes a BAR while nothing is decoded there, and once.

mod function;
mod model;

use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use std::sync::Mutex;

use virtio_drivers::transport::{
    DeviceStatus,
    pci::bus::{ConfigurationAccess, DeviceFunction},
};

use self::{
    function::Function,
    model::{Found, Place},
};
use super::{
    input::Input,
    machine::{self, Kernel, REGISTERS_LEN},
};
use crate::{
    transport::{
        Doorbell, MsixEntry, MsixMessage, QueueAddresses, QueueIndex, Transport, TransportError,
        pci::PciTransport,
    },
    wire::Features,
};

pub(super) const AT: DeviceFunction = DeviceFunction {
    bus: 0,
    device: 3,
    function: 0,
};

/// The transport's way to the function's configuration space.
#[derive(Clone)]
struct Access(Arc<Mutex<Function>>);

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        assert_eq!((function, offset % 4), (AT, 0));
        self.0.lock().unwrap().read(offset / 4)
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, value: u32) {
        assert_eq!((function, offset % 4), (AT, 0));
        self.0.lock().unwrap().write(offset / 4, value);
    }

    #[expect(unsafe_code, reason = "declared so")]
    unsafe fn unsafe_clone(&self) -> Self {
        unreachable!("one access is enough")
    }
}

type Opened = PciTransport<Kernel, Access>;

/// Runs the target.
pub fn run(input: &[u8]) {
    machine::start();
    let mut input = Input::new(input);
    let function = Function::new(&mut input);
    let expected = (!function.changes()).then(|| model::find(&function));
    let function = Arc::new(Mutex::new(function));
    let opened = open(&function);
    let function_now = || function.lock().unwrap();
    let mapped = machine::mapped();
    for (address, len_bytes) in &mapped {
        let holds = function_now().holds(*address, *len_bytes);
        assert!(holds, "{len_bytes} bytes at {address:#x} are of no BAR");
    }
    function_now().check_sized();
    let found = match &expected {
        Some(Ok(found)) => {
            assert!(opened.is_ok(), "a good function is refused: {opened:?}");
            assert_eq!(mapped, found.mapped);
            Some(found)
        }
        Some(Err(reason)) => {
            assert!(opened.is_err(), "accepted, although {reason}");
            None
        }
        None => None,
    };
    if let Ok(transport) = opened {
        drive(&transport, found, &function, &mut input);
    }
}

#[expect(unsafe_code, reason = "vouches for the function")]
fn open(function: &Arc<Mutex<Function>>) -> Result<Opened, TransportError> {
    // SAFETY: this is the function's only configuration space, and it reaches no memory.
    unsafe { PciTransport::new(Access(function.clone()), AT) }
}

/// Calls the transport as the bytes say, while the function changes its registers as they say.
fn drive(transport: &Opened, found: Option<&Found>, function: &Mutex<Function>, input: &mut Input) {
    let mut shadow = machine::registers(0, REGISTERS_LEN);
    let mut accepted = Features::empty();
    let mut doorbells = Vec::new();
    while !input.is_empty() {
        let queue = QueueIndex(input.byte().into());
        let entry = MsixEntry(input.byte().into());
        match input.below(14) {
            0 => {
                let at = usize::from(input.u16()) % (REGISTERS_LEN - 4);
                let bytes = input.bytes::<4>();
                machine::set_registers(at, &bytes);
                shadow[at..at + 4].copy_from_slice(&bytes);
            }
            1 => {
                let doorbell = transport.doorbell(queue);
                if let Some(found) = found {
                    let expected = found.doorbell(&function.lock().unwrap(), queue, accepted);
                    check_doorbell(&doorbell, expected);
                }
                doorbells.extend(doorbell);
            }
            2 => {
                let (offset, len_bytes) = (input.below(72), input.below(72));
                read_config(transport, found, offset, len_bytes);
            }
            3 => transport.set_msix_message(entry, Some(message(input.u64(), input.u32()))),
            4 => transport.set_msix_message(entry, None),
            5 => {
                let enabled = !entry.0.is_multiple_of(2);
                transport.set_msix_enabled(enabled);
                if let Some(msix) = found.and_then(|found| found.msix) {
                    function.lock().unwrap().check_switches(msix, enabled);
                }
            }
            6 => {
                let vector = transport.set_queue_vector(queue, Some(entry));
                assert!(vector.is_none_or(|vector| vector == entry));
                transport.set_config_vector((entry.0 != 0).then_some(entry));
            }
            7 => {
                let size = transport.read_max_queue_size(queue);
                transport.set_queue(queue, size, addresses(input.u64()));
                transport.enable_queue(queue);
            }
            8 => {
                transport.read_device_features();
                let supported = transport.notification_features();
                accepted = Features::from_bits_retain(input.u64() & supported);
                transport.write_driver_features(accepted.bits());
            }
            9 => transport.write_status(DeviceStatus::from_bits_retain(entry.0.into())),
            10 if transport.resets_queues() => {
                transport.reset_queue(queue);
                transport.is_queue_reset(queue);
            }
            11 => {
                transport.read_status();
                transport.read_interrupt_status();
                transport.read_config_generation();
            }
            12 => drop(transport.is_present()),
            _ => {
                let position = input.u16();
                doorbells
                    .iter()
                    .for_each(|doorbell: &Doorbell| doorbell.ring(|| position));
            }
        }
    }
    check_written(function, &shadow);
}

/// Checks that nothing was written but registers that had been mapped.
fn check_written(function: &Mutex<Function>, shadow: &[u8]) {
    let mapped = machine::mapped();
    let places: Vec<_> = {
        let function = function.lock().unwrap();
        let places = mapped.iter();
        places
            .filter_map(|(address, len_bytes)| function.place(*address, *len_bytes))
            .collect()
    };
    let now = machine::registers(0, REGISTERS_LEN);
    if now == shadow {
        return;
    }
    for (at, (now, before)) in now.iter().zip(shadow).enumerate() {
        let may_change = || places.iter().any(|place| place.contains(&at));
        assert!(
            now == before || may_change(),
            "register {at:#x} was written"
        );
    }
}

fn check_doorbell(doorbell: &Result<Doorbell, TransportError>, expected: Option<Place>) {
    let Some(Place { at, bytes }) = expected else {
        assert!(doorbell.is_err(), "a doorbell that is nowhere");
        return;
    };
    let doorbell = doorbell.as_ref().expect("a doorbell");
    let before = machine::registers(0, REGISTERS_LEN);
    doorbell.ring(|| model::POSITION);
    let mut after = before.clone();
    after[at..at + bytes.len()].copy_from_slice(&bytes);
    let rung = machine::registers(0, REGISTERS_LEN);
    assert!(rung == after, "the doorbell wrote something else");
    machine::set_registers(0, &before);
}

fn read_config(transport: &Opened, found: Option<&Found>, offset: usize, len_bytes: usize) {
    let mut bytes = alloc::vec![0; len_bytes];
    let outcome = transport.read_config(offset, &mut bytes);
    let Some(found) = found else {
        return;
    };
    match found.config(offset, len_bytes) {
        Some(expected) => assert_eq!((outcome, bytes), (Ok(()), expected)),
        None => assert!(outcome.is_err(), "{len_bytes} bytes at {offset}"),
    }
}

#[expect(unsafe_code, reason = "what the transport only hands on")]
fn message(address: u64, data: u32) -> MsixMessage {
    // SAFETY: no device ever sends it.
    unsafe { MsixMessage::new(address, data) }
}

#[expect(unsafe_code, reason = "what the transport only hands on")]
fn addresses(bits: u64) -> QueueAddresses {
    // SAFETY: no device ever looks there.
    unsafe { QueueAddresses::new(bits, !bits, bits.rotate_left(7)) }
}

#[cfg(test)]
mod tests {
    use crate::fuzzing::replay;

    #[test]
    fn corpus_is_replayed() {
        replay::corpus("pci", super::run);
    }

    #[test]
    fn random_inputs_are_borne() {
        replay::random(super::run, 3000, 160);
    }
}
