//! A record of an index file as answers show it.

use serde::Serialize;

use crate::media::hls::encode_uri_path;
use crate::model::event::seconds;
use crate::model::object_name::PublicUrls;
use crate::store::records::FileRow;
use crate::wire_time::to_api;

/// RecordIndexInfo: a file of a recording, made by the recorder or by an index call.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct IndexInfo {
    #[serde(flatten)]
    pub record: RecordInfo,
    pub format: String,
}

/// RecordInfo: the same without its format, as the call that makes an index answers.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct RecordInfo {
    pub record_id: String,
    pub record_url: String,
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub oss_endpoint: String,
    pub oss_bucket: String,
    pub oss_object: String,
    pub start_time: String,
    pub end_time: String,
    pub duration: f64,
    pub width: i32,
    pub height: i32,
    pub create_time: String,
}

impl RecordInfo {
    pub fn of(row: FileRow, urls: &PublicUrls) -> Self {
        Self {
            record_url: urls.of(&row.bucket, &row.endpoint, &encode_uri_path(&row.object)),
            record_id: row.id,
            domain_name: row.domain,
            app_name: row.app,
            stream_name: row.stream,
            oss_endpoint: row.endpoint,
            oss_bucket: row.bucket,
            oss_object: row.object,
            start_time: to_api(row.started_at),
            end_time: to_api(row.ended_at),
            duration: seconds(row.duration_ms),
            width: row.width,
            height: row.height,
            create_time: to_api(row.created_at),
        }
    }
}

impl IndexInfo {
    pub fn of(row: FileRow, urls: &PublicUrls) -> Self {
        Self {
            format: row.format.as_str().to_owned(),
            record: RecordInfo::of(row, urls),
        }
    }
}
