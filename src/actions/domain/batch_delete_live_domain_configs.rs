//! BatchDeleteLiveDomainConfigs: takes functions off domains. One that is not set is no failure.

use serde::{Deserialize, Serialize};

use super::functions;
use crate::actions::Context;
use crate::actions::scope::Scope;
use crate::error::ApiError;
use crate::model::domain::Function;
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
    let unwanted: Vec<String> = unwanted.into_iter().map(str::to_owned).collect();
    let scope = Scope::domains(&domains).with(Kind::DomainConfig);
    ctx.change(scope, move |view| {
        for domain in &domains {
            let stored: Option<Vec<Function>> = view.document(Kind::DomainConfig, domain)?;
            let Some(mut functions) = stored else {
                continue;
            };
            functions.retain(|function| !unwanted.contains(&function.name));
            if functions.is_empty() {
                view.remove(Kind::DomainConfig, domain)?;
            } else {
                view.put(Kind::DomainConfig, domain, &functions)?;
            }
        }
        Ok(Answer {})
    })
    .await
}
