//! The object store's port: OSS and S3 over HTTP on a folder store.
//!
//! A request goes through `request.rs` (decode), `auth.rs` (signature, which bucket and key), `route.rs` (which of the
//! product's operations), `access.rs` (access control lists) and one function per operation (`buckets.rs`, `listing.rs`,
//! `object_read.rs`, `object_write.rs`, `multipart.rs`, `metadata.rs`, `post_form.rs`). All of them are written once;
//! `dialect.rs` holds the words in which OSS and S3 differ.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};

mod access;
mod acl;
mod address;
mod answer;
mod auth;
mod base;
mod body;
mod buckets;
mod checksum;
mod chunked;
mod code;
mod cors;
mod dialect;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod keys;
mod link;
mod listing;
mod metadata;
mod multipart;
mod name;
mod object_read;
mod object_write;
mod pace;
mod playlist;
mod post_form;
mod post_policy;
mod request;
mod route;
mod sign;
mod signed_address;
mod symlink;
mod unsupported;
mod version;
mod xml;

pub use signed_address::signed_query;

use address::Reading;
use answer::Answer;
use auth::Caller;
use body::Body;
use code::Code;
use dialect::{Dialect, Scheme};
use error::ServeError;
use request::Request;
use route::Operation;

use crate::clock::{machine_now, machine_sleep};
use crate::connection::Line;
use crate::connection::framing::original_name;
use crate::connection::unread::close_after;
use crate::folder::FolderStore;
use crate::identity::KeyRing;
use crate::secrets;
use crate::site::OwnNames;

/// An answer that a test armed in place of the real one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectedFault {
    /// 0: only the delay, then the real answer.
    pub status: u16,
    pub code: String,
    pub message: String,
    pub delay_ms: u64,
}

/// Asked before every operation, by its name (`PutObject`).
pub type Faults = Arc<dyn Fn(&str) -> Option<InjectedFault> + Send + Sync>;

/// What the port needs.
#[derive(Clone)]
pub struct ServeState {
    pub store: FolderStore,
    pub keys: Arc<KeyRing>,
    /// The service clock, Unix milliseconds.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// How far the service clock was ahead of the machine's at a moment of the latter, in milliseconds.
    pub offset_at: Arc<dyn Fn(i64) -> i64 + Send + Sync>,
    pub faults: Faults,
    /// False (`--auth off`): any caller is taken for the owner, and every answer says so.
    pub strict: bool,
    /// The name under which clients reach this machine; buckets may stand before it.
    pub public_host: Option<String>,
    /// All names that mean this machine and no stranger's.
    pub own_names: OwnNames,
}

/// Marks an answer that a test armed.
const FAULT_HEADER: &str = "x-localyun-fault";

/// Serves every path of an actix application.
pub fn configure(state: ServeState) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::new(state))
            .default_service(web::to(entry));
    }
}

/// One request on its way through an operation.
struct Context<'a> {
    state: &'a ServeState,
    request: &'a Request,
    caller: &'a Caller,
}

impl Context<'_> {
    fn dialect(&self) -> Dialect {
        self.caller.dialect
    }

    fn store(&self) -> &FolderStore {
        &self.state.store
    }

    fn bucket(&self) -> &str {
        self.caller.reading.bucket().unwrap_or_default()
    }

    fn key(&self) -> &str {
        self.caller.reading.key()
    }

    /// A header of the caller's dialect, by the part of its name behind the prefix.
    fn own_header(&self, name: &str) -> Option<&str> {
        self.dialect().header(self.request, name)
    }
}

