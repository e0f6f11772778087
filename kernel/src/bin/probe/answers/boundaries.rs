//! What hashes and MACs answer to messages and keys whose lengths lie around blocks: the first four
//! bytes of each answer, computed with Python's hashlib and with OpenSSL.
//!
//! A message's bytes are 3, 10, 17, .., and so are a key's.

use virtio_crypto::{HashAlgorithm, MacAlgorithm};

/// Bytes of the messages that are hashed: around where the padding of each hash begins anew, and
/// around the blocks of each.
pub const HASH_LENS: &[usize] = &[
    0, 1, 3, 55, 56, 63, 64, 65, 71, 72, 73, 103, 104, 105, 111, 112, 127, 128, 129, 135, 136, 137,
    143, 144, 145, 167, 168, 169, 200,
];

/// By hash, in the order of [`HASH_LENS`].
pub const HASHES: &[(HashAlgorithm, &str)] = &[
    (
        HashAlgorithm::Md5,
        "d41d8cd986666835c9aee48152c0e57446c9907fa62f6d597160b8fb70bd662e26e7e113f9019e695e422c5d\
         a196bddca55daca36e6c42ff13f00cb15fe6a9f7acce247410b2da1a03fefbbc3f60e7e2cd62db950014c774\
         2f7b531a00a6351fd1dedaafb6156cce93d07c3b81c150414c79b81a",
    ),
    (
        HashAlgorithm::Sha1,
        "da39a3ee9842926a4201de9fddf57317a0d492bbc5585674bede92beb05a8052b4d320ff191cf097c2234319\
         6c311047dfaa234f8f9a47274a01b12754c08c2a34d5e582a09133e6808aea33cdc7e92372e7808caaeddd30\
         fb077b92090dc86196d93ff88f0a6d5de7211c9f480e4eec892b673c",
    ),
    (
        HashAlgorithm::Sha224,
        "d14a028c15ebd4b8956a7e9e703a7d6e850fef35246a939be480c1c2574507bf05c9bbe180ec09e45526e9d6\
         137d1053b26a989c1dcd352b5d5ba246df564afcf2d232066df983e8cdb66bc34504818cb636b92f97246566\
         226501cd62c595bc3bdf9031457f1dca8587e9872c603edf67e6d447",
    ),
    (
        HashAlgorithm::Sha256,
        "e3b0c442084fed086ab0dba1e7313d334324d65f81c8024239e3d7b6aacca6ff54cac60599e356ea64bee9b0\
         9313cf735af877deaf7d44bc67d9492e96b928cfa8d23e75d2742f1f307f8fc2357ebb96cafc3beec9eb7066\
         0ddc24e401a4b7965ca4040c07071ef320f6c31062fcf18a2c7e18c9",
    ),
    (
        HashAlgorithm::Sha384,
        "38b060a78a6c69afde506020fc2728f46c969a86be67a9a199d26430cada16d74d26e371860acfbc7d497f08\
         200cef8e82d191611d911b9b341388a9619cc5d0f8234ab8e8480e9c43017338848473b58e0da83b529edbad\
         d1fff7e117a208984aa2c4169092c343e1e961eda0f80ca28deb8353",
    ),
    (
        HashAlgorithm::Sha512,
        "cf83e135e45bf5818853167a14fd424b480fa85becd42a708f3cc30b22050d1b9947a6b753cd49070f3b2fdc\
         96303c14e636b25aca95152e68cffa6dd0865c52e0b6a20f99b16f17a1556e2992ea4f33feda01519845dde5\
         ee326ed45203227982a1bbe6dd03c95419b8c5f32ead2bc9cca3c027",
    ),
    (
        HashAlgorithm::Sha3_224,
        "6b4e0342b740a3b4185e494b35f01d63676779a3b7267ed53d1c96b65bdb23f3a3e5308ea84dd5af672493b7\
         5ce32ebc2cf6f6c55906c8b47847f6112f1512ce8a1ab38b62abbb705f2786421020297bf3ed6ce92deca7a9\
         173f9a339f86e941a147c15ddef4168a439bd998c1f8ac7d37eeed4c",
    ),
    (
        HashAlgorithm::Sha3_256,
        "a7ffc6f8e3ed56bdfffadd0a7b08ced1e72d9fad1275539a85c576bd2d2073ae254f2ac1f4bb95e6c610c352\
         03b9845b69c910beec4a284c1fc816a1b282693831578857fcb6ea737f516cd0d9dcf1f9743bd32e01d47e8d\
         fdf4813e461199c27709bde9684bf833a5a267bef7a2c4989da37ea2",
    ),
    (
        HashAlgorithm::Sha3_384,
        "0c63a75b80fe0aa45215a31781fff3491dd96d1e19e0cf65b9240ffe8fc6c4033d3fc62c9dbaa8e9f1559261\
         278a05f9f89b2364aa637e2b0357593867bcc67b6bd7c6b350cd60bfd8a8ac094143a14bb78775c2623dff35\
         a67979c38226827878aff6827bad87d39408f3e51988f5d25e208496",
    ),
    (
        HashAlgorithm::Sha3_512,
        "a69f73cca63f9712f43b92b1e0fb9f90585ee6b4ef3d2230f37322223cf0f435a02d57952ec0da5fd26d1f9f\
         3b9f0d6e9207a6497892a09716f21463571d1152591a01c146999240a455cead9e9d81e362c81b783fd9dc45\
         d610c997c6b8908e690001d7f630f6e4460d5cc56168dfb914fb36d3",
    ),
    (
        HashAlgorithm::Shake128,
        "7f9c2ba477691523cf0bd6b2b9bfe4211f7cc12a6260877eaa2321c7f34aa4c54a7cb3f74bbb1d27d639407b\
         66c06b986f7b6031d4dc3693d745640db17db29ee0a072c76ba9d71686513f37c46af4f9c9b065cf4bd0a672\
         8e962716b0af917b0a7753f7bb961bb0d4f73f3b30454dd0243a1de2",
    ),
    (
        HashAlgorithm::Shake256,
        "46b9dd2bdb42523343a0b1975d2201267004d340f9f2dc8510ce32706c286baac5492c4ef47714938bae34cf\
         200daf875839b5eb3825db3c5af67fc8ca2156e3d4e039b60383dc88c0a109ca0213fc98c00f43813c983983\
         2bdf44690980f48e125ebb7a89a2450c8e824d0de76eaecccd24482e",
    ),
];

