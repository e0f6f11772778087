//! What came of a rule's trial.

use alloc::{format, string::String};

use crate::requests::trouble::Trouble;

/// Whether a rule was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
    /// The device does not have what the rule is about.
    NotOffered,
    /// Nothing was sent: the device had been left alone before, or cannot be asked this way.
    NotTried,
}

impl Held {
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotOffered => "not-offered",
            Self::NotTried => "not-tried",
        }
    }
}

/// Whether a rule was kept, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub held: Held,
    pub seen: String,
}

/// What a trial gives: either way it has found something, and the second one ends it early.
pub type Verdict = Result<Found, Found>;

impl Found {
    pub fn new(held: bool, seen: impl Into<String>) -> Self {
        Self {
            held: if held { Held::Yes } else { Held::No },
            seen: seen.into(),
        }
    }

    /// Ends a trial for which the device lacks something.
    pub fn not_offered(what: impl Into<String>) -> Self {
        Self {
            held: Held::NotOffered,
            seen: what.into(),
        }
    }

    /// Ends a trial that cannot be made.
    pub fn not_tried(why: impl Into<String>) -> Self {
        Self {
            held: Held::NotTried,
            seen: why.into(),
        }
    }
}

/// A request that a rule says is answered, and that was not.
impl From<Trouble> for Found {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotTried => Self::not_tried("the device was left alone"),
            Trouble::NoRoom => Self::not_tried("it takes more descriptors than the ring has"),
            trouble => Self::new(false, format!("{trouble}")),
        }
    }
}

/// A device that cannot be set up as it was a moment ago.
impl From<String> for Found {
    fn from(error: String) -> Self {
        Self::new(false, error)
    }
}

/// Says that a device lacks `what` where a status says so.
pub fn served<T>(answer: Result<T, Trouble>, what: &str) -> Result<T, Found> {
    answer.map_err(|trouble| match trouble {
        Trouble::Status(_) => Found::not_offered(format!("{what}: {trouble}")),
        trouble => trouble.into(),
    })
}

/// Holds where a request was refused by a status.
pub fn refusal<T>(answer: Result<T, Trouble>) -> Found {
    match answer {
        Ok(_) => Found::new(false, "OK"),
        Err(trouble @ Trouble::Status(_)) => Found::new(true, format!("{trouble}")),
        Err(trouble) => trouble.into(),
    }
}

/// Holds where a request was answered with this status; 0 is OK.
pub fn status<T>(answer: Result<T, Trouble>, expected: u32) -> Found {
    match answer {
        Ok(_) => Found::new(expected == 0, "OK"),
        Err(trouble @ Trouble::Status(status)) => {
            Found::new(status == expected, format!("{trouble}"))
        }
        Err(trouble) => trouble.into(),
    }
}