async fn entry(
    http: HttpRequest,
    payload: web::Payload,
    state: web::Data<ServeState>,
) -> HttpResponse {
    let line = http.conn_data::<Rc<Line>>().cloned();
    // From here on the request is worked off, though its sender should be gone.
    let _working = line.as_ref().map(Line::work);
    let id: String = uuid::Uuid::new_v4()
        .simple()
        .to_string()
        .to_uppercase()
        .chars()
        .take(24)
        .collect();
    let target = http
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let headers = http
        .headers()
        .iter()
        .map(|(name, value)| (original_name(name.as_str()), value.as_bytes()));
    let renamed = |wanted: &str| {
        let mut names = http.headers().keys().map(|name| name.as_str());
        names.any(|name| name != wanted && original_name(name) == wanted)
    };
    let held_back = renamed("expect");
    let mut payload = Body::new(payload, line.clone(), held_back);
    // Another protocol is not spoken here, but the web framework hands out what follows as a body without an end.
    let offers_more = http.head().upgrade() || http.method() == Method::CONNECT;
    if offers_more && !carries_body(&http) {
        payload.leave();
    }
    let mut meant = None;
    let (request, dialect, result) = match Request::new(http.method().as_str(), target, headers) {
        Ok(request) => {
            let result = answer(&state, &request, &mut payload, &mut meant).await;
            let dialect = Dialect::of(&request);
            (Some(request), dialect, result)
        }
        Err(error) => (None, Dialect::Oss, Err(error)),
    };
    let mut answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            payload.drain().await;
            let error = dialect::reword(error, dialect);
            tracing::debug!(target: "localyun::objects::serve", %id, method = %http.method(), target = %secrets::url(target), status = error.code.status(), %error, "refused");
            let host = request
                .as_ref()
                .and_then(|request| request.header("host"))
                .unwrap_or_default();
            let document = dialect.error_document(&error, &id, host, http.uri().path());
            let head = http.method() == Method::HEAD;
            Answer::error(&error, document, dialect, head)
        }
    };
    if let Some(request) = &request {
        cors::decorate(&state, request, meant.as_ref(), &mut answer).await;
    }
    if !state.strict {
        answer = answer.header("x-localyun-auth", "off");
    }
    let mut response =
        answer.into_response(&id, dialect, http.method() == Method::HEAD, (state.clock)());
    if renamed("content-length") {
        // RFC 9112 section 6.3: whoever is in between may have counted otherwise.
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    match payload.into_unread() {
        Some(unread) if offers_more || carries_body(&http) => close_after(response, unread),
        _ => response,
    }
}

fn carries_body(http: &HttpRequest) -> bool {
    let length = http.headers().get("content-length");
    http.headers().contains_key("transfer-encoding") || length.is_some_and(|n| n != "0")
}

async fn answer(
    state: &ServeState,
    request: &Request,
    payload: &mut Body,
    meant: &mut Option<Reading>,
) -> Result<Answer, ServeError> {
    let now = sign::Now {
        service_ms: (state.clock)(),
        machine_ms: machine_now(),
        offset_at: state.offset_at.as_ref(),
    };
    let buckets = state.store.bucket_names().await?;
    let host_bucket = base::bucket_before(request.host(), state.public_host.as_deref());
    let caller = auth::authenticate(
        request,
        state.keys.as_ref(),
        now,
        state.strict,
        &buckets,
        host_bucket.as_deref(),
    )
    .map_err(|refusal| auth::or_no_bucket(refusal, request, &buckets, host_bucket.as_deref()))?;
    *meant = Some(caller.reading.clone());
    // What an unsigned URL carries is nobody's word; in these two the signature covers it.
    let moved = match Scheme::of(request) {
        Some(Scheme::AwsV4Url) => request.with_moved_headers(&[])?,
        Some(Scheme::AwsV2Url) => request.with_moved_headers(sign::aws_v2::MOVED)?,
        _ => None,
    };
    let request = moved.as_ref().unwrap_or(request);
    let operation = route::operation(request, &caller)?;
    if caller.dialect == Dialect::Oss {
        name::check(caller.reading.key())?;
    }
    if !caller.reading.key().is_empty() && operation != Operation::OptionObject {
        version::check(request, operation)?;
    }
    let fault = (state.faults)(operation.name());
    if let Some(fault) = &fault {
        machine_sleep(Duration::from_millis(fault.delay_ms)).await;
        if fault.status >= 300 {
            return Err(ServeError::new(
                Code::Other(fault.status, fault.code.clone()),
                fault.message.clone(),
            )
            .with_header(FAULT_HEADER, operation.name().to_owned()));
        }
    }
    let context = Context {
        state,
        request,
        caller: &caller,
    };
    let result = check_and_perform(&context, operation, payload, now).await;
    if fault.is_none() {
        return result;
    }
    // A refusal was delayed like any other answer.
    match result {
        Ok(answer) => Ok(answer.header(FAULT_HEADER, operation.name())),
        Err(error) => Err(error.with_header(FAULT_HEADER, operation.name().to_owned())),
    }
}

