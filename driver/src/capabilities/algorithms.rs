//! Algorithms of any service, and sets of them.
//!
//! One representation for what a device advertises, what was proved of it, and what it is chosen
//! for. The one rule: an algorithm is its service and its number, as in the device's registers.

use core::fmt;

use crate::wire::{
    AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm, Service,
    Services,
};

/// An algorithm of any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Of the CIPHER service.
    Cipher(CipherAlgorithm),
    /// Of the HASH service.
    Hash(HashAlgorithm),
    /// Of the MAC service.
    Mac(MacAlgorithm),
    /// Of the AEAD service.
    Aead(AeadAlgorithm),
    /// Of the AKCIPHER service.
    Akcipher(AkcipherAlgorithm),
}

impl Algorithm {
    /// Returns every algorithm that the driver knows: by service, then by number.
    pub fn all() -> impl Iterator<Item = Self> {
        let ciphers = CipherAlgorithm::ALL.into_iter().map(Self::Cipher);
        ciphers
            .chain(HashAlgorithm::ALL.into_iter().map(Self::Hash))
            .chain(MacAlgorithm::ALL.into_iter().map(Self::Mac))
            .chain(AeadAlgorithm::ALL.into_iter().map(Self::Aead))
            .chain(AkcipherAlgorithm::ALL.into_iter().map(Self::Akcipher))
    }

    fn service_and_number(self) -> (Service, u32) {
        match self {
            Self::Cipher(algorithm) => (Service::Cipher, algorithm as u32),
            Self::Hash(algorithm) => (Service::Hash, algorithm as u32),
            Self::Mac(algorithm) => (Service::Mac, algorithm as u32),
            Self::Aead(algorithm) => (Service::Aead, algorithm as u32),
            Self::Akcipher(algorithm) => (Service::Akcipher, algorithm as u32),
        }
    }
}

impl From<CipherAlgorithm> for Algorithm {
    fn from(algorithm: CipherAlgorithm) -> Self {
        Self::Cipher(algorithm)
    }
}

impl From<HashAlgorithm> for Algorithm {
    fn from(algorithm: HashAlgorithm) -> Self {
        Self::Hash(algorithm)
    }
}

impl From<MacAlgorithm> for Algorithm {
    fn from(algorithm: MacAlgorithm) -> Self {
        Self::Mac(algorithm)
    }
}

impl From<AeadAlgorithm> for Algorithm {
    fn from(algorithm: AeadAlgorithm) -> Self {
        Self::Aead(algorithm)
    }
}

impl From<AkcipherAlgorithm> for Algorithm {
    fn from(algorithm: AkcipherAlgorithm) -> Self {
        Self::Akcipher(algorithm)
    }
}

/// A set of algorithms, of all services.
///
/// ```
/// use virtio_crypto::{AlgorithmSet, CipherAlgorithm, HashAlgorithm};
///
/// let advertised: AlgorithmSet = [CipherAlgorithm::AesCbc, CipherAlgorithm::AesXts]
///     .into_iter()
///     .collect();
/// let wanted = AlgorithmSet::EMPTY.with(CipherAlgorithm::AesCbc).with(HashAlgorithm::Sha256);
/// assert!(advertised.contains(CipherAlgorithm::AesXts));
/// assert_eq!(
///     advertised.intersection(wanted).iter().collect::<Vec<_>>(),
///     [CipherAlgorithm::AesCbc.into()]
/// );
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmSet {
    /// By service: bit *n* for the algorithm with the number *n*. Numbers that the driver does not
    /// know stay, so that two sets of one device differ where its registers do.
    numbers: [u64; SERVICES.len()],
}

/// All services, by their numbers.
const SERVICES: [Service; 5] = [
    Service::Cipher,
    Service::Hash,
    Service::Mac,
    Service::Aead,
    Service::Akcipher,
];

impl AlgorithmSet {
    /// The set without any.
    pub const EMPTY: Self = Self {
        numbers: [0; SERVICES.len()],
    };

    /// Makes a set of what the device's registers say: bit *n* for the algorithm with the number
    /// *n*, each service by its number.
    pub(super) fn from_registers(numbers: [u64; SERVICES.len()]) -> Self {
        Self { numbers }
    }

    /// Tells whether an algorithm is in the set.
    pub fn contains(&self, algorithm: impl Into<Algorithm>) -> bool {
        let (service, number) = algorithm.into().service_and_number();
        self.numbers[service as usize] & 1 << number != 0
    }

    /// Tells whether there is nothing in it, not even an algorithm that the driver does not know.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Returns the algorithms in it that the driver knows: by service, then by number.
    pub fn iter(&self) -> impl Iterator<Item = Algorithm> + use<> {
        let set = *self;
        Algorithm::all().filter(move |algorithm| set.contains(*algorithm))
    }

