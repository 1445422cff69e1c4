//! DeleteLiveDomain: forgets a domain with everything that hangs on it: recording rules, callbacks, functions, mappings to it.
//!
//! What was recorded stays on record. A domain of which nothing is known is InvalidDomain.NotFound.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::error::{ApiError, Code};
use crate::live::ingest::admission::Domain;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the domain.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = domain_name("DomainName", &request.domain_name)?;
    let store = &ctx.services.store;
    let mut known = false;
    for kind in [
        Kind::RecordNotify,
        Kind::StreamNotify,
        Kind::DomainConfig,
        Kind::Domain,
    ] {
        known |= store.delete_document(kind, &domain).await?;
    }
    for rule in store.rules_of(&domain).iter() {
        known |= store.delete_rule(&domain, &rule.app, &rule.stream).await?;
    }
    for (name, mut other) in store.list_documents::<Domain>(Kind::Domain).await? {
        if other.play_domain.as_deref() == Some(domain.as_str()) {
            other.play_domain = None;
            store.put_document(Kind::Domain, &name, &other).await?;
            known = true;
        }
    }
    ctx.roles.forget();
    if known {
        Ok(Answer {})
    } else {
        Err(ApiError::coded(Code::InvalidDomainNotFound))
    }
}
