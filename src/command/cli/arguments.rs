//! What may be written behind `localyun`. The flags of `serve` come from the table of settings, so that help, environment
//! and config file cannot drift apart.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches, Parser, Subcommand};

use super::shell::Shell;
use crate::config::{KEYS, Raw};

/// The version, with the commit and the date of the build where whoever built it named them (`LOCALYUN_BUILD`).
fn version() -> String {
    match option_env!("LOCALYUN_BUILD").filter(|build| !build.is_empty()) {
        Some(build) => format!("{} ({build})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Alibaba Cloud ApsaraVideo Live on your own machine. Without a subcommand: serve.
#[derive(Debug, Parser)]
#[command(name = "localyun", version = version(), disable_help_subcommand = true)]
#[command(after_help = "Options without a subcommand are those of serve: localyun serve --help")]
struct Program {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Show the main job end to end on a throw-away folder and free ports, then keep serving
    Demo(DemoArgs),
    /// Sign one API request, send it and print the answer
    Call(CallArgs),
    /// Print one API request, signed
    Sign(SignArgs),
    /// Print every documented action and how it stands
    Coverage(CoverageArgs),
    /// Push a clip over RTMP
    Publish(PublishArgs),
    /// Watch a live stream and tell what comes of it
    Play(PlayArgs),
    /// Tell by the exit status whether the server is ready
    Health(TargetArgs),
    /// Print the shell lines that point SDKs and tools at the server
    Env(EnvArgs),
    /// Follow what happens, a line each: calls, pushes, recordings, files, callbacks, faults
    Tail(TailArgs),
    /// Wait until something has happened; status 1 when it has not in time
    Wait(WaitArgs),
    /// Move the service clock: SECONDS, next, or until INSTANT
    Advance(AdvanceArgs),
    /// Forget all configs, streams, records, callbacks and stored objects
    Reset(ViewArgs),
    /// Say which rule would record a stream and why, or why nothing would
    Explain(ExplainArgs),
    /// List recording sessions and their files
    Recordings(ListArgs),
    /// List callbacks and how they went
    Callbacks(ListArgs),
    /// Fetch a stored object
    Get(GetArgs),
    /// The control state as a file
    Snapshot(SnapshotArgs),
    /// Run scripts of calls against localyun and an upstream and show where the answers differ
    Compare(CompareArgs),
    /// Look at what usually goes wrong
    Doctor(DoctorArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

/// Where the server is and who is calling.
#[derive(Debug, Default, Args)]
pub(super) struct TargetArgs {
    /// The API port [env: LOCALYUN_ENDPOINT] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub(super) endpoint: Option<String>,
    /// Access key [env: the first pair of LOCALYUN_ACCESS_KEYS] [default: testid:testsecret]
    #[arg(long, value_name = "ID:SECRET")]
    pub(super) access_key: Option<String>,
    /// Certificates (PEM) to trust for https, such as DATA-DIR/tls/cert.pem of serve --tls-addr [env: LOCALYUN_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct EnvArgs {
    /// The shell that takes the lines; without it the one that calls
    #[arg(long, value_enum)]
    pub(super) shell: Option<Shell>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// What is called.
#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// An action, such as DescribeLiveRecordConfig
    pub(super) action: String,
    /// Its parameters, lists as RecordFormat.1.Format=mp4
    #[arg(value_name = "KEY=VALUE")]
    pub(super) parameters: Vec<String>,
    /// Send names that the documented API does not know
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End after the last step instead of serving on
    #[arg(long)]
    pub(super) exit: bool,
}

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    #[command(flatten)]
    pub(super) request: RequestArgs,
    /// Sign the parameters (RPC signature V1) instead of the headers (ACS3-HMAC-SHA256)
    #[arg(long)]
    pub(super) v1: bool,
}

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    #[command(flatten)]
    pub(super) request: RequestArgs,
    /// Print what is signed as well, on standard error; with a URL in the action's place: find out what is wrong with its signature
    #[arg(long)]
    pub(super) explain: bool,
    /// A header of the request to explain
    #[arg(short = 'H', long, value_name = "NAME: VALUE", requires = "explain")]
    pub(super) header: Vec<String>,
    /// The body of the request to explain, which makes it a POST
    #[arg(long, value_name = "BODY", requires = "explain")]
    pub(super) data: Option<String>,
    /// A signed URL (RPC signature V1); this is the default
    #[arg(long, conflicts_with = "acs3")]
    pub(super) v1: bool,
    /// A curl line with signed headers (ACS3-HMAC-SHA256)
    #[arg(long)]
    pub(super) acs3: bool,
    /// The HTTP method that is signed
    #[arg(long, value_parser = ["GET", "POST"], ignore_case = true, default_value = "GET")]
    pub(super) method: String,
}

#[derive(Debug, Args)]
pub(super) struct CoverageArgs {
    /// Compare the embedded API with a newer description of it: what api-spec/import.py reads, or the gateway's metadata
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<std::path::PathBuf>,
    /// JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Streaming domain
    #[arg(long)]
    pub(super) domain: String,
    /// Application
    #[arg(long, default_value = "live")]
    pub(super) app: String,
    /// Stream
    #[arg(long)]
    pub(super) stream: String,
    /// A built-in clip (h264_aac, hevc_enhanced, audio_only, video_only, one_per_second) or an FLV file
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) clip: Option<String>,
    /// Seconds of media; without it until Ctrl-C, or one round of the clip at speed 0
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) seconds: Option<f64>,
    /// 1 is real time, 0 as fast as it goes
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(super) speed: f64,
    /// More arguments of the push URL, such as auth_key=...
    #[arg(long, value_name = "NAME=VALUE&...")]
    pub(super) query: Option<String>,
    /// The RTMP port [env: LOCALYUN_RTMP_ADDR, else that of LOCALYUN_PUSH_URL] [default: that of the server, else 127.0.0.1:1935]
    #[arg(long, value_name = "ADDR")]
    pub(super) rtmp_addr: Option<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Which streams are meant.
#[derive(Debug, Args)]
pub(super) struct NamesArgs {
    /// Only of this domain
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// Only of this application
    #[arg(long)]
    pub(super) app: Option<String>,
    /// Only of this stream
    #[arg(long)]
    pub(super) stream: Option<String>,
}

/// How something is shown.
#[derive(Debug, Args)]
pub(super) struct ViewArgs {
    /// JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Kinds of events; none at all would mean every one to the server.
fn kinds(text: &str) -> Result<String, String> {
    let mut names = text.split(',').map(str::trim);
    if names.any(|name| !name.is_empty()) {
        return Ok(text.to_owned());
    }
    Err("name a kind, such as file".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    pub(super) names: NamesArgs,
    /// Only these kinds: call, publish, unpublish, record, slice, file, callback, play, snapshot, fault, clock, object
    #[arg(long, value_name = "KIND,...", value_parser = kinds)]
    pub(super) kind: Option<String>,
    /// Begin behind the event of that id
    #[arg(long, value_name = "ID")]
    pub(super) since: Option<u64>,
    /// Events as JSON, one a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct WaitArgs {
    /// What is waited for: file, callback, publish, … or several, separated by commas
    #[arg(value_parser = kinds)]
    pub(super) kind: String,
    #[command(flatten)]
    pub(super) names: NamesArgs,
    /// How many events
    #[arg(long, default_value_t = 1)]
    pub(super) count: u64,
    /// Seconds
    #[arg(
        long,
        value_name = "S",
        default_value_t = 30.0,
        allow_negative_numbers = true
    )]
    pub(super) timeout: f64,
    /// Count behind the event of that id instead of from the start
    #[arg(long, value_name = "ID")]
    pub(super) since: Option<u64>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct AdvanceArgs {
    /// SECONDS, `next` (the next due time), or `until INSTANT`
    #[arg(required = true, num_args = 1..=2, value_name = "SECONDS|next|until INSTANT", allow_negative_numbers = true)]
    pub(super) how: Vec<String>,
    #[command(flatten)]
    pub(super) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Streaming or ingest domain
    pub(super) domain: String,
    /// Application
    pub(super) app: String,
    /// Stream
    pub(super) stream: String,
    /// Push arguments, as in a push URL
    #[arg(long, value_name = "NAME=VALUE&...")]
    pub(super) args: Option<String>,
    #[command(flatten)]
    pub(super) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) names: NamesArgs,
    /// Only from this instant on
    #[arg(long, value_name = "INSTANT")]
    pub(super) since: Option<String>,
    /// Rows at most, 1 to 1000
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(super) limit: Option<u64>,
    /// Go on behind an earlier page
    #[arg(long)]
    pub(super) cursor: Option<String>,
    #[command(flatten)]
    pub(super) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    pub(super) object: String,
    /// Where it goes; standard output without it, and with -
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<std::path::PathBuf>,
    /// Print a signed address of it instead, good for a day
    #[arg(long, conflicts_with = "output")]
    pub(super) url: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    #[command(subcommand)]
    pub(super) what: SnapshotTool,
}

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotTool {
    /// Write the control state to a file (`-`: standard output)
    Save {
        file: std::path::PathBuf,
        /// Take the stored objects along
        #[arg(long)]
        with_objects: bool,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Put a file's state in the place of all that there is (`-`: from standard input)
    Load {
        file: std::path::PathBuf,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Say what two files have apart (`-`: standard input); status 1 where it is something
    Diff {
        a: std::path::PathBuf,
        b: std::path::PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) view: ViewArgs,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// bash, zsh, fish or powershell
    #[arg(ignore_case = true)]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct PlayArgs {
    /// rtmp://HOST/APP/STREAM, or http://HOST/APP/STREAM.flv or .m3u8
    #[arg(value_name = "URL", conflicts_with_all = ["domain", "stream", "query"])]
    pub(super) url: Option<String>,
    /// Play domain, with --stream instead of a URL
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// Application
    #[arg(long, default_value = "live")]
    pub(super) app: String,
    /// Stream
    #[arg(long)]
    pub(super) stream: Option<String>,
    /// How it is watched
    #[arg(long, value_parser = ["flv", "rtmp", "hls"], default_value = "flv")]
    pub(super) format: String,
    /// More arguments of the play URL, such as auth_key=...
    #[arg(long, value_name = "NAME=VALUE&...")]
    pub(super) query: Option<String>,
    /// Write what comes: FLV for flv and rtmp, MPEG-TS for hls; -: to standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(super) output: Option<String>,
    /// Seconds to watch; without it until the stream ends or Ctrl-C
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) seconds: Option<f64>,
    /// JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// The play port [env: LOCALYUN_PLAY_ADDR, else that of LOCALYUN_PLAY_URL] [default: that of the server of LOCALYUN_ENDPOINT, else 127.0.0.1:8088]
    #[arg(long, value_name = "ADDR")]
    pub(super) play_addr: Option<String>,
    /// The RTMP port [env: LOCALYUN_RTMP_ADDR, else that of LOCALYUN_PUSH_URL] [default: that of the server of LOCALYUN_ENDPOINT, else 127.0.0.1:1935]
    #[arg(long, value_name = "ADDR")]
    pub(super) rtmp_addr: Option<String>,
    /// Certificates (PEM) to trust for https [env: LOCALYUN_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Scripts (YAML), or folders of them
    #[arg(required = true, value_name = "SCRIPT|FOLDER")]
    pub(super) scripts: Vec<std::path::PathBuf>,
    /// The other service, such as https://live.aliyuncs.com [env: LOCALYUN_UPSTREAM]
    #[arg(long, value_name = "URL")]
    pub(super) upstream: Option<String>,
    /// Its access key; ID:SECRET:TOKEN brings a security token [env: LOCALYUN_UPSTREAM_ACCESS_KEY]
    #[arg(long, value_name = "ID:SECRET")]
    pub(super) upstream_access_key: Option<String>,
    /// Certificates (PEM) to trust for the upstream, and no others [env: LOCALYUN_UPSTREAM_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub(super) upstream_ca_file: Option<String>,
    /// Where the upstream takes pushes [default: port 1935 of the domain that is pushed to]
    #[arg(long, value_name = "ADDR")]
    pub(super) upstream_push: Option<String>,
    /// The upstream is a localyun too: its clock is advanced instead of waiting
    #[arg(long)]
    pub(super) upstream_localyun: bool,
    /// The same as --endpoint
    #[arg(long, value_name = "URL", conflicts_with = "endpoint")]
    pub(super) server: Option<String>,
    /// What scripts may do beside reading; scripts that need more are not run: write, delete, push, wait, or all
    #[arg(long, value_name = "WHAT,...")]
    pub(super) allow: Option<String>,
    /// A variable of the scripts, for both sides
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) var: Vec<String>,
    /// A variable that is another one at the upstream
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) upstream_var: Vec<String>,
    /// Sign the parameters (RPC signature V1) instead of the headers (ACS3-HMAC-SHA256)
    #[arg(long)]
    pub(super) v1: bool,
    /// Show the steps with the same answer too
    #[arg(long)]
    pub(super) all: bool,
    /// JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Write a report for continuous integration (JUnit XML)
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<std::path::PathBuf>,
    /// Write a report that can be sent to others: keys, accounts, domains, buckets and addresses are masked
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// The subcommand with what was written behind it.
#[derive(Debug)]
pub(super) enum Chosen {
    Serve(Raw),
    Demo(DemoArgs),
    Call(CallArgs),
    Sign(SignArgs),
    Coverage(CoverageArgs),
    Publish(PublishArgs),
    Play(PlayArgs),
    Health(TargetArgs),
    Env(EnvArgs),
    Tail(TailArgs),
    Wait(WaitArgs),
    Advance(AdvanceArgs),
    Reset(ViewArgs),
    Explain(ExplainArgs),
    Recordings(ListArgs),
    Callbacks(ListArgs),
    Get(GetArgs),
    Snapshot(SnapshotTool),
    Compare(CompareArgs),
    Doctor(DoctorArgs),
    Completions(clap_complete::Shell),
    /// The settings of the server, and the command that runs beside it.
    Exec(Raw, Vec<OsString>),
}

/// Reads the command line, the program's own name first.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Chosen, clap::Error> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.is_empty() {
        args.push("localyun".into());
    }
    let own = ["-h", "--help", "-V", "--version"];
    let is_flag = |arg: &OsString| {
        let text = arg.to_string_lossy();
        text.starts_with('-') && !own.contains(&text.as_ref())
    };
    if args.get(1).is_none_or(is_flag) {
        args.insert(1, "serve".into());
    }
    // `localyun help [TOOL]` is what many try first.
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    let matches = command().try_get_matches_from(args)?;
    if let Some((name @ ("serve" | "exec"), flags)) = matches.subcommand() {
        let mut raw = Raw::default();
        for key in KEYS {
            if let Some(value) = flags.get_one::<String>(key.name) {
                raw.set(key.name, value.clone(), format!("--{}", key.name));
            }
        }
        if name == "serve" {
            return Ok(Chosen::Serve(raw));
        }
        let command = flags.get_many::<OsString>(COMMAND);
        let command = command.map_or_else(Vec::new, |words| words.cloned().collect());
        return Ok(Chosen::Exec(raw, command));
    }
    Ok(match Program::from_arg_matches(&matches)?.tool {
        Tool::Demo(args) => Chosen::Demo(args),
        Tool::Call(args) => Chosen::Call(args),
        Tool::Sign(args) => Chosen::Sign(args),
        Tool::Coverage(args) => Chosen::Coverage(args),
        Tool::Publish(args) => Chosen::Publish(args),
        Tool::Play(args) => Chosen::Play(args),
        Tool::Health(args) => Chosen::Health(args),
        Tool::Env(args) => Chosen::Env(args),
        Tool::Tail(args) => Chosen::Tail(args),
        Tool::Wait(args) => Chosen::Wait(args),
        Tool::Advance(args) => Chosen::Advance(args),
        Tool::Reset(args) => Chosen::Reset(args),
        Tool::Explain(args) => Chosen::Explain(args),
        Tool::Recordings(args) => Chosen::Recordings(args),
        Tool::Callbacks(args) => Chosen::Callbacks(args),
        Tool::Get(args) => Chosen::Get(args),
        Tool::Snapshot(args) => Chosen::Snapshot(args.what),
        Tool::Compare(args) => Chosen::Compare(args),
        Tool::Doctor(args) => Chosen::Doctor(args),
        Tool::Completions(args) => Chosen::Completions(args.shell),
    })
}

