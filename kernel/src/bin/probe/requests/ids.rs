//! Sessions and their ids: how an answer gives one, and how a request names it.

/// A session, or what is said to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: u64,
    /// The life of the device that it belongs to; `None` if it was never opened.
    pub life: Option<u32>,
}

impl Session {
    /// One that the device has not opened.
    pub const UNKNOWN: Self = Self {
        id: u64::MAX,
        life: None,
    };
}

/// Reads the id in the answer to a *create*.
pub fn session_id(written: &[u8]) -> u64 {
    let bytes = written.iter().take(8).rev();
    bytes.fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// The words that name a session in a data request.
pub fn id_words(id: u64) -> [(usize, u32); 2] {
    [(8, id as u32), (12, (id >> 32) as u32)]
}
