//! Certificates that users bring: what one says of itself, whether a key is its own, and those that are in use, by domain.
//!
//! Whoever accepts TLS connections asks [`Certificates::of`] with the name that the client wants (SNI).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha1::{Digest, Sha1};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::clock::UnixMs;
use crate::model::domain::{DomainCertificate, NamedCertificate};
use crate::store::documents::Kind;
use crate::store::{Store, StoreError};

/// Bytes of the longest chain that is taken, as PEM.
pub const LONGEST_CHAIN: usize = 32 * 1024;
/// Bytes of the longest key that is taken, as PEM.
pub const LONGEST_KEY: usize = 16 * 1024;

/// Why a certificate cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    #[error("the private key cannot be read: {0}")]
    Key(String),
    #[error("the private key is not that of the certificate")]
    OtherKey,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub common_name: String,
    pub issuer: String,
    pub issuer_organization: String,
    /// The host names that it is for: those of its extension, else its common name.
    pub names: Vec<String>,
    pub not_before: UnixMs,
    pub not_after: UnixMs,
    /// SHA-1 of the whole, in upper-case hexadecimal digits.
    pub fingerprint: String,
    /// `RSA`, `ECDSA` or `EdDSA`.
    pub algorithm: &'static str,
}

impl Facts {
    /// Whether it is for a domain: a star stands for one label. A wildcard domain, which begins with a dot, is all of them.
    #[must_use]
    pub fn covers(&self, domain: &str) -> bool {
        self.names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("*.") {
                _ if name == domain => true,
                Some(parent) => domain
                    .split_once('.')
                    .is_some_and(|(_, rest)| rest == parent),
                None => false,
            }
        })
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let refused = |why: &dyn std::fmt::Display| Unusable::Certificate(why.to_string());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| refused(&error))?;
    if chain.is_empty() {
        return Err(refused(&"it holds no PEM block CERTIFICATE"));
    }
    Ok(chain)
}

/// Reads the first certificate of a chain, which is the one that it is about.
pub fn read(pem: &str) -> Result<Facts, Unusable> {
    let chain = chain(pem)?;
    let der = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| Unusable::Certificate(error.to_string()))?;
    let first = |mut texts: Box<dyn Iterator<Item = String> + '_>| texts.next().unwrap_or_default();
    let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        value.as_str().unwrap_or_default().to_owned()
    };
    let common_name = first(Box::new(certificate.subject().iter_common_name().map(text)));
    let issuer_name = first(Box::new(certificate.issuer().iter_common_name().map(text)));
    let organization = first(Box::new(certificate.issuer().iter_organization().map(text)));
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| {
            let all = extension.value.general_names.iter();
            all.filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect()
        })
        .unwrap_or_default();
    if names.is_empty() && !common_name.is_empty() {
        names.push(common_name.clone());
    }
    let mut fingerprint = String::new();
    for byte in Sha1::digest(der) {
        // Writing into a String cannot fail.
        let _ = write!(fingerprint, "{byte:02X}");
    }
    let seconds = |at: i64| at.saturating_mul(1000);
    Ok(Facts {
        issuer: if issuer_name.is_empty() {
            organization.clone()
        } else {
            issuer_name
        },
        issuer_organization: organization,
        common_name,
        names,
        not_before: seconds(certificate.validity().not_before.timestamp()),
        not_after: seconds(certificate.validity().not_after.timestamp()),
        fingerprint,
        algorithm: algorithm(&certificate.public_key().algorithm.algorithm.to_id_string()),
    })
}

/// The public key's algorithm by its object identifier.
fn algorithm(id: &str) -> &'static str {
    match id {
        "1.2.840.10045.2.1" => "ECDSA",
        "1.3.101.112" => "EdDSA",
        _ => "RSA",
    }
}

/// A chain with its key, ready to serve; the key must be that of its first certificate.
pub fn pair(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, Unusable> {
    let chain = chain(chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|error| Unusable::Key(error.to_string()))?;
    let key =
        ring::sign::any_supported_type(&key).map_err(|error| Unusable::Key(error.to_string()))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(Unusable::OtherKey)
        }
        Err(error) => Err(Unusable::Certificate(error.to_string())),
    }
}

