//! The routes of the control plane, in the order of their document. The router, `Allow`, the OpenAPI document and the table in
//! docs/control.md are made of this table; a route is added by a row.

use serde_json::json;

use super::ask::{Ask, answer};
use super::listing::LIST;
use super::table::{Field, Kind, Query, Route, Shape, Who, Working, field};
use super::{
    call, clock, console, explain, faults, happenings, node, objects, openapi, recordings,
    requests, resend, rules, signed, sinks, snapshot, streams, ticket, watch,
};

/// A handler as the table keeps it.
macro_rules! by {
    ($handler:path) => {
        |ask: Ask| -> Working { Box::pin($handler(ask)) }
    };
}

/// The routes, a line each.
fn listed(_: Ask) -> Working {
    let lines: Vec<String> = ROUTES.iter().map(Route::line).collect();
    let told = json!({"routes": lines, "openapi": "/_localyun/control.openapi.json"});
    Box::pin(async move { answer(&told) })
}

/// The routes as OpenAPI.
fn described(ask: Ask) -> Working {
    let Ask { app, parts, .. } = ask;
    let server = app.addresses().endpoint_for(&parts);
    let told = openapi::document(ROUTES, &server);
    Box::pin(async move { answer(&told) })
}

const NOTHING: Query = Query::Of(&[]);

/// A route of the owner's.
const fn row(
    method: &'static str,
    path: &'static str,
    query: Query,
    shapes: (Shape, Shape),
    doc: &'static str,
    handler: fn(Ask) -> Working,
) -> Route {
    Route {
        method,
        path,
        query,
        body: shapes.0,
        answer: shapes.1,
        doc,
        who: Who::Owner,
        handler,
    }
}

const fn open_to(who: Who, mut route: Route) -> Route {
    route.who = who;
    route
}

const fn of(fields: &'static [Field]) -> (Shape, Shape) {
    (Shape::None, Shape::Fields(fields))
}

const FILTER: &[Field] = &[
    field(
        "kind",
        Kind::Text,
        "only events of these kinds, separated by commas",
    ),
    field("domain", Kind::Text, "only about this domain"),
    field("app", Kind::Text, "only about this application"),
    field("stream", Kind::Text, "only about this stream"),
    field("since", Kind::Whole, "the id of an event: those behind it"),
];

const TOTAL: Field = field("total", Kind::Whole, "rows that fit, on all pages").needed();
const NEXT: Field = field(
    "next",
    Kind::Text,
    "the cursor of the next page; null on the last one",
);

const CLOCK: &[Field] = &[
    field("now", Kind::Text, "what the clock shows").needed(),
    field("now_ms", Kind::Whole, "the same in Unix milliseconds").needed(),
    field(
        "offset_ms",
        Kind::Whole,
        "how far it is ahead of the machine's clock",
    )
    .needed(),
    field("frozen", Kind::Truth, "only an advance moves it").needed(),
    field("waiting", Kind::Whole, "due times ahead").needed(),
    field(
        "next_due",
        Kind::Text,
        "the next of them, housekeeping apart; null where there is none",
    ),
    field("next_due_ms", Kind::Whole, "the same in Unix milliseconds"),
    field(
        "settled",
        Kind::Truth,
        "of an advance: everything that fell due is done",
    ),
    field(
        "advanced_ms",
        Kind::Whole,
        "of an advance: how far the clock was moved",
    ),
];

const SINK_ANSWER: &[Field] = &[
    field("status", Kind::Whole, "200 to 599; 200 where absent"),
    field("body", Kind::Any, "a text, or any JSON; empty where absent"),
    field("content_type", Kind::Text, "that of the body"),
    field(
        "delay_ms",
        Kind::Whole,
        "machine time before the answer, at most 60000",
    ),
];

