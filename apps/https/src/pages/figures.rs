//! What the server has counted, at one moment.

use alloc::{string::String, vec::Vec};

/// What served the page, which does not change.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Where signatures are made: `device` or `software`.
    pub sign: &'static str,
    /// The certificate's key.
    pub key: String,
    /// The versions of TLS.
    pub tls: &'static str,
    /// The crypto device, in a few words.
    pub device: String,
    /// CPUs of the guest.
    pub cpus: u64,
}

impl Machine {
    /// Who has the key, in words.
    pub(super) fn signer(&self) -> &'static str {
        match self.sign {
            "device" => "the crypto device",
            _ => "software in the guest",
        }
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// How often.
    pub count: u64,
    /// All of it together.
    pub sum_ns: u64,
    /// What half of them do not exceed.
    pub p50_ns: u64,
    /// What nine of ten do not exceed.
    pub p90_ns: u64,
    /// What 99 of 100 do not exceed.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// Counters and gauges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Since boot.
    pub uptime_ms: u64,
    /// Connections being served.
    pub connections_open: u64,
    /// Connections that came.
    pub connections: u64,
    /// Connections that took too long.
    pub timeouts: u64,
    /// Handshakes with a signature.
    pub handshakes: u64,
    /// Those of the CPU that has had the fewest.
    pub handshakes_of_least_cpu: u64,
    /// Handshakes by a ticket.
    pub handshakes_resumed: u64,
    /// Connections that ended before their time: failed handshakes, clients that were gone or too
    /// slow.
    pub connections_failed: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that were refused: answers from 400 on.
    pub requests_refused: u64,
    /// Bytes of bodies that were sent.
    pub body_bytes: u64,
    /// Signatures that were made.
    pub signatures: u64,
    /// Signatures that could not be made.
    pub signatures_failed: u64,
    /// Signatures that were asked for again, after the device had been recovered.
    pub signatures_repeated: u64,
    /// Requests in flight on the device, by its queue's own count.
    pub signatures_in_flight: u64,
    /// The most there have been.
    pub signatures_in_flight_max: u64,
    /// Requests that the device has used.
    pub device_requests: u64,
    /// Doorbells of the device that were rung.
    pub device_kicks: u64,
    /// Interrupts of the device that found something to do.
    pub device_interrupts_handled: u64,
    /// Interrupts whose work had been done.
    pub device_interrupts_drained: u64,
    /// Interrupts that nothing accounts for.
    pub device_interrupts_unhandled: u64,
    /// How often the device was recovered.
    pub device_recoveries: u64,
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that went.
    pub frames_out: u64,
    /// Interrupts of the network's device.
    pub net_interrupts: u64,
    /// Milliseconds in TCP/IP.
    pub net_busy_ms: u64,
    /// Bytes of the heap that are taken.
    pub heap_bytes: u64,
    /// From a connection to the end of its handshake.
    pub handshake: Latency,
    /// From the request for a signature to the signature.
    pub signature: Latency,
}

/// How a figure changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It only grows.
    Counter,
    /// It may fall.
    Gauge,
}

/// One figure by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    pub name: &'static str,
    pub about: &'static str,
    pub change: Change,
    pub value: u64,
}

/// One latency by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub name: &'static str,
    pub about: &'static str,
    pub latency: Latency,
}

impl Figures {
    /// All but the latencies, for whatever lists them.
    pub(super) fn list(&self) -> Vec<Figure> {
        use Change::{Counter, Gauge};
        let list: &[(&'static str, Change, u64, &'static str)] = &[
            (
                "uptime_ms",
                Gauge,
                self.uptime_ms,
                "Milliseconds since boot.",
            ),
            (
                "connections_open",
                Gauge,
                self.connections_open,
                "Connections being served.",
            ),
            (
                "connections",
                Counter,
                self.connections,
                "Connections that came.",
            ),
            (
                "timeouts",
                Counter,
                self.timeouts,
                "Connections that took too long.",
            ),
            (
                "handshakes",
                Counter,
                self.handshakes,
                "Handshakes with a signature.",
            ),
            (
                "handshakes_of_least_cpu",
                Counter,
                self.handshakes_of_least_cpu,
                "Handshakes with a signature on the CPU that has had the fewest.",
            ),
            (
                "handshakes_resumed",
                Counter,
                self.handshakes_resumed,
                "Handshakes by a ticket.",
            ),
            (
                "connections_failed",
                Counter,
                self.connections_failed,
                "Connections that ended before their time.",
            ),
            ("requests", Counter, self.requests, "Requests."),
            (
                "requests_refused",
                Counter,
                self.requests_refused,
                "Answers from 400 on.",
            ),
            (
                "body_bytes",
                Counter,
                self.body_bytes,
                "Bytes of bodies sent.",
            ),
            ("signatures", Counter, self.signatures, "Signatures made."),
            (
                "signatures_failed",
                Counter,
                self.signatures_failed,
                "Signatures not made.",
            ),
            (
                "signatures_repeated",
                Counter,
                self.signatures_repeated,
                "Signatures asked for again after a recovery.",
            ),
            (
                "signatures_in_flight",
                Gauge,
                self.signatures_in_flight,
                "Requests in flight on the device.",
            ),
            (
                "signatures_in_flight_max",
                Gauge,
                self.signatures_in_flight_max,
                "Most requests in flight so far.",
            ),
            (
                "device_requests",
                Counter,
                self.device_requests,
                "Requests the device has used.",
            ),
            (
                "device_kicks",
                Counter,
                self.device_kicks,
                "Doorbells of the device rung.",
            ),
            (
                "device_interrupts_handled",
                Counter,
                self.device_interrupts_handled,
                "Interrupts of the device with work.",
            ),
            (
                "device_interrupts_drained",
                Counter,
                self.device_interrupts_drained,
                "Interrupts of the device whose work was done by then.",
            ),
            (
                "device_interrupts_unhandled",
                Counter,
                self.device_interrupts_unhandled,
                "Interrupts of the device that nothing accounts for.",
            ),
            (
                "device_recoveries",
                Counter,
                self.device_recoveries,
                "Recoveries of the device.",
            ),
            (
                "frames_in",
                Counter,
                self.frames_in,
                "Network frames that came.",
            ),
            (
                "frames_out",
                Counter,
                self.frames_out,
                "Network frames that went.",
            ),
            (
                "net_interrupts",
                Counter,
                self.net_interrupts,
                "Interrupts of the network device.",
            ),
            (
                "net_busy_ms",
                Counter,
                self.net_busy_ms,
                "Milliseconds in TCP/IP.",
            ),
            (
                "heap_bytes",
                Gauge,
                self.heap_bytes,
                "Bytes of the heap taken.",
            ),
        ];
        let figure = |&(name, change, value, about)| Figure {
            name,
            about,
            change,
            value,
        };
        list.iter().map(figure).collect()
    }

    /// The latencies, for whatever lists them.
    pub(super) fn timings(&self) -> [Timing; 2] {
        [
            Timing {
                name: "handshake",
                about: "From a connection to the end of its handshake.",
                latency: self.handshake,
            },
            Timing {
                name: "signature",
                about: "From the request for a signature to the signature.",
                latency: self.signature,
            },
        ]
    }
}
