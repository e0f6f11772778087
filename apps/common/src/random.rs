//! Random numbers of the CPU's generator (RDRAND; Intel SDM volume 1, 7.3.17).
//!
//! For keys and nonces. The one rule: there is no other source, so where the CPU has none, or it
//! fails, nothing is made up.

use core::fmt;

use x86_64::instructions::random::RdRand;

/// How often a number is asked for until the generator counts as broken: Intel says ten times.
const TRIES: u32 = 10;

/// There are no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRandom {
    /// The CPU has no RDRAND.
    Missing,
    /// It did not answer.
    Broken,
}

impl fmt::Display for NoRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the CPU has no RDRAND: give the machine one that has (-cpu max)",
            Self::Broken => "RDRAND does not answer",
        })
    }
}

/// Returns a random number.
///
/// # Errors
///
/// [`NoRandom`].
pub fn number() -> Result<u64, NoRandom> {
    let generator = RdRand::new().ok_or(NoRandom::Missing)?;
    let mut tries = (0..TRIES).map(|_| generator.get_u64());
    tries.find_map(|number| number).ok_or(NoRandom::Broken)
}

/// Fills `bytes` with random ones.
///
/// # Errors
///
/// [`NoRandom`]; `bytes` are part old, part new then.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandom> {
    for chunk in bytes.chunks_mut(size_of::<u64>()) {
        chunk.copy_from_slice(&number()?.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}