/// Bytes of the keys of HMAC: around the blocks of its hashes.
pub const KEY_LENS: &[usize] = &[1, 63, 64, 65, 127, 128, 129, 200];
/// Bytes of the messages of HMAC.
pub const MAC_LENS: &[usize] = &[0, 1, 64, 65, 128, 129];

/// By HMAC: for each of [`KEY_LENS`] the answers to messages of [`MAC_LENS`].
pub const MACS: &[(MacAlgorithm, &str)] = &[
    (
        MacAlgorithm::HmacMd5,
        "95124f30e8ad7748cc62e25f1879a5f98f463aa8c2366d70f1e6824782c8ba416c10abd5b1317f28d9ce664b\
         1b3adba9f5a4aa63352d27530db4d4d1e3dc24885ebf50a04c10bc7f0723a92e4b7e0331f406e5e6be6863f5\
         cb63044ccf834a73dc3a9fd1293a9a0b33b2f23604d5414c2a1258ebfb9cf129b9319e3a8d6dac7d9b194eef\
         7e3ded5bbe9472b9f156db8d4bd24cc5245c23e2cff089c7427bf1cb4e89ad593e56b2c25cf0abd501ba429d\
         19b9b3f96cf0ea03d6043d95f9575e1f",
    ),
    (
        MacAlgorithm::HmacSha1,
        "5850edf55f9a640c1464ef9239f2a847579d028c007e5d4ca8a386c4724cd132b13a424bd7c1c44faabbbf5d\
         8edf49e1f81cf0954fc2b2842229472c93c44fb53e009d270a5261086ca71dec3bf4bc62c97803585fdb9e18\
         c265e9448430f702425b90b999d34c65000be92ded5e72aa2792d756bac9d8e6667a5ba9b22a3e2c8ac2b5dd\
         97993c7977a3515197040411a6987fdc5489c7279e01847d46bc4a0ede74cb55f99037f6c00096dad254c297\
         9a6ddbac5dfc01cb1cae912ab22d51b3",
    ),
    (
        MacAlgorithm::HmacSha224,
        "5f2cadbcf7427e4bfae7e02e3f5c6f83c0a8046f89a6f58b0f40ac536d47c71e1a9e104d7f383b84bb1c38d8\
         8f9b2e71f59812d4b91cff09a43ed6fcf42b3b6c09ad3831c8e935eca5eba728a9ea5f9e56401b748360551a\
         35d0a3af5b26f8e4c135fa56386b0b8f20b5671e9438fef3d37543fbac28c51e0eb2cafb677f7635fa946571\
         6085e0fbc11039e4830f938378faa9933eaac1339966a1b2f7051bda0255ba8e9bf4d9fccde78eea05a8c360\
         30cb0592304757fd80dae5b3cc09fdbf",
    ),
    (
        MacAlgorithm::HmacSha256,
        "be8d44d029482d488debc624a283f2c188ee4d8e2a2b3e54646aefd3c6fc1833874a9587aed31d4c674e0c13\
         8afa6be758c7e63122dab55a5bc06492608a97f6184618c0078bc7dc34bb3ae83a7dba9ed8ecd2b0cc2934ac\
         12beb9f6687a9a09a8b76b9dd8481264faf589b02564e930c90b87de8e982bfa040192661e2e8312b61a3a03\
         cd2c9138f01b484bf47ee3fe57b8e478d7258ceaa8fb983c755c05ffbbf74b39fc0c867f124f0c1938a40c67\
         80f9964f30b700ed3625de8197d58783",
    ),
    (
        MacAlgorithm::HmacSha384,
        "380c4c93b2495d5a97f64d56632c10859de61a74076b36b2175233c7144a2d82115da39641b972072fae8b71\
         814181d731169a96b40c4be1792280881a35313c481dbcfda1df1e091f6598fb8975f626fbc92ab068f6bf1e\
         78e697000070c99dd37677e1a2012e2e0e71e6f0353321678dcd322c072674ea35094d4bb66f04a28eace4a8\
         9ab9bad65ad6ae2018bb20fe531a85e7ff1c4443cab055f795575afe7f0101b5d4529c176ebbac0c48505631\
         ba334e85e14e41964bb21dba94b648e8",
    ),
    (
        MacAlgorithm::HmacSha512,
        "c0090857914a93f7bfbceb69bd40e8063ac6ce1e27bbc6ad161f46bca61529a9c36ff13c9817e2f1202ed3f1\
         eb1f3a4a318c9263a0e064467681a10c0e1252766be35b287f5bcf73474e23bba1c015ccaf5374a265b56773\
         dab62fce57d4fdc779addb6f17c7f5d46e04f68594cb81b98e213a51a3ee34b91adf708911abea8fce314d93\
         62df181f8dda7a4524cc8b9cb943793a009f2cbf783ed01cbad4675932d486d7c2d3645317d5fb53f828269e\
         4ad2064b13aaa047f27671d9bea3c564",
    ),
];

/// Bytes of the messages of CMAC with AES.
pub const CMAC_LENS: &[usize] = &[0, 1, 15, 16, 17, 31, 32, 33];
/// By message: CMAC with AES and a key of 16 bytes.
pub const CMAC: &str = "498835a920ee2d9711fea04c4a5f2dedbd4b8bf85da39a53d74f4df63d127168";
