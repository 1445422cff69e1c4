//! What the certificate actions share: a domain's certificate as it is stored, and how one is shown.

use crate::actions::Context;
use crate::certificates::{Facts, LONGEST_CHAIN, LONGEST_KEY, Unusable, pair, read};
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::domain::{DomainCertificate, NamedCertificate};
use crate::store::documents::Kind;

/// The longest name of a certificate, in characters.
const LONGEST_NAME: usize = 128;
/// Certificates of the account.
pub const MOST_CERTIFICATES: usize = 500;

/// A certificate's name, if it can be one.
pub fn check_name(name: &str) -> Result<(), ApiError> {
    if name.chars().count() > LONGEST_NAME {
        return Err(ApiError::coded(Code::InvalidCertNameTooLong));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("CertName"));
    }
    Ok(())
}

/// What a chain says of itself, if it can be taken at `now`: one that has expired serves nobody.
pub fn check_chain(chain: &str, now: UnixMs) -> Result<Facts, ApiError> {
    if chain.len() > LONGEST_CHAIN {
        return Err(ApiError::coded(Code::InvalidCertificateTooLong));
    }
    let facts = read(chain).map_err(refused)?;
    if facts.not_after < now {
        return Err(ApiError::coded(Code::CertificateExpired));
    }
    Ok(facts)
}

/// Refuses a key that is not that of the chain.
pub fn check_key(chain: &str, key: &str) -> Result<(), ApiError> {
    if key.len() > LONGEST_KEY {
        return Err(ApiError::invalid("SSLPri").with_hint("the key is too long"));
    }
    pair(chain, key).map(|_| ()).map_err(refused)
}

fn refused(error: Unusable) -> ApiError {
    match &error {
        Unusable::Certificate(_) => ApiError::invalid("SSLPub").with_hint(error),
        Unusable::Key(_) => ApiError::invalid("SSLPri").with_hint(error),
        Unusable::OtherKey => ApiError::coded(Code::CertificateMissMatch),
    }
}

/// A domain's certificate with what it says of itself.
pub struct Shown {
    pub of_domain: DomainCertificate,
    pub named: NamedCertificate,
    pub facts: Facts,
}

/// The certificate of a domain, in use or not; none where it never got one.
pub async fn of_domain(ctx: &Context, domain: &str) -> Result<Option<Shown>, ApiError> {
    let store = &ctx.services.store;
    let of_domain = store.find_document(Kind::DomainCertificate, domain).await?;
    match of_domain {
        Some(of_domain) => shown(ctx, of_domain).await,
        None => Ok(None),
    }
}

async fn shown(ctx: &Context, of_domain: DomainCertificate) -> Result<Option<Shown>, ApiError> {
    let store = &ctx.services.store;
    let named: Option<NamedCertificate> = store
        .find_document(Kind::Certificate, &of_domain.name)
        .await?;
    let Some(named) = named else {
        return Ok(None);
    };
    let facts = read(&named.chain).map_err(ApiError::internal)?;
    Ok(Some(Shown {
        of_domain,
        named,
        facts,
    }))
}

/// Every domain that has a certificate, by name.
pub async fn all(ctx: &Context) -> Result<Vec<(String, Shown)>, ApiError> {
    let store = &ctx.services.store;
    let stored: Vec<(String, DomainCertificate)> =
        store.list_documents(Kind::DomainCertificate).await?;
    let mut all = Vec::with_capacity(stored.len());
    for (domain, of_domain) in stored {
        if let Some(shown) = shown(ctx, of_domain).await? {
            all.push((domain, shown));
        }
    }
    Ok(all)
}

/// How long a certificate lasts, in the words of the product: whole months, or years where they are whole.
pub fn life(facts: &Facts) -> String {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let days = (facts.not_after - facts.not_before) / DAY_MS;
    if days >= 365 && days % 365 <= days / 365 {
        format!("{} years", days / 365)
    } else {
        format!("{} months", (days + 15) / 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_told_in_months_or_whole_years() {
        let days = |days: i64| {
            let facts = Facts {
                common_name: String::new(),
                issuer: String::new(),
                issuer_organization: String::new(),
                names: Vec::new(),
                not_before: 0,
                not_after: days * 24 * 3600 * 1000,
                fingerprint: String::new(),
                algorithm: "RSA",
            };
            life(&facts)
        };
        for (n, told) in [
            (90, "3 months"),
            (365, "1 years"),
            (731, "2 years"),
            (398, "13 months"),
        ] {
            assert_eq!(days(n), told, "{n} days");
        }
    }

    #[test]
    fn names_have_at_most_128_characters() {
        assert!(check_name(&"中".repeat(128)).is_ok());
        let code = |name: &str| check_name(name).unwrap_err().code.to_string();
        assert_eq!(code(&"n".repeat(129)), "InvalidCertName.TooLong");
        assert_eq!(code(""), "InvalidCertName");
        assert_eq!(code("a\nb"), "InvalidCertName");
    }
}
