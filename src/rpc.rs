//! The life of one API call, on one page: [`answer`] lists its steps in order.

pub mod auth;
pub mod caller;
mod elsewhere;
pub mod gateway;
pub mod journal;
pub mod neighbours;
pub mod nonce;
pub mod quota;
mod temporary;

use std::borrow::Cow;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::actions::{declined, retired};
use crate::clock;
use crate::error::{ApiError, Code};
use crate::events::{self, Names};
use crate::evidence::Evidence;
use crate::faults;
use crate::ids;
use crate::notes::{self, Note};
use crate::peer;
use crate::phrases::{Phrase, Said};
use crate::rpc::journal::{Entry, Words, presentable};
use crate::secrets;
use crate::signature_v3::is_acs3;
use crate::spec::answer::validate;
use crate::spec::check::check;
use crate::spec::model::ActionSpec;
use crate::upstream::{Passage, Passed, request::Call};
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pair, Pairs, Tree, parse_pairs};
use crate::wire::render::{self, Answer, Format, Reply};
use caller::{Caller, Scheme};
use gateway::Gateway;

/// The version of the API.
pub const VERSION: &str = "2016-11-01";

/// Characters of an unknown action's name that the journal keeps.
const ACTION_KEPT: usize = 100;

/// What is learned on the way, for the journal and for the form of the answer.
#[derive(Default)]
struct Trace<'a> {
    action: Cow<'static, str>,
    spec: Option<&'static ActionSpec>,
    caller: Option<Caller>,
    scheme: Scheme,
    params: Vec<Pair<'a>>,
    ignored: Vec<String>,
    notes: Vec<Said>,
    format: Format,
    /// Where a fault struck.
    fault: Option<String>,
    /// Its way to the upstream.
    passage: Option<Box<Passage>>,
}

/// An answer, and who gave it.
enum Answered {
    Here(Answer),
    Outside(Passed),
}

/// Bytes of an answer from outside that is compared with the spec.
const COMPARED: usize = 256 * 1024;
/// What is told at most of an answer or a request that does not fit the spec.
const FINDINGS: usize = 5;

/// Answers one request, whatever it is.
pub async fn answer(gateway: &Gateway, parts: &HttpParts) -> Reply {
    let began = clock::monotonic();
    let request_id = ids::request_id();
    let mut trace = Trace::default();
    let outcome = run(gateway, parts, &request_id, &mut trace).await;
    conclude(gateway, parts, trace, request_id, outcome, began)
}

/// Answers a request that was refused before its body was read: only what stands in its head is known.
pub fn refuse(gateway: &Gateway, parts: &HttpParts, error: ApiError) -> Reply {
    let began = clock::monotonic();
    let mut trace = Trace {
        format: Format::guess(&parts.query, Format::Json),
        ..Trace::default()
    };
    if let Ok(pairs) = parse_pairs(&parts.query, None) {
        let action = named(parts, &pairs, is_acs3(parts), "Action", "x-acs-action");
        let action = action.unwrap_or_default();
        trace.action = action.chars().take(ACTION_KEPT).collect();
        trace.params = presentable(pairs.as_slice());
    }
    conclude(gateway, parts, trace, ids::request_id(), Err(error), began)
}

/// The answer as it goes out, and what is told of it.
fn conclude(
    gateway: &Gateway,
    parts: &HttpParts,
    trace: Trace<'_>,
    mut request_id: String,
    outcome: Result<Answered, ApiError>,
    began: Instant,
) -> Reply {
    let host = parts.header("host").unwrap_or("localyun");
    let (mut reply, error) = match outcome {
        Ok(Answered::Here(answer)) => {
            let reply = render::success(trace.format, &trace.action, &request_id, answer);
            (reply, None)
        }
        Ok(Answered::Outside(passed)) => {
            // By the one that its caller knows.
            if let Some(id) = passed.request_id {
                request_id = id;
            }
            let reply = Reply {
                status: passed.status,
                headers: passed.headers,
                body: passed.body,
            };
            (reply, None)
        }
        Err(error) => {
            let help = render::Help::of(
                &error.code,
                &gateway.addresses.endpoint_for(parts),
                &request_id,
            );
            let reply = render::failure(trace.format, &request_id, host, &help, &error);
            (reply, Some(error))
        }
    };
    if let Some(at) = &trace.fault {
        reply.header("x-localyun-fault", at.clone());
    }
    // What a call is told by others goes through as it is; what we found goes into the journal alone.
    let told_here = trace.passage.is_none();
    if told_here && !trace.ignored.is_empty() {
        reply.header(
            "x-localyun-ignored",
            render::header_text(&trace.ignored.join(",")),
        );
    }
    if told_here && !trace.notes.is_empty() {
        let notes: Vec<String> = trace.notes.iter().map(ToString::to_string).collect();
        reply.header(
            "x-localyun-note",
            render::header_sentence(&notes.join("; ")),
        );
    }
    close(
        gateway,
        parts,
        trace,
        &request_id,
        error.as_ref(),
        reply.status,
        began.elapsed(),
    );
    reply
}

