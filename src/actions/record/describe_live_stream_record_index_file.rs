//! DescribeLiveStreamRecordIndexFile: one file of a stream's recordings by its RecordId.
//!
//! No page tells what an unknown id answers; here it is 404 InvalidResource.NotFound, also for an id of another stream.

use serde::{Deserialize, Serialize};

use super::index_info::IndexInfo;
use crate::actions::Context;
use crate::error::{ApiError, Code};
use crate::model::retention::RECORDINGS;
use crate::model::stream_key::StreamKey;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub record_id: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub record_index_info: IndexInfo,
}

/// Shows the file.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let hash = StreamKey::new(&domain, &request.app_name, &request.stream_name).hash();
    let earliest = ctx.now() - RECORDINGS.ms();
    let row = ctx.services.store.find_file(&request.record_id).await?;
    row.filter(|row| row.stream_hash == hash && row.created_at >= earliest)
        .map(|row| Answer {
            record_index_info: IndexInfo::of(row, &ctx.services.public_urls),
        })
        .ok_or_else(|| ApiError::coded(Code::InvalidResourceNotFound))
}
