//! `smoltcp` behind a lock, and the task that calls it.

use alloc::{boxed::Box, vec};
use core::{
    fmt,
    future::poll_fn,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Poll, Waker},
};

use kernel::{exit, interrupts::lines::Listener, sync::SpinLock, task::executor, time};
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpCidr},
};
use spin::Mutex;
use virtio_drivers::transport::{InterruptStatus, Transport, pci::PciTransport};

use super::frames::{Counts, Frames};

/// How long the device may keep all buffers before it is asked again.
const FULL_NS: u64 = 10_000_000;

/// Where this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its own address.
    pub own: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix_len: u8,
    /// Who passes on what is for others.
    pub gateway: Ipv4Addr,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that went.
    pub frames_out: u64,
    /// Interrupts of the device.
    pub interrupts: u64,
    /// Nanoseconds in `smoltcp`.
    pub busy_ns: u64,
}

/// A network. It stays for good once it is set up, so that nothing is freed under its device.
#[derive(Clone, Copy)]
pub struct Network(&'static Inner);

struct Inner {
    stack: Mutex<Stack>,
    counts: &'static Counts,
    event: &'static Event,
    busy_ns: AtomicU64,
    mac: [u8; 6],
}

/// What is called under the lock.
pub struct Stack {
    frames: Frames,
    interface: Interface,
    pub sockets: SocketSet<'static>,
}

/// The network's task has something to do.
#[derive(Debug)]
struct Event {
    is_set: AtomicBool,
    waker: SpinLock<Option<Waker>>,
    interrupts: AtomicU64,
}

impl Event {
    /// Wakes the task. Also in an interrupt.
    fn set(&self) {
        // Release: what was done before is seen by whoever takes it.
        self.is_set.store(true, Ordering::Release);
        if let Some(waker) = self.waker.with(Option::take) {
            waker.wake();
        }
    }

    /// Waits for the next one.
    async fn next(&self) {
        poll_fn(|context| {
            if self.is_set.swap(false, Ordering::Acquire) {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            drop(self.waker.with(|place| place.replace(waker)));
            // It may have been set before there was somebody to wake.
            match self.is_set.swap(false, Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// The device on its interrupt line.
pub struct OnLine {
    transport: &'static SpinLock<PciTransport>,
    event: &'static Event,
}

impl Listener for OnLine {
    fn on_line(&self) {
        // Reading it lets the line fall; the task looks at the queues.
        let status = self.transport.with(Transport::ack_interrupt);
        if status != InterruptStatus::empty() {
            self.event.interrupts.fetch_add(1, Ordering::Relaxed);
            self.event.set();
        }
    }
}

fn now() -> Instant {
    Instant::from_micros((time::now_ns() / 1000) as i64)
}

impl Network {
    pub(super) fn new(
        mut frames: Frames,
        transport: &'static SpinLock<PciTransport>,
        counts: &'static Counts,
        mac: [u8; 6],
        addresses: Addresses,
        seed: u64,
    ) -> (Self, OnLine) {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut frames, now());
        // Both lists have room for one at least.
        interface.update_ip_addrs(|list| {
            let _ = list.push(IpCidr::new(addresses.own.into(), addresses.prefix_len));
        });
        let _ = interface
            .routes_mut()
            .add_default_ipv4_route(addresses.gateway);
        let event = Event {
            is_set: AtomicBool::new(true),
            waker: SpinLock::new("network event", None),
            interrupts: AtomicU64::new(0),
        };
        let event = &*Box::leak(Box::new(event));
        let stack = Stack {
            frames,
            interface,
            sockets: SocketSet::new(vec![]),
        };
        let inner = Inner {
            stack: Mutex::new(stack),
            counts,
            event,
            busy_ns: AtomicU64::new(0),
            mac,
        };
        let network = Self(&*Box::leak(Box::new(inner)));
        (network, OnLine { transport, event })
    }

    /// Returns the device's own address.
    pub fn mac(&self) -> [u8; 6] {
        self.0.mac
    }

    /// Returns what there was.
    pub fn stats(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            frames_in: count(&self.0.counts.received),
            frames_out: count(&self.0.counts.sent),
            interrupts: count(&self.0.event.interrupts),
            busy_ns: count(&self.0.busy_ns),
        }
    }

    /// Serves every socket, for ever: a task of its own.
    ///
    /// # Cancellation
    ///
    /// Dropped, nothing goes on.
    pub async fn run(self) {
        loop {
            let delay_ns = self.poll();
            match delay_ns {
                Some(0) => executor::yield_now().await,
                Some(delay_ns) => {
                    let _ = time::timeout(delay_ns, self.0.event.next()).await;
                }
                None => self.0.event.next().await,
            }
        }
    }

    /// Lets `smoltcp` do what there is to do; returns when there will be more by itself.
    pub(super) fn poll(self) -> Option<u64> {
        let start_ns = time::now_ns();
        // Whoever comes while it works wakes the task once more.
        let (is_broken, delay_ns) = self.with(|stack| {
            let Stack {
                frames,
                interface,
                sockets,
            } = stack;
            interface.poll(now(), frames, sockets);
            frames.kick();
            let delay = interface.poll_delay(now(), sockets);
            let delay_ns = delay.map(|delay| delay.total_micros().saturating_mul(1000));
            match frames.is_full() {
                true => (frames.is_broken(), Some(FULL_NS)),
                false => (frames.is_broken(), delay_ns),
            }
        });
        if is_broken {
            exit::fail(format_args!(
                "network: the device broke the rules of its queues"
            ));
        }
        let busy_ns = time::now_ns() - start_ns;
        self.0.busy_ns.fetch_add(busy_ns, Ordering::Relaxed);
        delay_ns
    }

    /// Runs `f` under the lock.
    pub(super) fn with<R>(self, f: impl FnOnce(&mut Stack) -> R) -> R {
        f(&mut self.0.stack.lock())
    }

    /// A socket has something to send, or room again.
    pub(super) fn wake(self) {
        self.0.event.set();
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("mac", &self.0.mac)
            .finish_non_exhaustive()
    }
}
