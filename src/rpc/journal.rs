//! The last API requests, for `GET /_localyun/requests`: what came, who sent it, what was answered and why.

pub mod replay;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::caller::Scheme;
use crate::clock::UnixMs;
use crate::evidence::Evidence;
use crate::phrases::Said;
use crate::secrets;
use crate::upstream::Passage;
use crate::wire::params::Pair;

/// Entries kept.
const KEPT: usize = 1_000;
/// Bytes of a parameter's value that are kept as they are.
const VALUE_KEPT: usize = 1_024;
/// Characters of a longer value that are kept. Names are short enough: a request with a longer one is refused before.
const BEGINNING_KEPT: usize = VALUE_KEPT / 4;
/// Parameters of an entry that are kept.
const PARAMS_KEPT: usize = 100;
/// Refused signatures that are kept with their request, so that reading the journal has bounded work to do.
const EVIDENCE_KEPT: usize = 32;
/// Bytes that an entry's text seldom passes.
const TEXT: usize = 1_024;

/// One request and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    pub request_id: Cow<'a, str>,
    pub at: UnixMs,
    pub method: Cow<'a, str>,
    pub action: Cow<'a, str>,
    pub params: Vec<Pair<'a>>,
    pub caller: Option<Cow<'a, str>>,
    pub scheme: Scheme,
    /// `ok` or `refused` or `failed`.
    pub verdict: Cow<'a, str>,
    pub status: u16,
    pub code: Option<Cow<'a, str>>,
    pub message: Option<Cow<'a, str>>,
    /// Why it failed inside; never sent to the caller.
    pub cause: Option<String>,
    /// Parameters that nothing read.
    pub ignored: Vec<String>,
    /// What was done otherwise than asked, or taken beyond the reference.
    pub notes: Vec<String>,
    /// The notes as others can word them, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    pub fault: bool,
    pub took_us: u64,
    /// Its way to the upstream or the cassette, where it went there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Box<Passage>>,
}

/// Sentences of an entry as others can word them, each a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub notes: Vec<serde_json::Value>,
}

impl Words {
    /// Those of a call that has some.
    #[must_use]
    pub fn of(notes: &[Said]) -> Option<Self> {
        let words = || notes.iter().map(|said| serde_json::json!(said));
        (!notes.is_empty()).then(|| Self {
            notes: words().collect(),
        })
    }
}

/// An entry as it is kept: one block of memory instead of the dozens of small ones that an [`Entry`] is, which would lie
/// strewn among all that lives shorter and hold its pages.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Counts the requests.
    pub number: u64,
    text: Arc<[u8]>,
    /// It has notes, so that whoever looks for those need not open the others.
    noted: bool,
    /// The request itself, where its signature was refused.
    pub evidence: Option<Arc<Evidence>>,
}

impl Kept {
    /// The entry again.
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'static>> {
        serde_json::from_slice(&self.text).ok()
    }
}

#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<VecDeque<Kept>>,
}

/// Parameters as the journal keeps them: short, and without secrets.
#[must_use]
pub fn presentable<'a>(pairs: &[Pair<'a>]) -> Vec<Pair<'a>> {
    let shown = pairs.iter().take(PARAMS_KEPT).map(|(name, value)| {
        let shown = secrets::shown(name, value);
        let shown = if shown.len() > VALUE_KEPT {
            let begins: String = shown.chars().take(BEGINNING_KEPT).collect();
            Cow::Owned(format!("{begins}… ({} bytes)", value.len()))
        } else if shown == *value {
            value.clone()
        } else {
            Cow::Owned(shown.into_owned())
        };
        (name.clone(), shown)
    });
    shown.collect()
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, and for a refused signature the request.
    pub fn add(&self, entry: &Entry<'_>, evidence: Option<Evidence>) {
        let mut text = Vec::with_capacity(TEXT);
        if serde_json::to_writer(&mut text, entry).is_err() {
            return;
        }
        let mut entry = Kept {
            number: 0,
            text: text.as_slice().into(),
            noted: !entry.notes.is_empty(),
            evidence: evidence.map(Arc::new),
        };
        let mut entries = self.lock();
        entry.number = entries.back().map_or(1, |newest| newest.number + 1);
        if entries.len() >= KEPT {
            entries.pop_front();
        }
        if entry.evidence.is_some() {
            let mut with = entries.iter_mut().filter(|e| e.evidence.is_some()).rev();
            if let Some(oldest) = with.nth(EVIDENCE_KEPT - 1) {
                oldest.evidence = None;
            }
        }
        entries.push_back(entry);
    }

    /// The entries before the one of that number, the newest first.
    #[must_use]
    pub fn before(&self, number: u64, limit: usize) -> Vec<Kept> {
        let entries = self.lock();
        let before = entries.iter().rev().filter(|entry| entry.number < number);
        before.take(limit).cloned().collect()
    }

    /// The newest entries with notes first.
    #[must_use]
    pub fn noted(&self) -> Vec<Entry<'static>> {
        let kept: Vec<Kept> = {
            let entries = self.lock();
            entries.iter().rev().filter(|e| e.noted).cloned().collect()
        };
        kept.iter().filter_map(Kept::entry).collect()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http_parts::HttpParts;

    fn entry(number: usize) -> Entry<'static> {
        Entry {
            request_id: number.to_string().into(),
            at: -1,
            method: "GET".into(),
            action: "\"\u{0}é".into(),
            params: vec![("Name".into(), "value".into())],
            caller: None,
            scheme: Scheme::Unsigned,
            verdict: "refused".into(),
            status: 400,
            code: None,
            message: None,
            cause: None,
            ignored: Vec::new(),
            notes: Vec::new(),
            words: None,
            fault: false,
            took_us: 0,
            upstream: None,
        }
    }

    #[test]
    fn a_flood_keeps_a_bounded_number_of_requests() {
        let journal = Journal::default();
        for number in 0..3 * KEPT {
            let refused = number % 2 == 0;
            let evidence = refused.then(|| Evidence::of(&HttpParts::default()));
            journal.add(&entry(number), evidence.flatten());
        }
        let recent = journal.before(u64::MAX, KEPT);
        assert_eq!(recent[0].entry(), Some(entry(3 * KEPT - 1)));
        let kept: Vec<bool> = recent.iter().map(|kept| kept.evidence.is_some()).collect();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.iter().filter(|kept| **kept).count(), EVIDENCE_KEPT);
        // The newest ones.
        assert!(kept.get(1) == Some(&true) && kept.get(2 * EVIDENCE_KEPT + 1) == Some(&false));
    }

    #[test]
    fn values_of_secret_parameters_are_not_kept() {
        let pair = |name: &'static str| (name.into(), "tell-nobody".into());
        let shown = presentable(&[
            pair("SecurityToken"),
            pair("AccessKeySecret"),
            pair("AppName"),
        ]);
        let values: Vec<&str> = shown.iter().map(|(_, value)| value.as_ref()).collect();
        assert_eq!(values, ["***", "***", "tell-nobody"]);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let of = |length: usize| (Cow::from("Name"), Cow::from("中".repeat(length)));
        let fits = of(VALUE_KEPT / 3);
        let shown = presentable(&[fits.clone(), of(VALUE_KEPT / 3 + 1)]);
        let cut = format!("{}… (1026 bytes)", "中".repeat(BEGINNING_KEPT));
        assert_eq!(shown, [fits, ("Name".into(), cut.into())]);
    }
}
