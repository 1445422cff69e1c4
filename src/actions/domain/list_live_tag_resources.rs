//! ListLiveTagResources: the tags of domains, a row a tag, by domain. NextToken leads on where there are more domains than one answer carries.

use serde::{Deserialize, Serialize};

use super::tags::{self, Member};
use crate::actions::Context;
use crate::actions::arguments::{given, malformed};
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("RegionId", "there is one region"),
    ("TagOwnerBid", "there is one account"),
    ("TagOwnerUid", "there is one account"),
];

/// Domains of one answer.
const PAGE: usize = 50;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub resource_type: String,
    #[serde(default)]
    pub resource_id: Vec<String>,
    #[serde(default)]
    pub tag: Vec<Member>,
    pub next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub tag_resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Resources {
    pub tag_resource: Vec<Resource>,
}

/// One tag of one domain.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Resource {
    pub resource_id: String,
    pub resource_type: String,
    pub tag_key: String,
    pub tag_value: String,
}

/// Lists the tags.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    tags::check_type(&request.resource_type)?;
    let domains = tags::resources(ctx, &request.resource_id).await?;
    let after = given(request.next_token)
        .map(|token| read_token(&token))
        .transpose()?;
    let mut found = tags::stored(ctx).await?;
    found.retain(|(domain, tags)| {
        (domains.is_empty() || domains.contains(domain))
            && tags::all_among(&request.tag, tags)
            && after.as_ref().is_none_or(|after| domain > after)
    });
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().map(|(domain, _)| hex::encode(domain));
    let rows = found.into_iter().flat_map(|(domain, tags)| {
        tags.into_iter().map(move |tag| Resource {
            resource_id: domain.clone(),
            resource_type: tags::DOMAIN.to_owned(),
            tag_key: tag.key,
            tag_value: tag.value,
        })
    });
    Ok(Answer {
        tag_resources: Resources {
            tag_resource: rows.collect(),
        },
        next_token: last.filter(|_| more),
    })
}

/// The domain behind which an answer goes on.
fn read_token(token: &str) -> Result<String, ApiError> {
    let bytes = hex::decode(token).map_err(|_| malformed("NextToken"))?;
    String::from_utf8(bytes).map_err(|_| malformed("NextToken"))
}
