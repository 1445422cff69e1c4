//! SetLiveDomainCertificate: gives a domain a certificate, with which it is served over HTTPS, or takes it out of use.
//!
//! `upload` brings a chain and its key. `cas` names a certificate that the account has already (one that came by an earlier call), or brings
//! one as well. `free` without a chain makes a self-signed one: there is no authority on one machine. The key comes back in no answer.

use serde::{Deserialize, Serialize};

use super::certificate::{MOST_CERTIFICATES, check_chain, check_key, check_name};
use crate::actions::Context;
use crate::actions::arguments::given;
use crate::actions::scope::Scope;
use crate::certificates::{read, self_signed};
use crate::error::{ApiError, Code};
use crate::model::domain::{DomainCertificate, NamedCertificate};
use crate::notes::{self, Note};
use crate::phrases::Phrase;
use crate::store::change::View;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub cert_name: Option<String>,
    pub cert_type: Option<String>,
    #[serde(rename = "SSLProtocol")]
    pub ssl_protocol: String,
    #[serde(rename = "SSLPub")]
    pub ssl_pub: Option<String>,
    #[serde(rename = "SSLPri")]
    pub ssl_pri: Option<String>,
    pub force_set: Option<String>,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// A certificate to be stored, and under which name; none where the name is ours to make.
struct Brought {
    name: Option<String>,
    chain: String,
    key: String,
}

/// Sets the certificate.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    match request.ssl_protocol.as_str() {
        "on" => turn_on(ctx, domain, request).await?,
        "off" => turn_off(ctx, domain, request.dry_run).await?,
        _ => return Err(ApiError::coded(Code::InvalidSslProtocolValueNotSupported)),
    }
    let services = &ctx.services;
    services.certificates.reread(&services.store).await?;
    Ok(Answer {})
}

async fn turn_off(ctx: &Context, domain: String, dry_run: bool) -> Result<(), ApiError> {
    let now = ctx.now();
    let scope = Scope::domain(&domain).with(Kind::DomainCertificate);
    ctx.change(scope, move |view| {
        let stored: Option<DomainCertificate> = view.document(Kind::DomainCertificate, &domain)?;
        if let Some(mut stored) = stored.filter(|stored| stored.on && !dry_run) {
            stored.on = false;
            stored.updated_at = now;
            view.put(Kind::DomainCertificate, &domain, &stored)?;
        }
        Ok(())
    })
    .await
}

async fn turn_on(ctx: &Context, domain: String, request: Request) -> Result<(), ApiError> {
    let now = ctx.now();
    let kind = given(request.cert_type).unwrap_or_else(|| "upload".to_owned());
    let name = given(request.cert_name);
    if let Some(name) = &name {
        check_name(name)?;
    }
    let (chain, key) = (given(request.ssl_pub), given(request.ssl_pri));
    let named = name.clone().unwrap_or_default();
    let brought = match (kind.as_str(), chain, key, name) {
        ("cas", None, None, Some(_)) => None,
        ("free", None, None, name) => {
            notes::tell(Note::FilledIn {
                parameters: vec!["SSLPub", "SSLPri"],
                from: Phrase::SelfSignedCertificate,
            });
            let (chain, key) = self_signed(&domain).map_err(ApiError::internal)?;
            Some(Brought { name, chain, key })
        }
        (_, None, _, _) => return Err(ApiError::coded(Code::SslPubMissingParameter)),
        (_, Some(_), None, _) => return Err(ApiError::coded(Code::SslPriMissingParameter)),
        (_, Some(chain), Some(key), name) => {
            check_chain(&chain, now)?;
            check_key(&chain, &key)?;
            Some(Brought { name, chain, key })
        }
    };
    let force = request.force_set.as_deref() == Some("1");
    let scope = Scope::domain(&domain).with_all(Kind::Certificate);
    let dry_run = request.dry_run;
    let set = ctx.change(scope, move |view| {
        let (name, chain) = match &brought {
            Some(brought) => {
                let name = put(view, brought, force, dry_run, now)?;
                (name, brought.chain.clone())
            }
            None => {
                let known: Option<NamedCertificate> = view.document(Kind::Certificate, &named)?;
                let known = known.ok_or_else(|| ApiError::coded(Code::CertificateNotFind))?;
                (named.clone(), known.chain)
            }
        };
        if !dry_run {
            let in_use = DomainCertificate {
                name,
                kind: kind.clone(),
                on: true,
                updated_at: now,
            };
            view.put(Kind::DomainCertificate, &domain, &in_use)?;
        }
        Ok((domain.clone(), chain))
    });
    let (domain, chain) = set.await?;
    // The product takes one for other names too; viewers do not.
    if !read(&chain).is_ok_and(|facts| facts.covers(&domain)) {
        notes::tell(Note::Beyond {
            what: Phrase::CertificateOfAnother,
        });
    }
    Ok(())
}

/// What is looked at of the certificates that are there.
#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

/// Stores a certificate under its name, where that is free, or is its own, or is to be overwritten. Its name, which is made of its number where it brings none:
/// no other one has that, however many come in one moment.
fn put(
    view: &mut View<'_>,
    brought: &Brought,
    force: bool,
    dry_run: bool,
    now: i64,
) -> Result<String, ApiError> {
    let known: Option<NamedCertificate> = match &brought.name {
        Some(name) => view.document(Kind::Certificate, name)?,
        None => None,
    };
    let id = match &known {
        Some(known) if known.chain != brought.chain && !force => {
            return Err(ApiError::coded(Code::CertificateDuplicated));
        }
        Some(known) => known.id,
        None => {
            let all: Vec<(String, Numbered)> = view.documents(Kind::Certificate)?;
            if all.len() >= MOST_CERTIFICATES {
                return Err(ApiError::coded(Code::ResourceNumberExceed)
                    .with_hint(format!("the account has {MOST_CERTIFICATES} certificates")));
            }
            free_number(&all, now)
        }
    };
    let name = brought.name.clone().unwrap_or_else(|| made_of(id));
    let certificate = NamedCertificate {
        id,
        chain: brought.chain.clone(),
        key: brought.key.clone(),
        created_at: now,
    };
    if !dry_run {
        view.put(Kind::Certificate, &name, &certificate)?;
    }
    Ok(name)
}

/// The name of a certificate that brings none.
fn made_of(number: i64) -> String {
    format!("cert-{number}")
}

/// The first number from `now` on that no certificate has, neither as its own nor in its name.
fn free_number(all: &[(String, Numbered)], now: i64) -> i64 {
    let taken = |number: i64| {
        let name = made_of(number);
        all.iter()
            .any(|(known, it)| it.id == number || *known == name)
    };
    (now..).find(|number| !taken(*number)).unwrap_or(now)
}
