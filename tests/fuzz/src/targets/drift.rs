//! Newer descriptions of the API, surveys and the gateway's metadata: compared or refused, and every change is counted once.

use localyun::testing::spec::Spec;
use localyun::testing::spec::drift::Drift;

/// Actions of the embedded description that take part.
const SOME: usize = 3;

pub fn run(data: &[u8]) {
    let some = Spec::embedded().imported().take(SOME);
    match Drift::of(some, data) {
        Ok(drift) => {
            assert!(drift.compared <= SOME);
            assert_eq!(drift.counts().values().sum::<usize>(), drift.changes.len());
            let told = drift.to_json(&[]);
            let changes = told.get("changes").and_then(|changes| changes.as_array());
            assert_eq!(changes.map(Vec::len), Some(drift.changes.len()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
