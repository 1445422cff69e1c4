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
    /// The version of the documents as the store knew it, where other nodes change them too.
    documents: i64,
}

impl Known {
    fn forget(&mut self) {
        self.kinds.clear();
        self.version += 1;
    }

    /// Forgets what was read of another version of the documents than this.
    fn keep_if(&mut self, documents: i64) {
        if self.documents != documents {
            self.forget();
            self.documents = documents;
        }
    }

    /// The role of a domain, or the version by which it may be kept when it is read.
    fn find(&mut self, domain: &str, documents: i64) -> Result<DomainKind, u64> {
        self.keep_if(documents);
        self.kinds.get(domain).copied().ok_or(self.version)
    }

    /// Keeps what was read, unless something has changed since.
    fn keep(&mut self, domain: &str, kind: DomainKind, version: u64, documents: i64) {
        self.keep_if(documents);
        if self.version != version {
            return;
        }
        if self.kinds.len() >= MOST {
            self.kinds.clear();
        }
        self.kinds.insert(domain.to_owned(), kind);
    }
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
        self.known().forget();
    }

    async fn of(&self, ctx: &Context, domain: &str) -> Result<DomainKind, ApiError> {
        let store = &ctx.services.store;
        let found = self.known().find(domain, store.documents_version());
        let version = match found {
            Ok(kind) => return Ok(kind),
            Err(version) => version,
        };
        let declared = kind::declared(ctx, domain).await?;
        let kind = declared.map(|domain| domain.kind).unwrap_or_default();
        self.known()
            .keep(domain, kind, version, store.documents_version());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_forgotten_when_any_node_has_changed_a_document() {
        let mut known = Known::default();
        let version = known.find("a.example", 7).unwrap_err();
        known.keep("a.example", DomainKind::Ingest, version, 7);
        assert_eq!(known.find("a.example", 7), Ok(DomainKind::Ingest));
        // Another node has declared it anew, and a call has read that there is another version.
        let version = known.find("a.example", 8).unwrap_err();
        // So it was once more, while this one was read.
        known.keep("a.example", DomainKind::Streaming, version, 9);
        let version = known.find("a.example", 9).unwrap_err();
        known.keep("a.example", DomainKind::Streaming, version, 9);
        assert_eq!(known.find("a.example", 9), Ok(DomainKind::Streaming));
        known.forget();
        assert!(known.find("a.example", 9).is_err());
    }
}