const FAULT: &[Field] = &[
    field(
        "at",
        Kind::Text,
        "`api:ActionName`, `store`, `object-put`, `callback` or `ingest`",
    )
    .needed(),
    field(
        "first",
        Kind::Whole,
        "how many times it strikes; for ever where absent",
    ),
    field(
        "delay_ms",
        Kind::Whole,
        "milliseconds of machine time, at most 600000",
    ),
    field("code", Kind::Text, "the error; none: it only delays"),
    field(
        "struck",
        Kind::Whole,
        "how often it struck; told, never taken",
    ),
];

const FAULTS: &[Field] = &[field("faults", Kind::List, "those that are armed").needed()];

const OBJECT: &[Field] = &[
    field("bucket", Kind::Text, "its bucket").needed(),
    field("key", Kind::Text, "its name").needed(),
];

const TICKET: &[Field] = &[
    field("until", Kind::Whole, "of a ticket: its end"),
    field(
        "ticket",
        Kind::Text,
        "from `POST /_localyun/ui/ticket`; not needed with the token, or where there is none",
    ),
];

const STATE: &str = "the control state: see Seeds and snapshots";

/// Every route.
pub static ROUTES: &[Route] = &[
    row(
        "GET",
        "/_localyun",
        NOTHING,
        of(&[
            field("routes", Kind::List, "a line each").needed(),
            field("openapi", Kind::Text, "where they are described").needed(),
        ]),
        "the routes",
        listed,
    ),
    open_to(
        Who::Everybody,
        row(
            "GET",
            "/_localyun/health",
            NOTHING,
            of(&[
                field("status", Kind::Text, "`ready`; with status 503 `degraded`").needed(),
                field("version", Kind::Text, "the program's").needed(),
                field("api", Kind::Text, "its address").needed(),
                field("rtmp", Kind::Text, "its address").needed(),
                field("play", Kind::Text, "its address").needed(),
                field("oss", Kind::Text, "the object store's address").needed(),
                field("parts", Kind::Object, "the state of each part").needed(),
            ]),
            "addresses, version and the state of each part; 503 where one does not answer",
            by!(node::health),
        ),
    ),
    open_to(
        Who::Everybody,
        row(
            "GET",
            "/_localyun/live",
            NOTHING,
            of(&[field("status", Kind::Text, "`live`").needed()]),
            "the process answers",
            by!(node::live),
        ),
    ),
    open_to(
        Who::Everybody,
        row(
            "GET",
            "/_localyun/ready",
            NOTHING,
            of(&[field(
                "status",
                Kind::Text,
                "`ready`; with status 503 `stopping` or `degraded`",
            )
            .needed()]),
            "publishers are taken; 503 where they are not",
            by!(node::ready),
        ),
    ),
    row(
        "GET",
        "/_localyun/nodes",
        NOTHING,
        of(&[
            field("nodes", Kind::List, "each with `id`, addresses and `state`").needed(),
            TOTAL,
        ]),
        "the nodes of the cluster, one where there is none",
        by!(node::nodes),
    ),
    row(
        "POST",
        "/_localyun/reset",
        NOTHING,
        of(&[field("reset", Kind::Truth, "true").needed()]),
        "forgets all configs, streams, records, callbacks, events, sinks and stored objects, and sets the clock back",
        by!(node::reset),
    ),
    row(
        "GET",
        "/_localyun/requests",
        Query::Of(&[
            LIST,
            &[
                field("action", Kind::Text, "only this action"),
                field("request_id", Kind::Text, "only this request"),
                field(
                    "problems",
                    Kind::Truth,
                    "only what was not answered as asked",
                ),
            ],
        ]),
        of(&[
            field("requests", Kind::List, "the newest first").needed(),
            TOTAL,
            NEXT,
        ]),
        "the last 1000 API requests: action, parameters, caller, verdict, error, time taken, how to make them again",
        by!(requests::list),
    ),
    row(
        "GET",
        "/_localyun/events",
        Query::Of(&[
            FILTER,
            &[field(
                "limit",
                Kind::Whole,
                "of what is replayed only the newest so many, 1 to 16384",
            )],
        ]),
        (
            Shape::None,
            Shape::Stream(
                "text/event-stream",
                "server-sent events: `id`, `event` (the kind), `data` (JSON)",
            ),
        ),
        "follows what happens; `since` or the header Last-Event-ID replays",
        by!(happenings::follow),
    ),
    row(
        "GET",
        "/_localyun/wait",
        Query::Of(&[
            FILTER,
            &[
                field(
                    "count",
                    Kind::Whole,
                    "how many events are waited for, 1 to 10000; 1 where absent",
                ),
                field(
                    "timeout_s",
                    Kind::Number,
                    "seconds of machine time, at most 600; 30 where absent",
                ),
            ],
        ]),
        of(&[
            field("events", Kind::List, "the oldest first").needed(),
            field("count", Kind::Whole, "how many").needed(),
            field("next", Kind::Whole, "the id to go on from as `since`").needed(),
            field(
                "missed",
                Kind::Truth,
                "events behind `since` are not kept any more",
            )
            .needed(),
        ]),
        "answers when so many events have happened since the start or the last reset; 408 with what there was otherwise, 503 where the service stops before",
        by!(happenings::wait),
    ),
    row(
        "GET",
        "/_localyun/streams",
        Query::Of(&[LIST]),
        of(&[
            field("streams", Kind::List, "in the order of their names").needed(),
            TOTAL,
            NEXT,
        ]),
        "the streams being published now, with codec, bitrate and recorder state",
        by!(streams::list),
    ),
    row(
        "POST",
        "/_localyun/streams",
        NOTHING,
        (
            Shape::Fields(&[
                field("domain", Kind::Text, "the streaming or ingest domain").needed(),
                field("app", Kind::Text, "`live` where absent"),
                field("stream", Kind::Text, "its name").needed(),
                field(
                    "clip",
                    Kind::Text,
                    "a built-in clip, or the path of an FLV file on the server's machine",
                ),
                field(
                    "seconds",
                    Kind::Number,
                    "of media; absent: until it is ended, at speed 0 one round of the clip",
                ),
                field(
                    "speed",
                    Kind::Number,
                    "1 is real time, 0 as fast as it goes",
                ),
                field("query", Kind::Text, "push arguments, such as `auth_key=…`"),
                field("wait", Kind::Truth, "answer only when the push has ended"),
            ]),
            Shape::Fields(&[
                field("publishing", Kind::Text, "the stream that is live"),
                field(
                    "published",
                    Kind::Text,
                    "the stream whose push has ended, with `media_ms`, `messages` and `bytes`",
                ),
            ]),
        ),
        "publishes a clip with no client at all",
        by!(streams::publish),
    ),
    row(
        "DELETE",
        "/_localyun/streams/{domain}/{app}/{stream}",
        NOTHING,
        of(&[field("ended", Kind::Text, "the stream").needed()]),
        "ends any publisher",
        by!(streams::end),
    ),
    row(
        "GET",
        "/_localyun/recordings",
        Query::Of(&[LIST, &[field("session", Kind::Text, "only this session")]]),
        of(&[
            field(
                "recordings",
                Kind::List,
                "the newest first, each with its files",
            )
            .needed(),
            TOTAL,
            NEXT,
        ]),
        "recording sessions and their files, each with a `signed_url` that plays in a browser",
        by!(recordings::list),
    ),
    row(
        "GET",
        "/_localyun/signed",
        Query::Of(&[&[
            field("bucket", Kind::Text, "the bucket").needed(),
            field("key", Kind::Text, "the object").needed(),
        ]]),
        of(&[
            field("url", Kind::Text, "good for a day").needed(),
            field("good_for_s", Kind::Whole, "seconds").needed(),
        ]),
        "a signed address of any stored object",
        by!(signed::sign),
    ),
    row(
        "GET",
        "/_localyun/callbacks",
        Query::Of(&[
            LIST,
            &[field(
                "state",
                Kind::Text,
                "only `pending`, `success` or `failed`",
            )],
        ]),
        of(&[
            field("callbacks", Kind::List, "the newest first").needed(),
            TOTAL,
            NEXT,
            field("paused", Kind::Truth, "deliveries stand still").needed(),
        ]),
        "every callback: kind, URL, body, attempts, answers, next try",
        by!(recordings::callbacks),
    ),
    row(
        "PUT",
        "/_localyun/callbacks",
        NOTHING,
        (
            Shape::Fields(&[
                field("paused", Kind::Truth, "whether deliveries stand still").needed(),
            ]),
            Shape::Fields(&[field("paused", Kind::Truth, "the same").needed()]),
        ),
        "lets deliveries stand still, or go on; what comes meanwhile waits. A reset and a restart let them go on",
        by!(resend::pause),
    ),
    row(
        "POST",
        "/_localyun/callbacks/{id}/replay",
        NOTHING,
        (
            Shape::Fields(&[
                field("url", Kind::Text, "another receiver"),
                field("body", Kind::Text, "another body"),
            ]),
            Shape::Fields(&[field(
                "replayed",
                Kind::Whole,
                "its id; of a changed copy, the copy's",
            )
            .needed()]),
        ),
        "sends a callback once more and waits for it; 409 while it is still being tried. With `url` or `body` a changed copy is sent; a `url` as lists show it, with `***` for secrets, is the callback's own, any other one with `***` is refused (400)",
        by!(resend::replay),
    ),
    open_to(
        Who::Everybody,
        Route {
            query: Query::Any,
            ..row(
                "ANY",
                "/_localyun/sink/{name}",
                NOTHING,
                (
                    Shape::Other("*/*", "whatever is sent"),
                    Shape::Other("*/*", "what the sink was told to answer"),
                ),
                "a receiver of callbacks: keeps what comes, in bounds",
                by!(sinks::receive),
            )
        },
    ),
    row(
        "GET",
        "/_localyun/sinks",
        NOTHING,
        of(&[
            field("sinks", Kind::List, "each with the number of its requests").needed(),
            TOTAL,
        ]),
        "the sinks that something came to, or that were told what to answer",
        by!(sinks::list),
    ),
    row(
        "GET",
        "/_localyun/sinks/{name}",
        Query::Of(&[&[
            field("since", Kind::Text, "only from this instant on"),
            field(
                "limit",
                Kind::Whole,
                "rows at most, 1 to 1000; 100 where absent",
            ),
            field(
                "cursor",
                Kind::Text,
                "`next` of the answer before, for the rows behind it",
            ),
        ]]),
        of(&[
            field("requests", Kind::List, "in the order in which they came").needed(),
            field("answer", Kind::Object, "what it answers").needed(),
            field("dropped", Kind::Whole, "older requests that made room").needed(),
            TOTAL,
            NEXT,
        ]),
        "what came to a sink",
        by!(sinks::show),
    ),
    row(
        "PUT",
        "/_localyun/sinks/{name}",
        NOTHING,
        (
            Shape::Fields(SINK_ANSWER),
            Shape::Fields(&[field("answer", Kind::Object, "what it answers from now on").needed()]),
        ),
        "says what a sink answers",
        by!(sinks::tell),
    ),
    row(
        "DELETE",
        "/_localyun/sinks/{name}",
        NOTHING,
        of(&[field("emptied", Kind::Truth, "true").needed()]),
        "forgets what came to a sink",
        by!(sinks::empty),
    ),
    row(
        "GET",
        "/_localyun/clock",
        NOTHING,
        of(CLOCK),
        "the service clock that every timer of the product uses",
        by!(clock::show),
    ),
    row(
        "POST",
        "/_localyun/clock",
        NOTHING,
        (
            Shape::Fields(&[field(
                "frozen",
                Kind::Truth,
                "true stops the clock, false lets it run on",
            )
            .needed()]),
            Shape::Fields(CLOCK),
        ),
        "stops the clock, or lets it run on from where it is",
        by!(clock::set),
    ),
    row(
        "POST",
        "/_localyun/clock/advance",
        NOTHING,
        (
            Shape::Fields(&[
                field("seconds", Kind::Number, "how far"),
                field("next", Kind::Truth, "to the next due time"),
                field(
                    "until",
                    Kind::Text,
                    "to an instant such as `2026-03-01T02:00:00Z`",
                ),
            ]),
            Shape::Fields(CLOCK),
        ),
        "moves the clock forward, by one of the fields; what falls due on the way is done, in order, before the answer",
        by!(clock::advance),
    ),
    row(
        "GET",
        "/_localyun/explain",
        Query::Of(&[&[
            field("domain", Kind::Text, "the streaming or ingest domain").needed(),
            field("app", Kind::Text, "the application").needed(),
            field("stream", Kind::Text, "the stream").needed(),
            field("args", Kind::Text, "the push arguments, as in a push URL"),
        ]]),
        of(&[
            field("records", Kind::Truth, "whether it would be recorded").needed(),
            field("why", Kind::Text, "why, or why not").needed(),
            field("cure", Kind::Text, "what to do where it would not be"),
            field(
                "words",
                Kind::Object,
                "`why`, `cure` and `note` as codes with values, for whoever words them in another language",
            )
            .needed(),
            field(
                "kept_out",
                Kind::Object,
                "`why` the stream or its domain is kept out (ForbidLiveStream, StopLiveDomain), and the `cure`",
            ),
            field("rule", Kind::Object, "the rule that wins"),
            field(
                "considered",
                Kind::List,
                "every rule of the domain with its verdict",
            )
            .needed(),
        ]),
        "which rule would record a stream and why, or why nothing would",
        by!(explain::explain),
    ),
    row(
        "PUT",
        "/_localyun/faults",
        NOTHING,
        (Shape::Fields(FAULT), Shape::Fields(FAULTS)),
        "arms a fault, or with a list (or `{\"faults\": […]}`) those in place of all",
        by!(faults::arm),
    ),
    row(
        "GET",
        "/_localyun/faults",
        NOTHING,
        of(FAULTS),
        "the armed faults, with how often each struck",
        by!(faults::list),
    ),
    row(
        "DELETE",
        "/_localyun/faults",
        NOTHING,
        of(FAULTS),
        "disarms all",
        by!(faults::disarm),
    ),
    row(
        "GET",
        "/_localyun/coverage",
        NOTHING,
        (
            Shape::None,
            Shape::Json("every documented action and its standing"),
        ),
        "every documented action and its standing",
        by!(node::coverage),
    ),
    row(
        "GET",
        "/_localyun/config",
        NOTHING,
        of(&[
            field(
                "settings",
                Kind::List,
                "each with its value and source, secrets masked",
            )
            .needed(),
            field(
                "addresses",
                Kind::Object,
                "where the caller reaches the listeners",
            )
            .needed(),
            field("access_keys", Kind::List, "their ids; no secret is told").needed(),
        ]),
        "the settings in force and their sources",
        by!(node::config),
    ),
    row(
        "GET",
        "/_localyun/snapshot",
        Query::Of(&[&[field(
            "objects",
            Kind::Truth,
            "true takes the stored objects along",
        )]]),
        (Shape::None, Shape::Stream("application/json", STATE)),
        "the whole control state as one readable JSON",
        by!(snapshot::export),
    ),
    row(
        "PUT",
        "/_localyun/snapshot",
        NOTHING,
        (
            Shape::Stream("application/json", STATE),
            Shape::Fields(&[
                field("imported", Kind::Truth, "true").needed(),
                field("rules", Kind::Whole, "how many there are now").needed(),
                field(
                    "missing_secrets",
                    Kind::List,
                    "secrets that the snapshot hides and that are not held here",
                )
                .needed(),
            ]),
        ),
        "puts a snapshot in the place of all that there is",
        by!(snapshot::import),
    ),
    row(
        "POST",
        "/_localyun/seed",
        NOTHING,
        (
            Shape::Stream(
                "application/json",
                "a seed: a snapshot of which everything may be absent that the API defaults",
            ),
            Shape::Fields(&[
                field("seeded", Kind::Truth, "true").needed(),
                field("rules", Kind::Whole, "how many there are now").needed(),
            ]),
        ),
        "puts a seed beside what is there; what exists already stays",
        by!(snapshot::seed),
    ),
    row(
        "GET",
        "/_localyun/control.openapi.json",
        NOTHING,
        (Shape::None, Shape::Json("OpenAPI 3.1")),
        "this control plane as OpenAPI 3.1, made from the same table as the router",
        described,
    ),
    row(
        "GET",
        "/_localyun/openapi.json",
        NOTHING,
        (Shape::None, Shape::Json("OpenAPI")),
        "the cloud's API as OpenAPI, made from the embedded spec",
        by!(node::cloud_openapi),
    ),
    open_to(
        Who::Scraper,
        row(
            "GET",
            "/metrics",
            NOTHING,
            (
                Shape::None,
                Shape::Other("application/openmetrics-text", "Prometheus text"),
            ),
            "the counters",
            by!(node::metrics),
        ),
    ),
    row(
        "POST",
        "/_localyun/call",
        NOTHING,
        (
            Shape::Fields(&[
                field("action", Kind::Text, "the action's name").needed(),
                field(
                    "params",
                    Kind::Object,
                    "its parameters by name, flat as they travel; lists and objects become JSON text",
                ),
            ]),
            Shape::Fields(&[
                field("status", Kind::Whole, "that of the answer").needed(),
                field(
                    "request_id",
                    Kind::Text,
                    "by which it stands in the journal",
                ),
                field("answer", Kind::Any, "what the API answered").needed(),
                field("headers", Kind::Object, "its `x-localyun-…` headers"),
            ]),
        ),
        "makes a call of the API with the first access key; 200 whatever the API answers",
        by!(call::make),
    ),
    row(
        "GET",
        "/_localyun/actions/{name}",
        NOTHING,
        of(&[
            field("action", Kind::Text, "its name").needed(),
            field(
                "standing",
                Kind::Text,
                "`implemented`, `declined` or `spec-only`",
            )
            .needed(),
            field(
                "params",
                Kind::List,
                "each with `name`, `type`, `required`, `default`, `values`, `members`",
            )
            .needed(),
            field("errors", Kind::List, "each with `code` and `status`").needed(),
        ]),
        "what the spec says of one action",
        by!(call::action),
    ),
    row(
        "GET",
        "/_localyun/rules",
        Query::Of(&[&[field("domain", Kind::Text, "only of this domain")]]),
        of(&[
            field(
                "domains",
                Kind::List,
                "each with `rules` in order of `precedence`, `ingest`, `play_domain`, `notify`",
            )
            .needed(),
            TOTAL,
        ]),
        "the rules of each domain, in the order in which they are asked",
        by!(rules::list),
    ),
    row(
        "GET",
        "/_localyun/buckets",
        NOTHING,
        of(&[
            field(
                "buckets",
                Kind::List,
                "each with `name`, `created_at`, `acl`, `cors`",
            )
            .needed(),
            TOTAL,
        ]),
        "the buckets of the store that recordings go to",
        by!(objects::buckets),
    ),
    row(
        "PUT",
        "/_localyun/buckets/{name}",
        NOTHING,
        (
            Shape::Fields(&[field(
                "acl",
                Kind::Text,
                "`private`, `public-read` or `public-read-write`",
            )
            .needed()]),
            Shape::Fields(&[field("acl", Kind::Text, "the same").needed()]),
        ),
        "says who may read a bucket of the embedded store",
        by!(objects::set_acl),
    ),
    row(
        "GET",
        "/_localyun/objects",
        Query::Of(&[&[
            field("bucket", Kind::Text, "its name").needed(),
            field("prefix", Kind::Text, "only names that begin so"),
            field(
                "delimiter",
                Kind::Text,
                "`/`: what lies in folders is told by the folder",
            ),
            field(
                "limit",
                Kind::Whole,
                "rows at most, 1 to 1000; 100 where absent",
            ),
            field("cursor", Kind::Text, "`next` of the answer before"),
        ]]),
        of(&[
            field(
                "objects",
                Kind::List,
                "each with `key`, `size`, `last_modified`, `etag`, `content_type`, `acl`",
            )
            .needed(),
            field("prefixes", Kind::List, "the folders").needed(),
            NEXT,
        ]),
        "what lies in a bucket",
        by!(objects::list),
    ),
    row(
        "GET",
        "/_localyun/object",
        Query::Of(&[OBJECT]),
        of(&[
            field("key", Kind::Text, "its name").needed(),
            field("size", Kind::Whole, "bytes").needed(),
            field(
                "signed_url",
                Kind::Text,
                "an address that is good for a day",
            ),
        ]),
        "what is known of one object",
        by!(objects::one),
    ),
    open_to(
        Who::Page,
        row(
            "GET",
            "/_localyun/ui/object",
            Query::Of(&[OBJECT, TICKET]),
            (
                Shape::None,
                Shape::Stream("application/octet-stream", "the object; ranges are taken"),
            ),
            "the bytes of a stored object, for the console's players and downloads",
            by!(watch::object),
        ),
    ),
    open_to(
        Who::Page,
        row(
            "GET",
            "/_localyun/ui/play",
            Query::Of(&[
                OBJECT,
                &[field(
                    "from",
                    Kind::Whole,
                    "of a playlist: the number of the entry to begin with",
                )],
                TICKET,
            ]),
            (Shape::None, Shape::Stream("video/mp4", "a fragmented MP4")),
            "a stored FLV, MPEG-TS or M3U8 recording as a browser plays it",
            by!(watch::play),
        ),
    ),
    open_to(
        Who::Page,
        row(
            "GET",
            "/_localyun/ui/live",
            Query::Of(&[
                &[
                    field("domain", Kind::Text, "its streaming domain").needed(),
                    field("app", Kind::Text, "its application").needed(),
                    field("stream", Kind::Text, "its name").needed(),
                ],
                TICKET,
            ]),
            (
                Shape::None,
                Shape::Stream("video/mp4", "a fragmented MP4 without an end"),
            ),
            "a live stream as a browser plays it, for the console, whichever node has it; it counts as no viewer, but that a list has it among the `viewers` of another node's stream",
            by!(watch::live),
        ),
    ),
    row(
        "POST",
        "/_localyun/ui/ticket",
        NOTHING,
        (
            Shape::Fields(&[field(
                "path",
                Kind::Text,
                "one of `ui/object`, `ui/play` and `ui/live` with its query",
            )
            .needed()]),
            Shape::Fields(&[
                field("url", Kind::Text, "the path with a ticket").needed(),
                field("good_for_s", Kind::Whole, "seconds of machine time").needed(),
            ]),
        ),
        "an address that a player can fetch without the control token",
        by!(ticket::give),
    ),
    open_to(
        Who::Page,
        row(
            "GET",
            "/_localyun/ui/{file...}",
            Query::Any,
            (
                Shape::None,
                Shape::Other("text/html", "the console and its files"),
            ),
            "the console",
            by!(console::file),
        ),
    ),
];
