//! AddLiveDomainMapping: what is pushed to an ingest domain belongs to a streaming domain from then on.
//!
//! A push to the ingest domain is recorded by the rules of the streaming domain. An ingest domain leads to one streaming domain;
//! a second mapping of it is ConfigAlreadyExists. With any domain taken as the caller's, an undeclared ingest domain is declared by this.
//! Mappings make no chain: a streaming domain that leads on, or an ingest domain that others lead to, is DomainType.Malformed.

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

/// Stores the mapping.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let push = domain_name("PushDomain", &request.push_domain)?;
    let pull = domain_name("PullDomain", &request.pull_domain)?;
    ctx.check_declared(&push).await?;
    ctx.check_declared(&pull).await?;
    let now = ctx.now();
    let scope = Scope::domains(&[push.clone(), pull.clone()]).with_all(Kind::Domain);
    let mapped = ctx.change(scope, move |view| {
        let streaming: Option<Domain> = view.document(Kind::Domain, &pull)?;
        let ingest: Option<Domain> = view.document(Kind::Domain, &push)?;
        kind::check(ingest.as_ref(), DomainKind::Ingest)?;
        kind::check(streaming.as_ref(), DomainKind::Streaming)?;
        let declared: Vec<(String, Domain)> = view.documents(Kind::Domain)?;
        // Whoever looks where a domain leads looks once.
        let leads_on = streaming.is_some_and(|domain| domain.leads_to().is_some());
        if push == pull || leads_on || kind::is_led_to(&declared, &push) {
            return Err(ApiError::coded(Code::DomainTypeMalformed));
        }
        let mut ingest = ingest.unwrap_or_else(|| Domain {
            created_at: now,
            ..Domain::default()
        });
        if ingest.play_domain.is_some() {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
        ingest.kind = DomainKind::Ingest;
        ingest.play_domain = Some(pull.clone());
        ingest.modified_at = now;
        Ok(view.put(Kind::Domain, &push, &ingest)?)
    });
    mapped.await?;
    ctx.roles.forget();
    Ok(Answer {})
}
