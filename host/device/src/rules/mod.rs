//! What a device can break on purpose, one rule at a time.
//!
//! For whoever wants to see that a driver, or the probe, notices. The one rule: each rule is in
//! `rules.txt` once, and an option names it as that file does.

use core::fmt;

/// A rule that can be broken. `rules.txt` says what each asks for and how it is broken.
#[expect(missing_docs, reason = "rules.txt has a text for each")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    ResetReads0,
    SilentAfterReset,
    ResetEmptiesQueues,
    OffersVersion1,
    UndefinedFeaturesClear,
    FeaturesStable,
    OffersWhatFeaturesNeed,
    AcceptsASubset,
    NegotiatesAgain,
    FeaturesOkRefusesUnoffered,
    FeaturesOkRefusesDependents,
    ConfigBeforeFeaturesOk,
    ConfigStable,
    LiveAfterDriverOk,
    NoWorkBeforeDriverOk,
    NoResetAskedFor,
    QueueSizesPowersOf2,
    VectorsReadBack,
    NoVectorReadsBack,
    VectorBeyondTableRefused,
    InterruptWhenDone,
    InterruptSuppressed,
    InterruptAtEvent,
    NoInterruptBeforeEvent,
    InterruptAtItsVector,
    NoInterruptWithoutVector,
    UsedIdsInFlight,
    UsedLengthWithinWritable,
    UsedLengthIsWritten,
    UsedFlagsDefined,
    ReadableUntouched,
    AnyFraming,
    OneByteDescriptors,
    IndirectAnyFraming,
    DirectThenIndirect,
    IndirectIgnoresWriteFlag,
    SeveralInFlight,
    ResultsInTheirOwnBuffers,
    IndexWraps,
    SpuriousKickIgnored,
    InOrder,
    QueueResetEmpties,
    DataQueuesServe,
    SessionsOnEveryQueue,
    ControlQueueFollows,
    PackedServes,
    PackedSeveralInFlight,
    PackedWraps,
    PackedIndirect,
    PackedAnyFraming,
    PackedInterruptSuppressed,
    PackedInterruptAtEvent,
    HwReady,
    StatusBitsDefined,
    MaxDataqueuesInRange,
    ServicesDefined,
    AlgorithmsDefined,
    ServicesHaveAlgorithms,
    MaxSizeSet,
    CipherKeyLengthSet,
    AuthKeyLengthSet,
    AdvertisedOpens,
    KeyWithinMaxOpens,
    MaxSizeServes,
    BeyondMaxSizeFails,
    KeyBeyondMaxFails,
    AuthKeyBeyondMaxFails,
    StatusWritten,
    StatusDefined,
    BadmsgForAuthenticationOnly,
    KeyRejectedForVerificationOnly,
    NospcWithRevision1Only,
    SessionServes,
    SessionsKeepTheirKeys,
    SessionIdsUnique,
    SessionIdOnlyWhenOk,
    ControlOpcodeDecides,
    UnusedControlFieldsIgnored,
    UnknownAlgorithmAnswersNotsupp,
    UnadvertisedAnswersNotsupp,
    UnknownControlOpcodeAnswersNotsupp,
    UnknownOpTypeRefused,
    UnknownDirectionRefused,
    UnknownChainOrderRefused,
    UnknownHashModeRefused,
    WrongKeyLengthRefused,
    SessionLimitStatus,
    DestroyAnswersOk,
    DestroyEndsTheSession,
    DestroyFreesItsPlace,
    SecondDestroyIsRefused,
    UnknownDestroyAnswersErr,
    DestroyByAnotherService,
    UnknownSessionAnswersInvsess,
    SessionOfAnotherServiceRefused,
    FlagIgnoredWithoutRevision1,
    StatelessRefusedUnlessNegotiated,
    Revision1ControlFields,
    Revision1DataFields,
    UnknownDataOpcodeAnswersNotsupp,
    UnknownDataOpTypeRefused,
    UnusedDataFieldsIgnored,
    FlagDecidesMode,
    CipherAnswers,
    CipherLong,
    CipherStateless,
    WrongIvLengthRefused,
    PartialBlockRefused,
    HashAnswers,
    HashBoundaries,
    HashStateless,
    MacAnswers,
    MacBoundaries,
    MacStateless,
    AeadAnswers,
    AeadTagFollows,
    AeadForgeryAnswersBadmsg,
    AeadForgeryIsFound,
    AeadStateless,
    ChainAnswersPlain,
    ChainAnswersMac,
    ChainAnswersNested,
    ChainOffsets,
    ChainAdditionalData,
    ChainStateless,
    RsaAnswers,
    RsaRawAnswers,
    RsaLengthWhole,
    UsedLengthTellsTheResult,
    ForgedSignatureIsFound,
    ForgedSignatureAnswersKeyRejected,
    EcdsaAnswers,
    AkcipherStateless,
    AkcipherBadKeyRefused,
}

