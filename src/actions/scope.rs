//! Changes that handlers make: what they are about is checked again at the moment of the change, so that a domain that went, or that became
//! something else, between check and change is not written to.

use crate::actions::Context;
use crate::actions::domain::roles;
use crate::config::Domains;
use crate::error::{ApiError, Code};
use crate::model::domain::{Domain, DomainKind};
use crate::store::change::{Looks, View};
use crate::store::documents::Kind;

/// What a change is about.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    looks: Looks,
    /// Domains, each with the role that it must not have been declared with.
    domains: Vec<(String, Option<DomainKind>)>,
}

impl Scope {
    /// A domain of whatever role.
    #[must_use]
    pub fn domain(domain: &str) -> Self {
        Self::default().and(domain, None)
    }

    /// Several domains of whatever role.
    #[must_use]
    pub fn domains(domains: &[String]) -> Self {
        domains
            .iter()
            .fold(Self::default(), |scope, domain| scope.and(domain, None))
    }

    /// A domain that is not for ingest.
    #[must_use]
    pub fn streaming(domain: &str) -> Self {
        Self::default().and(domain, Some(DomainKind::Ingest))
    }

    /// A domain that is not for streaming.
    #[must_use]
    pub fn ingest(domain: &str) -> Self {
        Self::default().and(domain, Some(DomainKind::Streaming))
    }

    fn and(mut self, domain: &str, wrong: Option<DomainKind>) -> Self {
        self.looks = self.looks.at(Kind::Domain, domain);
        self.domains.push((domain.to_owned(), wrong));
        self
    }

    /// The documents of a kind that the domains have.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        for (domain, _) in &self.domains {
            self.looks = self.looks.at(kind, domain);
        }
        self
    }

    /// Every document of a kind.
    #[must_use]
    pub fn with_all(mut self, kind: Kind) -> Self {
        self.looks = self.looks.at_all(kind);
        self
    }

    fn check(&self, view: &View<'_>, declared_only: bool) -> Result<(), ApiError> {
        for (name, wrong) in &self.domains {
            let declared: Option<Domain> = view.document(Kind::Domain, name)?;
            if declared.is_none() && declared_only {
                return Err(ApiError::coded(Code::InvalidDomainNotFound));
            }
            if let (Some(declared), Some(wrong)) = (declared, wrong) {
                roles::check(name, declared.kind, *wrong)?;
            }
        }
        Ok(())
    }
}

impl Context {
    /// Carries out a change at one moment for all callers. `work` sees what is stored then; what it refuses has changed nothing. It is called
    /// again where its transaction has to be made again.
    pub async fn change<T, W>(&self, scope: Scope, mut work: W) -> Result<T, ApiError>
    where
        T: Send + 'static,
        W: FnMut(&mut View<'_>) -> Result<T, ApiError> + Send + 'static,
    {
        let declared_only = self.config.domains == Domains::Declared;
        let looks = scope.looks.clone();
        let work = move |view: &mut View<'_>| {
            scope.check(view, declared_only)?;
            work(view)
        };
        self.services.store.change(looks, work).await?
    }
}
