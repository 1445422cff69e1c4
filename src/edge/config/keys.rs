//! The table of settings: name, environment variable, default, help. `--help`, the config file and docs/cli.md follow it.

use crate::identity::WELL_KNOWN_KEY;

/// One setting of `serve`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The flag without its dashes; in the config file with underscores.
    pub name: &'static str,
    pub env: &'static str,
    pub default: Option<&'static str>,
    pub value: &'static str,
    pub help: &'static str,
    /// Never shown.
    pub secret: bool,
    /// The flag alone means `on`.
    pub switch: bool,
}

const fn key(
    name: &'static str,
    env: &'static str,
    default: Option<&'static str>,
    value: &'static str,
    help: &'static str,
) -> Key {
    Key {
        name,
        env,
        default,
        value,
        help,
        secret: false,
        switch: false,
    }
}

const fn secret(mut key: Key) -> Key {
    key.secret = true;
    key
}

const fn switch(mut key: Key) -> Key {
    key.switch = true;
    key
}

/// Every setting, in the order of `--help`.
pub const KEYS: &[Key] = &[
    key(
        "config",
        "LOCALYUN_CONFIG",
        None,
        "FILE",
        "Config file (TOML); its keys are these names with underscores",
    ),
    key(
        "data-dir",
        "LOCALYUN_DATA_DIR",
        Some(".localyun"),
        "DIR",
        "Folder for the database, the spool and the embedded object store",
    ),
    switch(key(
        "ephemeral",
        "LOCALYUN_EPHEMERAL",
        Some("off"),
        "on|off",
        "A folder of its own in the temporary directory, removed at the end",
    )),
    key(
        "api-addr",
        "LOCALYUN_API_ADDR",
        Some("127.0.0.1:8080"),
        "ADDR",
        "OpenAPI and control plane; port 0 takes a free port",
    ),
    key(
        "rtmp-addr",
        "LOCALYUN_RTMP_ADDR",
        Some("127.0.0.1:1935"),
        "ADDR",
        "RTMP ingest",
    ),
    key(
        "oss-addr",
        "LOCALYUN_OSS_ADDR",
        Some("127.0.0.1:9000"),
        "ADDR",
        "Embedded object store, OSS and S3",
    ),
    key(
        "play-addr",
        "LOCALYUN_PLAY_ADDR",
        Some("127.0.0.1:8088"),
        "ADDR",
        "Live playback over HTTP: /APP/STREAM.flv, .m3u8 and .mp4",
    ),
    key(
        "play-tls-addr",
        "LOCALYUN_PLAY_TLS_ADDR",
        None,
        "ADDR",
        "Live playback over HTTPS, with the certificate that the domain was given, else the self-signed one",
    ),
    key(
        "tls-addr",
        "LOCALYUN_TLS_ADDR",
        None,
        "ADDR",
        "The API over HTTPS with a self-signed certificate kept in the data folder",
    ),
    secret(key(
        "database-url",
        "LOCALYUN_DATABASE_URL",
        None,
        "URL",
        "sqlite://, postgres:// or mysql://; default: SQLite in the data folder",
    )),
    secret(key(
        "access-keys",
        "LOCALYUN_ACCESS_KEYS",
        Some(WELL_KNOWN_KEY),
        "ID:SECRET,...",
        "Access keys; ID:SECRET:TOKEN takes a security token, ID:SECRET:disabled refuses the key",
    )),
    key(
        "auth",
        "LOCALYUN_AUTH",
        Some("strict"),
        "strict|off",
        "off accepts any caller and says so in every answer",
    ),
    key(
        "clock-start",
        "LOCALYUN_CLOCK_START",
        None,
        "TIME",
        "Instant at which the service clock starts (2026-03-01T02:00:00Z)",
    ),
    key(
        "clock",
        "LOCALYUN_CLOCK",
        Some("running"),
        "running|frozen",
        "frozen starts with a clock that only an advance moves",
    ),
    key(
        "id-seed",
        "LOCALYUN_ID_SEED",
        None,
        "NUMBER",
        "Request, record and session ids follow from this number, the same in every run",
    ),
    key(
        "public-host",
        "LOCALYUN_PUBLIC_HOST",
        None,
        "HOST",
        "Host name that answers carry when clients see this machine under another name",
    ),
    key(
        "seed",
        "LOCALYUN_SEED",
        None,
        "FILE",
        "JSON file of rules, notify configs and domains to start with",
    ),
    key(
        "domains",
        "LOCALYUN_DOMAINS",
        Some("any"),
        "any|declared",
        "declared refuses domains that are not declared",
    ),
    key(
        "buckets",
        "LOCALYUN_BUCKETS",
        Some("auto"),
        "auto|existing",
        "auto creates a bucket that a config names; existing refuses it",
    ),
    key(
        "default-domain",
        "LOCALYUN_DEFAULT_DOMAIN",
        None,
        "DOMAIN",
        "Streaming domain of pushes that name none",
    ),
    key(
        "oss-endpoint",
        "LOCALYUN_OSS_ENDPOINT",
        None,
        "URL",
        "Send recordings to this S3-compatible store instead of the embedded one",
    ),
    secret(key(
        "oss-access-key",
        "LOCALYUN_OSS_ACCESS_KEY",
        None,
        "ID:SECRET",
        "Key for --oss-endpoint",
    )),
    key(
        "oss-addressing",
        "LOCALYUN_OSS_ADDRESSING",
        Some("path"),
        "path|virtual",
        "How buckets of --oss-endpoint are addressed",
    ),
    key(
        "oss-public-url",
        "LOCALYUN_OSS_PUBLIC_URL",
        None,
        "URL",
        "Address under which clients see the object store, for every URL that is handed out",
    ),
    key(
        "oss-region",
        "LOCALYUN_OSS_REGION",
        Some("us-east-1"),
        "REGION",
        "Region for signatures to --oss-endpoint",
    ),
    key(
        "limits",
        "LOCALYUN_LIMITS",
        Some("off"),
        "off|on",
        "on enforces the documented calls per second (Throttling.User)",
    ),
    secret(key(
        "control-token",
        "LOCALYUN_CONTROL_TOKEN",
        None,
        "TOKEN",
        "Bearer token of /_localyun and /metrics; without one /_localyun answers callers of this machine only, whatever the API listens on",
    )),
    secret(key(
        "bearer-tokens",
        "LOCALYUN_BEARER_TOKENS",
        None,
        "TOKEN,...",
        "Bearer tokens that the API accepts instead of a signature",
    )),
    key(
        "upstream",
        "LOCALYUN_UPSTREAM",
        None,
        "URL",
        "A real (or another) endpoint of the API, such as https://live.aliyuncs.com, for calls that --upstream-mode forwards",
    ),
    secret(key(
        "upstream-access-key",
        "LOCALYUN_UPSTREAM_ACCESS_KEY",
        None,
        "ID:SECRET",
        "Key that forwarded calls are signed anew with; ID:SECRET:TOKEN sends a security token along",
    )),
    key(
        "upstream-mode",
        "LOCALYUN_UPSTREAM_MODE",
        Some("off"),
        "off|unimplemented|all|replay",
        "unimplemented forwards what localyun does not implement, all every call; replay answers from --cassette without a network",
    ),
    key(
        "upstream-allow",
        "LOCALYUN_UPSTREAM_ALLOW",
        None,
        "ACTION,...",
        "Forward these actions alone; * stands for any letters",
    ),
    key(
        "upstream-refuse",
        "LOCALYUN_UPSTREAM_REFUSE",
        None,
        "ACTION,...|none",
        "Never forward these actions; default: Delete*,BatchDelete* with --upstream-mode all, else none",
    ),
    key(
        "upstream-ca-file",
        "LOCALYUN_UPSTREAM_CA_FILE",
        None,
        "FILE",
        "Certificates (PEM) to trust at --upstream instead of the system's",
    ),
    key(
        "upstream-timeout",
        "LOCALYUN_UPSTREAM_TIMEOUT",
        Some("30s"),
        "TIME",
        "How long a forwarded call may take (30s, 500ms)",
    ),
    key(
        "upstream-answer-limit",
        "LOCALYUN_UPSTREAM_ANSWER_LIMIT",
        Some("4194304"),
        "BYTES",
        "Largest answer that is taken from --upstream",
    ),
    key(
        "cassette",
        "LOCALYUN_CASSETTE",
        None,
        "DIR",
        "Folder in which forwarded calls are kept, a file each, secrets masked; where --upstream-mode replay answers from",
    ),
    key(
        "cassette-miss",
        "LOCALYUN_CASSETTE_MISS",
        Some("refuse"),
        "refuse|emulate",
        "What --upstream-mode replay does with a call that no recorded one fits: an error, or localyun's own answer",
    ),
    key(
        "cluster",
        "LOCALYUN_CLUSTER",
        Some("off"),
        "off|on",
        "on: one of several nodes on one PostgreSQL (--database-url) and one S3-compatible store (--oss-endpoint)",
    ),
    key(
        "cluster-addr",
        "LOCALYUN_CLUSTER_ADDR",
        Some("127.0.0.1:7946"),
        "ADDR",
        "Where a node listens to the other nodes: players, lists and the clock of all nodes. 0.0.0.0 listens on every address and is reached at the one that leads to the database",
    ),
    secret(key(
        "cluster-token",
        "LOCALYUN_CLUSTER_TOKEN",
        None,
        "TOKEN",
        "What nodes show each other, the same on all; without one only nodes on this machine are answered",
    )),
    key(
        "node-id",
        "LOCALYUN_NODE_ID",
        None,
        "NAME",
        "The node's name, which no other node has; default: the host name",
    ),
    key(
        "node-lease",
        "LOCALYUN_NODE_LEASE",
        Some("6s"),
        "DURATION",
        "How long a node that is not heard of keeps its streams",
    ),
    key(
        "spool-mirror",
        "LOCALYUN_SPOOL_MIRROR",
        Some("1s"),
        "DURATION|off",
        "How old recorded media may become before it is in the object store too, for the loss of a node; off: it lies on the node alone",
    ),
    key(
        "log",
        "LOCALYUN_LOG",
        Some("info"),
        "FILTER",
        "Log filter on standard error (error, warn, info, debug, or localyun::live=debug)",
    ),
];

/// The setting of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
