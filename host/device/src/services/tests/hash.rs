use super::{compute, hex};
use crate::wire::{
    algorithm::HashAlgorithm,
    data::{HashInput, Input},
    header::Operation,
    parameters::{HashParameters, Parameters},
    status::Status,
};

fn run(algo: u32, source: &[u8], result_len: u32) -> Result<Vec<u8>, Status> {
    let parameters = Parameters::Hash(HashParameters { algo, result_len });
    let input = Input::Hash(HashInput { source, result_len });
    compute(parameters, Operation::Hash, input)
}

/// RFC 1321, FIPS 180-4 and FIPS 202: the digests of "abc".
#[test]
fn digests_as_in_the_standards() {
    let digests = [
        (HashAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
        (
            HashAlgorithm::Sha1,
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        (
            HashAlgorithm::Sha224,
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            HashAlgorithm::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            HashAlgorithm::Sha3_224,
            "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
        ),
        (
            HashAlgorithm::Sha3_256,
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        (
            HashAlgorithm::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2
             98d88cea927ac7f539f1edf228376d25",
        ),
        (
            HashAlgorithm::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e
             10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
        (
            HashAlgorithm::Shake128,
            "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8",
        ),
        (
            HashAlgorithm::Shake256,
            "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739
             d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4",
        ),
    ];
    assert_eq!(digests.len(), HashAlgorithm::ALL.len());
    for (algorithm, digest) in digests {
        let digest = hex(digest);
        let answer = run(algorithm as u32, b"abc", digest.len() as u32);
        assert_eq!(answer, Ok(digest), "{algorithm:?}");
    }
}

#[test]
fn a_result_has_the_length_of_its_algorithm() {
    for result_len in [0, 1, 31, 33, u32::MAX] {
        assert_eq!(
            run(HashAlgorithm::Sha256 as u32, b"", result_len),
            Err(Status::Err)
        );
    }
    for result_len in [0, u32::MAX] {
        assert_eq!(
            run(HashAlgorithm::Shake128 as u32, b"", result_len),
            Err(Status::Err)
        );
    }
    assert_eq!(
        run(HashAlgorithm::Shake128 as u32, b"", 1000)
            .unwrap()
            .len(),
        1000
    );
    assert_eq!(run(13, b"", 32), Err(Status::NotSupported));
    let session = Parameters::Hash(HashParameters {
        algo: HashAlgorithm::Shake128 as u32,
        result_len: 32,
    });
    let input = Input::Hash(HashInput {
        source: b"",
        result_len: 16,
    });
    assert_eq!(compute(session, Operation::Hash, input), Err(Status::Err));
}
