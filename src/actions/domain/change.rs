//! A change of one property of a declared domain. One that nobody declared is InvalidDomain.NotFound, whatever the settings say: there is nothing
//! that could be changed.

use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::actions::scope::Scope;
use crate::error::{ApiError, Code};
use crate::model::domain::Domain;
use crate::store::documents::Kind;

/// Changes the domain, and gives its name as it is stored.
pub async fn change_domain(
    ctx: &Context,
    name: &str,
    change: impl Fn(&mut Domain) + Send + 'static,
) -> Result<String, ApiError> {
    let name = domain_name("DomainName", name)?;
    let (domain, now) = (name.clone(), ctx.now());
    ctx.change(Scope::domain(&name), move |view| {
        let stored: Option<Domain> = view.document(Kind::Domain, &domain)?;
        let before = stored.ok_or_else(|| ApiError::coded(Code::InvalidDomainNotFound))?;
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            after.modified_at = now;
            view.put(Kind::Domain, &domain, &after)?;
        }
        Ok(())
    })
    .await?;
    Ok(name)
}
