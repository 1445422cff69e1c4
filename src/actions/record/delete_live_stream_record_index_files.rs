//! DeleteLiveStreamRecordIndexFiles: forgets files of a stream's recordings, and with RemoveFile removes their objects too.
//!
//! Each RecordId has an outcome of its own in a 200 answer. Of a playlist only the playlist goes, never its slices. An object
//! that is gone already is no failure: what was asked for holds.

use serde::{Deserialize, Serialize};

use super::target::store_error;
use crate::actions::Context;
use crate::error::ApiError;
use crate::model::stream_key::StreamKey;
use crate::objects::PutError;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub record_id: Vec<String>,
    pub remove_file: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub code: String,
    pub message: String,
    pub record_delete_info_list: DeleteList,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct DeleteList {
    pub record_delete_info: Vec<Deleted>,
}

/// What became of one file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Deleted {
    pub record_id: String,
    pub message: String,
}

/// Forgets the files, one after the other.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_streaming_domain(&request.domain_name).await?;
    let hash = StreamKey::new(&domain, &request.app_name, &request.stream_name).hash();
    let with_object = request.remove_file == "true";
    let mut outcomes = Vec::with_capacity(request.record_id.len());
    for record_id in request.record_id {
        let message = delete(ctx, &hash, &record_id, with_object).await?;
        outcomes.push(Deleted {
            record_id,
            message: message.to_owned(),
        });
    }
    Ok(Answer {
        code: "OK".to_owned(),
        message: "OK".to_owned(),
        record_delete_info_list: DeleteList {
            record_delete_info: outcomes,
        },
    })
}

async fn delete(
    ctx: &Context,
    hash: &str,
    id: &str,
    with_object: bool,
) -> Result<&'static str, ApiError> {
    let store = &ctx.services.store;
    let found = store.find_file(id).await?;
    let Some(row) = found.filter(|row| row.stream_hash == hash) else {
        return Ok("FileNotFound");
    };
    let _turn = ctx.objects.at(&row.bucket).await;
    // Another call may have put a new file, with its record, in the place of this one meanwhile; or removed it.
    if store.find_file(id).await?.is_none() {
        return Ok("FileNotFound");
    }
    let mut there = true;
    if with_object {
        match ctx.services.objects.delete(&row.bucket, &row.object).await {
            Ok(found) => there = found,
            Err(PutError::NoSuchBucket) => there = false,
            Err(PutError::Denied(_) | PutError::Name(_)) => return Ok("AccessDenied"),
            Err(error) => return Err(store_error(error)),
        }
    }
    // The record goes even where its object had gone before, so that nothing stays that cannot be deleted.
    Ok(if store.delete_file(id).await? && there {
        "OK"
    } else {
        "FileNotFound"
    })
}
