//! DescribeLiveTagResources: the tags of the named domains, a row a domain; one without tags has none.

use serde::{Deserialize, Serialize};

use super::tags::{self, Member};
use crate::actions::Context;
use crate::error::ApiError;
use crate::model::domain::Tag;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub resource_type: String,
    pub resource_id: Vec<String>,
    #[serde(default)]
    pub tag: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    /// A bare list, without wrapper.
    pub tag_resources: Vec<Resource>,
}

/// One domain.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Resource {
    pub resource_id: String,
    pub tag: Vec<Pair>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Pair {
    pub key: String,
    pub value: String,
}

/// Lists the tags.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    tags::check_type(&request.resource_type)?;
    let domains = tags::resources(ctx, &request.resource_id).await?;
    let pair = |tag: Tag| Pair {
        key: tag.key,
        value: tag.value,
    };
    let found = tags::stored(ctx).await?.into_iter();
    let found = found
        .filter(|(domain, tags)| domains.contains(domain) && tags::all_among(&request.tag, tags));
    Ok(Answer {
        tag_resources: found
            .map(|(resource_id, tags)| Resource {
                resource_id,
                tag: tags.into_iter().map(pair).collect(),
            })
            .collect(),
    })
}
