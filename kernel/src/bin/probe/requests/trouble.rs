//! Why a request has no answer that counts, each reason by its own word.

use core::fmt;

/// Why a request has no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The device answered with this status.
    Status(u32),
    /// It asks for a reset.
    NeedsReset,
    /// It has lost DRIVER_OK.
    StatusLost,
    /// It says that its hardware is not ready (Virtio 1.3, 5.9.5).
    NotReady,
    /// It has been removed.
    Gone,
    /// It used an element that names no request.
    WrongId(u32),
    /// It did not answer, but it answered the next request of the same queue.
    Dropped,
    /// It answered neither this request nor the next one.
    NeverAnswered,
    /// It answered, but not in time.
    Late,
    /// Nothing was sent: the device was left alone before, or it would have named a session of a
    /// life that has ended.
    NotTried,
    /// Nothing was sent: it has more descriptors than the ring, which no chain may have
    /// (Virtio 1.3, 2.7.5.3.1 and 2.8.7.1).
    NoRoom,
}

impl Trouble {
    /// Tells whether the device has heard of nothing.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::NotTried | Self::NoRoom)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status_name(*status)),
            Self::NeedsReset => f.write_str("needs-reset"),
            Self::StatusLost => f.write_str("status-lost"),
            Self::NotReady => f.write_str("not-ready"),
            Self::Gone => f.write_str("gone"),
            Self::WrongId(id) => write!(f, "used-id-{id}"),
            Self::Dropped => f.write_str("dropped"),
            Self::NeverAnswered => f.write_str("never-answered"),
            Self::Late => f.write_str("late"),
            Self::NotTried => f.write_str("not-tried"),
            Self::NoRoom => f.write_str("no-room"),
        }
    }
}

/// How often a device left a request without an answer, and was well all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silences {
    pub dropped: u32,
    pub never_answered: u32,
    pub late: u32,
}

impl Silences {
    /// Counts a trouble, if it is one of them.
    pub fn count(&mut self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Dropped => self.dropped += 1,
            Trouble::NeverAnswered => self.never_answered += 1,
            Trouble::Late => self.late += 1,
            _ => return false,
        }
        true
    }
}

/// The name of a status code (Virtio 1.3, 5.9.7).
pub fn status_name(status: u32) -> &'static str {
    match status {
        0 => "OK",
        1 => "ERR",
        2 => "BADMSG",
        3 => "NOTSUPP",
        4 => "INVSESS",
        5 => "NOSPC",
        6 => "KEY_REJECTED",
        _ => "no status of the specification",
    }
}
