//! The queues by vhost-user, for QEMU's `vhost-user-test-device-pci`.
//!
//! For the program. QEMU has the registers, negotiates with the guest and raises interrupts, all at
//! one vector; it asks for the configuration and says where the queues are. There is no
//! NEEDS_RESET, and no word about a changed configuration. The one rule: a queue is served by its
//! own thread, and by its ring of this crate, since rust-vmm's has no packed one.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost_user_backend::{VhostUserBackend, VhostUserDaemon, VringMutex, VringT};
use virtio_queue::QueueT;
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::{
    epoll::EventSet,
    event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier},
};

use super::remove_old;
use crate::{
    function::{Carrier, Function, layout},
    memory::Memory,
    options::Options,
    ring::Place,
};

/// QEMU speaks of features by messages of the protocol's own.
const PROTOCOL_FEATURES: u64 = 1 << 30;
/// Requests after which a thread looks for other events.
const BUDGET: usize = 256;

/// The queues as QEMU gave them, by their numbers.
#[derive(Default)]
struct Vrings(Vec<OnceLock<VringMutex>>);

impl Carrier for Arc<Vrings> {
    fn message(&self, vector: u16) {
        if let Some(vring) = self.0.get(usize::from(vector)).and_then(OnceLock::get) {
            // QEMU may have gone.
            let _ = vring.signal_used_queue();
        }
    }

    fn report(&self, line: &str) {
        eprintln!("device: {line}");
    }
}

struct Backend {
    function: Arc<Function>,
    vrings: Arc<Vrings>,
    /// Which queues have begun.
    begun: Mutex<Vec<bool>>,
}

impl Backend {
    fn set_begun(&self, index: usize, now: bool) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        match begun.get_mut(index) {
            Some(has_begun) => std::mem::replace(has_begun, now),
            None => true,
        }
    }

    /// Begins with a queue, where QEMU says that it is.
    fn begin(&self, index: u16, vring: &VringMutex) {
        if self.set_begun(index.into(), true) {
            return;
        }
        let (place, from) = {
            let state = vring.get_ref();
            let queue = state.get_queue();
            let place = Place {
                size: queue.size(),
                descriptors: queue.desc_table(),
                driver: queue.avail_ring(),
                device: queue.used_ring(),
            };
            (place, queue.next_avail())
        };
        self.function.start_queue(index, place, from);
    }
}

impl VhostUserBackend for Backend {
    type Bitmap = ();
    type Vring = VringMutex;

    fn num_queues(&self) -> usize {
        self.function.options().queue_count().into()
    }

    fn max_queue_size(&self) -> usize {
        self.function.options().queue_size.into()
    }

    fn features(&self) -> u64 {
        self.function.options().features | PROTOCOL_FEATURES
    }

    fn acked_features(&self, features: u64) {
        self.function.attach(features & !PROTOCOL_FEATURES);
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::CONFIG
            | VhostUserProtocolFeatures::REPLY_ACK
    }

    fn set_event_idx(&self, _: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let all = layout::DEVICE.len_bytes;
        // A length that somebody else says is no reason to make room for it.
        let mut bytes = vec![0; size.min(all) as usize];
        let at = u64::from(layout::DEVICE.offset) + u64::from(offset.min(all));
        self.function.read(at, &mut bytes);
        bytes
    }

    fn update_memory(&self, memory: GuestMemoryAtomic<GuestMemoryMmap>) -> io::Result<()> {
        self.function.memory().replace((*memory.memory()).clone());
        self.function.quiesce();
        Ok(())
    }

    fn queues_per_thread(&self) -> Vec<u64> {
        (0..self.num_queues()).map(|queue| 1 << queue).collect()
    }

    fn exit_event(&self, _: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::NONBLOCK).ok()
    }

    fn stop_vring(&self, index: u32) -> io::Result<()> {
        let index = u16::try_from(index).map_err(io::Error::other)?;
        self.set_begun(index.into(), false);
        let reached = self.function.stop_queue(index);
        let vring = self
            .vrings
            .0
            .get(usize::from(index))
            .and_then(OnceLock::get);
        if let Some((reached, vring)) = reached.zip(vring) {
            vring.set_queue_next_avail(reached);
        }
        Ok(())
    }

    fn handle_event(
        &self,
        event: u16,
        _: EventSet,
        vrings: &[VringMutex],
        thread: usize,
    ) -> io::Result<()> {
        // A thread has one queue, whose number is its own.
        let index = u16::try_from(thread).map_err(io::Error::other)?;
        let Some(vring) = vrings.get(usize::from(event)) else {
            return Ok(());
        };
        if let Some(place) = self.vrings.0.get(thread) {
            place.get_or_init(|| vring.clone());
        }
        self.begin(index, vring);
        while self.function.serve(index, BUDGET).has_more {}
        Ok(())
    }
}

/// Makes a device, gives it to `ready`, and serves it to the one that connects to a socket, until
/// that one hangs up.
///
/// # Errors
///
/// Fails where there can be no such socket, or where the other side breaks the protocol.
pub fn serve(
    socket: &Path,
    options: Options,
    ready: impl FnOnce(&Arc<Function>) -> io::Result<()>,
) -> io::Result<String> {
    remove_old(socket)?;
    let count = usize::from(options.queue_count());
    let vrings = Arc::new(Vrings((0..count).map(|_| OnceLock::new()).collect()));
    // A vector a queue, whatever QEMU makes of it.
    let options = Options {
        vectors: Some(options.queue_count()),
        ..options
    };
    let function = Function::new(options, Memory::default(), Box::new(vrings.clone()));
    let function = Arc::new(function);
    ready(&function)?;
    let backend = Arc::new(Backend {
        function: function.clone(),
        vrings,
        begun: Mutex::new(vec![false; count]),
    });
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let daemon = VhostUserDaemon::new("device".to_owned(), backend, memory);
    let mut daemon = daemon.map_err(|error| io::Error::other(error.to_string()))?;
    // QEMU that hangs up is an end like any other.
    if let Err(error) = daemon.serve(socket) {
        eprintln!("device: {error}");
    }
    Ok(function.stats())
}
