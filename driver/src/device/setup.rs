//! From a device in whatever state to one that is ready, in the order of Virtio 1.3, 3.1.1.
//!
//! For [`Device::new`](crate::Device::new) and for a recovery. The one rule: after an error the
//! device has been told to reset, so none stays half set up.

use alloc::{sync::Arc, vec::Vec};

use virtio_drivers::transport::DeviceStatus;

use crate::{
    Error, Platform,
    capabilities::Capabilities,
    deadline::Deadline,
    device::{
        ladder::{InterruptMode, Interrupts},
        options::Options,
        trial::served_queues,
    },
    dma::GivenUp,
    epoch::{DataQueues, Epoch},
    heap::room_for,
    index::QueueIndex,
    queue::{Layout, Owed, Queue, SessionTable},
    transport::{Attached, MsixMessage, Transport},
    virtqueue::Format,
    wire::{Features, Form},
};

/// Features that the driver makes use of when they are offered.
const SUPPORTED: Features = Features::VERSION_1
    .union(Features::INDIRECT_DESC)
    .union(Features::EVENT_IDX)
    .union(Features::RING_PACKED)
    .union(Features::IN_ORDER)
    .union(Features::ACCESS_PLATFORM)
    .union(Features::ORDER_PLATFORM)
    .union(Features::REVISION_1)
    .union(STATELESS);

/// Features that change what a kick writes: supported where the transport supports them.
const OF_KICKS: Features = Features::NOTIFICATION_DATA.union(Features::NOTIF_CONFIG_DATA);

/// Stateless modes; each needs REVISION_1 (Virtio 1.3, 5.9.3.1).
const STATELESS: Features = Features::CIPHER_STATELESS_MODE
    .union(Features::HASH_STATELESS_MODE)
    .union(Features::MAC_STATELESS_MODE)
    .union(Features::AEAD_STATELESS_MODE)
    .union(Features::AKCIPHER_STATELESS_MODE);

/// Resets the device and waits, for a bounded time, until it says that it is done
/// (Virtio 1.3, 2.4.2). A device that is gone is neither written to nor waited for.
pub(crate) fn reset<P: Platform>(attached: &Attached, limit_ns: u64) -> Result<(), Error> {
    let mut deadline = Deadline::after::<P>(limit_ns);
    attached.confirm()?.write_status(DeviceStatus::empty());
    loop {
        if attached.read_status()?.is_empty() {
            // One that is gone may read as if it were done.
            return attached.confirm().map(drop);
        }
        if deadline.is_over::<P>() {
            let waited_ns = deadline.waited_ns();
            return Err(Error::ResetTimeout { waited_ns });
        }
        core::hint::spin_loop();
    }
}

/// Resets a device that may be live, as [`reset`] does. It may ask for that between the last look
/// at its status and the reset, so nobody sees it, and a message tells of it all the same.
pub(crate) fn reset_live<P: Platform>(attached: &Attached, limit_ns: u64) -> Result<(), Error> {
    let may_still_ask = |status: DeviceStatus| {
        status.contains(DeviceStatus::DRIVER_OK)
            && !status.contains(DeviceStatus::DEVICE_NEEDS_RESET)
    };
    if attached.read_status().is_ok_and(may_still_ask) {
        attached.config_messages().owe(1);
    }
    reset::<P>(attached, limit_ns)
}

/// Takes a device from whatever state to DRIVER_OK, in the order of Virtio 1.3, 3.1.1, with the
/// data queues of `before`, or with those that a trial finds served.
///
/// After an error the device has been told to reset: it must not stay half set up.
pub(crate) fn bring_up<P: Platform>(
    attached: &Arc<Attached>,
    options: &Options,
    messages: &[MsixMessage],
    interrupts: &Interrupts,
    given_up: &Arc<GivenUp>,
    before: Option<&Epoch<P>>,
) -> Result<Arc<Epoch<P>>, Error> {
    let set_up = |wanted| {
        let epoch = set_up(attached, options, messages, interrupts, given_up, wanted);
        epoch.map(Arc::new)
    };
    let mut brought_up = set_up(before.map(|before| &before.data_queues));
    if let Ok(epoch) = &brought_up
        && before.is_none()
        && epoch.data.len() > 1
        && options.trial_limit_ns > 0
    {
        brought_up = match try_queues(epoch, attached, options) {
            Ok(Some((served, owed))) => {
                // Before the next epoch takes memory.
                drop(brought_up);
                let epoch = set_up(Some(&served));
                // The messages of the trial may still be on their way.
                epoch.inspect(|epoch| epoch.inherit(owed.into_iter()))
            }
            Ok(None) => brought_up,
            Err(error) => Err(error),
        };
    }
    if brought_up.is_err() {
        // That it has gone meanwhile explains whatever else it seemed to say.
        attached.confirm()?.write_status(DeviceStatus::empty());
    }
    brought_up
}

