//! BatchDeleteLiveDomainConfigs: takes functions off domains. One that is not set is no failure.

use serde::{Deserialize, Serialize};

use super::functions;
use crate::actions::Context;
use crate::error::ApiError;
use crate::live::ingest::admission::Function;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_names: String,
    pub function_names: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Removes the functions.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domains = ctx.check_domains(&request.domain_names).await?;
    let unwanted = functions::function_names(&request.function_names)?;
    let store = &ctx.services.store;
    for domain in domains {
        let stored: Option<Vec<Function>> =
            store.find_document(Kind::DomainConfig, &domain).await?;
        let Some(mut functions) = stored else {
            continue;
        };
        functions.retain(|function| !unwanted.contains(&function.name.as_str()));
        if functions.is_empty() {
            store.delete_document(Kind::DomainConfig, &domain).await?;
        } else {
            store
                .put_document(Kind::DomainConfig, &domain, &functions)
                .await?;
        }
    }
    Ok(Answer {})
}