    /// Adds an algorithm.
    pub fn insert(&mut self, algorithm: impl Into<Algorithm>) {
        let (service, number) = algorithm.into().service_and_number();
        self.numbers[service as usize] |= 1 << number;
    }

    /// Takes an algorithm out.
    pub fn remove(&mut self, algorithm: impl Into<Algorithm>) {
        let (service, number) = algorithm.into().service_and_number();
        self.numbers[service as usize] &= !(1 << number);
    }

    /// Returns the set with an algorithm: for one that was found to work.
    #[must_use]
    pub fn with(mut self, algorithm: impl Into<Algorithm>) -> Self {
        self.insert(algorithm);
        self
    }

    /// Returns the set without an algorithm: for one that was found not to work.
    #[must_use]
    pub fn without(mut self, algorithm: impl Into<Algorithm>) -> Self {
        self.remove(algorithm);
        self
    }

    /// Returns what is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.merge(other, |own, others| own | others)
    }

    /// Returns what is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        self.merge(other, |own, others| own & others)
    }

    /// Returns what is in this set and not in the other.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        self.merge(other, |own, others| own & !others)
    }

    /// Returns what is in it of these services.
    #[must_use]
    pub fn of(mut self, services: Services) -> Self {
        for service in SERVICES {
            if !services.contains(service.into()) {
                self.numbers[service as usize] = 0;
            }
        }
        self
    }

    /// Returns the services that something is in it of.
    pub fn services(&self) -> Services {
        let services = SERVICES.into_iter();
        let services = services.filter(|service| self.numbers[*service as usize] != 0);
        services.map(Services::from).collect()
    }

    fn merge(mut self, other: Self, merged: impl Fn(u64, u64) -> u64) -> Self {
        for (own, others) in self.numbers.iter_mut().zip(other.numbers) {
            *own = merged(*own, others);
        }
        self
    }
}

impl<A: Into<Algorithm>> FromIterator<A> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = A>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// Names those that the driver knows, and says how many others there are.
impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = self.difference(Algorithm::all().collect());
        let count: u32 = unknown.numbers.into_iter().map(u64::count_ones).sum();
        let mut set = f.debug_set();
        set.entries(self.iter());
        if count > 0 {
            set.entry(&format_args!("{count} unknown"));
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use std::format;

    use super::*;

    #[test]
    fn set_with_and_without_an_algorithm_differ_by_it_alone() {
        for one in Algorithm::all() {
            let alone = AlgorithmSet::EMPTY.with(one);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [one]);
            assert_eq!(alone, [one].into_iter().collect());
            assert!(alone.contains(one) && alone.without(one).is_empty());
            let all: AlgorithmSet = Algorithm::all().collect();
            assert!(!all.without(one).contains(one));
            assert_eq!(all.without(one).with(one), all);
            assert_eq!(
                all.without(one).iter().count(),
                Algorithm::all().count() - 1
            );
        }
    }

    #[test]
    fn sets_are_joined_and_cut_by_algorithm_and_by_service() {
        let (cbc, sha) = (CipherAlgorithm::AesCbc, HashAlgorithm::Sha256);
        let [first, second] = [
            [cbc.into(), sha.into()],
            [sha.into(), MacAlgorithm::HmacSha1.into()],
        ]
        .map(|algorithms: [Algorithm; 2]| AlgorithmSet::from_iter(algorithms));
        assert_eq!(first.union(second).iter().count(), 3);
        assert_eq!(first.intersection(second), AlgorithmSet::EMPTY.with(sha));
        assert_eq!(first.difference(second), AlgorithmSet::EMPTY.with(cbc));
        assert_eq!(first.services(), Services::CIPHER | Services::HASH);
        assert_eq!(first.of(Services::HASH), AlgorithmSet::EMPTY.with(sha));
        assert!(first.of(Services::AEAD).is_empty());
        assert_eq!(AlgorithmSet::EMPTY.services(), Services::empty());
    }

    #[test]
    fn numbers_without_a_name_stay() {
        let set = AlgorithmSet::from_registers([1 << 3 | 1 << 63, 0, 0, 0, 1 << 40]);
        assert_eq!(format!("{set:?}"), "{Cipher(AesCbc), 2 unknown}");
        assert_eq!(set.iter().count(), 1);
        let known = Algorithm::all().collect();
        assert!(!set.difference(known).is_empty());
        assert_eq!(set.services(), Services::CIPHER | Services::AKCIPHER);
        assert_eq!(set.union(known).intersection(set), set);
    }
}
