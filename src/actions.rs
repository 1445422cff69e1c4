//! The API's actions: one handler file each, grouped by family, and the table of all of them.
//!
//! A handler file holds `Request`, `Answer` and `handle`, in that order; [`action!`] makes its entry. The gateway has checked the
//! request against the spec before a handler sees it, so handlers hold only the rules of meaning.

pub mod arguments;
pub mod declined;
pub mod domain;
pub mod record;
pub mod retired;
pub mod scope;
#[cfg(test)]
mod serial;
pub mod statistics;
pub mod stored;
pub mod stream;
pub mod tried;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::UnixMs;
use crate::config::Config;
use crate::error::{ApiError, Code};
use crate::live::hub::Hub;
use crate::services::Services;
use crate::store::StoreError;
use crate::wire::render::Answer;

/// What a handler may use.
pub struct Context {
    pub services: Arc<Services>,
    pub hub: Arc<Hub>,
    pub config: Arc<Config>,
    pub rendered: record::rendered::Rendered,
    pub roles: domain::roles::Roles,
    /// Held to write by who forgets stored objects, to read by who makes sure that there are some before noting them.
    pub forgetting: tokio::sync::RwLock<()>,
    /// Turns at objects that calls make and remove.
    pub objects: record::turns::Turns,
}

impl Context {
    #[must_use]
    pub fn new(services: Arc<Services>, hub: Arc<Hub>, config: Arc<Config>) -> Self {
        Self {
            services,
            hub,
            config,
            rendered: Default::default(),
            roles: Default::default(),
            forgetting: Default::default(),
            objects: Default::default(),
        }
    }

    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.services.clock.now()
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send + 'a>>;

/// One implemented action.
pub struct ActionDef {
    pub name: &'static str,
    /// What is asked, and the RequestId that the answer gets.
    pub run: for<'a> fn(&'a Context, Value, &'a str) -> Running<'a>,
    #[cfg(test)]
    pub request: fn() -> schemars::Schema,
    #[cfg(test)]
    pub answer: fn() -> schemars::Schema,
}

/// The entry of a handler file.
macro_rules! action {
    ($name:literal, $module:ident) => {
        $crate::actions::ActionDef {
            name: $name,
            run: |ctx, params, request_id| {
                static LAST_LENGTH: std::sync::atomic::AtomicUsize =
                    std::sync::atomic::AtomicUsize::new(0);
                Box::pin(async move {
                    let request: $module::Request = serde_json::from_value(params)
                        .map_err($crate::error::ApiError::internal)?;
                    let answer = $module::handle(ctx, request).await?;
                    $crate::wire::render::answer(request_id, &answer, &LAST_LENGTH)
                        .map_err($crate::error::ApiError::internal)
                })
            },
            #[cfg(test)]
            request: || schemars::schema_for!($module::Request),
            #[cfg(test)]
            answer: || schemars::schema_for!($module::Answer),
        }
    };
}
pub(crate) use action;

/// Every implemented action.
pub fn all() -> impl Iterator<Item = &'static ActionDef> {
    [
        record::ACTIONS,
        domain::ACTIONS,
        stream::ACTIONS,
        statistics::ACTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The parameters that an action takes without effect; its family says why.
pub fn ignored_by(action: &str) -> impl Iterator<Item = &'static str> {
    ignores()
        .filter(move |(name, _)| *name == action)
        .flat_map(|(_, list)| list.iter().map(|(param, _)| *param))
}

fn ignores() -> impl Iterator<Item = &'static (&'static str, Ignores)> {
    [
        record::IGNORES,
        domain::IGNORES,
        stream::IGNORES,
        statistics::IGNORES,
    ]
    .into_iter()
    .flatten()
}

/// Parameters with the reasons why they have no effect here.
pub type Ignores = &'static [(&'static str, &'static str)];

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate => Self::coded(Code::ConfigAlreadyExists),
            other => Self::internal(other),
        }
    }
}
