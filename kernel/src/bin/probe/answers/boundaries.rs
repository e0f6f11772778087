//! What hashes and MACs answer to messages and keys whose lengths lie around blocks, computed with
//! Python's hashlib and with OpenSSL: of each answer the exclusive or of its big-endian words.
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
        "5e65753b273f20b9ddb37bcb09eb2c9b2ca063e8651d0bece50dd5e24626d1552b33247d1f33c36bf0b71dc9\
         26d7b86839db5e4b705355651a3941a7ab7d2a3270ded049c4c6c74bb0c56e314f57d034f357a5f6cd1f90e7\
         55eef08dffd11295367adb302e9986b1e62e16b60833447369f140c8",
    ),
    (
        HashAlgorithm::Sha1,
        "8cbf48954acf0d64b502d343328ed4eb7cadff7eeec26cd1094464bf4b82cb258749e6ea4282ac11169cd81f\
         e638e66aee00e14365e762a20b8355502ca0bc114f8817fad40cfdcd92d0561b96f4a982e2a2da704adba13a\
         3d54892955eea146cd5a1c02bff4f498a1cd9151b9fcb403c61f3bfc",
    ),
    (
        HashAlgorithm::Sha224,
        "c60ced2069964e1770467841ad6eb1a264fabfe3c0e69ba78384526854c2ec6bd1943abc47fa2034426792b8\
         c2f9c1cbae99e637e77221c413226ab433e54dd2e6e0e6a974de4d5aa49fc9528318609f3c8a88ba094994d5\
         139b52f64cd014b9b1f3dd1b37892ae35b5d986bfde2e5c98005795a",
    ),
    (
        HashAlgorithm::Sha256,
        "e72a665c574ce23f4ad652d22a02c18cc00ee754e7832ebe6e7289b1adc54fccb6ca888dee81602201d90eeb\
         37da3eac0462d3939c9b3c2384984876eeda55ca6145b9efa169eca62518e0ce9662a685e6630e41859fcb71\
         e624e8fa03953f38f239f6cc640c0e24fbab75cd27cf0997e94787c6",
    ),
    (
        HashAlgorithm::Sha384,
        "d36e61523909231f0874f3429ef0bafef906c0fec9e8da57868cc24509f4bc72232192016db9050d2b17a10f\
         c76666c0f11f0633b21dcd3434a74125f0cf646ffe3f61f8267276ab019a2d0c193aeb319df4ab95fb64f628\
         88cc272ea1e793e0a043ffaac08eeb9e3c7f1748c75921a7cea3f7ed",
    ),
    (
        HashAlgorithm::Sha512,
        "01f534e03de3a556a3b4ee1d726ae83ac4914fc4af49e91f7267f19f288b6f5a6b2fc24ccd426773c0db6bbf\
         218cb67489f8eaea60c6e598c478028bd7314a76ffe4535ec4410deccbd41b6d67fbd5ac31c65e4034b4b89b\
         5d57e6bcfe3bb1de8cb7a63ee7cf9a5232ca4ad8041a58333f80b460",
    ),
    (
        HashAlgorithm::Sha3_224,
        "bd4de679aa7c55d6701a968a6c50dfd5b478ab7fd41dd3f784a79672bd8dde2ae55836e60a30a940ddae6163\
         ad1e25c0880cda468c23a3ce745060fc76b3aeba99b106e653cf14d23e1619d525031700c24bdd8dee2ca432\
         a4cb474e246c9766b6a7a9a6c20d632616997118162ea114a19ecc68",
    ),
    (
        HashAlgorithm::Sha3_256,
        "fada7f1c38676a668843e2dd64da9040dcfdee243a43bb1a1d4ff6e47e043c7f1afee87408edce0fe482530c\
         7af2e6c1372741ce77eb34b7f2207d09e36812fa6146f1f2c285691109af28a9a8b0fe789f293e931de12f93\
         7bf51578104d7194318bd8f0a5e99fa6ff26d190fa4ba04a3e8877f3",
    ),
    (
        HashAlgorithm::Sha3_384,
        "f9ac94eef6693a6a9eb382a04812f40b039d13d6dfc3e24e278946430d8b7a48e580f8e98d8e53c58a09508a\
         91778b0eeb95d033dd1c5e0a6e07befe09a17899bfa9a566f0281176a22937ca32cebb16c0e3601eaf91f5c6\
         8fc696bae0354906cfea91d09f58aa3bd14b97d91b514dbe617faee1",
    ),
    (
        HashAlgorithm::Sha3_512,
        "3bac3823d033156e0d432d88e9d33dc1240a92f49d7d79486936f7729f999407c151ccea5af32fb388fc890b\
         0b496be9e3248fb392b96d3ecff5cdb02137782b0e4a414d0d0a9e56230eb4aa7a05e9b07bf8da103abcbd1c\
         334d0b9e203a736a4789b602dfd302a21d5060c60ea659bad82e7a94",
    ),
    (
        HashAlgorithm::Shake128,
        "b0ded42670db2faf129797c9bacd382d03b6d8f78cf95651d5b1eb04e63fe1b7649bed0525cbe0b26bb03e7a\
         5ef9a24b620ed0b428f8cef9e251ebd0237109f1fd00b558db801e9f208c0912eaf1fbd3a59f66ad55c26ec7\
         a7dc140099da6c4ef7ea48c21956f9565de64dea213a3e5b253ea59e",
    ),
    (
        HashAlgorithm::Shake256,
        "9cb89cd43a6508223b5471d5f3180de11baa2c341a66e84877a512da82bb5a00b098557f36be9e1cdefe2c8f\
         0f7e65a9d5c609c5e409199be4dcdd26b97a814305d0dc0145a0051dbf7fde9fc71e7240266ee89be089bd47\
         bbf35eb700ff764dacc843e06cb10523803e477f130ad66a7e2603fe",
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
        "9b02b31bc4a41fd470b7a8e3dc30508d5ef988b11e70cb12d79259e2226402585e0edcb8ead6e45f15fe7714\
         49335e132e79232c85f687458fa7e0e904ff41b0043fb67252788ae1c020c2a9846ead343b98eea5a32cf55b\
         5d75d7708291708a67e9745d3814976ef40025d6ee829256f187e16f5c78c7282f817e4484001ef6ae97c873\
         f051eb8774491e86535bf5d3dd7276d0c51f2dfc74de44b7c5d90818f8e205efe02bef42b618b2260ac2dbba\
         659cc75a18a80ab72bc214fde0ee6310",
    ),
    (
        MacAlgorithm::HmacSha1,
        "8c4f47110f01c411bffd349b6bd4c5ace1c3996c0b7273b6a9a99d94f164fe3d0277cc7e0c43683736506a7b\
         019e88894b15de5feafe79aea055b71fe917919441d972a3c65e885013a209df18fda2c28598c6aae324c64f\
         028d8bfdbd1323f22711d51c6d358da4c966afb33909124df77d53d314efb41aafc36ee9511efdb486cc7947\
         c21f2f780d373da22fb49a75e188282327967dd474abc26a5e68100cf708b699f27e09c9b8f0849ed7165372\
         96912000a00d480d2cc99412fe24ea6c",
    ),
    (
        MacAlgorithm::HmacSha224,
        "f8572ce015123be2cc1cd44a6123399747de55304b06c4d2646752ff7fe6bde36b6c4a5c29ac9c03fbc52518\
         b301bcdc27e1b300f53c1e16e0c5a5258b2554f6e5d882f6f65bf6a4b4f93371134bd50cc92a1f5bbd9c9e78\
         65463bcb6a051457b436cd752a19cfbca359c3b5d8cb1fc39a2e2b60a99b57405f756db6fbede0eeed4102d2\
         a153491fbaf106a347bfafcbe7de561f23731f11ca5ac1c04a5dbf04d51b2362f65942854fce1b6dea4f071d\
         6b746e27084f24e5d0a2090480f81eca",
    ),
    (
        MacAlgorithm::HmacSha256,
        "85bfd52cd711cd467393261cb66f7d8b4a2c755ca599a0feffb239d4faab5aead7b0bee7c946cef12fa7463f\
         206a62b0019d07284a38adb1579c4b0cf532f93ee9dc227905fbc07e3341b634074cc9dc314abe38694695c2\
         c61290cea9a7fafb3515e3fc9f689c6686f279ecf76cbac16451a10f8c5abaef68c65c5e16d1903d24fee6f0\
         b69a696cadb2d320a47889520507bb29d3f7213d3d76bd36f842fa8f807ed65537f9f540dbe0aa8955a671c3\
         2cfa5dd7b7cd898cc5f5efa2ad779812",
    ),
    (
        MacAlgorithm::HmacSha384,
        "61a92447cfb17a63e4125114c3b80e3af5bd423735e91623451ceadb814b728167a25f8797b5023dd098378f\
         6ca7895a99513a9c6512f9dc7da7eab18227e88c24c7f5312f64bc2b169df7372984cc1ace1de95cf7e3118a\
         0665945cb6a4466e0ad30c69b3f87121789e54ad98d9d0e65368a17c36067a797052926414a69b7e90eada3c\
         cc04fdddb322bf5e9222e76019e6ca41e6461200b1ee90912e12998d0e26dc5f8ec537e4327ad1a22bfefe12\
         04b6c0b01a399088b5510679adfd5151",
    ),
    (
        MacAlgorithm::HmacSha512,
        "65c9a62e19cb4ded908cc1c02f0ff18a41d47cc3615ff5a70d54c0316c6e07ce172de7becd77fd893b992394\
         1637da3b3318baebc163195214552c3199c3c37928cdf1c898d4ec9dede4fe875746e1dd2136022fe92ef30d\
         882ba789b4d4f9a1c2257a4282a58056aa4ad628ca8c404f92dfc7cd9c7f372e4c6b78ccad1b06b661654459\
         d0981373d59ab60638b997ac9ee4e0d60d890ac4acd9ee70e89adccbd378049842d97b1dd5aee1d99b514675\
         b310358c6030f50aaa1148cf5d469160",
    ),
];

/// Bytes of the messages of CMAC with AES.
pub const CMAC_LENS: &[usize] = &[0, 1, 15, 16, 17, 31, 32, 33];
/// By message: CMAC with AES and a key of 16 bytes.
pub const CMAC: &str = "c4a5b9fd5f0108abe491b0aa94c41520f71d98aea6f447dee629d2baf14b4068";
