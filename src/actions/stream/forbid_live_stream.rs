//! ForbidLiveStream: cuts a stream off and keeps it out, until ResumeTime or for six months; with Oneshot it is only cut off.
//!
//! The stream is named by its ingest domain or by its streaming domain, and need not be live: a receiver of the publish callback may
//! forbid what it does not know. A stream that is kept out already is ConfigAlreadyExists.

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::actions::Context;
use crate::actions::arguments::instant;
use crate::error::{ApiError, Code};
use crate::live::hub::{Cut, Live, LiveOf};
use crate::live::ingest::kept_out::FORBIDDEN;
use crate::model::forbidden::{Forbidden, MOST_FORBIDDEN, usual_end};
use crate::notes::{self, Note};
use crate::phrases::Phrase;
use crate::store::change::View;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    (
        "LiveStreamType",
        "there is only one kind of stream, publisher",
    ),
    ("RegionId", "there is one region"),
];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
    pub oneshot: Option<String>,
    pub resume_time: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Forbids the stream.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let target = Target::read(
        ctx,
        &request.domain_name,
        &request.app_name,
        &request.stream_name,
        false,
    )
    .await?;
    let resume = request
        .resume_time
        .map(|text| instant("ResumeTime", &text))
        .transpose()?;
    if request.oneshot.as_deref() == Some("yes") {
        if resume.is_some() {
            notes::tell(Note::WithoutEffect {
                parameters: &["ResumeTime"],
                because: Phrase::OneshotKeepsNothingOut,
            });
        }
        let cut = cut(
            ctx,
            &target,
            "the stream was cut off (ForbidLiveStream, Oneshot)",
        )
        .await?;
        // No ban is stored that a silent node would read when it is back.
        if cut.of_all().map_err(ApiError::internal)? == 0 {
            notes::tell(Note::NothingToDo {
                command: "ForbidLiveStream",
                because: Phrase::OneshotOfNothing,
            });
        }
    } else {
        let now = ctx.now();
        let until = resume.unwrap_or_else(|| usual_end(now));
        if until <= now {
            return Err(ApiError::coded(Code::InvalidResumeTimeMalformed)
                .with_hint("ResumeTime is over already"));
        }
        let forbidden = Forbidden {
            domain: target.key.domain.clone(),
            app: target.key.app.clone(),
            stream: target.key.stream.clone(),
            since: now,
            until,
        };
        let names = target.names();
        let put = ctx.change(target.scope(), move |view| put(view, &names, &forbidden));
        let put = put.await;
        let is_kept_out = match &put {
            Ok(()) => true,
            // Whoever forbade it may not have got as far as cutting it off.
            Err(error) => error.code == Code::ConfigAlreadyExists,
        };
        if is_kept_out {
            cut(ctx, &target, FORBIDDEN).await?;
        }
        put?;
    }
    Target::keep(ctx, std::slice::from_ref(&target.key), "forbid").await?;
    Ok(Answer {})
}

/// Keeps the stream out, where there is room and it is not kept out already.
fn put(view: &mut View<'_>, names: &[String], forbidden: &Forbidden) -> Result<(), ApiError> {
    for name in names {
        let known: Option<Forbidden> = view.document(Kind::Forbidden, name)?;
        if known.is_some_and(|known| known.counts_at(forbidden.since)) {
            return Err(ApiError::coded(Code::ConfigAlreadyExists));
        }
    }
    let all = view.documents::<Forbidden>(Kind::Forbidden)?;
    let counting = all
        .iter()
        .filter(|(_, known)| known.counts_at(forbidden.since));
    if counting.count() >= MOST_FORBIDDEN {
        return Err(ApiError::coded(Code::ResourceNumberExceed)
            .with_hint(format!("{MOST_FORBIDDEN} streams are forbidden")));
    }
    Ok(view.put(Kind::Forbidden, &forbidden.key().hash(), forbidden)?)
}

/// Ends whoever publishes the stream.
async fn cut(ctx: &Context, target: &Target, because: &str) -> Result<Cut, ApiError> {
    let of = LiveOf::Name {
        app: target.key.app.clone(),
        stream: target.key.stream.clone(),
    };
    let is_it = |live: &Live| target.domains.iter().any(|domain| live.is_of(domain));
    Ok(ctx.hub.cut_everywhere(&of, is_it, because).await?)
}
