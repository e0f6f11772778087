//! What devices are like, and how the driver is set up on them.

use std::{rc::Rc, sync::Arc};

use device::options::{Framing as DeviceFraming, Options as DeviceOptions};
use virtio_crypto::{Device, Error, Features, Framing, Options, WhenNotReady};

use super::{Pair, World, excuses::Excuse};
use crate::{far::FarSide, machine, transport::TestTransport};

/// All stateless modes.
const STATELESS: Features = Features::CIPHER_STATELESS_MODE
    .union(Features::HASH_STATELESS_MODE)
    .union(Features::MAC_STATELESS_MODE)
    .union(Features::AEAD_STATELESS_MODE)
    .union(Features::AKCIPHER_STATELESS_MODE);

/// Most bytes of a request of a device that takes short ones alone.
const SMALL_BYTES: u64 = 2 * 64 + 96;

/// A device and its driver's options, as the input says.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    device: DeviceOptions,
    driver: Options,
}

impl Setup {
    /// Takes five bytes of the input.
    pub(crate) fn draw(world: &World) -> Self {
        let [rings, queues, limits, interrupts, more] = [(); 5].map(|()| world.byte());
        let mut features = Features::VERSION_1 | device_feature(device::feature::RING_RESET);
        let mut has = |bit: u8, feature: Features| {
            if rings & bit != 0 {
                features |= feature;
            }
        };
        has(1, Features::RING_PACKED);
        has(2, Features::IN_ORDER);
        has(16, Features::REVISION_1);
        has(32, Features::REVISION_1 | STATELESS);
        // These are mostly there.
        let mut lacks = |bit: u8, feature: Features| {
            if rings & bit == 0 {
                features |= feature;
            }
        };
        lacks(4, Features::EVENT_IDX);
        lacks(8, Features::INDIRECT_DESC);
        let framing = match rings & 64 {
            0 => (Framing::Compact, DeviceFraming::Any),
            _ => (Framing::OnePerField, DeviceFraming::OnePerField),
        };
        let data_queues = 1 + u16::from(queues % 3);
        let device = DeviceOptions {
            data_queues,
            features: features.bits(),
            queue_size: if queues & 4 == 0 { 64 } else { 32 },
            max_size_bytes: match limits & 7 {
                0 => SMALL_BYTES,
                _ => 1 << 20,
            },
            max_auth_key_bytes: 4096,
            framing: framing.1,
            algorithms: all_algorithms(),
            ..DeviceOptions::default()
        };
        let mut driver = Options::default();
        let vectors = match interrupts % 8 {
            0 => 0,
            1 => 1,
            2 => 2,
            _ => usize::from(data_queues) + 2,
        };
        driver.messages = vec![machine::message(1, 2); vectors];
        driver.intx = interrupts & 8 != 0;
        driver.data_slots = 1 + u16::from(queues / 8 % 8);
        driver.control_slots = 1 + u16::from(limits / 8 % 3);
        driver.sessions = if limits & 32 == 0 { 8 } else { 3 };
        driver.framing = framing.0;
        driver.reset_limit_ns = 100_000;
        driver.message_travel_ns = 0;
        driver.trial_limit_ns = if more & 1 == 0 { 0 } else { 50_000 };
        if more & 2 != 0 {
            driver.when_not_ready = WhenNotReady::Wait;
        }
        if more & 4 != 0 {
            driver.forced_reset = machine::trusted();
        }
        if more & 8 != 0 {
            driver.max_size_bytes = SMALL_BYTES;
        }
        Self { device, driver }
    }
}

fn device_feature(bit: u64) -> Features {
    Features::from_bits_retain(bit)
}

fn all_algorithms() -> device::offer::Algorithms {
    let mut algorithms = device::offer::Algorithms::default();
    algorithms.akcipher |= 1 << virtio_crypto::AkcipherAlgorithm::EcdsaLinux as u32;
    algorithms
}

impl World {
    /// Sets up another device.
    pub(crate) fn add(self: &Rc<Self>, setup: &Setup) -> Result<Rc<Pair>, Error> {
        let Setup { device, driver } = setup;
        let is_small = device.max_size_bytes.min(driver.max_size_bytes) == SMALL_BYTES;
        if is_small {
            self.excuses.add(Excuse::Small);
        }
        let far = Arc::new(FarSide::new(device.clone()));
        let device = Device::new(TestTransport(far.clone()), driver.clone())?;
        let device = Arc::new(device);
        far.deliver_to(&device);
        let pair = Rc::new(Pair { device, far });
        self.pairs.borrow_mut().push(pair.clone());
        Ok(pair)
    }
}

impl Pair {
    /// Tells whether sessions may be done without.
    pub(crate) fn is_stateless(&self) -> bool {
        self.device.features().contains(STATELESS)
    }
}
