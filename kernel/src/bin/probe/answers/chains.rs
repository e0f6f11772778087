//! What chains answer, with AES-128-CBC: computed with OpenSSL and Python's hashlib.
//!
//! Cipher key, authentication key and IV are 0, 1, 2, .. on; the message is 3, 10, 17, ..

/// Bytes of the message.
pub const LEN: usize = 64;
/// Bytes of the authentication key.
pub const AUTH_KEY_LEN: usize = 20;

/// The message, encrypted and decrypted.
pub const WHOLE: [&str; 2] = [
    "add2ed9dcb6c77261fef6d655c174631cf6ebf51f5bd35d45f162d2aea1330643d1df9162973cc0ae68f4f18\
     3977fbf585978bd3c32f585e5f8764780910d4c2",
    "a7991cad660d2dff39d246a3c4af82ced525b594dd4e24de09810e1ad1459e55ca0322f69c7d7228b0e357b9\
     8f67953480ba7ffc858f2ebf1ffa2958111f84c4",
];

/// The message, encrypted from byte 16 on for 32 bytes.
pub const PART: &str = "030a11181f262d343b424950575e656c13ccc4e9e0718705938f21e8aebc744b62462e85\
                        63a064ce03273117ec038ec3535a61686f767d848b9299a0a7aeb5bc";

/// What is hashed in front of the message.
pub const ADDITIONAL: &[u8] = &[0xa0, 0xa1, 0xa2, 0xa3, 0xa4];

/// What a chain with one hash answers: digests alone, by mode (plain, MAC, nested).
pub struct Digests {
    pub name: &'static str,
    /// The number of the hash; that of its HMAC is the same.
    pub number: u32,
    pub len: usize,
    /// Hash first, which the direction of the cipher does not change.
    pub before: [&'static str; 3],
    /// Cipher first, encrypting.
    pub encrypted: [&'static str; 3],
    /// Cipher first, decrypting.
    pub decrypted: [&'static str; 3],
    /// Of [`PART`], from byte 8 on for 40 bytes: plain, MAC.
    pub part: [&'static str; 2],
    /// Of [`ADDITIONAL`] and the whole message, encrypted: plain, MAC.
    pub additional: [&'static str; 2],
}

/// SHA-256, and what devices had before it.
pub const DIGESTS: &[Digests] = &[
    Digests {
        name: "SHA-256",
        number: 4,
        len: 32,
        before: [
            "39e3d7b6b5d075d37d053ad89b24b41bef4f3c29760c84447cab3f3be1882241",
            "25b00c42ecf1a9544222be857dbcc2660495e7bc122d4bc70aefc32c9eeffe34",
            "083d6e6e2184d63a0876508b85a3c61a41c49989c894d3a51804b23ff14f012a",
        ],
        encrypted: [
            "3a6cec785dd27dd3d502b024c389bf60f2736559911eb314bcd1fa8706aee91f",
            "dab38cafd7978169f7eac0acff39911e52947a7316e87862f568985f5cccff8f",
            "e30fdc347596a5d7f79d66cb0feefb91c1722536073f7d872a6e3f3991feb93c",
        ],
        decrypted: [
            "e40ce5768d9728e2876699fcc9397d6392ec9613063c78370384d1fb3db5c4b3",
            "a77bf085d4912e811f861d6f0fc99a9b62ec51794b91223326d2ac837d4761f0",
            "ccfa29b2c5c0c1b698260fa8ff9bc346660cef3a2c48f6da3d9c1c877aa7f610",
        ],
        part: [
            "2b3b0b351b27518bd9f1ede2aebf42c1327aaf02c8ec356033a3e1c41e66aa92",
            "54fb9d9d43a57645743d656bf84302a5ade95dd531981947560785c579cd56be",
        ],
        additional: [
            "c26a5af15c4a6c926b267d7e0144110373f0d19fda2ebb85cd6a31143f6f90a8",
            "5852e6d50dd3aa39d8b37167c6c80e1532ba5c9edc910384b2131b22341d22f0",
        ],
    },
    Digests {
        name: "SHA-1",
        number: 2,
        len: 20,
        before: [
            "bede92be29c3874e1b54ddc77988d606fc857a8e",
            "291f8286f7a336d8668fb787b86a70af5ce995c0",
            "3b60ba352b792cd82b7a10d1df40be19beb64bba",
        ],
        encrypted: [
            "94761033b85bcfc7987f13b74a8607992a6410e5",
            "6b86331be46dec2061a56a803f212c72c084221f",
            "42c5eb1391c6e65b282a1db4957d6838d7517ad6",
        ],
        decrypted: [
            "687aaff812310c66f31ce4e183c888b37643a7e9",
            "182bec011bbd395c90882e9b5841c9b1a1f025e5",
            "d419b2f48e30af3a5d51c6edd04f3f9cd4309bd1",
        ],
        part: [
            "f747c19d9b54503f47f5e7609d8daa79de11198e",
            "e22674b85321fd4691ef62ec4beee635430f1f54",
        ],
        additional: [
            "7a983b6efd1a3bacc2e1be7ad06f2c5bdba4341d",
            "8dfe048ec76f4bba6000aa42739fb997747bbf7e",
        ],
    },
];
