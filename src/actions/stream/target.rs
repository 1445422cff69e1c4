//! The stream that ForbidLiveStream and ResumeLiveStream name, by its ingest domain or its streaming domain.

use crate::actions::Context;
use crate::actions::arguments::malformed;
use crate::actions::scope::Scope;
use crate::error::ApiError;
use crate::live::ingest::admission::{domains_of, streaming_domain};
use crate::model::rule::ANY;
use crate::model::stream_key::{StreamKey, check_name};
use crate::peer;
use crate::store::controls::Control;
use crate::store::documents::Kind;

/// What a call is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// The domain that the call names.
    pub asked: String,
    /// The stream under its streaming domain.
    pub key: StreamKey,
    /// The domains under which the stream may be kept out: it was named before its domain was mapped, or after.
    pub domains: Vec<String>,
}

impl Target {
    /// Reads the three names; every application is one that is `*`, where the action has that.
    pub async fn read(
        ctx: &Context,
        domain: &str,
        app: &str,
        stream: &str,
        any_app: bool,
    ) -> Result<Self, ApiError> {
        if !(any_app && app == ANY) && check_name("AppName", app).is_err() {
            return Err(malformed("AppName"));
        }
        if check_name("StreamName", stream).is_err() {
            return Err(malformed("StreamName"));
        }
        let asked = ctx.check_domain(domain).await?;
        let domain = streaming_domain(&ctx.services, &asked).await?;
        Ok(Self {
            asked,
            domains: domains_of(&ctx.services, &domain).await?,
            key: StreamKey::new(&domain, app, stream),
        })
    }

    /// The names of the documents that keep the stream out.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let named =
            |domain: &String| StreamKey::new(domain, &self.key.app, &self.key.stream).hash();
        self.domains.iter().map(named).collect()
    }

    /// What a change of it looks at: its own documents and, where the change is about several applications, or counts, all of them.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::domain(&self.asked).with_all(Kind::Forbidden)
    }

    /// Keeps for the control history what was done.
    pub async fn keep(ctx: &Context, keys: &[StreamKey], action: &str) -> Result<(), ApiError> {
        let by = peer::address().map(|ip| ip.to_string()).unwrap_or_default();
        let now = ctx.now();
        let controls = keys
            .iter()
            .map(|key| Control::of(key, action, by.clone(), now))
            .collect();
        Ok(ctx.services.store.add_controls(controls).await?)
    }
}
