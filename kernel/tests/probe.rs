//! The probe's way of sending by hand, on a device that is well and on one that is not. Each kind
//! of silence has its word, and what was known before it counts no more.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{string::String, sync::Arc};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel::{
    bus::{self, pci::Access},
    crypto, memory,
    platform::KernelPlatform,
    testing,
};
use virtio_crypto::{
    Services,
    transport::{
        Doorbell, MsixEntry, MsixMessage, Notify, QueueAddresses, QueueIndex, Transport,
        TransportError, pci::PciTransport,
    },
};
use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

use crate::{
    answers::keys::RSA,
    facts::services,
    report::{Report, outcome::Works},
    requests::{
        chain::Part,
        config::Config,
        framing::Framing,
        ids::Session,
        raw::{Queue, Raw},
        shared::{self, encrypt},
        trouble::Trouble,
        words::CREATE,
    },
    rules::{subject::Subject, wanted::Wanted},
};

macro_rules! probe {
    ($($module:ident: $path:literal),*) => {
        $(
            #[path = $path]
            #[allow(dead_code, reason = "the probe's; a part of it is tested here")]
            mod $module;
        )*
    };
}
probe!(
    answers: "../src/bin/probe/answers/mod.rs",
    facts: "../src/bin/probe/facts/mod.rs",
    report: "../src/bin/probe/report/mod.rs",
    requests: "../src/bin/probe/requests/mod.rs",
    rules: "../src/bin/probe/rules/mod.rs"
);

kernel::tests! {
    machines: [""],
    tests: [
        session_of_an_ended_life_is_not_named_again,
        chain_longer_than_the_ring_is_not_sent,
        each_silence_has_its_own_word,
        device_that_does_not_come_back_is_left_alone,
        what_is_not_tried_is_said_to_be_not_tried,
        each_row_has_an_id_of_its_own_and_a_statement,
        encryptions_that_come_short_are_made_anew,
        either_framing_is_answered,
    ],
}

/// What stands between the probe and the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Fault {
    None,
    /// No notification arrives.
    Mute,
    /// The first notification does not arrive; the next one does, for both requests.
    Slow,
    /// Nor does the first request.
    Drops,
    NotReady,
    StatusLost,
    Gone,
}

const FAULTS: [Fault; 7] = [
    Fault::None,
    Fault::Mute,
    Fault::Slow,
    Fault::Drops,
    Fault::NotReady,
    Fault::StatusLost,
    Fault::Gone,
];

#[derive(Debug)]
struct Switch {
    fault: AtomicU32,
    /// Register writes and notifications that reached the device.
    touches: AtomicU32,
    /// Where the available rings of data queue and control queue lie.
    available: [AtomicU64; 2],
}

impl Switch {
    fn set(&self, fault: Fault) {
        self.fault.store(fault as u32, Ordering::Relaxed);
    }

    fn fault(&self) -> Fault {
        FAULTS[self.fault.load(Ordering::Relaxed) as usize]
    }

    fn touch(&self) {
        self.touches.fetch_add(1, Ordering::Relaxed);
    }

    fn touches(&self) -> u32 {
        self.touches.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Debug)]
struct Faulty {
    inner: Arc<PciTransport<KernelPlatform, Access>>,
    switch: Arc<Switch>,
}

#[derive(Debug)]
struct Bell(Faulty);

impl Notify for Bell {
    fn notify(&self, queue: QueueIndex) {
        let switch = &self.0.switch;
        match switch.fault() {
            Fault::Mute | Fault::NotReady | Fault::StatusLost | Fault::Gone => return,
            Fault::Slow => return switch.set(Fault::None),
            Fault::Drops => {
                // The next one finds its own head in the place of this one's.
                let available = switch.available[usize::from(queue.0)].load(Ordering::Relaxed);
                let entry: *mut u16 = memory::physical(available + 4).as_mut_ptr();
                // SAFETY: the first entry of a ring of 256, which the probe keeps for good; the
                // device has not been notified of it.
                unsafe { entry.write_volatile(128) };
                return switch.set(Fault::None);
            }
            Fault::None => {}
        }
        switch.touch();
        self.0.inner.doorbell(queue).unwrap().ring(|| 0);
    }
}

// SAFETY: a reset is confirmed only where the device confirms it; addresses are handed on.
unsafe impl Transport for Faulty {
    fn read_device_features(&self) -> u64 {
        self.inner.read_device_features()
    }

    fn write_driver_features(&self, features: u64) {
        self.inner.write_driver_features(features);
    }

