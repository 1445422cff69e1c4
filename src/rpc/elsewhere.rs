//! Actions about one live stream that is another node's: its owner runs them, and the caller gets that answer.

use serde::Deserialize;
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::error::{ApiError, Code};
use crate::model::stream_key::StreamKey;
use crate::wire::render::Answer;

/// Actions that use the stream's recorder.
const OF_A_STREAM: [&str; 3] = [
    "RealTimeRecordCommand",
    "CreateLiveStreamRecordIndexFiles",
    "DescribeLiveStreamRecordContent",
];

/// What the owner answered.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answered {
    Well {
        answer: String,
    },
    Badly {
        code: String,
        message: String,
        status: u16,
    },
}

/// Has the stream's owner run an action. None: it is this node's matter.
pub(super) async fn answer(
    gateway: &Gateway,
    action: &str,
    params: &Value,
    request_id: &str,
) -> Option<Result<Answer, ApiError>> {
    let store = &gateway.services().store;
    let member = store.member()?;
    if !OF_A_STREAM.contains(&action) {
        return None;
    }
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    let domain = text("DomainName")?.to_ascii_lowercase();
    let key = StreamKey::new(&domain, text("AppName")?, text("StreamName")?);
    let owner = match store.owner_of(&key.hash()).await {
        Ok(owner) => owner.filter(|owner| owner.incarnation != *member.incarnation())?,
        Err(error) => return Some(Err(error.into())),
    };
    let args = json!({"action": action, "params": params, "request_id": request_id});
    let answered = store
        .command(&owner.incarnation, "action", &args.to_string())
        .await;
    Some(match answered {
        Err(error) => Err(error.into()),
        Ok(None) => Err(ApiError::internal(format!(
            "the node {} has the stream and does not answer",
            owner.node
        ))),
        Ok(Some(text)) => match serde_json::from_str(&text) {
            Ok(Answered::Well { answer }) => Ok(Answer::from(answer)),
            Ok(Answered::Badly {
                code,
                message,
                status,
            }) => Err(ApiError::coded(Code::from_wire(&code))
                .with_message(message)
                .with_status(status)),
            Err(error) => Err(ApiError::internal(error)),
        },
    })
}
