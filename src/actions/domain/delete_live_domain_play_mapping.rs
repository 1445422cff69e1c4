//! DeleteLiveDomainPlayMapping: a sub play domain stands for itself again. A mapping that is not there is InvalidConfig.NotFound.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::domain::Domain;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub pull_domain: String,
    pub play_domain: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the mapping; both domains stay.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let main = domain_name("PullDomain", &request.pull_domain)?;
    let sub = domain_name("PlayDomain", &request.play_domain)?;
    ctx.check_declared(&main).await?;
    ctx.check_declared(&sub).await?;
    let now = ctx.now();
    let scope = Scope::domains(&[main.clone(), sub.clone()]);
    ctx.change(scope, move |view| {
        let stored: Option<Domain> = view.document(Kind::Domain, &sub)?;
        let mapped = stored.filter(|domain| domain.main_domain.as_ref() == Some(&main));
        let mut domain = mapped.ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))?;
        domain.main_domain = None;
        domain.modified_at = now;
        view.put(Kind::Domain, &sub, &domain)?;
        Ok(Answer {})
    })
    .await
}