/// The name under which `exec` keeps the command that it runs.
const COMMAND: &str = "command";

/// The listeners to which `exec` gives a free port unless an option says otherwise.
pub(super) const LISTENERS: [&str; 4] = ["api-addr", "rtmp-addr", "play-addr", "oss-addr"];

/// The listeners of TLS, which `exec` has where they are asked for. A port that a variable names is one of another server.
pub(super) const TLS_LISTENERS: [&str; 2] = ["tls-addr", "play-tls-addr"];

/// Where a server keeps things, and as which of several it runs. A variable of the environment means another server, which the caller has beside
/// that of `exec`: it must neither write into that one's database and store nor join its cluster.
pub(super) const OF_ANOTHER_SERVER: [&str; 13] = [
    "data-dir",
    "database-url",
    "oss-endpoint",
    "oss-access-key",
    "oss-addressing",
    "oss-public-url",
    "oss-region",
    "cluster",
    "cluster-addr",
    "cluster-token",
    "node-id",
    "node-lease",
    "spool-mirror",
];

/// What a setting is in `exec` where no option says it, for those that are not as in `serve`.
fn default_of_exec(name: &str) -> Option<&'static str> {
    match name {
        "data-dir" => Some("a throw-away folder"),
        "ephemeral" => Some("on, unless --data-dir is written"),
        "tls-addr" => Some("none; a free port where LOCALYUN_TLS_ADDR is set"),
        "play-tls-addr" => Some("none; a free port where LOCALYUN_PLAY_TLS_ADDR is set"),
        name => LISTENERS.contains(&name).then_some("a free port"),
    }
}