/// A certificate of the domain's own, and its key, as PEM.
pub fn self_signed(domain: &str) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let named = domain
        .strip_prefix('.')
        .map_or_else(|| domain.to_owned(), |parent| format!("*.{parent}"));
    let mut params = CertificateParams::new(vec![named.clone()])?;
    params.distinguished_name.push(DnType::CommonName, named);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "localyun");
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// The certificates in use; a clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_domain: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    /// Held over a whole reading: an older one would take the place of a newer one otherwise.
    reading: tokio::sync::Mutex<()>,
}

/// Serves each client with the certificate of the domain that it names, and with another one where that has none.
#[derive(Debug)]
pub struct ByName {
    certificates: Certificates,
    otherwise: Arc<dyn ResolvesServerCert>,
}

impl ByName {
    #[must_use]
    pub fn or(certificates: Certificates, otherwise: Arc<dyn ResolvesServerCert>) -> Self {
        Self {
            certificates,
            otherwise,
        }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().map(str::to_ascii_lowercase);
        let of_domain = named.and_then(|name| self.certificates.of(&name));
        of_domain.or_else(|| self.otherwise.resolve(hello))
    }
}

impl Certificates {
    /// The certificate of a domain, or of the wildcard domain that it belongs to.
    #[must_use]
    pub fn of(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        let known = self.0.by_domain.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let of_all = || known.get(domain.get(domain.find('.')?..)?);
        known.get(domain).or_else(of_all).cloned()
    }

    /// Reads what is stored, after a change of it. One that cannot be served is told and left out.
    pub async fn reread(&self, store: &Store) -> Result<(), StoreError> {
        let _reading = self.0.reading.lock().await;
        let in_use: Vec<(String, DomainCertificate)> =
            store.list_documents(Kind::DomainCertificate).await?;
        let mut served = HashMap::new();
        for (domain, of_it) in in_use.into_iter().filter(|(_, of_it)| of_it.on) {
            let stored: Option<NamedCertificate> =
                store.find_document(Kind::Certificate, &of_it.name).await?;
            let Some(stored) = stored else {
                tracing::warn!(
                    domain,
                    name = of_it.name,
                    "the domain's certificate is not there"
                );
                continue;
            };
            match pair(&stored.chain, &stored.key) {
                Ok(pair) => {
                    served.insert(domain, Arc::new(pair));
                }
                Err(error) => {
                    tracing::warn!(domain, name = of_it.name, %error, "the domain's certificate cannot be served");
                }
            }
        }
        let known = self.0.by_domain.write();
        *known.unwrap_or_else(PoisonError::into_inner) = served;
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A self-signed certificate for some names, and its key.
    pub fn made(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, names[0].as_str());
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_says_whom_it_is_for() {
        let (chain, _) = made(&["play.example.com", "*.example.org"]);
        let facts = read(&chain).unwrap();
        assert_eq!(facts.common_name, "play.example.com");
        assert_eq!(
            (facts.issuer.as_str(), facts.issuer_organization.as_str()),
            ("play.example.com", "Example")
        );
        assert!(facts.not_before < facts.not_after);
        assert_eq!((facts.algorithm, facts.fingerprint.len()), ("ECDSA", 40));
        for name in ["play.example.com", "a.example.org", ".example.org"] {
            assert!(facts.covers(name), "{name}");
        }
        for name in [
            "example.org",
            "a.b.example.org",
            ".b.example.org",
            ".example.com",
            "x.example.com",
        ] {
            assert!(!facts.covers(name), "{name}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let _ = ring::default_provider().install_default();
        let (chain, key) = made(&["a.example.com"]);
        let (_, other) = made(&["a.example.com"]);
        assert!(pair(&chain, &key).is_ok());
        assert_eq!(pair(&chain, &other).unwrap_err(), Unusable::OtherKey);
        for (chain, key) in [("", key.as_str()), ("x", key.as_str()), (&key, &key)] {
            assert!(matches!(pair(chain, key), Err(Unusable::Certificate(_))));
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(broken), Err(Unusable::Certificate(_))));
        for bad in [
            "",
            chain.as_str(),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(matches!(pair(&chain, bad), Err(Unusable::Key(_))), "{bad}");
        }
    }
}
