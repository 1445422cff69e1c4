//! DeleteLiveDomainMapping: an ingest domain stands for itself again. A mapping that is not there is InvalidConfig.NotFound.

use serde::{Deserialize, Serialize};

use super::kind;
use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::domain::{Domain, DomainKind};
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub push_domain: String,
    pub pull_domain: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the mapping; both domains stay.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let push = domain_name("PushDomain", &request.push_domain)?;
    let pull = domain_name("PullDomain", &request.pull_domain)?;
    ctx.check_declared(&push).await?;
    ctx.check_declared(&pull).await?;
    let now = ctx.now();
    let scope = Scope::domains(&[push.clone(), pull.clone()]);
    let removed = ctx.change(scope, move |view| {
        let ingest: Option<Domain> = view.document(Kind::Domain, &push)?;
        let streaming: Option<Domain> = view.document(Kind::Domain, &pull)?;
        kind::check(ingest.as_ref(), DomainKind::Ingest)?;
        kind::check(streaming.as_ref(), DomainKind::Streaming)?;
        let mapped = ingest.filter(|domain| domain.play_domain.as_ref() == Some(&pull));
        let mut ingest = mapped.ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))?;
        ingest.play_domain = None;
        ingest.modified_at = now;
        Ok(view.put(Kind::Domain, &push, &ingest)?)
    });
    removed.await?;
    ctx.roles.forget();
    Ok(Answer {})
}
