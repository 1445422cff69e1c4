//! AddLiveDomainPlayMapping: a sub play domain plays the streams of a main streaming domain.
//!
//! A sub play domain leads to one main domain; a second mapping of it is ConfigAlreadyExists. Main domains lead nowhere themselves. With any
//! domain taken as the caller's, an undeclared sub play domain is declared by this.

use serde::{Deserialize, Serialize};

use super::kind;
use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::domain::{Domain, DomainKind};
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

/// Stores the mapping.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let main = domain_name("PullDomain", &request.pull_domain)?;
    let sub = domain_name("PlayDomain", &request.play_domain)?;
    ctx.check_declared(&main).await?;
    ctx.check_declared(&sub).await?;
    let now = ctx.now();
    let scope = Scope::domains(&[main.clone(), sub.clone()]).with_all(Kind::Domain);
    ctx.change(scope, move |view| {
        let declared: Vec<(String, Domain)> = view.documents(Kind::Domain)?;
        let of = |name: &str| declared.iter().find(|(known, _)| known == name);
        let (main_domain, sub_domain) = (of(&main), of(&sub));
        kind::check(main_domain.map(|(_, domain)| domain), DomainKind::Streaming)?;
        kind::check(sub_domain.map(|(_, domain)| domain), DomainKind::Streaming)?;
        let leads_on = main_domain.is_some_and(|(_, domain)| domain.leads_to().is_some());
        if main == sub || leads_on || kind::is_led_to(&declared, &sub) {
            return Err(ApiError::coded(Code::DomainTypeMalformed));
        }
        let mut domain = sub_domain.map_or_else(
            || Domain {
                created_at: now,
                ..Domain::default()
            },
            |(_, domain)| domain.clone(),
        );
        if domain.main_domain.is_some() {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
        domain.kind = DomainKind::Streaming;
        domain.main_domain = Some(main.clone());
        domain.modified_at = now;
        Ok(view.put(Kind::Domain, &sub, &domain)?)
    })
    .await?;
    ctx.roles.forget();
    Ok(Answer {})
}