async fn run<'a>(
    gateway: &Gateway,
    parts: &'a HttpParts,
    request_id: &str,
    trace: &mut Trace<'a>,
) -> Result<Answered, ApiError> {
    // 1. The method, the parameters from query and form, and the form of the answer.
    let acs3 = is_acs3(parts);
    trace.format = if acs3 { Format::Json } else { Format::Xml };
    if !matches!(parts.method.as_str(), "GET" | "POST") {
        trace.format = Format::guess(&parts.query, trace.format);
        return Err(ApiError::coded(Code::UnsupportedHttpMethod));
    }
    let form = parts.is_form().then_some(&parts.body[..]);
    let pairs = parse_pairs(&parts.query, form).inspect_err(|_| {
        let form = form.and_then(|form| std::str::from_utf8(form).ok());
        trace.format = Format::guess(form.unwrap_or_default(), trace.format);
        trace.format = Format::guess(&parts.query, trace.format);
    })?;
    if let Some(format) = pairs.get("Format") {
        trace.format = Format::parse(format).unwrap_or(Ok(trace.format))?;
    }
    trace.params = presentable(pairs.as_slice());
    trace.scheme = auth::recognised(parts, &pairs);

    // 2. The action: is it one of this product and version?
    let action = named(parts, &pairs, acs3, "Action", "x-acs-action")?;
    let spec = gateway.spec.action(action);
    trace.spec = spec;
    trace.action = spec.map_or_else(
        || action.chars().take(ACTION_KEPT).collect(),
        |spec| spec.action.as_str().into(),
    );
    let version = named(parts, &pairs, acs3, "Version", "x-acs-version")?;
    let caller = &mut trace.caller;
    let neighbour = neighbours::answer(gateway, parts, &pairs, action, version, caller).await;
    if let Some(answered) = neighbour {
        return render::answer(request_id, &answered?, &AtomicUsize::new(0))
            .map(Answered::Here)
            .map_err(ApiError::internal);
    }
    let is_ours = version == VERSION;
    let is_here = is_ours && gateway.registry.contains_key(action);
    let upstream = gateway.upstream.as_ref();
    let outside = upstream.and_then(|upstream| Some((upstream, upstream.way(action, is_here)?)));
    if outside.is_none() && !is_ours {
        return Err(ApiError::coded(Code::InvalidVersion));
    }
    let spec = match spec {
        None if outside.is_none() => return Err(unknown_action(gateway, action)),
        spec => spec.filter(|_| is_ours),
    };

    // 3. An armed fault strikes before anything else is looked at.
    if let Some(spec) = spec
        && let Some(strike) = gateway.services().faults.strike_action(action)
    {
        trace.fault = Some(format!("api:{}", spec.action));
        strike.delay().await;
        if let Some(code) = strike.code {
            let error = ApiError::coded(Code::from_wire(&code));
            return Err(error.documented_as(spec.error_status(&code)));
        }
    }

    // 4. Who calls, and is the signature good?
    let caller = auth::check(gateway, parts, &pairs).await?;
    trace.scheme = caller.scheme();
    let caller = trace.caller.insert(caller);
    auth::use_up(gateway, parts, &pairs, caller).await?;
    if let Some((upstream, way)) = outside {
        let call = Call {
            action,
            version,
            format: trace.format,
            acs3,
            parts,
            pairs: &pairs,
        };
        let (outcome, mut passage) = upstream.answer(way, call).await;
        if let Ok(Some(passed)) = &outcome {
            passage.findings = findings(spec, &pairs, passed);
        }
        trace.passage = Some(Box::new(passage));
        match outcome? {
            Some(passed) => return Ok(Answered::Outside(passed)),
            // No recorded call fits, and localyun is asked to answer then.
            None => trace.passage = None,
        }
        if !is_ours {
            return Err(ApiError::coded(Code::InvalidVersion));
        }
    }
    let spec = spec.ok_or_else(|| unknown_action(gateway, action))?;
    gateway
        .quota
        .take(spec, caller, gateway.services().clock.now())?;

    // 5. The parameters, by the spec, and 6. the action itself; what they have to tell is collected.
    let acted = act(gateway, spec, &pairs, request_id, trace);
    let acted = peer::calling_from(parts.peer, acted);
    let ((outcome, struck), told) = notes::collected(faults::watched(acted)).await;
    trace.fault = trace.fault.take().or(struck);
    trace.notes = told.iter().map(Note::said).collect();
    let answer = outcome.map_err(|error| described(spec, error))?;
    if gateway.checks_answers {
        report_misfit(spec, &answer);
    }
    Ok(Answered::Here(answer))
}

