//! The documented API as data: 437 actions of product `live`, version 2016-11-01, embedded in the binary.
//!
//! What: [`Spec`] finds an action by its exact name, checks parameters ([`check`]) and answers ([`answer`]) against it, and
//! prints what is covered ([`coverage`]) or the whole as OpenAPI ([`openapi`]).
//!
//! Why read at run time: no generated types, and one place for corrections (`api-spec/patches.json`). Start-up stays cheap
//! because only the names are read then; a file is parsed, and its patches applied, when its action is first asked for.

use std::sync::OnceLock;

use include_dir::{Dir, include_dir};

pub mod answer;
pub mod check;
pub mod coverage;
pub mod drift;
pub mod loose_json;
pub mod model;
pub mod names;
pub mod openapi;
mod patch;

pub use model::ActionSpec;

static ACTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../api-spec/2016-11-01/actions");
/// Actions that the product has retired and that are answered here all the same, in their last documented form.
static RETIRED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../api-spec/2016-11-01/retired");
const PATCHES: &str = include_str!("../../api-spec/patches.json");

/// A longer name than this is nobody's typing error, and comparing it would cost time.
const LONGEST_GUESS: usize = 128;
/// From this likeness on (1 is equal) a name is worth a "did you mean".
const LIKENESS: f64 = 0.85;

fn find<'a>(slots: &'a [Slot], name: &str) -> Option<&'a Slot> {
    let at = slots.binary_search_by(|slot| slot.name.cmp(name)).ok()?;
    slots.get(at)
}

fn slots(folder: &'static Dir<'static>) -> Vec<Slot> {
    let files = folder.files().filter_map(|file| {
        let name = file.path().file_stem()?.to_str()?;
        Some(Slot {
            name,
            text: file.contents(),
            parsed: OnceLock::new(),
        })
    });
    let mut slots: Vec<Slot> = files.collect();
    slots.sort_unstable_by_key(|slot| slot.name);
    slots
}

/// The embedded specification.
#[derive(Debug)]
pub struct Spec {
    slots: Vec<Slot>,
    retired: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    name: &'static str,
    text: &'static [u8],
    parsed: OnceLock<Option<ActionSpec>>,
}

impl Spec {
    /// The one specification of this program.
    #[must_use]
    pub fn embedded() -> &'static Spec {
        static SPEC: OnceLock<Spec> = OnceLock::new();
        SPEC.get_or_init(|| Spec {
            slots: slots(&ACTIONS),
            retired: slots(&RETIRED),
        })
    }

    /// The action of this exact name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&ActionSpec> {
        let slot = find(&self.slots, name).or_else(|| find(&self.retired, name))?;
        // A file that does not parse is a broken build; a test reads them all.
        slot.parsed
            .get_or_init(|| patch::load(slot.name, slot.text, PATCHES).ok())
            .as_ref()
    }

    /// All documented names, sorted; the retired ones are not among them.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.slots.iter().map(|slot| slot.name)
    }

    /// The documented actions' files as they were imported, without our patches.
    pub fn imported(&self) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        self.slots.iter().map(|slot| (slot.name, slot.text))
    }

    /// All actions, sorted by name; parses those that were not asked for yet.
    pub fn actions(&self) -> impl Iterator<Item = &ActionSpec> {
        self.slots.iter().filter_map(|slot| self.action(slot.name))
    }

    /// The documented name that an unknown one was most likely meant to be.
    #[must_use]
    pub fn closest(&self, name: &str) -> Option<&'static str> {
        if name.is_empty() || name.len() > LONGEST_GUESS {
            return None;
        }
        let wanted = name.to_ascii_lowercase();
        self.names()
            .map(|known| {
                (
                    strsim::normalized_damerau_levenshtein(&known.to_ascii_lowercase(), &wanted),
                    known,
                )
            })
            .filter(|(likeness, _)| *likeness >= LIKENESS)
            .max_by(|left, right| left.0.total_cmp(&right.0))
            .map(|(_, known)| known)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn all_files_parse_and_agree_with_the_manifest() {
        let manifest: serde_json::Value =
            serde_json::from_str(include_str!("../../api-spec/2016-11-01/manifest.json")).unwrap();
        let spec = Spec::embedded();
        assert_eq!(spec.names().len(), 437);
        assert_eq!(manifest["count"], 437);
        for slot in &spec.slots {
            let action = patch::load(slot.name, slot.text, PATCHES).unwrap();
            assert_eq!(action.action, slot.name);
            let hash: String = Sha256::digest(slot.text)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(
                manifest["sha256"][slot.name], hash,
                "{} was edited by hand",
                slot.name
            );
        }
    }

    #[test]
    fn retired_actions_are_known_and_not_documented() {
        let spec = Spec::embedded();
        assert!(!spec.retired.is_empty());
        for slot in &spec.retired {
            let action = patch::load(slot.name, slot.text, PATCHES).unwrap();
            assert!(action.retired && action.action == slot.name);
            assert!(spec.names().all(|name| name != slot.name));
            assert!(spec.action(slot.name).is_some());
        }
        assert!(spec.actions().all(|action| !action.retired));
    }

    #[test]
    fn names_are_exact_and_near_misses_are_guessed() {
        let spec = Spec::embedded();
        assert!(spec.action("AddLiveAppRecordConfig").is_some());
        assert!(spec.action("addLiveAppRecordConfig").is_none());
        assert_eq!(
            spec.closest("addliveapprecordconfig"),
            Some("AddLiveAppRecordConfig")
        );
        assert_eq!(
            spec.closest("DescribeLiveRecordConfigs"),
            Some("DescribeLiveRecordConfig")
        );
        assert_eq!(spec.closest("LaunchRocket"), None);
        assert_eq!(spec.closest(&"x".repeat(100_000)), None);
    }
}
