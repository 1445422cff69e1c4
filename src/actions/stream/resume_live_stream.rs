//! ResumeLiveStream: lets a stream in again that ForbidLiveStream keeps out; AppName `*` means it in every application.
//!
//! One that is not kept out is no failure, and a note says so; no page settles it.

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::actions::Context;
use crate::error::ApiError;
use crate::model::forbidden::Forbidden;
use crate::model::rule::ANY;
use crate::notes::{self, Note};
use crate::phrases::Phrase;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[(
    "LiveStreamType",
    "there is only one kind of stream, publisher",
)];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
    pub app_name: String,
    pub stream_name: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {}

/// Lets the stream in.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let target = Target::read(
        ctx,
        &request.domain_name,
        &request.app_name,
        &request.stream_name,
        true,
    )
    .await?;
    let (domains, key, now) = (target.domains.clone(), target.key.clone(), ctx.now());
    let freed = ctx.change(target.scope(), move |view| {
        let mut freed = Vec::new();
        for (name, known) in view.documents::<Forbidden>(Kind::Forbidden)? {
            if domains.contains(&known.domain)
                && known.stream == key.stream
                && (key.app == ANY || known.app == key.app)
            {
                view.remove(Kind::Forbidden, &name)?;
                if known.counts_at(now) {
                    freed.push(known.key());
                }
            }
        }
        Ok(freed)
    });
    let freed = freed.await?;
    if freed.is_empty() {
        notes::tell(Note::NothingToDo {
            command: "ResumeLiveStream",
            because: Phrase::NotForbidden,
        });
    }
    Target::keep(ctx, &freed, "resume").await?;
    Ok(Answer {})
}
