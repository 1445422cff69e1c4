//! Documented actions that will not be built, each with the reason that its caller is told.
//!
//! They belong to other products that share the API: a family of them is declined as a whole, single actions where their family is ours.

use crate::phrases::Phrase;
use crate::spec::Spec;
use crate::spec::model::ActionSpec;

/// Families of the spec.
const FAMILIES: &[(&str, Phrase)] = &[
    ("caster", Phrase::CastersElsewhere),
    ("rtc", Phrase::RtcElsewhere),
    ("message", Phrase::MessagesElsewhere),
];

const AI: Phrase = Phrase::AiIsOfTheCloud;
const BILLING: Phrase = Phrase::NothingIsBilled;
const DRM: Phrase = Phrase::DrmNeedsTheCloud;

/// Single actions.
const ACTIONS: &[(&str, Phrase)] = &[
    ("AddLiveAIProduceRules", AI),
    ("AddLiveAISubtitle", AI),
    ("DeleteLiveAIProduceRules", AI),
    ("DeleteLiveAISubtitle", AI),
    ("DescribeLiveAIProduceRules", AI),
    ("DescribeLiveAISubtitle", AI),
    ("UpdateLiveAIProduceRules", AI),
    ("UpdateLiveAISubtitle", AI),
    ("DescribeLiveDrmUsageData", DRM),
    ("DescribeLiveUserBillPrediction", BILLING),
];

/// Why an action will not be built, if it will not.
#[must_use]
pub fn reason(spec: &ActionSpec) -> Option<Phrase> {
    let family = FAMILIES.iter().find(|(family, _)| *family == spec.family);
    let single = || ACTIONS.iter().find(|(name, _)| *name == spec.action);
    family.or_else(single).map(|(_, reason)| *reason)
}

/// Every declined action with its reason.
#[must_use]
pub fn all(spec: &Spec) -> Vec<(&str, Phrase)> {
    spec.actions()
        .filter_map(|action| reason(action).map(|reason| (action.action.as_str(), reason)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declined_name_is_one_of_the_spec_and_has_no_handler() {
        let spec = Spec::embedded();
        for (family, _) in FAMILIES {
            let of_it = spec.actions().filter(|action| action.family == *family);
            assert!(of_it.count() > 30, "{family}");
        }
        for (name, _) in ACTIONS {
            assert!(spec.action(name).is_some(), "{name}");
        }
        let declined = all(spec);
        assert_eq!(declined.len(), 71 + 36 + 54 + ACTIONS.len());
        for def in crate::actions::all() {
            assert!(
                !declined.iter().any(|(name, _)| *name == def.name),
                "{}",
                def.name
            );
        }
    }
}
