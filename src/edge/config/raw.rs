//! What was written for each setting, and where, before it is typed.

use std::collections::BTreeMap;

use super::keys::Key;
use super::{AccessKey, ConfigError};

/// What was written, with where.
#[derive(Debug, Clone, Default)]
pub struct Raw(pub(super) BTreeMap<&'static str, (String, String)>);

impl Raw {
    /// Sets a value, as a flag does.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>, source: impl Into<String>) {
        self.0.insert(name, (value.into(), source.into()));
    }

    /// As if nobody had written the setting.
    pub(super) fn set_default(&mut self, key: &Key) {
        match key.default {
            Some(default) => self.set(key.name, default, "default"),
            None => drop(self.0.remove(key.name)),
        }
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

/// Whether a token can travel in a header, which is where all of ours do. An empty one would be known to everybody.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// What is wrong with a token that is none.
pub const NO_TOKEN: &str =
    "must not be empty, and hold letters, digits and signs of ASCII alone: it travels in a header";

/// A token, where one is written.
pub(super) fn token(raw: &Raw, name: &str) -> Result<Option<String>, ConfigError> {
    match raw.get(name) {
        Some(text) if !is_token(text) => Err(raw.wrong(name, NO_TOKEN)),
        text => Ok(text.map(str::to_owned)),
    }
}

/// Tokens with commas between them, where any is written.
pub(super) fn tokens(raw: &Raw, name: &str) -> Result<Vec<String>, ConfigError> {
    let Some(text) = raw.get(name) else {
        return Ok(Vec::new());
    };
    let parts = text.split(',').map(str::trim);
    let tokens: Vec<String> = parts.map(str::to_owned).collect();
    if tokens.iter().all(|token| is_token(token)) {
        return Ok(tokens);
    }
    Err(raw.wrong(name, format!("each {NO_TOKEN}")))
}

/// `ID:SECRET`, `ID:SECRET:TOKEN` or `ID:SECRET:disabled`. The id and the token travel in headers.
pub(super) fn access_key(raw: &Raw, name: &str, text: &str) -> Result<AccessKey, ConfigError> {
    let mut parts = text.splitn(3, ':');
    let (id, secret, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next(),
    );
    if !is_token(id) || secret.trim().is_empty() || !rest.is_none_or(is_token) {
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
