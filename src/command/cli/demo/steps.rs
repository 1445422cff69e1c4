//! The steps behind the start, in the order in which a user takes them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::narrator::Narrator;
use super::objects;
use super::receiver::Receiver;
use super::stage::{APP, BUCKET, DOMAIN, STREAM, Stage};
use crate::cli::CliError;
use crate::clock::{machine_now, machine_sleep, machine_timeout, monotonic};
use crate::publisher::{self, Clip, DEFAULT_CLIP, PublishPlan};
use crate::wire_time;

const FORMATS: [&str; 3] = ["m3u8", "mp4", "flv"];
const MEDIA_SECONDS: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(10);
/// Seconds of DelayTime where a rule does not say, as the product documents it.
const DELAY_S: i64 = 180;
/// Seconds around the recording in which the API is asked for it.
const MARGIN_S: i64 = 60;

/// All steps; the error says what was expected and what came instead.
pub(super) async fn all(
    stage: &Stage,
    receiver: &mut Receiver,
    narrator: &mut Narrator,
) -> Result<(), CliError> {
    configure(stage, narrator).await?;
    notify(stage, receiver, narrator).await?;
    push(stage, narrator).await?;
    advance(stage, narrator).await?;
    let files = callbacks(receiver, narrator).await?;
    fetch(stage, &files, narrator).await?;
    ask(stage, &files, narrator).await
}

/// A file event, as far as the demo needs it.
struct File {
    key: String,
    start_s: i64,
    stop_s: i64,
}

async fn configure(stage: &Stage, narrator: &mut Narrator) -> Result<(), CliError> {
    narrator.step("AddLiveAppRecordConfig: record every stream of an app as HLS, MP4 and FLV");
    let mut parameters = vec![
        ("DomainName", DOMAIN),
        ("AppName", APP),
        ("OssBucket", BUCKET),
        ("OssEndpoint", "oss-cn-shanghai.aliyuncs.com"),
        ("RecordFormat.1.Format", "m3u8"),
        ("RecordFormat.1.SliceDuration", "5"),
    ];
    parameters.push(("RecordFormat.2.Format", "mp4"));
    parameters.push(("RecordFormat.3.Format", "flv"));
    call(stage, narrator, "AddLiveAppRecordConfig", &parameters).await?;
    Ok(())
}

async fn notify(
    stage: &Stage,
    receiver: &Receiver,
    narrator: &mut Narrator,
) -> Result<(), CliError> {
    narrator.step("AddLiveRecordNotifyConfig: call us for every file");
    let parameters = [("DomainName", DOMAIN), ("NotifyUrl", receiver.url())];
    call(stage, narrator, "AddLiveRecordNotifyConfig", &parameters).await?;
    Ok(())
}

async fn push(stage: &Stage, narrator: &mut Narrator) -> Result<(), CliError> {
    narrator.step("push the bundled clip by RTMP, as fast as it goes");
    narrator.sent(format!("{}/{APP}/{STREAM}?vhost={DOMAIN}", stage.rtmp()));
    let clip = Clip::builtin(DEFAULT_CLIP).ok_or_else(|| {
        CliError::failed(format!(
            "expected the clip {DEFAULT_CLIP} inside the program"
        ))
    })?;
    let plan = PublishPlan {
        rtmp_addr: stage.rtmp().to_owned(),
        domain: DOMAIN.to_owned(),
        app: APP.to_owned(),
        stream: STREAM.to_owned(),
        query: None,
        clip,
        seconds: Some(MEDIA_SECONDS),
        speed: 0.0,
    };
    let done = publisher::publish(plan, CancellationToken::new())
        .await
        .map_err(|error| CliError::failed(format!("expected the push to get through: {error}")))?;
    narrator.answered(format!(
        "{} s of media in {} messages, {} bytes",
        done.media_ms / 1000,
        done.messages,
        done.bytes
    ));
    wait_until_gone(stage).await
}

/// The interruption timer starts when the server knows that the stream is over.
async fn wait_until_gone(stage: &Stage) -> Result<(), CliError> {
    let began = monotonic();
    loop {
        let listed = stage.control().get("streams").await?;
        let streams = listed.get("streams").and_then(Value::as_array);
        if streams.is_some_and(Vec::is_empty) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(CliError::failed(format!(
                "expected the stream to be over, got {listed}"
            )));
        }
        machine_sleep(POLL_EVERY).await;
    }
}

async fn advance(stage: &Stage, narrator: &mut Narrator) -> Result<(), CliError> {
    narrator.step("jump over DelayTime with the service clock");
    narrator.tell(format!(
        "An interruption of up to {DELAY_S} s (DelayTime) continues the same file,"
    ));
    narrator.tell("so the files come after it.");
    narrator.tell("On your machine nobody has to wait that long: the clock is moved.");
    let body = json!({"seconds": DELAY_S + 1});
    narrator.sent(format!(
        "POST {}/_localyun/clock/advance {body}",
        stage.api()
    ));
    let answer = stage.control().post("clock/advance", &body).await?;
    narrator.answered(format!(
        "now {}",
        answer.get("now").and_then(Value::as_str).unwrap_or("?")
    ));
    Ok(())
}