/// Finds out which data queues are served. If some are not, the device is reset for another epoch
/// with the others alone; this returns those, with what all queues are owed in interrupts. So
/// nothing is left of the queues that are not served: no vector, no request without an answer, and
/// no memory except that of silent ones.
#[cold]
fn try_queues<P: Platform>(
    epoch: &Arc<Epoch<P>>,
    attached: &Arc<Attached>,
    options: &Options,
) -> Result<Option<(DataQueues, Vec<Owed>)>, Error> {
    let served = served_queues(epoch, options.trial_limit_ns);
    let mut wanted = match (epoch.control.ended(), served) {
        (None, None) => return Ok(None),
        (None, Some(served)) => {
            let wanted = epoch.data_queues.without_others(&served)?;
            let (left_out, count) = (wanted.left_out, epoch.data.len());
            if left_out == 0 {
                return Ok(None);
            }
            log::warn!("virtio-crypto: {left_out} of {count} data queues are not served");
            wanted
        }
        (Some(error), _) => {
            log::warn!("virtio-crypto: the trial of the data queues was given up: {error}");
            epoch.data_queues.without_others(&[])?
        }
    };
    epoch.drain();
    epoch.end(Error::ShutDown);
    wanted.sessions_left = epoch.control.sessions_taken() as u64;
    let mut owed = room_for(epoch.data.len() + 1)?;
    reset_live::<P>(attached, options.reset_limit_ns)?;
    // Once more: messages of what it has used until now may come.
    epoch.drain();
    owed.extend(epoch.owed());
    epoch.take_back(options.forced_reset);
    Ok(Some((wanted, owed)))
}