impl Rule {
    /// Each of them, in the order of `rules.txt`.
    pub const ALL: &[Self] = &[
        Self::ResetReads0,
        Self::SilentAfterReset,
        Self::ResetEmptiesQueues,
        Self::OffersVersion1,
        Self::UndefinedFeaturesClear,
        Self::FeaturesStable,
        Self::OffersWhatFeaturesNeed,
        Self::AcceptsASubset,
        Self::NegotiatesAgain,
        Self::FeaturesOkRefusesUnoffered,
        Self::FeaturesOkRefusesDependents,
        Self::ConfigBeforeFeaturesOk,
        Self::ConfigStable,
        Self::LiveAfterDriverOk,
        Self::NoWorkBeforeDriverOk,
        Self::NoResetAskedFor,
        Self::QueueSizesPowersOf2,
        Self::VectorsReadBack,
        Self::NoVectorReadsBack,
        Self::VectorBeyondTableRefused,
        Self::InterruptWhenDone,
        Self::InterruptSuppressed,
        Self::InterruptAtEvent,
        Self::NoInterruptBeforeEvent,
        Self::InterruptAtItsVector,
        Self::NoInterruptWithoutVector,
        Self::UsedIdsInFlight,
        Self::UsedLengthWithinWritable,
        Self::UsedLengthIsWritten,
        Self::UsedFlagsDefined,
        Self::ReadableUntouched,
        Self::AnyFraming,
        Self::OneByteDescriptors,
        Self::IndirectAnyFraming,
        Self::DirectThenIndirect,
        Self::IndirectIgnoresWriteFlag,
        Self::SeveralInFlight,
        Self::ResultsInTheirOwnBuffers,
        Self::IndexWraps,
        Self::SpuriousKickIgnored,
        Self::InOrder,
        Self::QueueResetEmpties,
        Self::DataQueuesServe,
        Self::SessionsOnEveryQueue,
        Self::ControlQueueFollows,
        Self::PackedServes,
        Self::PackedSeveralInFlight,
        Self::PackedWraps,
        Self::PackedIndirect,
        Self::PackedAnyFraming,
        Self::PackedInterruptSuppressed,
        Self::PackedInterruptAtEvent,
        Self::HwReady,
        Self::StatusBitsDefined,
        Self::MaxDataqueuesInRange,
        Self::ServicesDefined,
        Self::AlgorithmsDefined,
        Self::ServicesHaveAlgorithms,
        Self::MaxSizeSet,
        Self::CipherKeyLengthSet,
        Self::AuthKeyLengthSet,
        Self::AdvertisedOpens,
        Self::KeyWithinMaxOpens,
        Self::MaxSizeServes,
        Self::BeyondMaxSizeFails,
        Self::KeyBeyondMaxFails,
        Self::AuthKeyBeyondMaxFails,
        Self::StatusWritten,
        Self::StatusDefined,
        Self::BadmsgForAuthenticationOnly,
        Self::KeyRejectedForVerificationOnly,
        Self::NospcWithRevision1Only,
        Self::SessionServes,
        Self::SessionsKeepTheirKeys,
        Self::SessionIdsUnique,
        Self::SessionIdOnlyWhenOk,
        Self::ControlOpcodeDecides,
        Self::UnusedControlFieldsIgnored,
        Self::UnknownAlgorithmAnswersNotsupp,
        Self::UnadvertisedAnswersNotsupp,
        Self::UnknownControlOpcodeAnswersNotsupp,
        Self::UnknownOpTypeRefused,
        Self::UnknownDirectionRefused,
        Self::UnknownChainOrderRefused,
        Self::UnknownHashModeRefused,
        Self::WrongKeyLengthRefused,
        Self::SessionLimitStatus,
        Self::DestroyAnswersOk,
        Self::DestroyEndsTheSession,
        Self::DestroyFreesItsPlace,
        Self::SecondDestroyIsRefused,
        Self::UnknownDestroyAnswersErr,
        Self::DestroyByAnotherService,
        Self::UnknownSessionAnswersInvsess,
        Self::SessionOfAnotherServiceRefused,
        Self::FlagIgnoredWithoutRevision1,
        Self::StatelessRefusedUnlessNegotiated,
        Self::Revision1ControlFields,
        Self::Revision1DataFields,
        Self::UnknownDataOpcodeAnswersNotsupp,
        Self::UnknownDataOpTypeRefused,
        Self::UnusedDataFieldsIgnored,
        Self::FlagDecidesMode,
        Self::CipherAnswers,
        Self::CipherLong,
        Self::CipherStateless,
        Self::WrongIvLengthRefused,
        Self::PartialBlockRefused,
        Self::HashAnswers,
        Self::HashBoundaries,
        Self::HashStateless,
        Self::MacAnswers,
        Self::MacBoundaries,
        Self::MacStateless,
        Self::AeadAnswers,
        Self::AeadTagFollows,
        Self::AeadForgeryAnswersBadmsg,
        Self::AeadForgeryIsFound,
        Self::AeadStateless,
        Self::ChainAnswersPlain,
        Self::ChainAnswersMac,
        Self::ChainAnswersNested,
        Self::ChainOffsets,
        Self::ChainAdditionalData,
        Self::ChainStateless,
        Self::RsaAnswers,
        Self::RsaRawAnswers,
        Self::RsaLengthWhole,
        Self::UsedLengthTellsTheResult,
        Self::ForgedSignatureIsFound,
        Self::ForgedSignatureAnswersKeyRejected,
        Self::EcdsaAnswers,
        Self::AkcipherStateless,
        Self::AkcipherBadKeyRefused,
    ];