/// What does not fit the spec of a call that was answered from outside: of its parameters, and of its answer.
fn findings(spec: Option<&ActionSpec>, pairs: &Pairs<'_>, passed: &Passed) -> Vec<String> {
    let Some(spec) = spec else {
        return vec!["the action is not among the documented ones".to_owned()];
    };
    let mut found = Vec::new();
    let told = |error: ApiError| format!("{}: {}", error.code, error.kept_message());
    match Tree::from_pairs(pairs) {
        Ok(tree) => match check(spec, &tree) {
            Ok(checked) => {
                let unknown = checked.unknown.iter();
                found.extend(unknown.map(|name| format!("{name} is no parameter of the action")));
            }
            Err(problem) => found.push(told(problem.into())),
        },
        Err(problem) => found.push(told(problem.into())),
    }
    if passed.format == Format::Json && passed.is_success() && passed.body.len() <= COMPARED {
        let answer = serde_json::from_slice(&passed.body).unwrap_or_default();
        let misfits = validate(spec, &answer).into_iter();
        found.extend(misfits.map(|misfit| format!("answer: {misfit}")));
    }
    let more = found.len().saturating_sub(FINDINGS);
    found.truncate(FINDINGS);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    for finding in &mut found {
        *finding = secrets::text(&finding.chars().take(300).collect::<String>()).into_owned();
    }
    found
}

/// Checks the parameters by the spec and runs the action.
async fn act(
    gateway: &Gateway,
    spec: &'static ActionSpec,
    pairs: &Pairs<'_>,
    request_id: &str,
    trace: &mut Trace<'_>,
) -> Result<Answer, ApiError> {
    let action = spec.action.as_str();
    let tree = Tree::from_pairs(pairs)?;
    let checked = check(spec, &tree)?;
    trace.ignored = checked.unknown;
    let without_effect = crate::actions::ignored_by(action).filter(|name| tree.get(name).is_some());
    trace.ignored.extend(without_effect.map(str::to_owned));
    let Some(def) = gateway.registry.get(action) else {
        return Err(ApiError::not_implemented(
            action,
            declined::reason(spec).map(Phrase::text),
        ));
    };
    gateway.services().store.refresh().await?;
    if let Some(answered) = elsewhere::answer(gateway, action, &checked.value, request_id).await {
        return answered;
    }
    let _busy = gateway.services().clock.busy();
    (def.run)(&gateway.context, checked.value, request_id).await
}

/// `Action` or `Version`: a V1 client's parameter wins over its header, an ACS3 client sends headers.
fn named<'p>(
    parts: &'p HttpParts,
    pairs: &'p Pairs<'_>,
    acs3: bool,
    param: &'static str,
    header: &str,
) -> Result<&'p str, ApiError> {
    let from_params = pairs.get(param).filter(|v| !v.is_empty());
    let from_header = parts.header(header).filter(|v| !v.is_empty());
    let found = if acs3 {
        from_header.or(from_params)
    } else {
        from_params.or(from_header)
    };
    found.ok_or_else(|| ApiError::missing(param))
}