/// Whether `exec` takes a setting from the environment as `serve` does.
fn counts_in_exec(name: &str) -> bool {
    default_of_exec(name).is_none() && !OF_ANOTHER_SERVER.contains(&name)
}

/// The whole command with `serve` in front, and `exec`, which takes the same options.
pub(super) fn command() -> Command {
    let serve = with_settings(
        Command::new("serve")
            .about("Start every service in the foreground, until SIGTERM or Ctrl-C"),
        |_| None,
        |_| true,
    );
    let exec = with_settings(Command::new("exec").about(
        "Run a command beside a server of its own, on free ports and a throw-away folder, with the variables of env set",
    ), default_of_exec, counts_in_exec);
    let exec = exec.arg(
        Arg::new(COMMAND)
            .value_name("COMMAND")
            .num_args(1..)
            .last(true)
            .required(true)
            .value_parser(clap::value_parser!(OsString))
            .help("The command and its arguments, behind --"),
    );
    let whole = <Program as clap::CommandFactory>::command()
        .subcommand(serve.display_order(0))
        .subcommand(exec);
    // A terminal gets lines of its width; whatever else reads gets each paragraph whole.
    if std::io::stdout().is_terminal() {
        whole
    } else {
        whole.term_width(0)
    }
}

/// The settings as options. `own` are the defaults that a subcommand has in the place of `serve`'s; `reads_variable` says whose variable counts.
fn with_settings(
    command: Command,
    own: fn(&str) -> Option<&'static str>,
    reads_variable: fn(&str) -> bool,
) -> Command {
    KEYS.iter().fold(command, |command, key| {
        let mut help = key.help.to_owned();
        if reads_variable(key.name) {
            help.push_str(&format!(" [env: {}]", key.env));
        }
        if let Some(default) = own(key.name).or(key.default) {
            help.push_str(&format!(" [default: {default}]"));
        }
        let mut flag = Arg::new(key.name)
            .long(key.name)
            .allow_negative_numbers(true)
            .value_name(key.value)
            .action(ArgAction::Set)
            .help(help);
        if key.switch {
            flag = flag
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("on");
        }
        command.arg(flag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Chosen, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_what_remains() {
        for line in ["localyun", "localyun serve", ""] {
            assert!(matches!(parsed(line), Ok(Chosen::Serve(_))), "{line}");
        }
        for line in [
            "localyun --api-addr 127.0.0.1:0 --auth off",
            "localyun serve --auth=off --api-addr 127.0.0.1:0",
        ] {
            let Ok(Chosen::Serve(raw)) = parsed(line) else {
                panic!("{line} is serve")
            };
            let config = crate::config::load(&raw, |_| None).unwrap();
            assert_eq!(config.api_addr, "127.0.0.1:0");
            assert_eq!(config.auth, crate::config::Auth::Off);
        }
    }

    /// As whatever is no terminal gets it.
    fn help_of(name: &str) -> String {
        let whole = command();
        let one = whole.find_subcommand(name).unwrap().clone();
        one.term_width(0).render_long_help().to_string()
    }

    #[test]
    fn the_help_of_exec_tells_its_own_defaults() {
        let help = help_of("exec");
        for (name, value) in [
            ("api-addr", "a free port"),
            ("play-addr", "a free port"),
            ("data-dir", "a throw-away folder"),
        ] {
            let key = KEYS.iter().find(|key| key.name == name).unwrap();
            let line = format!("{} [default: {value}]", key.help);
            assert!(help.contains(&line), "{line}");
        }
        assert!(!help.contains("127.0.0.1:8080") && !help.contains("LOCALYUN_DATA_DIR"));
        assert!(help.contains("[env: LOCALYUN_AUTH] [default: strict]"));
        // Those of another server do not count.
        for name in OF_ANOTHER_SERVER {
            let key = KEYS.iter().find(|key| key.name == name).unwrap();
            assert!(!help.contains(key.env), "{}", key.env);
        }
        assert!(help.contains("[default: none; a free port where LOCALYUN_TLS_ADDR is set]"));
    }

    #[test]
    fn a_narrow_terminal_gets_lines_of_its_width() {
        let mut narrow = command().term_width(80);
        narrow.build();
        let told = |help: String| help.lines().map(|line| line.chars().count()).max();
        for one in narrow.get_subcommands_mut() {
            let name = one.get_name().to_owned();
            assert!(told(one.render_help().to_string()) <= Some(80), "{name}");
        }
        assert!(told(narrow.render_help().to_string()) <= Some(80));
    }

    #[test]
    fn every_setting_is_a_flag_with_its_help() {
        let help = help_of("serve");
        for key in KEYS {
            let flag = format!("--{}", key.name);
            assert!(help.contains(&flag), "{}", key.name);
            assert!(
                help.contains(key.env) && help.contains(key.help),
                "{}",
                key.name
            );
        }
    }

    #[test]
    fn exec_has_the_options_of_serve_before_its_command() {
        let line = "localyun exec --auth off --ephemeral -- pytest -x --auth on";
        let Ok(Chosen::Exec(raw, command)) = parsed(line) else {
            panic!("this is exec")
        };
        assert_eq!(command, ["pytest", "-x", "--auth", "on"]);
        assert_eq!(
            crate::config::load(&raw, |_| None).unwrap().auth,
            crate::config::Auth::Off
        );
        assert!(parsed("localyun exec --auth off").is_err());
    }

    #[test]
    fn what_stands_behind_two_dashes_is_no_option() {
        let line = "localyun call --endpoint http://h:1 -- Describe --endpoint=http://evil A=1";
        let Ok(Chosen::Call(call)) = parsed(line) else {
            panic!("this is a call")
        };
        assert_eq!(call.request.action, "Describe");
        assert_eq!(call.request.parameters, ["--endpoint=http://evil", "A=1"]);
        assert_eq!(call.request.target.endpoint.as_deref(), Some("http://h:1"));
        let line = "localyun sign --method POST -- -V --force";
        let Ok(Chosen::Sign(sign)) = parsed(line) else {
            panic!("this is a signature")
        };
        assert_eq!(
            (sign.request.action.as_str(), sign.request.force),
            ("-V", false)
        );
    }

    #[test]
    fn options_may_stand_behind_parameters() {
        let line = "localyun call Describe A=1 B.1=-2 --endpoint http://h:1 --v1";
        let Ok(Chosen::Call(call)) = parsed(line) else {
            panic!("this is a call")
        };
        assert_eq!(call.request.parameters, ["A=1", "B.1=-2"]);
        assert_eq!(call.request.target.endpoint.as_deref(), Some("http://h:1"));
        assert!(call.v1);
    }
}
