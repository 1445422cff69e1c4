//! The last API requests, for `GET /_localyun/requests`: what came, who sent it, what was answered and why.

pub mod replay;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock::UnixMs;
use crate::model::wire_time;

/// Entries kept.
const KEPT: usize = 1_000;
/// Bytes of a parameter's value that are kept.
const VALUE_KEPT: usize = 1_024;
/// Parameters of an entry that are kept.
const PARAMS_KEPT: usize = 100;
/// Parameters whose values are never kept.
const SECRET: [&str; 6] = [
    "Signature",
    "SecurityToken",
    "BearerToken",
    "NotifyAuthKey",
    "CallbackAuthKey",
    "Functions",
];

/// One request and its end.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub request_id: String,
    #[serde(serialize_with = "as_time")]
    pub at: UnixMs,
    pub method: String,
    pub action: String,
    pub params: Vec<(String, String)>,
    pub caller: Option<String>,
    pub scheme: &'static str,
    /// `ok` or `refused` or `failed`.
    pub verdict: &'static str,
    pub status: u16,
    pub code: Option<String>,
    pub message: Option<String>,
    /// Why it failed inside; never sent to the caller.
    pub cause: Option<String>,
    /// Parameters that nothing read.
    pub ignored: Vec<String>,
    pub fault: bool,
    pub took_us: u64,
}

fn as_time<S: serde::Serializer>(ms: &UnixMs, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&wire_time::to_api(*ms))
}

#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<VecDeque<Entry>>,
}

/// Parameters as the journal keeps them: short, and without secrets.
#[must_use]
pub fn presentable(pairs: &[(String, String)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .take(PARAMS_KEPT)
        .map(|(name, value)| {
            let value = if SECRET.contains(&name.as_str()) {
                "***".to_owned()
            } else if value.len() > VALUE_KEPT {
                format!(
                    "{}… ({} bytes)",
                    value.chars().take(VALUE_KEPT / 4).collect::<String>(),
                    value.len()
                )
            } else {
                value.clone()
            };
            (name.chars().take(256).collect(), value)
        })
        .collect()
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, entry: Entry) {
        let mut entries = self.lock();
        if entries.len() >= KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The newest entries first.
    #[must_use]
    pub fn recent(&self, limit: usize) -> Vec<Entry> {
        self.lock().iter().rev().take(limit).cloned().collect()
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}
