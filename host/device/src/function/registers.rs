//! The common configuration: what its fields hold, and what a write to one does (4.1.4.3).
//!
//! For the function, which does what a write asks for. The one rule: a field changes only when the
//! device's status allows it.

use crate::{feature, options::Options, ring::Place, rules::Rule};

use super::{
    layout::notification_value,
    negotiation::{may_accept, offered},
};

/// `VIRTIO_MSI_NO_VECTOR` (4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;

/// Bits of the device's status (2.1).
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
const NEEDS_RESET: u8 = 64;
const FAILED: u8 = 128;
/// Those that a driver sets.
const OF_THE_DRIVER: u8 = 1 | 2 | DRIVER_OK | FEATURES_OK | FAILED;

/// Offsets of fields.
const DEVICE_FEATURE_SELECT: u64 = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: u64 = 0x08;
const DRIVER_FEATURE: u64 = 0x0c;
const CONFIG_MSIX_VECTOR: u64 = 0x10;
const NUM_QUEUES: usize = 0x12;
const DEVICE_STATUS: u64 = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: u64 = 0x16;
const QUEUE_SIZE: u64 = 0x18;
const QUEUE_MSIX_VECTOR: u64 = 0x1a;
const QUEUE_ENABLE: u64 = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESC: u64 = 0x20;
const QUEUE_DRIVER: u64 = 0x28;
const QUEUE_DEVICE: u64 = 0x30;
const QUEUE_NOTIF_CONFIG_DATA: usize = 0x38;
const QUEUE_RESET: u64 = 0x3a;

/// What the fields hold.
#[derive(Clone, Debug)]
pub struct Registers {
    status: u8,
    is_resetting: bool,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u64,
    pub config_vector: u16,
    queue_select: u16,
    queues: Vec<QueueRegisters>,
    /// Negotiations since the beginning.
    negotiations: u32,
    /// What is left of a status, where that rule is broken.
    stale_status: u8,
}

/// What the fields hold for one queue.
#[derive(Clone, Copy, Debug)]
struct QueueRegisters {
    place: Place,
    vector: u16,
    is_enabled: bool,
    is_resetting: bool,
}

/// What a write asks for beside what it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The device asks for a reset, as no device may now.
    AsksForReset,
    /// A reset of the device.
    Reset,
    /// Both sides agree on these features.
    Agreed(u64),
    /// A queue is to be used from now on.
    QueueEnabled(u16),
    /// A queue is to be forgotten, alone.
    QueueReset(u16),
}

impl QueueRegisters {
    fn new(options: &Options, number: u16) -> Self {
        let is_data = number < options.data_queues;
        let place = Place {
            size: match options.broken {
                Some(Rule::QueueSizesPowersOf2) if is_data => 100,
                Some(Rule::ControlQueueFollows) if !is_data => 0,
                _ => options.queue_size,
            },
            ..Place::default()
        };
        Self {
            place,
            vector: NO_VECTOR,
            is_enabled: false,
            is_resetting: false,
        }
    }
}

impl Registers {
    /// Returns what they hold after a reset.
    pub fn new(options: &Options) -> Self {
        Self {
            status: 0,
            is_resetting: false,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            config_vector: NO_VECTOR,
            queue_select: 0,
            queues: (0..options.queue_count())
                .map(|number| QueueRegisters::new(options, number))
                .collect(),
            negotiations: 0,
            stale_status: 0,
        }
    }

    /// No queue is served from here on; the status reads 0 only when the reset is over.
    pub fn begin_reset(&mut self) {
        self.is_resetting = true;
    }

    /// Takes what a carrier that has registers of its own has negotiated, up to DRIVER_OK.
    pub fn attach(&mut self, features: u64) {
        self.status = OF_THE_DRIVER & !FAILED;
        self.driver_features = features;
    }

    /// Takes where such a carrier says that a queue is, or that it is nowhere.
    pub fn put_queue(&mut self, number: u16, place: Option<Place>) {
        if let Some(queue) = self.queues.get_mut(usize::from(number)) {
            queue.is_enabled = place.is_some();
            queue.place = place.unwrap_or_default();
            queue.vector = number;
        }
    }

    /// Everything is as after a reset from here on.
    pub fn end_reset(&mut self, options: &Options) {
        let stale_status = match options.broken {
            Some(Rule::ResetReads0) => self.status | self.stale_status,
            _ => 0,
        };
        *self = Self {
            negotiations: self.negotiations,
            stale_status,
            ..Self::new(options)
        };
    }

