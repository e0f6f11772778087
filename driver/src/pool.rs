//! Several devices: which one serves this request.
//!
//! A session lives on one device, so a device is chosen when a session is opened. The best is the
//! one that serves the algorithm and costs least: as many as it has requests in flight, and as many
//! again as it is far away from the calling CPU. Among equals it is the one with the fewest
//! sessions.
//!
//! The one rule: the list of devices is replaced, never changed. A caller reads the list of now
//! without holding a lock, and [`DevicePool::remove`] takes a device out before it shuts it down.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    Error, Platform,
    capabilities::{Algorithm, AlgorithmSet},
    device::{Device, recovery::ShutdownReport},
    service::cipher::Cipher,
    sync::IrqMutex,
    wire::{CipherAlgorithm, Direction},
};

/// Devices that come and go, and the choice among them.
///
/// From any CPU, any number of callers at once; never from an interrupt handler, since lists are
/// allocated and freed. Interrupts are each device's own ([`Device::handle_interrupt`]).
#[derive(Debug)]
pub struct DevicePool<P: Platform> {
    /// How far a node is from a CPU.
    distance: fn(cpu: u32, node: u32) -> u32,
    members: IrqMutex<P, Members<P>>,
}

type Members<P> = Arc<Vec<Member<P>>>;

/// A device, and what the caller says about it.
#[derive(Debug)]
struct Member<P: Platform> {
    device: Arc<Device<P>>,
    node: u32,
    serves: AlgorithmSet,
}

impl<P: Platform> Clone for Member<P> {
    fn clone(&self) -> Self {
        Self {
            device: self.device.clone(),
            ..*self
        }
    }
}

impl<P: Platform> DevicePool<P> {
    /// Makes a pool without devices.
    ///
    /// `distance` tells how far the node of a device is from a CPU, in requests: a nearer device is
    /// taken although it has so many more in flight. With `|_, _| 0` only load counts.
    pub fn new(distance: fn(cpu: u32, node: u32) -> u32) -> Self {
        Self {
            distance,
            members: IrqMutex::new("devices", Arc::default()),
        }
    }

    /// Adds a device on a node, or says something else about one that is here already.
    ///
    /// `serves` is what it is chosen for: [`advertised`](crate::Capabilities::advertised) to
    /// believe what it says, [`Proved::algorithms`](crate::Proved::algorithms) to believe
    /// [`Device::prove`], or either [`with`](AlgorithmSet::with) and
    /// [`without`](AlgorithmSet::without) what has turned out.
    pub fn add(&self, device: Arc<Device<P>>, node: u32, serves: AlgorithmSet) {
        let added = Member {
            device,
            node,
            serves,
        };
        self.change(|members| {
            let others = members.iter().filter(|member| !member.is(&added.device));
            others.chain([&added]).cloned().collect()
        });
    }

    /// Takes a device out and shuts it down: it is chosen no more, requests in flight get up to
    /// `limit_ns` to end, and those that remain end with [`Error::ShutDown`]. Their buffers come
    /// back as [`Device::shutdown`] says. It may be [recovered](Device::recover) and added again.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] when it is not here, and nothing is done. Those of [`Device::shutdown`],
    /// such as [`DeviceFault::Gone`](crate::DeviceFault::Gone) in [`Error::Broken`] when the device
    /// has been pulled out: it is out of here all the same.
    pub fn remove(&self, device: &Arc<Device<P>>, limit_ns: u64) -> Result<ShutdownReport, Error> {
        let was_here = self.change(|members| {
            let others = members.iter().filter(|member| !member.is(device));
            others.cloned().collect()
        });
        if !was_here.iter().any(|member| member.is(device)) {
            return Err(Error::NoDevice);
        }
        device.shutdown(limit_ns)
    }

    /// Returns the devices that are here, broken ones too.
    pub fn devices(&self) -> Vec<Arc<Device<P>>> {
        let members = self.members();
        members.iter().map(|member| member.device.clone()).collect()
    }

    /// Chooses a device for a session of an algorithm. Reads the counters of each queue of each
    /// device; reads no register, so a device that has vanished is passed over once
    /// [`poll`](Device::poll) or an interrupt has noticed.
    ///
    /// It may be removed before the caller opens its session, which then fails with
    /// [`Error::ShutDown`]: choose again, as [`open_cipher`](Self::open_cipher) does.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] when no device serves it, or all that do are broken or shut down.
    pub fn device_for(&self, algorithm: impl Into<Algorithm>) -> Result<Arc<Device<P>>, Error> {
        let (algorithm, cpu) = (algorithm.into(), P::cpu());
        let members = self.members();
        let able = members
            .iter()
            .filter(|member| member.serves.contains(algorithm) && member.is_up());
        let best = able.min_by_key(|member| {
            let distance = (self.distance)(cpu, member.node);
            let epoch = member.device.epoch();
            let cost = epoch.in_flight().saturating_add(distance);
            (cost, epoch.control.sessions_taken())
        });
        Ok(best.ok_or(Error::NoDevice)?.device.clone())
    }

    /// Opens a session of a cipher on the device that is best for it, and on another one if that
    /// breaks or leaves meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`], and those of [`Cipher::open`] but for [`Error::Broken`],
    /// [`Error::HardwareNotReady`] and [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// That of [`Cipher::open`].
    pub async fn open_cipher(
        &self,
        algorithm: CipherAlgorithm,
        direction: Direction,
        key: &[u8],
    ) -> Result<Cipher<P>, Error> {
        loop {
            let device = self.device_for(algorithm)?;
            match Cipher::open(&device, algorithm, direction, key).await {
                // It is not chosen again before it has recovered.
                Err(Error::Broken(_) | Error::ShutDown | Error::HardwareNotReady) => {}
                outcome => return outcome,
            }
        }
    }

    fn members(&self) -> Members<P> {
        self.members.with(|members| members.clone())
    }

    /// Replaces the list by what `f` makes of it, and returns the one from before.
    fn change(&self, f: impl Fn(&[Member<P>]) -> Vec<Member<P>>) -> Members<P> {
        loop {
            let before = self.members();
            let mut members = Arc::new(f(&before));
            let is_current = self.members.with(|current| {
                // `before` is held, so no other list can be where it is.
                let is_current = Arc::ptr_eq(current, &before);
                if is_current {
                    core::mem::swap(current, &mut members);
                }
                is_current
            });
            if is_current {
                return before;
            }
        }
    }
}

impl<P: Platform> Member<P> {
    fn is(&self, device: &Arc<Device<P>>) -> bool {
        Arc::ptr_eq(&self.device, device)
    }

    /// Tells whether it takes requests, as far as anybody knows.
    fn is_up(&self) -> bool {
        let device = &self.device;
        device.ended().is_none() && device.is_ready() && !device.is_resetting()
    }
}
