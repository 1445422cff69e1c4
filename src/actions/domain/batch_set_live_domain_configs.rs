//! BatchSetLiveDomainConfigs: sets functions on domains; those of an ingest domain govern publishing, those of a play domain playing.
//!
//! All domains are changed, or none. DryRun only checks.

use serde::{Deserialize, Serialize};

use super::functions;
use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::ApiError;
use crate::model::domain::Function;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_names: String,
    pub functions: String,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Sets the functions.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domains = ctx.check_domains(&request.domain_names).await?;
    let settings = functions::read(&request.functions)?;
    let (now, dry_run) = (ctx.now(), request.dry_run);
    let scope = Scope::domains(&domains).with(Kind::DomainConfig);
    ctx.change(scope, move |view| {
        for domain in &domains {
            let stored: Option<Vec<Function>> = view.document(Kind::DomainConfig, domain)?;
            let mut stored = stored.unwrap_or_default();
            functions::apply(&mut stored, &settings, now)?;
            if !dry_run {
                view.put(Kind::DomainConfig, domain, &stored)?;
            }
        }
        Ok(Answer {})
    })
    .await
}