    /// Tells whether queues are to be served.
    pub fn is_live(&self, options: &Options) -> bool {
        let agreed = match options.broken {
            Some(Rule::NoWorkBeforeDriverOk) => FEATURES_OK,
            _ => FEATURES_OK | DRIVER_OK,
        };
        self.status & agreed == agreed
            && self.status & (NEEDS_RESET | FAILED) == 0
            && !self.is_resetting
    }

    /// Returns the features on which both sides agreed, once they have.
    pub fn agreed_features(&self) -> Option<u64> {
        (self.status & FEATURES_OK != 0).then_some(self.driver_features)
    }

    /// Sets NEEDS_RESET; returns whether the driver must be told (2.1.2).
    pub fn ask_for_reset(&mut self) -> bool {
        let is_new = self.status & NEEDS_RESET == 0 && !self.is_resetting;
        self.status |= NEEDS_RESET;
        is_new && self.status & DRIVER_OK != 0
    }

    /// Returns where a queue is.
    pub fn place(&self, queue: u16) -> Option<Place> {
        let queue = self.queues.get(usize::from(queue))?;
        Some(queue.place)
    }

    /// Returns the vector of a queue that is to be served.
    pub fn vector_if_served(&self, queue: u16, options: &Options) -> Option<u16> {
        let queue = self.queues.get(usize::from(queue))?;
        (self.is_live(options) && queue.is_enabled && !queue.is_resetting).then_some(queue.vector)
    }

    /// Returns the queue to the state after a reset of the device (2.6.1).
    pub fn end_queue_reset(&mut self, number: u16, options: &Options) {
        if let Some(queue) = self.queues.get_mut(usize::from(number)) {
            *queue = QueueRegisters::new(options, number);
        }
    }

