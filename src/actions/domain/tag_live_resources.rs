//! TagLiveResources: sets tags on domains; one whose key a domain has already gets the new value. All domains are changed, or none.

use serde::{Deserialize, Serialize};

use super::tags::{self, Member};
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
    pub tag: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Sets the tags.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    tags::check_type(&request.resource_type)?;
    let domains = tags::resources(ctx, &request.resource_id).await?;
    let wanted = tags::read(&request.tag)?;
    let scope = Scope::domains(&domains).with(Kind::Tags);
    ctx.change(scope, move |view| {
        for domain in &domains {
            let stored: Option<Vec<Tag>> = view.document(Kind::Tags, domain)?;
            let mut stored = stored.unwrap_or_default();
            for tag in &wanted {
                tags::set(&mut stored, tag.clone());
            }
            tags::check_room(&stored)?;
            view.put(Kind::Tags, domain, &stored)?;
        }
        Ok(Answer {})
    })
    .await
}
