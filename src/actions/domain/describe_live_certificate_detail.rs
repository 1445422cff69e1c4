//! DescribeLiveCertificateDetail: one certificate of the account, without its key.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::model::domain::NamedCertificate;
use crate::store::documents::Kind;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub cert_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub cert_id: i64,
    pub cert_name: String,
    pub cert: String,
}

/// Shows the certificate.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let store = &ctx.services.store;
    let stored: Option<NamedCertificate> = store
        .find_document(Kind::Certificate, &request.cert_name)
        .await?;
    let stored = stored.ok_or_else(|| ApiError::coded(Code::CertificateNotFind))?;
    Ok(Answer {
        cert_id: stored.id,
        cert_name: request.cert_name,
        cert: stored.chain,
    })
}