async fn check_and_perform(
    context: &Context<'_>,
    operation: Operation,
    payload: &mut Body,
    now: sign::Now<'_>,
) -> Result<Answer, ServeError> {
    access::check(context, operation).await?;
    unsupported::check(context)?;
    payload.keep_pace(pace::Pace::of(context.request)?);
    perform(context, operation, payload, now).await
}

async fn perform(
    context: &Context<'_>,
    operation: Operation,
    payload: &mut Body,
    now: sign::Now<'_>,
) -> Result<Answer, ServeError> {
    match operation {
        Operation::GetService => buckets::get_service(context).await,
        Operation::PutBucket => buckets::put_bucket(context, payload).await,
        Operation::DeleteBucket => buckets::delete_bucket(context).await,
        Operation::HeadBucket => buckets::head_bucket(context).await,
        Operation::GetBucketInfo => buckets::get_bucket_info(context).await,
        Operation::GetBucketLocation => buckets::get_bucket_location(context).await,
        Operation::GetBucketStat => buckets::get_bucket_stat(context).await,
        Operation::GetBucketVersioning => buckets::get_bucket_versioning(context).await,
        Operation::GetBucketAcl => metadata::get_bucket_acl(context).await,
        Operation::PutBucketAcl => metadata::put_bucket_acl(context, payload).await,
        Operation::GetBucketCors => cors::get_bucket_cors(context).await,
        Operation::PutBucketCors => cors::put_bucket_cors(context, payload).await,
        Operation::DeleteBucketCors => cors::delete_bucket_cors(context).await,
        Operation::OptionObject => cors::preflight(context).await,
        Operation::GetBucket => listing::list_objects(context).await,
        Operation::GetBucketV2 => listing::list_objects_v2(context).await,
        Operation::ListMultipartUploads => listing::list_uploads(context).await,
        Operation::DeleteMultipleObjects => object_write::delete_multiple(context, payload).await,
        Operation::PostObject => post_form::post_object(context, payload, now).await,
        Operation::GetObject => object_read::get_object(context).await,
        Operation::HeadObject => object_read::head_object(context).await,
        Operation::GetObjectMeta => object_read::get_object_meta(context).await,
        Operation::PutObject => object_write::put_object(context, payload).await,
        Operation::CopyObject => object_write::copy_object(context).await,
        Operation::AppendObject => object_write::append_object(context, payload).await,
        Operation::DeleteObject => object_write::delete_object(context).await,
        Operation::InitiateMultipartUpload => multipart::initiate(context).await,
        Operation::UploadPart => multipart::upload_part(context, payload).await,
        Operation::UploadPartCopy => multipart::upload_part_copy(context).await,
        Operation::CompleteMultipartUpload => multipart::complete(context, payload).await,
        Operation::AbortMultipartUpload => multipart::abort(context).await,
        Operation::ListParts => multipart::list_parts(context).await,
        Operation::GetObjectAcl => metadata::get_object_acl(context).await,
        Operation::PutObjectAcl => metadata::put_object_acl(context, payload).await,
        Operation::GetObjectTagging => metadata::get_tagging(context).await,
        Operation::PutObjectTagging => metadata::put_tagging(context, payload).await,
        Operation::DeleteObjectTagging => metadata::delete_tagging(context).await,
        Operation::PutSymlink => symlink::put_symlink(context).await,
        Operation::GetSymlink => symlink::get_symlink(context).await,
        Operation::ListObjectVersions => listing::list_versions(context).await,
        Operation::ListLiveChannel => buckets::list_live_channels(context).await,
        Operation::GetSignedPlaylist => playlist::get_signed_playlist(context).await,
    }
}
