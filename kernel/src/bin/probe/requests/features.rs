//! Feature bits, by the specification's numbers (Virtio 1.3, 5.9.3 and 6).

use alloc::{format, string::String};

pub const REVISION_1: u64 = 1 << 0;
pub const CIPHER_STATELESS: u64 = 1 << 1;
pub const HASH_STATELESS: u64 = 1 << 2;
pub const MAC_STATELESS: u64 = 1 << 3;
pub const AEAD_STATELESS: u64 = 1 << 4;
pub const AKCIPHER_STATELESS: u64 = 1 << 5;
pub const STATELESS: u64 = 0x3e;
pub const INDIRECT_DESC: u64 = 1 << 28;
pub const EVENT_IDX: u64 = 1 << 29;
pub const VERSION_1: u64 = 1 << 32;
pub const ACCESS_PLATFORM: u64 = 1 << 33;
pub const RING_PACKED: u64 = 1 << 34;
pub const IN_ORDER: u64 = 1 << 35;
pub const ORDER_PLATFORM: u64 = 1 << 36;
pub const NOTIFICATION_DATA: u64 = 1 << 38;
pub const RING_RESET: u64 = 1 << 40;

/// Device-type feature bits without a meaning (Virtio 1.3, 2.2 and 5.9.3): 6 to 23 and from 50 on.
pub const UNDEFINED: u64 = 0xff_ffc0 | !((1 << 50) - 1);

const NAMES: &[(u64, &str)] = &[
    (REVISION_1, "REVISION_1"),
    (CIPHER_STATELESS, "CIPHER_STATELESS_MODE"),
    (HASH_STATELESS, "HASH_STATELESS_MODE"),
    (MAC_STATELESS, "MAC_STATELESS_MODE"),
    (AEAD_STATELESS, "AEAD_STATELESS_MODE"),
    (AKCIPHER_STATELESS, "AKCIPHER_STATELESS_MODE"),
    (INDIRECT_DESC, "INDIRECT_DESC"),
    (EVENT_IDX, "EVENT_IDX"),
    (VERSION_1, "VERSION_1"),
    (ACCESS_PLATFORM, "ACCESS_PLATFORM"),
    (RING_PACKED, "RING_PACKED"),
    (IN_ORDER, "IN_ORDER"),
    (ORDER_PLATFORM, "ORDER_PLATFORM"),
    (1 << 37, "SR_IOV"),
    (NOTIFICATION_DATA, "NOTIFICATION_DATA"),
    (1 << 39, "NOTIF_CONFIG_DATA"),
    (RING_RESET, "RING_RESET"),
    (1 << 41, "ADMIN_VQ"),
];

/// Names the bits of a mask; one without a name by its number.
pub fn names(mask: u64) -> String {
    let mut names = String::new();
    for bit in (0..64).filter(|bit| mask & (1 << bit) != 0) {
        if !names.is_empty() {
            names += " ";
        }
        match NAMES.iter().find(|(known, _)| *known == 1 << bit) {
            Some((_, name)) => names += name,
            None => names += &format!("bit-{bit}"),
        }
    }
    names
}

/// Returns the features that a feature needs (Virtio 1.3, 5.9.3.1).
pub fn needs(feature: u64) -> u64 {
    if feature & STATELESS != 0 {
        REVISION_1
    } else {
        0
    }
}
