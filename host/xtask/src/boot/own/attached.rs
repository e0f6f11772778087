//! How QEMU has a device of ours: its arguments, and what its monitor is told.
//!
//! For [`Devices`](super::Devices) and for `./run.sh device`. The one rule: a device that is there
//! from the start and one that comes later are the same device.

/// Words behind which the device of vhost-user has the number, the queues and the configuration
/// space of a crypto device (Virtio 1.3, 5 and 5.9.4).
const CRYPTO: &str = "virtio-id=20,config_size=56";
/// Most descriptors of a queue that QEMU makes.
const MOST_DESCRIPTORS: u32 = 1024;

/// Returns the slot of this number, as an argument.
pub fn port(number: usize) -> String {
    format!("pcie-root-port,id=slot{number},chassis={number},slot={number}")
}

/// By which protocol a device is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A whole PCI function.
    VfioUser,
    /// Queues alone: QEMU has to know how many, and how long.
    VhostUser { queues: u32, queue_size: u32 },
}

/// What a device is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A bus that nothing leaves.
    Board,
    /// A slot of its own, by the number of the device.
    Slot(usize),
}

/// A device of a machine.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What QEMU calls it.
    pub id: String,
    pub socket: String,
    pub protocol: Protocol,
    pub place: Place,
}

impl Protocol {
    /// Returns the device of QEMU that speaks it.
    pub fn qemu_device(self) -> &'static str {
        match self {
            Self::VfioUser => "vfio-user-pci",
            Self::VhostUser { .. } => "vhost-user-test-device-pci",
        }
    }
}

impl Attached {
    /// Returns the arguments by which QEMU has it from the start.
    pub fn arguments(&self) -> Vec<String> {
        let Self { id, socket, .. } = self;
        let device = self.qemu_device();
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if let Place::Slot(number) = self.place {
            add("-device", port(number));
        }
        match self.protocol {
            Protocol::VfioUser => add("-device", self.json()),
            Protocol::VhostUser { queues, queue_size } => {
                let most = queue_size.min(MOST_DESCRIPTORS);
                let size = format!("num_vqs={queues},vq_size={most}");
                let bus = self.bus().map(|bus| format!(",bus={bus}"));
                let bus = bus.unwrap_or_default();
                add("-chardev", format!("socket,id={id}-socket,path={socket}"));
                add(
                    "-device",
                    format!("{device},id={id},chardev={id}-socket,{CRYPTO},{size}{bus}"),
                );
            }
        }
        arguments
    }

    /// Returns the device of vfio-user as JSON, for the command line and for the monitor.
    pub fn json(&self) -> String {
        let Self { id, socket, .. } = self;
        let device = self.qemu_device();
        let bus = self.bus().map(|bus| format!(r#","bus":"{bus}""#));
        let bus = bus.unwrap_or_default();
        let socket = format!(r#"{{"type":"unix","path":"{socket}"}}"#);
        format!(r#"{{"driver":"{device}","id":"{id}","socket":{socket}{bus}}}"#)
    }

    fn qemu_device(&self) -> &'static str {
        self.protocol.qemu_device()
    }

    fn bus(&self) -> Option<String> {
        match self.place {
            Place::Board => None,
            Place::Slot(number) => Some(format!("slot{number}")),
        }
    }
}