fn unknown_action(gateway: &Gateway, action: &str) -> ApiError {
    let error = ApiError::coded(Code::InvalidActionNotFound);
    let near = || {
        let near = gateway.spec.closest(action)?;
        Some(format!("did you mean {near}?"))
    };
    match retired::told(action).or_else(near) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Gives an error the status that the action's own table documents for it.
fn described(spec: &ActionSpec, error: ApiError) -> ApiError {
    let status = spec.error_status(&error.code.as_str());
    error.documented_as(status)
}

fn report_misfit(spec: &ActionSpec, answer: &[u8]) {
    let problems = validate(spec, &serde_json::from_slice(answer).unwrap_or_default());
    if !problems.is_empty() {
        tracing::error!(action = %spec.action, ?problems, "the answer does not fit the spec");
    }
}

/// What the event of a call tells.
#[derive(serde::Serialize)]
struct Told<'a> {
    request_id: &'a str,
    action: &'a str,
    caller: Option<&'a str>,
    status: u16,
    code: Option<&'a str>,
    fault: bool,
    took_us: u64,
    /// Where it was answered, if not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
}

/// The domains that a call is about, in lower case: `DomainName`, else `DomainNames`, else the play domain of a mapping.
#[must_use]
pub fn domains_of(params: &[Pair<'_>]) -> Vec<String> {
    let given = |wanted: &str| {
        let found = params.iter().find(|(name, _)| name == wanted);
        let found = found.filter(|(_, value)| !value.is_empty());
        found.map(|(_, value)| value.as_ref())
    };
    let names = ["DomainName", "DomainNames", "PullDomain"];
    let named: Option<&str> = names.into_iter().find_map(given);
    let domains = named.unwrap_or_default().split(',');
    domains
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Says what was called, about which stream, and how it went.
fn tell(
    gateway: &Gateway,
    trace: &Trace<'_>,
    request_id: &str,
    status: u16,
    code: Option<&str>,
    took: Duration,
) {
    let param = |wanted: &str| {
        let found = trace.params.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value.as_ref())
    };
    let domains = domains_of(&trace.params);
    let names = Names {
        // An event is about one domain, or about none.
        domain: match domains.as_slice() {
            [one] => one.as_str(),
            _ => "",
        },
        app: param("AppName"),
        stream: param("StreamName"),
    };
    let told = Told {
        request_id,
        action: &trace.action,
        caller: trace.caller.as_ref().and_then(Caller::id),
        status,
        code,
        fault: trace.fault.is_some(),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        upstream: trace.passage.as_ref().map(|passage| passage.to.as_str()),
    };
    gateway
        .services()
        .events
        .tell(events::Kind::Call, names, &told);
}

fn close(
    gateway: &Gateway,
    parts: &HttpParts,
    trace: Trace<'_>,
    request_id: &str,
    error: Option<&ApiError>,
    status: u16,
    took: Duration,
) {
    let cause = error
        .and_then(std::error::Error::source)
        .map(|cause| secrets::text(&cause.to_string()).into_owned());
    let passed = trace.passage.as_ref();
    let code = match error {
        Some(error) => Some(error.code.as_str()),
        None => passed.and_then(|passage| passage.code.clone().map(Cow::Owned)),
    };
    if status >= 500 {
        tracing::warn!(request.id = %request_id, action.name = %trace.action, ?code, ?cause, "request failed");
    } else {
        tracing::debug!(request.id = %request_id, action.name = %trace.action, ?code, status, "request");
    }
    let known = trace.spec.map_or("other", |spec| &spec.action);
    let refused = error.is_some() || status >= 400;
    let result = if refused { "error" } else { "ok" };
    gateway.services().metrics.request(known, result);
    let mismatch = error.is_some_and(|e| e.code == Code::SignatureDoesNotMatch);
    let evidence = mismatch.then(|| Evidence::of(parts)).flatten();
    let message = error.map(ApiError::kept_message);
    tell(gateway, &trace, request_id, status, code.as_deref(), took);
    let entry = Entry {
        request_id: request_id.into(),
        at: gateway.services().clock.now(),
        method: parts.method.as_str().into(),
        verdict: match status {
            200..=299 => "ok",
            500.. => "failed",
            _ => "refused",
        }
        .into(),
        action: trace.action,
        params: trace.params,
        caller: trace.caller.as_ref().and_then(Caller::id).map(Cow::from),
        scheme: trace.scheme,
        status,
        code,
        message: message.map(secrets::text),
        cause,
        ignored: trace.ignored,
        notes: trace.notes.iter().map(ToString::to_string).collect(),
        words: Words::of(&trace.notes),
        fault: trace.fault.is_some(),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        upstream: trace.passage,
    };
    gateway.journal.add(&entry, evidence);
}
