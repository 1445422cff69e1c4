//! What a declared domain is for, where it leads, and how it stands.

use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::model::domain::{Domain, DomainKind};
use crate::store::documents::Kind;

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

/// Whether other domains lead to a domain, which is then their streaming domain, declared or not.
#[must_use]
pub fn is_led_to(declared: &[(String, Domain)], name: &str) -> bool {
    let mut others = declared.iter();
    others.any(|(_, other)| other.leads_to() == Some(name))
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
pub fn check(domain: Option<&Domain>, wanted: DomainKind) -> Result<(), ApiError> {
    if domain.is_some_and(|domain| ![DomainKind::Unsaid, wanted].contains(&domain.kind)) {
        return Err(ApiError::coded(Code::DomainTypeMalformed));
    }
    Ok(())
}
