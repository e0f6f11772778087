//! Whose tests run in Miri and with sanitizers.
//!
//! For both commands. The rule: they run the same tests, with the same features.

/// A crate's tests.
#[derive(Debug)]
pub struct Tests {
    pub package: &'static str,
    pub folder: &'static str,
    features: &'static [&'static str],
    /// Formats of rings, by the words that `RING` takes.
    pub rings: &'static [&'static str],
}

pub const TESTS: [Tests; 3] = [
    Tests {
        package: "virtio-crypto",
        folder: "driver/src",
        features: &["virtio-crypto/pkcs8", "virtio-crypto/signature"],
        rings: &["split", "packed"],
    },
    Tests {
        package: "services",
        folder: "host/services/src",
        features: &["services/pkcs8", "services/signature"],
        rings: &["split", "packed"],
    },
    Tests {
        package: "device",
        folder: "host/device/src",
        features: &[],
        // It knows of no driver's rings.
        rings: &["split"],
    },
];

impl Tests {
    /// Returns the words by which cargo chooses them.
    pub fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["-p", self.package];
        for feature in self.features {
            arguments.extend(["--features", feature]);
        }
        arguments
    }
}
