//! AddLiveDomain: declares a streaming or an ingest domain, which is online at once.
//!
//! The product checks who owns the name and wants a CNAME record afterwards; neither makes sense on one machine. A domain that others are
//! mapped to already is a streaming domain: declared as anything else it is DomainType.Malformed.

use serde::{Deserialize, Serialize};

use super::change_live_domain_resource_group::LONGEST_GROUP;
use super::kind;
use super::tags::{self, Member};
use crate::actions::Context;
use crate::actions::arguments::{domain_name, malformed};
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::domain::{DEFAULT_SCOPE, Domain, DomainKind};
use crate::store::change::Looks;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("CheckUrl", "nothing is accelerated, so nothing is checked"),
    ("TopLevelDomain", "no origin lies behind a domain"),
];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub live_domain_type: String,
    pub region: String,
    pub scope: Option<String>,
    pub resource_group_id: Option<String>,
    #[serde(default)]
    pub tag: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Declares the domain.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let tags = tags::read(&request.tag)?;
    let (name, domain) = domain(request, ctx.now())?;
    let is_streaming = domain.kind == DomainKind::Streaming;
    let looks = Looks::default().at(Kind::Tags, &name);
    let looks = if is_streaming {
        looks.at(Kind::Domain, &name)
    } else {
        looks.at_all(Kind::Domain)
    };
    let added = ctx.services.store.change(looks, move |view| {
        let known: Option<Domain> = view.document(Kind::Domain, &name)?;
        if known.is_some() {
            return Err(ApiError::coded(Code::DomainAlreadyExist));
        }
        if !is_streaming {
            let declared: Vec<(String, Domain)> = view.documents(Kind::Domain)?;
            if kind::is_led_to(&declared, &name) {
                return Err(ApiError::coded(Code::DomainTypeMalformed));
            }
        }
        if !tags.is_empty() {
            view.put(Kind::Tags, &name, &tags)?;
        }
        Ok(view.put(Kind::Domain, &name, &domain)?)
    });
    added.await??;
    ctx.roles.forget();
    Ok(Answer {})
}

/// The domain that a request declares, with its name.
pub fn domain(request: Request, now: UnixMs) -> Result<(String, Domain), ApiError> {
    let name = domain_name("DomainName", &request.domain_name)?;
    let domain = Domain {
        kind: DomainKind::parse(&request.live_domain_type)
            .ok_or_else(|| ApiError::invalid("LiveDomainType"))?,
        region: request.region,
        scope: request.scope.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        created_at: now,
        resource_group: request.resource_group_id.unwrap_or_default(),
        ..Domain::default()
    };
    if domain.resource_group.len() > LONGEST_GROUP {
        return Err(malformed("ResourceGroupId"));
    }
    Ok((name, domain))
}
