//! ChangeLiveDomainResourceGroup: puts a domain into another resource group, which is a name here and nothing else.

use serde::{Deserialize, Serialize};

use super::change::change_domain;
use crate::actions::Context;
use crate::actions::arguments::malformed;
use crate::error::ApiError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// The longest id that is kept.
pub const LONGEST_GROUP: usize = 255;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub new_resource_group_id: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Puts the domain into the group.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let group = request.new_resource_group_id;
    if group.len() > LONGEST_GROUP {
        return Err(malformed("NewResourceGroupId"));
    }
    let change = move |domain: &mut crate::model::domain::Domain| {
        group.clone_into(&mut domain.resource_group);
    };
    change_domain(ctx, &request.domain_name, change).await?;
    Ok(Answer {})
}
