//! Which features are offered, and which of them a driver may accept (2.2).
//!
//! For the registers. The one rule: what is offered and what is refused stand side by side, with
//! the rules that a device may break there.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{feature, options::Options, rules::Rule};

/// Returns the features that are offered.
pub fn offered(options: &Options) -> u64 {
    /// Reads of the offer, for one that is not the same twice.
    static READS: AtomicU32 = AtomicU32::new(0);
    let features = options.features;
    match options.broken {
        Some(Rule::OffersVersion1) => features & !feature::VERSION_1,
        Some(Rule::UndefinedFeaturesClear) => features | 1 << 20,
        Some(Rule::OffersWhatFeaturesNeed) => features & !feature::REVISION_1,
        Some(Rule::FeaturesStable) => match READS.fetch_add(1, Ordering::Relaxed) % 4 {
            0 | 1 => features,
            _ => features ^ feature::EVENT_IDX,
        },
        _ => features,
    }
}

/// Tells whether a driver's features may stand; `negotiations` counts this one, too.
pub fn may_accept(features: u64, negotiations: u32, options: &Options) -> bool {
    let may = feature::may_accept(features, offered(options));
    match options.broken {
        Some(Rule::AcceptsASubset) => may && features & feature::EVENT_IDX != 0,
        Some(Rule::NegotiatesAgain) => may && !negotiations.is_multiple_of(2),
        Some(Rule::FeaturesOkRefusesUnoffered) => true,
        Some(Rule::FeaturesOkRefusesDependents) => {
            may || feature::may_accept(features | feature::REVISION_1, offered(options))
        }
        Some(Rule::OffersVersion1) => {
            feature::may_accept(features | feature::VERSION_1, options.features)
        }
        _ => may,
    }
}
