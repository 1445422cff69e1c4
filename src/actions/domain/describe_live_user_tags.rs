//! DescribeLiveUserTags: every key that a domain has, with the values that it has somewhere, both by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::tags;
use crate::actions::Context;
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    /// A bare list, without wrapper.
    pub tags: Vec<Key>,
}

/// One key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Key {
    pub key: String,
    pub value: Vec<String>,
}

/// Lists the keys.
pub async fn handle(ctx: &Context, _request: Request) -> Result<Answer, ApiError> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, tags) in tags::stored(ctx).await? {
        for tag in tags {
            keys.entry(tag.key).or_default().insert(tag.value);
        }
    }
    Ok(Answer {
        tags: keys
            .into_iter()
            .map(|(key, values)| Key {
                key,
                value: values.into_iter().collect(),
            })
            .collect(),
    })
}
