//! Whose tests run in Miri, and by which rules.

/// A crate's tests.
#[derive(Debug)]
pub struct Tests {
    pub package: &'static str,
    pub folder: &'static str,
    pub arguments: &'static [&'static str],
    /// Formats of rings, by the words that `RING` takes.
    pub rings: &'static [&'static str],
}

pub const TESTS: [Tests; 3] = [
    Tests {
        package: "virtio-crypto",
        folder: "driver/src",
        arguments: &["--all-features", "--lib"],
        rings: &["split", "packed"],
    },
    Tests {
        package: "services",
        folder: "host/services/src",
        arguments: &["--all-features", "--lib"],
        rings: &["split", "packed"],
    },
    Tests {
        package: "device",
        folder: "host/device/src",
        arguments: &["--lib"],
        rings: &["split"],
    },
];

/// Whose rules say which pointers reach what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borrows {
    Stacked,
    Tree,
}

impl Borrows {
    pub fn word(self) -> &'static str {
        match self {
            Self::Stacked => "stacked",
            Self::Tree => "tree",
        }
    }

    pub fn flag(self) -> &'static str {
        match self {
            Self::Stacked => "",
            Self::Tree => " -Zmiri-tree-borrows",
        }
    }
}
