//! Feature bits, by their numbers in VIRTIO 1.3, and what each needs.
//!
//! For every room. The one rule: a set of features that goes on from here is one that the
//! specification allows.

/// Fixed-length fields have lengths of their own, and there may be stateless modes (5.9.3).
pub const REVISION_1: u64 = 1 << 0;
/// CIPHER without a session (5.9.3).
pub const CIPHER_STATELESS: u64 = 1 << 1;
/// HASH without a session (5.9.3).
pub const HASH_STATELESS: u64 = 1 << 2;
/// MAC without a session (5.9.3).
pub const MAC_STATELESS: u64 = 1 << 3;
/// AEAD without a session (5.9.3).
pub const AEAD_STATELESS: u64 = 1 << 4;
/// AKCIPHER without a session (5.9.3).
pub const AKCIPHER_STATELESS: u64 = 1 << 5;
/// A descriptor may name a table of descriptors (6).
pub const INDIRECT_DESC: u64 = 1 << 28;
/// Each side says at which index it wants to hear from the other (6).
pub const EVENT_IDX: u64 = 1 << 29;
/// The device is none of the time before VIRTIO 1.0 (6).
pub const VERSION_1: u64 = 1 << 32;
/// Addresses are the platform's, behind an IOMMU if there is one (6).
pub const ACCESS_PLATFORM: u64 = 1 << 33;
/// Rings are packed (2.8).
pub const RING_PACKED: u64 = 1 << 34;
/// Requests are used in the order in which they became available (6).
pub const IN_ORDER: u64 = 1 << 35;
/// Memory accesses are ordered as the platform orders them (6).
pub const ORDER_PLATFORM: u64 = 1 << 36;
/// A notification says how far the ring has come (2.9).
pub const NOTIFICATION_DATA: u64 = 1 << 38;
/// A notification names its queue by a value of the device's (4.1.4.3).
pub const NOTIF_CONFIG_DATA: u64 = 1 << 39;
/// One queue can be reset alone (2.6.1).
pub const RING_RESET: u64 = 1 << 40;

/// Every stateless mode.
pub const STATELESS: u64 =
    CIPHER_STATELESS | HASH_STATELESS | MAC_STATELESS | AEAD_STATELESS | AKCIPHER_STATELESS;

/// Tells whether a driver may accept these of a device that offers those (2.2.1, 2.2.2, 5.9.3.1).
/// A driver that leaves out VERSION_1 is one of the time before VIRTIO 1.0, which this device does
/// not serve; one that leaves out ACCESS_PLATFORM would be given addresses that it cannot know
/// (6.2).
pub fn may_accept(accepted: u64, offered: u64) -> bool {
    let needs_revision_1 = accepted & STATELESS != 0;
    let platform = offered & ACCESS_PLATFORM;
    accepted & !offered == 0
        && accepted & VERSION_1 != 0
        && accepted & platform == platform
        && (!needs_revision_1 || accepted & REVISION_1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_offered_may_be_accepted() {
        let offered = VERSION_1 | EVENT_IDX | REVISION_1 | HASH_STATELESS;
        assert!(may_accept(VERSION_1, offered));
        assert!(may_accept(offered, offered));
        assert!(!may_accept(VERSION_1 | INDIRECT_DESC, offered));
        assert!(!may_accept(EVENT_IDX, offered), "not of this time");
    }

    #[test]
    fn what_a_feature_needs_must_be_accepted_too() {
        let offered = VERSION_1 | STATELESS | REVISION_1 | ACCESS_PLATFORM;
        let platform = VERSION_1 | ACCESS_PLATFORM;
        for stateless in (1..6).map(|bit| 1 << bit) {
            assert!(!may_accept(platform | stateless, offered));
            assert!(may_accept(platform | stateless | REVISION_1, offered));
        }
        assert!(!may_accept(VERSION_1, offered));
    }
}