async fn callbacks(
    receiver: &mut Receiver,
    narrator: &mut Narrator,
) -> Result<Vec<File>, CliError> {
    narrator.step("the callbacks, one for each file");
    let mut files = Vec::new();
    while files.len() < FORMATS.len() {
        let Some(Some(callback)) = machine_timeout(PATIENCE, receiver.next()).await else {
            return Err(CliError::failed(format!(
                "expected {} file callbacks within {} s, got {}",
                FORMATS.len(),
                PATIENCE.as_secs(),
                files.len()
            )));
        };
        narrator.answered(&callback);
        let number = |name: &str| callback.get(name).and_then(Value::as_i64);
        let file = callback
            .get("uri")
            .and_then(Value::as_str)
            .zip(number("start_time"))
            .zip(number("stop_time"));
        let Some(((key, start_s), stop_s)) = file else {
            return Err(CliError::failed(format!(
                "expected uri, start_time and stop_time in {callback}"
            )));
        };
        files.push(File {
            key: key.to_owned(),
            start_s,
            stop_s,
        });
    }
    match FORMATS.iter().find(|format| {
        !files
            .iter()
            .any(|file| file.key.ends_with(&format!(".{format}")))
    }) {
        Some(missing) => Err(CliError::failed(format!(
            "expected a callback for the {missing} file"
        ))),
        None => Ok(files),
    }
}

async fn fetch(stage: &Stage, files: &[File], narrator: &mut Narrator) -> Result<(), CliError> {
    narrator.step("fetch the files from the object store, by signed OSS URLs");
    let now_s = machine_now() / 1000;
    let url = |object: &str| objects::signed_url(stage.oss(), BUCKET, object, stage.key(), now_s);
    for file in files {
        let signed = url(&file.key);
        let content = objects::get(stage.client(), &signed).await?;
        narrator.sent(format!("GET {signed}"));
        if content.is_empty() {
            return Err(CliError::failed(format!(
                "expected {} to hold something",
                file.key
            )));
        }
        if !file.key.ends_with(".m3u8") {
            narrator.answered(format!("{} bytes", content.len()));
            continue;
        }
        let slices = objects::slices(&file.key, &String::from_utf8_lossy(&content));
        let mut total = 0;
        for slice in &slices {
            total += objects::get(stage.client(), &url(slice)).await?.len();
        }
        if total == 0 {
            return Err(CliError::failed(format!("expected slices in {}", file.key)));
        }
        narrator.answered(format!(
            "{} bytes, and {} slices of {total} bytes together",
            content.len(),
            slices.len()
        ));
    }
    Ok(())
}

async fn ask(stage: &Stage, files: &[File], narrator: &mut Narrator) -> Result<(), CliError> {
    let start_s = files
        .iter()
        .map(|file| file.start_s)
        .min()
        .unwrap_or_default()
        - MARGIN_S;
    let stop_s = files
        .iter()
        .map(|file| file.stop_s)
        .max()
        .unwrap_or_default()
        + MARGIN_S;
    let (start, stop) = (
        wire_time::to_api(start_s * 1000),
        wire_time::to_api(stop_s * 1000),
    );
    let parameters = [
        ("DomainName", DOMAIN),
        ("AppName", APP),
        ("StreamName", STREAM),
        ("StartTime", start.as_str()),
        ("EndTime", stop.as_str()),
    ];
    narrator.step("DescribeLiveStreamRecordContent: what was recorded");
    let content = call(
        stage,
        narrator,
        "DescribeLiveStreamRecordContent",
        &parameters,
    )
    .await?;
    let spans = rows(&content, "/RecordContentInfoList/RecordContentInfo");
    for span in spans {
        narrator.tell(brief(
            span,
            &["StartTime", "EndTime", "Duration", "OssBucket"],
        ));
    }
    if spans.is_empty() {
        return Err(CliError::failed(
            "expected the recording in RecordContentInfoList",
        ));
    }
    narrator.step("DescribeLiveStreamRecordIndexFiles: the files");
    let index = call(
        stage,
        narrator,
        "DescribeLiveStreamRecordIndexFiles",
        &parameters,
    )
    .await?;
    let listed = rows(&index, "/RecordIndexInfoList/RecordIndexInfo");
    for file in listed {
        narrator.tell(brief(
            file,
            &["Format", "Duration", "Width", "Height", "RecordUrl"],
        ));
    }
    if listed.is_empty() {
        return Err(CliError::failed(
            "expected the files in RecordIndexInfoList",
        ));
    }
    Ok(())
}

/// The rows of a list in an answer.
fn rows<'a>(answer: &'a Value, path: &str) -> &'a [Value] {
    answer
        .pointer(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A row by the fields that tell most.
fn brief(row: &Value, fields: &[&str]) -> String {
    let shown: Vec<String> = fields
        .iter()
        .filter_map(|name| Some(format!("{name}={}", row.get(*name)?)))
        .collect();
    shown.join(" ")
}

/// An answer without its lists, whose rows are told one by one.
fn head(answer: &Value) -> Value {
    let mut head = answer.clone();
    if let Some(fields) = head.as_object_mut() {
        fields.retain(|_, value| !value.is_object());
    }
    head
}

async fn call(
    stage: &Stage,
    narrator: &Narrator,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<Value, CliError> {
    let shown: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    narrator.sent(format!(
        "POST {}/ {action} {}",
        stage.api(),
        shown.join(" ")
    ));
    let (answer, json) = stage.call(action, parameters).await?;
    narrator.answered(format!("{} {}", answer.status, head(&json)));
    Ok(json)
}
