//! UnTagLiveResources: takes tags off domains, by their keys, or all of them where All says so. One that is not there is no failure.

use serde::{Deserialize, Serialize};

use super::tags;
use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::ApiError;
use crate::model::domain::Tag;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub resource_type: String,
    pub resource_id: Vec<String>,
    #[serde(default)]
    pub tag_key: Vec<String>,
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the tags.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    tags::check_type(&request.resource_type)?;
    let domains = tags::resources(ctx, &request.resource_id).await?;
    let (keys, all) = (request.tag_key, request.all);
    // Keys that are named are meant, whatever All says.
    let is_meant = move |tag: &Tag| {
        if keys.is_empty() {
            all
        } else {
            keys.contains(&tag.key)
        }
    };
    let scope = Scope::domains(&domains).with(Kind::Tags);
    ctx.change(scope, move |view| {
        for domain in &domains {
            let stored: Option<Vec<Tag>> = view.document(Kind::Tags, domain)?;
            let Some(mut stored) = stored else {
                continue;
            };
            stored.retain(|tag| !is_meant(tag));
            if stored.is_empty() {
                view.remove(Kind::Tags, domain)?;
            } else {
                view.put(Kind::Tags, domain, &stored)?;
            }
        }
        Ok(Answer {})
    })
    .await
}
