//! Actions about one live stream that is another node's: its owner runs them, and the caller gets that answer.

use std::error::Error;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::error::{ApiError, Code};
use crate::model::stream_key::StreamKey;
use crate::notes::{self, Note};
use crate::phrases::Said;
use crate::wire::render::Answer;

/// Actions that use the stream's recorder.
const OF_A_STREAM: [&str; 3] = [
    "RealTimeRecordCommand",
    "CreateLiveStreamRecordIndexFiles",
    "DescribeLiveStreamRecordContent",
];

/// How long the owner may take: its object store alone is given some seconds, and callers wait no longer than this as a rule.
const PATIENCE: Duration = Duration::from_secs(10);

/// What another node is to run.
#[derive(Deserialize)]
struct Call {
    action: String,
    params: Value,
    request_id: String,
}

/// What it answered. One of the version before has no notes.
#[derive(Deserialize)]
struct Answered {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(default)]
    notes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Well {
        answer: String,
    },
    Badly {
        code: String,
        message: String,
        status: u16,
        /// For the journal alone.
        cause: Option<String>,
    },
}

impl Answered {
    /// What came of the call, for its caller; what the owner noted is told as if it had been noted here.
    fn taken(self) -> Result<Answer, ApiError> {
        for said in self.notes.iter().filter_map(Said::read) {
            notes::tell(Note::Elsewhere(said));
        }
        match self.outcome {
            Outcome::Well { answer } => Ok(Answer::from(answer)),
            Outcome::Badly {
                code,
                message,
                status,
                cause,
            } => {
                let error = ApiError::coded(Code::from_wire(&code))
                    .with_message(message)
                    .with_status(status);
                Err(match cause {
                    Some(cause) => error.with_source(cause),
                    None => error,
                })
            }
        }
    }
}

/// What is answered to the node that asked.
fn answered(outcome: Result<Answer, ApiError>, notes: &[Note]) -> String {
    let mut told = match outcome {
        Ok(answer) => json!({"answer": String::from_utf8_lossy(&answer)}),
        Err(error) => json!({
            "code": error.code.as_str(),
            "message": error.message,
            "status": error.status,
            "cause": error.source().map(ToString::to_string),
        }),
    };
    if let Value::Object(fields) = &mut told {
        let notes = notes.iter().map(Note::said);
        fields.insert("notes".to_owned(), json!(notes.collect::<Vec<Said>>()));
    }
    told.to_string()
}

impl Gateway {
    /// Runs the action that another node was asked for, since its stream is here.
    ///
    /// # Errors
    /// What was asked is none of this version's calls; the other node is told so.
    pub async fn run_for_another_node(&self, asked: &str) -> Result<String, serde_json::Error> {
        let call: Call = serde_json::from_str(asked)?;
        let running = async {
            let def = self.registry.get(call.action.as_str());
            let def = def.ok_or_else(|| ApiError::coded(Code::InternalError))?;
            // What the other node has answered its callers before.
            self.services().store.refresh().await?;
            let _busy = self.services().clock.busy();
            (def.run)(&self.context, call.params, &call.request_id).await
        };
        let (outcome, notes) = notes::collected(running).await;
        Ok(answered(outcome, &notes))
    }
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
        .command(&owner.incarnation, "action", &args.to_string(), PATIENCE)
        .await;
    Some(match answered {
        Err(error) => Err(error.into()),
        Ok(None) => Err(ApiError::internal(format!(
            "the node {} has the stream and does not answer",
            owner.node
        ))),
        Ok(Some(text)) => match serde_json::from_str::<Answered>(&text) {
            Ok(answered) => answered.taken(),
            Err(error) => Err(ApiError::internal(error)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrases::Phrase;

    async fn taken(told: &str) -> (Result<String, ApiError>, Vec<Note>) {
        let told: Answered = serde_json::from_str(told).unwrap();
        notes::collected(async {
            let outcome = told.taken();
            outcome.map(|answer| String::from_utf8_lossy(&answer).into_owned())
        })
        .await
    }

    #[tokio::test]
    async fn what_the_owner_noted_is_told_to_the_caller() {
        let note = Note::NothingToDo {
            command: "stop",
            because: Phrase::NoRecordingStarted,
        };
        let told = answered(
            Ok(Answer::from("{}".to_owned())),
            std::slice::from_ref(&note),
        );
        let (outcome, notes) = taken(&told).await;
        assert_eq!(outcome.unwrap(), "{}");
        let texts: Vec<String> = notes.iter().map(Note::to_string).collect();
        assert_eq!(texts, [note.to_string()]);
        // Beside an error, too.
        let told = answered(Err(ApiError::internal("the disk is full")), &[note]);
        let (outcome, notes) = taken(&told).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.code, Code::InternalError);
        assert_eq!(error.source().unwrap().to_string(), "the disk is full");
        assert_eq!(notes.len(), 1);
    }

    #[tokio::test]
    async fn nodes_of_another_version_are_understood() {
        let (outcome, notes) = taken(r#"{"answer": "{}"}"#).await;
        assert_eq!((outcome.unwrap().as_str(), notes.len()), ("{}", 0));
        let before = r#"{"code": "TaskAlreadyStarted", "message": "m", "status": 400}"#;
        let (outcome, _) = taken(before).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.code, error.status), (Code::TaskAlreadyStarted, 400));
        let later =
            r#"{"answer": "{}", "notes": [{"code": "OfALaterVersion", "values": {}}], "more": 1}"#;
        let (outcome, notes) = taken(later).await;
        assert!(outcome.is_ok() && notes.is_empty());
    }
}