fn set_up<P: Platform>(
    attached: &Arc<Attached>,
    options: &Options,
    messages: &[MsixMessage],
    interrupts: &Interrupts,
    given_up: &Arc<GivenUp>,
    wanted: Option<&DataQueues>,
) -> Result<Epoch<P>, Error> {
    reset::<P>(attached, options.reset_limit_ns)?;
    let transport = attached.transport()?;
    let mut status = DeviceStatus::ACKNOWLEDGE;
    transport.write_status(status);
    status |= DeviceStatus::DRIVER;
    transport.write_status(status);

    let offered = Features::from_bits_retain(transport.read_device_features());
    // Features that say what the device is are not the driver's to refuse (6.1).
    let kept = Features::VERSION_1 | Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
    let of_transport = Features::from_bits_retain(transport.notification_features());
    let mut supported = SUPPORTED | (OF_KICKS & of_transport);
    supported.set(Features::RING_RESET, transport.resets_queues());
    let mut features = offered & supported & (!options.refuse | kept);
    if !features.contains(Features::REVISION_1) {
        features.remove(STATELESS);
    }
    let required = options.require | Features::VERSION_1;
    if let Some(missing) = (required - features).iter().next() {
        return Err(Error::FeatureMissing {
            feature: missing.name(),
        });
    }
    transport.write_driver_features(features.bits());
    status |= DeviceStatus::FEATURES_OK;
    transport.write_status(status);
    if !transport.read_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Error::FeaturesRefused {
            features: features.bits(),
        });
    }

    let (mut capabilities, _) = Capabilities::read(transport)?;
    capabilities.max_size_bytes = capabilities.max_size_bytes.min(options.max_size_bytes);
    // Data queues come first, the control queue after all that the device has (5.9.2).
    let max_data_queues = capabilities.max_data_queues.max(1);
    let control_index = u16::try_from(max_data_queues)
        .map_err(|_| Error::ControlQueueOutOfReach { max_data_queues })?;
    let count = options.data_queues.clamp(1, control_index);
    let data_queues = DataQueues::choose(wanted, count, control_index)?;
    let control = QueueIndex(control_index);
    let mut indices = room_for(data_queues.in_use.len() + 1)?;
    indices.extend(data_queues.in_use.iter().copied().chain([control]));
    let sessions = Arc::new(SessionTable::new(options.sessions, Form::of(features))?);
    let make = |queue, slots, places| {
        let layout = Layout {
            slots,
            sessions: places,
            max_entries: transport.read_max_queue_size(queue),
            ..layout(queue, options, features, capabilities.room_bytes())
        };
        make_queue(transport, layout, &sessions, given_up)
    };
    let mut data = room_for(data_queues.in_use.len())?;
    for queue in &data_queues.in_use {
        data.push(make(*queue, options.data_slots, 0)?);
    }
    let data = data.into_boxed_slice();
    let control = make(control, options.control_slots, options.sessions)?;

    // Vectors before the queues are enabled: an enabled queue's vector must not change.
    let config_messages = attached.config_messages();
    if wanted.is_none() {
        // The first one: nobody was told of any before.
        config_messages.begin_at(transport.read_config_generation());
    }
    let mode = interrupts.set_up(transport, messages, options.intx, &indices);
    let sharing = mode.sharing_config(indices.len());
    config_messages.share_vector(sharing, options.message_travel_ns > 0);
    let epoch = Epoch::new(
        attached.clone(),
        control,
        data,
        sessions,
        features,
        capabilities,
        data_queues,
    );
    if options.message_travel_ns > 0 {
        epoch.queues().for_each(Queue::let_messages_travel);
    }
    if mode == InterruptMode::Polling {
        epoch.set_polled();
    }
    for queue in epoch.queues() {
        queue.share_vector(mode.sharing(indices.len()));
    }
    for (queue, index) in epoch.queues().zip(&indices) {
        queue.lend();
        transport.set_queue(*index, queue.entries(), queue.addresses());
        transport.enable_queue(*index);
    }
    // A message of before meets what is set up here, which finds nothing new.
    config_messages.see_generation(transport.read_config_generation());
    status |= DeviceStatus::DRIVER_OK;
    transport.write_status(status);

    // QEMU tells of no change to HW_READY, so it is read again once the device is live.
    let ready = Capabilities::read(transport).map(|(_, ready)| ready);
    // All ones say that the hardware is ready, too.
    epoch.check_presence();
    let failed = match (epoch.control.ended(), ready) {
        (Some(error), _) | (None, Err(error)) => error,
        (None, Ok(false)) => Error::HardwareNotReady,
        (None, Ok(true)) => return Ok(epoch),
    };
    reset_live::<P>(attached, options.reset_limit_ns)?;
    epoch.take_back(options.forced_reset);
    Err(failed)
}

/// Returns the layout of a data queue, but for how many entries the device allows.
pub(super) fn layout(
    queue: QueueIndex,
    options: &Options,
    features: Features,
    max_request_bytes: u64,
) -> Layout {
    Layout {
        queue,
        max_entries: 0,
        slots: options.data_slots,
        format: match features.contains(Features::RING_PACKED) {
            true => Format::Packed,
            false => Format::Split,
        },
        indirect: features.contains(Features::INDIRECT_DESC),
        framing: options.framing,
        event_index: features.contains(Features::EVENT_IDX),
        in_order: features.contains(Features::IN_ORDER),
        sessions: 0,
        when_not_ready: options.when_not_ready,
        max_request_bytes,
    }
}

/// Makes a queue that the device does not know of yet.
pub(super) fn make_queue<P: Platform>(
    transport: &dyn Transport,
    layout: Layout,
    sessions: &Arc<SessionTable>,
    given_up: &Arc<GivenUp>,
) -> Result<Queue<P>, Error> {
    // A queue that is not there has no doorbell either.
    layout.size()?;
    let doorbell = transport.doorbell(layout.queue).map_err(Error::Transport)?;
    Queue::new(layout, sessions.clone(), doorbell, given_up.clone())
}
