//! What was written for each setting, and where, before it is typed.

use std::collections::BTreeMap;

use super::{AccessKey, ConfigError};

/// What was written, with where.
#[derive(Debug, Clone, Default)]
pub struct Raw(pub(super) BTreeMap<&'static str, (String, String)>);

impl Raw {
    /// Sets a value, as a flag does.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>, source: impl Into<String>) {
        self.0.insert(name, (value.into(), source.into()));
    }

    /// Whether a value is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }

    pub(super) fn source(&self, name: &str) -> String {
        self.0
            .get(name)
            .map_or_else(|| format!("--{name}"), |(_, source)| source.clone())
    }

    pub(super) fn wrong(&self, name: &str, problem: impl std::fmt::Display) -> ConfigError {
        ConfigError::new(self.source(name), problem)
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    raw: &Raw,
    name: &str,
    options: &[(&str, T)],
) -> Result<T, ConfigError> {
    let value = raw.get(name).unwrap_or_default();
    options
        .iter()
        .find(|(word, _)| *word == value)
        .map(|(_, chosen)| *chosen)
        .ok_or_else(|| {
            let words: Vec<&str> = options.iter().map(|(word, _)| *word).collect();
            raw.wrong(name, format!("{value:?} is none of {}", words.join(", ")))
        })
}

/// `ID:SECRET`, `ID:SECRET:TOKEN` or `ID:SECRET:disabled`.
pub(super) fn access_key(raw: &Raw, name: &str, text: &str) -> Result<AccessKey, ConfigError> {
    let mut parts = text.splitn(3, ':');
    let (id, secret, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next(),
    );
    if id.is_empty() || secret.is_empty() {
        return Err(raw.wrong(name, "must be ID:SECRET, or ID:SECRET:TOKEN"));
    }
    let disabled = rest == Some("disabled");
    Ok(AccessKey {
        id: id.to_owned(),
        secret: secret.to_owned(),
        token: rest.filter(|_| !disabled).map(str::to_owned),
        disabled,
    })
}
