//! DescribeLiveDomainMapping: the streaming domain, the ingest domains and the sub play domains that belong together, asked by any of them.
//!
//! Type is `vhost` for the streaming domain, `publish` for an ingest domain and `play` for a sub play domain, whose word no page has. The asked domain is in the list too, which no
//! page settles either way. A domain without mapping gives an empty list.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::domain::Domain;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub live_domain_models: Models,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Models {
    pub live_domain_model: Vec<Model>,
}

/// One domain of the group.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Model {
    pub domain_name: String,
    #[serde(rename = "Type")]
    pub kind: String,
}

/// Lists the group.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let asked = ctx.check_domain(&request.domain_name).await?;
    let domains: Vec<(String, Domain)> = ctx.services.store.list_documents(Kind::Domain).await?;
    Ok(Answer {
        live_domain_models: Models {
            live_domain_model: group(&asked, &domains),
        },
    })
}

fn group(asked: &str, domains: &[(String, Domain)]) -> Vec<Model> {
    let own = domains.iter().find(|(name, _)| name == asked);
    let streaming = own
        .and_then(|(_, domain)| domain.leads_to())
        .unwrap_or(asked);
    let model = |name: &str, kind: &str| Model {
        domain_name: name.to_owned(),
        kind: kind.to_owned(),
    };
    let leading = |to: fn(&Domain) -> &Option<String>, kind: &'static str| {
        domains
            .iter()
            .filter(move |(_, domain)| to(domain).as_deref() == Some(streaming))
            .map(move |(name, _)| model(name, kind))
    };
    let mut group: Vec<Model> = leading(|domain| &domain.play_domain, "publish")
        .chain(leading(|domain| &domain.main_domain, "play"))
        .collect();
    if !group.is_empty() {
        group.insert(0, model(streaming, "vhost"));
    }
    group
}
