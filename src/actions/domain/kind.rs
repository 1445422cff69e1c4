//! What a domain is for, as LiveDomainType names it.

use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::model::domain::Domain;
use crate::store::documents::Kind;

/// A streaming (play) domain.
pub const STREAMING: &str = "liveVideo";
/// An ingest (push) domain.
pub const INGEST: &str = "liveEdge";

/// What a domain is to be a CNAME of. The product makes one as soon as a domain is online, and programs wait for it; where it leads,
/// nobody asks on one machine, so its top level is one that no name server has.
#[must_use]
pub fn cname(domain: &str) -> String {
    // A wildcard domain begins with a dot.
    let all = if domain.starts_with('.') { "all" } else { "" };
    format!("{all}{domain}.w.localyun.test")
}

/// How a declared domain stands; none is ever being configured here.
#[must_use]
pub fn status(stopped: bool) -> &'static str {
    if stopped { "offline" } else { "online" }
}

/// A declared domain, or none.
pub async fn declared(ctx: &Context, domain: &str) -> Result<Option<Domain>, ApiError> {
    Ok(ctx
        .services
        .store
        .find_document(Kind::Domain, domain)
        .await?)
}

/// Refuses a declared domain of another kind than `wanted`.
pub fn check(domain: Option<&Domain>, wanted: &str) -> Result<(), ApiError> {
    if domain.is_some_and(|domain| !domain.kind.is_empty() && domain.kind != wanted) {
        return Err(ApiError::coded(Code::DomainTypeMalformed));
    }
    Ok(())
}
