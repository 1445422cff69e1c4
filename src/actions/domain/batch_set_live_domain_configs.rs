//! BatchSetLiveDomainConfigs: sets functions on domains; aliauth governs publishing on an ingest domain, the rest is only kept.
//!
//! Everything is checked before the first domain is changed. DryRun stops there.

use serde::{Deserialize, Serialize};

use super::functions;
use crate::actions::Context;
use crate::error::ApiError;
use crate::live::ingest::admission::Function;
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
    let store = &ctx.services.store;
    let mut changed: Vec<(String, Vec<Function>)> = Vec::with_capacity(domains.len());
    for domain in domains {
        let stored: Option<Vec<Function>> =
            store.find_document(Kind::DomainConfig, &domain).await?;
        let mut stored = stored.unwrap_or_default();
        functions::apply(&mut stored, &settings, ctx.now())?;
        changed.push((domain, stored));
    }
    if !request.dry_run {
        for (domain, functions) in changed {
            store
                .put_document(Kind::DomainConfig, &domain, &functions)
                .await?;
        }
    }
    Ok(Answer {})
}
