//! DeleteLiveDomain: forgets a domain with everything that hangs on it: recording rules, callbacks, functions, tags, its
//! certificate, what was forbidden, mappings to it.
//!
//! What was recorded stays on record. A domain of which nothing is known is InvalidDomain.NotFound.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::domain::Domain;
use crate::model::forbidden::Forbidden;
use crate::store::StoreError;
use crate::store::change::{Looks, View};
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
    let now = ctx.now();
    let looks = SETTINGS
        .into_iter()
        .fold(Looks::default(), |looks, kind| looks.at(kind, &domain))
        .at_all(Kind::Domain)
        .at_all(Kind::Forbidden);
    let forgotten = ctx
        .services
        .store
        .change(looks, move |view| {
            if forget(view, &domain, now)? {
                Ok(Answer {})
            } else {
                Err(ApiError::coded(Code::InvalidDomainNotFound))
            }
        })
        .await?;
    ctx.roles.forget();
    let services = &ctx.services;
    services.certificates.reread(&services.store).await?;
    forgotten
}

/// Everything that hangs on a domain's name beside its rules.
const SETTINGS: [Kind; 6] = [
    Kind::RecordNotify,
    Kind::StreamNotify,
    Kind::DomainConfig,
    Kind::Tags,
    Kind::DomainCertificate,
    Kind::Domain,
];

/// False when nothing of the domain was known.
fn forget(view: &mut View<'_>, domain: &str, now: UnixMs) -> Result<bool, StoreError> {
    let mut known = view.remove_rules(domain);
    for kind in SETTINGS {
        known |= view.remove(kind, domain)?;
    }
    for (name, mut other) in view.documents::<Domain>(Kind::Domain)? {
        if other.leads_to() == Some(domain) {
            other.play_domain = None;
            other.main_domain = None;
            other.modified_at = now;
            view.put(Kind::Domain, &name, &other)?;
            known = true;
        }
    }
    for (name, forbidden) in view.documents::<Forbidden>(Kind::Forbidden)? {
        if forbidden.domain == domain {
            view.remove(Kind::Forbidden, &name)?;
        }
    }
    Ok(known)
}
