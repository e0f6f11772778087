//! The repository's documents, tested: their code compiles, and what they name exists.
//!
//! Code that a document shows is a documentation test of this crate. It is no part of the driver,
//! whose folder has to build without the documents around it. `driver/README.md` is the driver's
//! own; see `driver/src/lib.rs`.

/// Each document that has code, compiled.
#[cfg(doctest)]
mod code {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/EMBEDDING.md")]
    struct Embedding;
    #[doc = include_str!("../../../docs/ARCHITECTURE.md")]
    struct Architecture;
    #[doc = include_str!("../../../docs/CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../../../docs/DEVICES.md")]
    struct Devices;
    #[doc = include_str!("../../../docs/MEASUREMENTS.md")]
    struct Measurements;
    #[doc = include_str!("../../../docs/SECURITY.md")]
    struct Security;
}

#[cfg(test)]
mod markdown;
#[cfg(test)]
mod tests;