    /// Finds a rule by its name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }

    /// Returns its name: `session-ids-unique`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            let begins_a_word = letter.is_ascii_uppercase() || letter.is_ascii_digit();
            if begins_a_word && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// Returns its sections, what it asks for, and how it is broken.
    pub fn text(self) -> Text {
        let name = self.name();
        // A test finds each of them.
        texts()
            .find_map(|(known, text)| (known == name).then_some(text))
            .unwrap_or_default()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// What `rules.txt` has about a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Sections of VIRTIO 1.3.
    pub sections: String,
    /// What a device does that keeps it.
    pub keeps: String,
    /// What this device does that breaks it.
    pub breaks: String,
}

/// Reads `rules.txt`: names and texts.
fn texts() -> impl Iterator<Item = (&'static str, Text)> {
    let paragraphs = include_str!("rules.txt").split("\n\n");
    paragraphs.filter_map(|paragraph| {
        let (head, body) = paragraph.trim().split_once(")\n")?;
        let (name, sections) = head.split_once(" (")?;
        let (keeps, breaks) = body.split_once("\nBroken: ")?;
        let one_line = |text: &str| text.replace('\n', " ");
        let text = Text {
            sections: sections.to_owned(),
            keeps: one_line(keeps),
            breaks: one_line(breaks),
        };
        Some((name, text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_text_and_every_text_a_rule() {
        let names: Vec<String> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        let texts: Vec<&str> = texts().map(|(name, _)| name).collect();
        assert_eq!(names, texts);
        for rule in Rule::ALL {
            assert_eq!(Rule::of(&rule.name()), Some(*rule));
            let Text {
                sections,
                keeps,
                breaks,
            } = rule.text();
            assert!(
                sections.starts_with(|first: char| first.is_ascii_digit()),
                "{rule}"
            );
            assert!(keeps.ends_with('.') && breaks.ends_with('.'), "{rule}");
        }
    }
}
