//! The rings that a run of the tests is on.
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.

use alloc::borrow::ToOwned;
use std::{env, sync::OnceLock};

use virtio_crypto::Features;

/// Returns what a device offers for the rings that these tests run on: split ones, or those that
/// `RING` in the environment names, `packed`, `in_order` or `packed+in_order`. Every test runs on
/// split and on packed ones, in a run each.
pub(crate) fn ring_features() -> Features {
    static FEATURES: OnceLock<Features> = OnceLock::new();
    *FEATURES.get_or_init(|| {
        let words = env::var("RING").unwrap_or_else(|_| "split".to_owned());
        let feature = |word| match word {
            "split" => Features::empty(),
            "packed" => Features::RING_PACKED,
            "in_order" => Features::IN_ORDER,
            other => panic!("RING={words}: {other} is none of split, packed, in_order"),
        };
        words.split('+').map(feature).collect()
    })
}

/// Tells whether these tests run on packed rings.
pub(crate) fn is_packed() -> bool {
    ring_features().contains(Features::RING_PACKED)
}