    fn read_status(&self) -> DeviceStatus {
        let mut status = self.inner.read_status();
        match self.switch.fault() {
            Fault::Gone => DeviceStatus::from_bits_retain(0xff),
            Fault::StatusLost => {
                status.remove(DeviceStatus::DRIVER_OK);
                status
            }
            _ => status,
        }
    }

    fn is_present(&self) -> bool {
        self.inner.is_present()
    }

    fn write_status(&self, status: DeviceStatus) {
        self.switch.touch();
        // A reset makes well, but for hardware that has gone for good.
        if status.is_empty() && self.switch.fault() == Fault::StatusLost {
            self.switch.set(Fault::None);
        }
        self.inner.write_status(status);
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        self.inner.read_max_queue_size(queue)
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.switch.available[usize::from(queue.0)].store(addresses.available(), Ordering::Relaxed);
        self.inner.set_queue(queue, size, addresses);
    }

    fn enable_queue(&self, queue: QueueIndex) {
        self.inner.enable_queue(queue);
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        Ok(Doorbell::shared(Arc::new(Bell(self.clone())), queue))
    }

    fn read_config_generation(&self) -> u32 {
        self.inner.read_config_generation()
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        self.inner.read_config(offset, bytes)?;
        if self.switch.fault() == Fault::NotReady && offset == 0 {
            bytes[0] &= !1;
        }
        Ok(())
    }

    fn msix_entries(&self) -> u16 {
        self.inner.msix_entries()
    }

    fn set_msix_message(&self, entry: MsixEntry, message: Option<MsixMessage>) {
        self.inner.set_msix_message(entry, message);
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        self.inner.read_interrupt_status()
    }
}

/// A device that is live, with a session on it.
fn rig() -> (Raw, Arc<Switch>, Session) {
    let function = crypto::find_crypto()[0];
    // SAFETY: the bus's own configuration space; one rig drives the device after the other.
    let transport = unsafe { PciTransport::new(bus::pci_access(), function) };
    let switch = Arc::new(Switch {
        fault: AtomicU32::new(0),
        touches: AtomicU32::new(0),
        available: Default::default(),
    });
    let mut raw = Raw::new(Faulty {
        inner: Arc::new(transport.unwrap()),
        switch: switch.clone(),
    });
    raw.bring_up().unwrap();
    raw.check_live().unwrap();
    let session = raw.create(CREATE, &[7; 16]).unwrap();
    (raw, switch, session)
}

fn session_of_an_ended_life_is_not_named_again() {
    let (mut raw, switch, old) = rig();
    // A header that is too short makes QEMU ask for a reset.
    let parts = [Part::Readable(alloc::vec![0; 40]), Part::Writable(17)];
    assert_eq!(
        raw.send(Queue::Data(0), &parts).err(),
        Some(Trouble::NeedsReset)
    );
    assert_eq!((raw.resets_asked.len(), raw.left_behind), (1, 1));
    assert_eq!(raw.stopped, None);
    let touches = switch.touches();
    assert_eq!(encrypt(&mut raw, old), Err(Trouble::NotTried));
    assert_eq!(raw.destroy(old).err(), Some(Trouble::NotTried));
    raw.destroy_all();
    assert_eq!(switch.touches(), touches, "the device heard of it");
    let new = raw.create(CREATE, &[7; 16]).unwrap();
    encrypt(&mut raw, new).unwrap();
    raw.destroy_all();
    assert_eq!(raw.resets_asked.len(), 1);
}

fn chain_longer_than_the_ring_is_not_sent() {
    let (mut raw, switch, session) = rig();
    let size = usize::from(raw.ring(Queue::Data(0)).unwrap().size());
    let mut parts = alloc::vec![Part::Readable(alloc::vec![0]); size];
    parts.push(Part::Writable(17));
    let touches = switch.touches();
    let sent = raw.send(Queue::Data(0), &parts);
    assert_eq!(sent.err(), Some(Trouble::NoRoom));
    let sent = raw.send_indirect(Queue::Data(0), &parts);
    assert_eq!(sent.err(), Some(Trouble::NoRoom));
    let sent = raw.publish_all(Queue::Data(0), &[parts]);
    assert_eq!(sent.err(), Some(Trouble::NoRoom));
    assert_eq!(switch.touches(), touches, "the device heard of it");
    encrypt(&mut raw, session).unwrap();
    raw.destroy_all();
    assert!(raw.resets_asked.is_empty());
}