    /// Returns the bytes that a driver reads.
    pub fn image(&self, generation: u8, options: &Options) -> [u8; 64] {
        let mut image = [0; 64];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, byte) in image.iter_mut().skip(at).zip(bytes) {
                *to = *byte;
            }
        };
        let offered = half(offered(options), self.device_feature_select);
        let shown = |vector| match options.broken {
            Some(Rule::VectorsReadBack) => NO_VECTOR,
            _ => vector,
        };
        let accepted = half(self.driver_features, self.driver_feature_select);
        put(0, &self.device_feature_select.to_le_bytes());
        put(DEVICE_FEATURE, &offered.to_le_bytes());
        put(
            DRIVER_FEATURE_SELECT as usize,
            &self.driver_feature_select.to_le_bytes(),
        );
        put(DRIVER_FEATURE as usize, &accepted.to_le_bytes());
        put(
            CONFIG_MSIX_VECTOR as usize,
            &shown(self.config_vector).to_le_bytes(),
        );
        put(NUM_QUEUES, &options.queue_count().to_le_bytes());
        put(DEVICE_STATUS as usize, &[self.status | self.stale_status]);
        put(CONFIG_GENERATION, &[generation]);
        put(QUEUE_SELECT as usize, &self.queue_select.to_le_bytes());
        // Of a queue that does not exist everything is 0, its size above all.
        if let Some(queue) = self.queues.get(usize::from(self.queue_select)) {
            let number = self.queue_select;
            put(QUEUE_SIZE as usize, &queue.place.size.to_le_bytes());
            put(
                QUEUE_MSIX_VECTOR as usize,
                &shown(queue.vector).to_le_bytes(),
            );
            put(QUEUE_ENABLE as usize, &[u8::from(queue.is_enabled)]);
            put(QUEUE_NOTIFY_OFF, &number.to_le_bytes());
            put(QUEUE_DESC as usize, &queue.place.descriptors.to_le_bytes());
            put(QUEUE_DRIVER as usize, &queue.place.driver.to_le_bytes());
            put(QUEUE_DEVICE as usize, &queue.place.device.to_le_bytes());
            if options.features & feature::NOTIF_CONFIG_DATA != 0 {
                put(
                    QUEUE_NOTIF_CONFIG_DATA,
                    &notification_value(number).to_le_bytes(),
                );
            }
            put(QUEUE_RESET as usize, &[u8::from(queue.is_resetting)]);
        }
        image
    }

    /// Takes what a driver writes. A field is written as a whole, or a long one by its halves
    /// (4.1.3.1); anything else changes nothing.
    pub fn write(&mut self, offset: u64, data: &[u8], options: &Options) -> Effect {
        match (offset, data) {
            (DEVICE_FEATURE_SELECT, &[a, b, c, d]) => {
                self.device_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (DRIVER_FEATURE_SELECT, &[a, b, c, d]) => {
                self.driver_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (DRIVER_FEATURE, &[a, b, c, d]) => {
                self.accept(u32::from_le_bytes([a, b, c, d]));
            }
            (CONFIG_MSIX_VECTOR, &[a, b]) => {
                let number = u16::from_le_bytes([a, b]);
                self.config_vector = vector(number, self.config_vector, options);
            }
            (DEVICE_STATUS, &[status]) => return self.write_status(status, options),
            (QUEUE_SELECT, &[a, b]) => self.queue_select = u16::from_le_bytes([a, b]),
            _ => return self.write_queue(offset, data, options),
        }
        Effect::None
    }

    /// Takes a half of the features. What both sides agreed on stays (2.2.1).
    fn accept(&mut self, bits: u32) {
        if self.status & FEATURES_OK != 0 {
            return;
        }
        let Some(shift) = shift(self.driver_feature_select) else {
            return;
        };
        let others = self.driver_features & !(u64::from(u32::MAX) << shift);
        self.driver_features = others | u64::from(bits) << shift;
    }

    fn write_status(&mut self, status: u8, options: &Options) -> Effect {
        if status == 0 {
            return Effect::Reset;
        }
        let mut new = status & OF_THE_DRIVER & !self.status;
        if new & FEATURES_OK != 0 {
            self.negotiations += 1;
            if !may_accept(self.driver_features, self.negotiations, options) {
                // The driver reads it back and sees that it may not go on (3.1.1, step 6).
                new &= !FEATURES_OK;
            }
        }
        // A driver must not clear a bit (2.1.1), so none is cleared.
        self.status |= new;
        if new & DRIVER_OK != 0 && options.broken == Some(Rule::LiveAfterDriverOk) {
            return Effect::AsksForReset;
        }
        match new & FEATURES_OK {
            0 => Effect::None,
            _ => Effect::Agreed(self.driver_features),
        }
    }

    fn write_queue(&mut self, offset: u64, data: &[u8], options: &Options) -> Effect {
        let number = self.queue_select;
        let has_ring_reset = self
            .agreed_features()
            .is_some_and(|features| features & feature::RING_RESET != 0);
        let Some(queue) = self.queues.get_mut(usize::from(number)) else {
            return Effect::None;
        };
        match (offset, data) {
            (QUEUE_MSIX_VECTOR, &[a, b]) => {
                queue.vector = vector(u16::from_le_bytes([a, b]), queue.vector, options);
            }
            (QUEUE_RESET, &[1, 0]) if has_ring_reset && queue.is_enabled => {
                (queue.is_resetting, queue.is_enabled) = (true, false);
                return Effect::QueueReset(number);
            }
            // A queue that is in use stays as it is (4.1.4.3.2).
            _ if queue.is_enabled => {}
            (QUEUE_ENABLE, &[1, 0]) => {
                queue.is_enabled = true;
                return Effect::QueueEnabled(number);
            }
            (QUEUE_SIZE, &[a, b]) => {
                let size = u16::from_le_bytes([a, b]);
                // A larger one than is offered cannot be (4.1.4.3.2); it is found when enabled.
                queue.place.size = if size > options.queue_size { 0 } else { size };
            }
            (QUEUE_DESC..QUEUE_NOTIF, data) => write_area(&mut queue.place, offset, data),
            _ => {}
        }
        Effect::None
    }
}

/// Behind the addresses of a queue.
const QUEUE_NOTIF: u64 = QUEUE_NOTIF_CONFIG_DATA as u64;

/// Writes the address of an area, or a half of one.
fn write_area(place: &mut Place, offset: u64, data: &[u8]) {
    let area = match offset & !7 {
        QUEUE_DESC => &mut place.descriptors,
        QUEUE_DRIVER => &mut place.driver,
        QUEUE_DEVICE => &mut place.device,
        _ => return,
    };
    let low = u64::from(u32::MAX);
    match (offset & 7, data) {
        (0, &[a, b, c, d, e, f, g, h]) => *area = u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        (0, &[a, b, c, d]) => *area = *area & !low | u64::from(u32::from_le_bytes([a, b, c, d])),
        (4, &[a, b, c, d]) => {
            *area = *area & low | u64::from(u32::from_le_bytes([a, b, c, d])) << 32;
        }
        _ => {}
    }
}

/// Returns the vector that is meant, or none where there is no such one.
fn vector(number: u16, before: u16, options: &Options) -> u16 {
    match options.broken {
        Some(Rule::NoVectorReadsBack) if number == NO_VECTOR => before,
        Some(Rule::VectorBeyondTableRefused) => number,
        _ if number < options.vector_count() => number,
        _ => NO_VECTOR,
    }
}

/// Returns by how much a half of the features is shifted.
fn shift(select: u32) -> Option<u32> {
    (select < 2).then(|| 32 * select)
}

fn half(features: u64, select: u32) -> u32 {
    // The lower half of what is left.
    shift(select).map_or(0, |shift| (features >> shift) as u32)
}
