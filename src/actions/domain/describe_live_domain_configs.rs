//! DescribeLiveDomainConfigs: the named functions of a domain, as they were set. ConfigId is a text here.

use serde::{Deserialize, Serialize};

use super::functions;
use crate::actions::Context;
use crate::error::ApiError;
use crate::model::domain::Function;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub function_names: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domain_configs: Configs,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Configs {
    pub domain_config: Vec<Config>,
}

/// One function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub config_id: String,
    pub function_name: String,
    pub status: String,
    pub function_args: Args,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Args {
    pub function_arg: Vec<Arg>,
}

/// One argument.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Arg {
    pub arg_name: String,
    pub arg_value: String,
}

/// Lists the functions.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let wanted = functions::function_names(&request.function_names)?;
    let stored: Option<Vec<Function>> = ctx
        .services
        .store
        .find_document(Kind::DomainConfig, &domain)
        .await?;
    let shown = stored
        .unwrap_or_default()
        .into_iter()
        .filter(|function| wanted.contains(&function.name.as_str()))
        .map(config)
        .collect();
    Ok(Answer {
        domain_configs: Configs {
            domain_config: shown,
        },
    })
}

fn config(function: Function) -> Config {
    let arg = |(arg_name, arg_value)| Arg {
        arg_name,
        arg_value,
    };
    Config {
        config_id: function.id.to_string(),
        function_name: function.name,
        status: "success".to_owned(),
        function_args: Args {
            function_arg: function.args.into_iter().map(arg).collect(),
        },
    }
}
