//! DescribeLiveStreamsOnlineList: the streams of a streaming domain that are being published, or those published at an ingest domain.
//!
//! Only pushed streams exist here, so a list of transcoded ones is empty. Codec ids are those of FLV. What the publisher did not
//! announce is left out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ip_of;
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length, passes};
use crate::config::Config;
use crate::error::ApiError;
use crate::live::hub::Live;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: Option<String>,
    pub stream_name: Option<String>,
    pub query_type: Option<String>,
    pub stream_type: Option<String>,
    pub only_stream: Option<String>,
    pub page_num: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub online_info: OnlineInfo,
    pub page_num: i32,
    pub page_size: i32,
    pub total_num: i32,
    pub total_page: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct OnlineInfo {
    pub live_stream_online_info: Vec<Stream>,
}

/// One stream.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Stream {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub publish_time: String,
    #[serde(flatten)]
    pub details: Option<Details>,
}

/// What OnlyStream leaves out.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Details {
    pub publish_domain: String,
    pub push_domain: String,
    pub play_domain: String,
    pub publish_type: String,
    pub publish_url: String,
    pub client_ip: String,
    /// A text, not a boolean.
    pub transcoded: String,
    /// The templates that the stream is transcoded by, joined by commas, and whether each is protected: none here.
    pub transcode_id: String,
    pub transcode_drm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_data_rate: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_data_rate: Option<i32>,
}

/// Lists the streams by name.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let (app, stream) = (given(request.app_name), given(request.stream_name));
    let strict = request.query_type.as_deref() == Some("strict");
    let named = |name: &str| match &stream {
        Some(wanted) if !strict => name.contains(wanted.as_str()),
        wanted => passes(wanted.as_deref(), name),
    };
    let transcoded_only = request.stream_type.as_deref() == Some("trans");
    let found: Vec<Live> = ctx
        .hub
        .live_of(&domain)
        .await?
        .into_iter()
        .filter(|publisher| {
            !transcoded_only
                && passes(app.as_deref(), &publisher.key.app)
                && named(&publisher.key.stream)
        })
        .collect();
    let server_ip = server_ip(&ctx.config);
    let names_only = request.only_stream.as_deref() == Some("yes");
    let paging = Paging::new(request.page_num, request.page_size);
    let numbers = paging.numbers(length(&found));
    let shown = paging
        .cut(found)
        .iter()
        .map(|publisher| Stream {
            domain_name: publisher.key.domain.clone(),
            app_name: publisher.key.app.clone(),
            stream_name: publisher.key.stream.clone(),
            publish_time: to_api(publisher.since),
            details: (!names_only).then(|| details(publisher, server_ip.as_deref())),
        })
        .collect();
    Ok(Answer {
        online_info: OnlineInfo {
            live_stream_online_info: shown,
        },
        page_num: numbers.page,
        page_size: numbers.size,
        total_num: numbers.total,
        total_page: numbers.pages,
    })
}

/// The address that pushes come to, where the settings name one.
fn server_ip(config: &Config) -> Option<String> {
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let public = config.public_host.as_deref().and_then(address);
    let listening = address(ip_of(&config.rtmp_addr)).filter(|ip| !ip.is_unspecified());
    public.or(listening).map(|ip| ip.to_string())
}

fn details(publisher: &Live, server_ip: Option<&str>) -> Details {
    let facts = &publisher.facts;
    let known = |number: u32| i32::try_from(number).ok().filter(|number| *number > 0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the conversion saturates, and the filter takes what makes sense"
    )]
    let frame_rate = facts.frame_rate.round() as i32;
    let key = &publisher.key;
    Details {
        publish_domain: publisher.ingest_domain.clone(),
        push_domain: publisher.ingest_domain.clone(),
        play_domain: key.domain.clone(),
        publish_type: "edge".to_owned(),
        publish_url: format!(
            "rtmp://{}/{}/{}",
            publisher.ingest_domain, key.app, key.stream
        ),
        client_ip: ip_of(&publisher.address).to_owned(),
        transcoded: "no".to_owned(),
        transcode_id: String::new(),
        transcode_drm: String::new(),
        server_ip: server_ip.map(str::to_owned),
        video_codec_id: facts.video_codec.as_deref().and_then(codec_id),
        video_data_rate: known(facts.video_kbps),
        frame_rate: Some(frame_rate).filter(|rate| *rate > 0),
        width: known(facts.width),
        height: known(facts.height),
        audio_codec_id: facts.audio_codec.as_deref().and_then(codec_id),
        audio_data_rate: known(facts.audio_kbps),
    }
}

/// The codec's number in an FLV tag.
fn codec_id(name: &str) -> Option<i32> {
    match name {
        "h264" => Some(7),
        "mpeg4" => Some(9),
        "h265" => Some(12),
        "mp3" => Some(2),
        "aac" => Some(10),
        _ => None,
    }
}
