//! The words for what came of trying an algorithm.

use alloc::{format, string::String};

use crate::requests::trouble::Trouble;

/// What came of trying something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Works {
    /// It gave the known answer.
    Yes,
    /// It neither did nor said no: an error of another kind, or it broke.
    No,
    /// The device said no.
    Refused,
    /// It gave another answer.
    Wrong,
    /// It opened a session; there is no known answer here.
    Untried,
    /// Nothing was sent: the device had been left alone before.
    NotTried,
}

impl Works {
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Refused => "refused",
            Self::Wrong => "wrong",
            Self::Untried => "untried",
            Self::NotTried => "not-tried",
        }
    }
}

/// What came of it, and where.
pub type Outcome = (Works, String);

/// Names the step at which a device said no or broke.
pub fn refused(step: &str, trouble: Trouble) -> Outcome {
    let works = match trouble {
        Trouble::NotTried => return (Works::NotTried, String::new()),
        Trouble::NoRoom => return (Works::NotTried, format!("{step}: {trouble}")),
        Trouble::Status(1..=6) => Works::Refused,
        _ => Works::No,
    };
    (works, format!("{step}: {trouble}"))
}

pub fn compare(result: &[u8], answer: &[u8]) -> Outcome {
    if result == answer {
        (Works::Yes, String::new())
    } else {
        (Works::Wrong, String::from("another answer"))
    }
}

/// Names what a device answered.
pub fn outcome(answer: Result<(), Trouble>) -> String {
    match answer {
        Ok(()) => String::from("OK"),
        Err(trouble) => format!("{trouble}"),
    }
}
