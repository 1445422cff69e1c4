//! ModifyLiveDomainSchdmByProperty: changes the scope of a domain: where in the world it is for.
//!
//! Property is JSON, `{"coverage":"global"}`; the bare word is taken too, as the reference lists it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::change_domain;
use crate::actions::Context;
use crate::actions::arguments::malformed;
use crate::error::ApiError;
use crate::spec::loose_json;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

const SCOPES: [&str; 3] = ["domestic", "overseas", "global"];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub property: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Changes the scope.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let scope = scope(&request.property)?;
    change_domain(ctx, &request.domain_name, move |domain| {
        scope.clone_into(&mut domain.scope);
    })
    .await?;
    Ok(Answer {})
}

fn scope(property: &str) -> Result<&'static str, ApiError> {
    let property = property.trim();
    let named = if property.starts_with('{') {
        let read = loose_json::read("Property", property);
        let value: Value = read.map_err(|error| malformed("Property").with_hint(error))?;
        let coverage = value.get("coverage").and_then(Value::as_str);
        coverage.unwrap_or_default().to_owned()
    } else {
        property.to_owned()
    };
    let known = SCOPES.into_iter().find(|known| *known == named);
    known.ok_or_else(|| {
        malformed("Property").with_hint(r#"expected {"coverage":"domestic"}, overseas or global"#)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_json_or_the_word() {
        for text in [
            r#"{"coverage":"global"}"#,
            "{'coverage': 'global'}",
            " global ",
        ] {
            assert_eq!(scope(text).unwrap(), "global", "{text}");
        }
        for text in ["", "{}", "{", r#"{"coverage":"moon"}"#, r#"{"coverage":1}"#] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
