//! What declared domains are for, remembered: every action of a domain asks, and the answer seldom changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::kind;
use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::model::domain::DomainKind;

/// Names that are remembered. Callers choose them, so their number needs a bound.
const MOST: usize = 10_000;

#[derive(Default)]
struct Known {
    /// `Unsaid` for a domain that is not declared, or declared without a role.
    kinds: HashMap<String, DomainKind>,
    /// Counts changes: what was read before one may be old.
    version: u64,
}

/// The remembered roles of domains.
#[derive(Default)]
pub struct Roles(Mutex<Known>);

impl Roles {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A domain was declared, changed or removed.
    pub fn forget(&self) {
        let mut known = self.known();
        known.kinds.clear();
        known.version += 1;
    }

    async fn of(&self, ctx: &Context, domain: &str) -> Result<DomainKind, ApiError> {
        let version = {
            let known = self.known();
            if let Some(kind) = known.kinds.get(domain) {
                return Ok(*kind);
            }
            known.version
        };
        let declared = kind::declared(ctx, domain).await?;
        let kind = declared.map(|domain| domain.kind).unwrap_or_default();
        let mut known = self.known();
        if known.version == version {
            if known.kinds.len() >= MOST {
                known.kinds.clear();
            }
            known.kinds.insert(domain.to_owned(), kind);
        }
        Ok(kind)
    }
}

impl Context {
    /// As [`Context::check_domain`], for actions of streaming domains: a domain declared for ingest has none of what they are about.
    pub async fn check_streaming_domain(&self, name: &str) -> Result<String, ApiError> {
        self.check_role(name, DomainKind::Ingest).await
    }

    /// As [`Context::check_domain`], for actions of ingest domains.
    pub async fn check_ingest_domain(&self, name: &str) -> Result<String, ApiError> {
        self.check_role(name, DomainKind::Streaming).await
    }

    async fn check_role(&self, name: &str, wrong: DomainKind) -> Result<String, ApiError> {
        let domain = self.check_domain(name).await?;
        check(&domain, self.roles.of(self, &domain).await?, wrong)?;
        Ok(domain)
    }
}

/// Refuses a domain that is declared with the wrong role.
pub fn check(domain: &str, kind: DomainKind, wrong: DomainKind) -> Result<(), ApiError> {
    if kind == wrong {
        return Err(ApiError::coded(Code::IllegalOperation)
            .with_hint(format!("{domain} is declared as {}", wrong.as_str())));
    }
    Ok(())
}