fn each_silence_has_its_own_word() {
    for (fault, expected) in [
        (Fault::Mute, Trouble::NeverAnswered),
        (Fault::Slow, Trouble::Late),
        (Fault::Drops, Trouble::Dropped),
        (Fault::StatusLost, Trouble::StatusLost),
    ] {
        let (mut raw, switch, session) = rig();
        switch.set(fault);
        assert_eq!(encrypt(&mut raw, session), Err(expected), "{fault:?}");
        switch.set(Fault::None);
        assert_eq!(
            raw.resets_asked.len(),
            0,
            "{fault:?} counts as a reset that was asked for"
        );
        let counted = raw.silences;
        let counted = counted.dropped + counted.never_answered + counted.late;
        assert_eq!(counted, u32::from(fault != Fault::StatusLost), "{fault:?}");
        assert_eq!(raw.stopped, None, "{fault:?}");
        let session = raw.create(CREATE, &[7; 16]).unwrap();
        encrypt(&mut raw, session).unwrap();
        raw.destroy_all();
    }
}

fn device_that_does_not_come_back_is_left_alone() {
    for (fault, trouble) in [
        (Fault::NotReady, Trouble::NotReady),
        (Fault::Gone, Trouble::Gone),
    ] {
        let (mut raw, switch, session) = rig();
        raw.step = String::from("test");
        switch.set(fault);
        let touches = switch.touches();
        assert_eq!(encrypt(&mut raw, session), Err(trouble));
        assert_eq!(raw.stopped, Some((trouble, String::from("test"))));
        // One try to set it up anew, unless it is gone.
        let tried = switch.touches() - touches;
        assert_eq!(
            tried > 0,
            fault != Fault::Gone,
            "{fault:?}: {tried} touches"
        );
        let touches = switch.touches();
        assert_eq!(raw.create(CREATE, &[7; 16]), Err(Trouble::NotTried));
        assert_eq!(encrypt(&mut raw, session), Err(Trouble::NotTried));
        raw.destroy_all();
        assert_eq!(
            switch.touches(),
            touches,
            "{fault:?}: the device heard of it"
        );
        assert!(raw.resets_asked.is_empty());
    }
}

fn what_is_not_tried_is_said_to_be_not_tried() {
    let (mut raw, switch, session) = rig();
    let config = Config::read(&raw).unwrap();
    switch.set(Fault::NotReady);
    assert_eq!(encrypt(&mut raw, session), Err(Trouble::NotReady));
    let mut report = Report::default();
    services::try_all(&mut raw, &config, &mut report);
    let algorithms = &report.algorithms;
    assert!(algorithms.len() > 40, "{} algorithms", algorithms.len());
    assert!(
        algorithms.iter().all(|row| row.works == Works::NotTried),
        "{algorithms:?}"
    );
    let mut subject = Subject::new(raw, config, Wanted(None));
    rules::try_requests(&mut subject, &mut report);
    rules::look_back(&mut subject, &mut report);
    assert_eq!((report.held, &report.failed[..]), (0, &[][..]));
    assert!(report.not_tried > 10, "{} rows", report.not_tried);
}

/// The host splits lines at what stands between their fields.
fn each_row_has_an_id_of_its_own_and_a_statement() {
    let rows: alloc::vec::Vec<_> = rules::all().collect();
    assert!(rows.len() > 40);
    for (number, row) in rows.iter().enumerate() {
        let mut before = rows[..number].iter();
        assert!(before.all(|other| other.id != row.id), "{} twice", row.id);
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(row.id.chars().all(is_plain), "{}", row.id);
        assert!(row.statement.ends_with('.'), "{}", row.id);
        for text in [row.statement, row.section] {
            assert!(!text.contains('='), "{}", row.id);
        }
        assert!(
            row.section.starts_with(|c: char| c.is_ascii_digit()),
            "{}",
            row.id
        );
    }
}

/// About one in 256 comes short: some of these do.
fn encryptions_that_come_short_are_made_anew() {
    let (mut raw, ..) = rig();
    // RSA has the number 1.
    if !Config::read(&raw)
        .unwrap()
        .advertises(Services::AKCIPHER, 1)
    {
        raw.destroy_all();
        return testing::does_not_apply("the device offers no AKCIPHER");
    }
    let session = shared::open_rsa(&mut raw, &RSA[0], 6, shared::PUBLIC).unwrap();
    for number in 0..2000 {
        let encrypted = shared::encrypt_rsa(&mut raw, session, b"abc", 128);
        assert!(
            matches!(encrypted, Ok(Some(_))),
            "number {number}: {encrypted:?}"
        );
    }
    raw.destroy_all();
}

fn either_framing_is_answered() {
    for framing in Framing::ALL {
        let (mut raw, _, session) = rig();
        raw.framing = framing;
        encrypt(&mut raw, session).unwrap();
        raw.destroy_all();
    }
}
