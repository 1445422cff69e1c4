//! `env`: lines for the shell that asks, such as `eval "$(localyun env)"`. The addresses come from the running server; without one they
//! are the defaults, and both a remark and a line on standard error say so.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::arguments::EnvArgs;
use super::control::Control;
use super::shell::Shell;
use super::target::{Key, Target};
use super::{CliError, Outcome, complain, http, known_key, say, variable};
use crate::clock::machine_timeout;

const PATIENCE: Duration = Duration::from_secs(3);

/// What the caller said by options, which the next command needs too.
#[derive(Debug, Default)]
struct Given<'a> {
    key: Option<&'a str>,
    ca_file: Option<&'a str>,
}

/// Where the parts of a server are.
#[derive(Debug, PartialEq, Eq)]
struct Addresses {
    rtmp: String,
    play: String,
    oss: String,
    /// Set where recordings go to a store outside.
    oss_region: Option<String>,
    note: String,
    answered: bool,
}

pub(super) async fn run(args: &EnvArgs) -> Outcome {
    let shell = args.shell.unwrap_or_else(Shell::of_the_caller);
    let args = &args.target;
    let target = Target::of(args)?;
    let client = http::client_for(args)?;
    let control = Control::new(&client, &target.endpoint);
    let asked = machine_timeout(PATIENCE, control.get("health"))
        .await
        .unwrap_or_else(|| Err(CliError::failed("no answer within 3 s")));
    let addresses = addresses(&target.endpoint, asked);
    let store_key = match (&addresses.oss_region, variable("LOCALYUN_OSS_ACCESS_KEY")) {
        (None, _) => Some(target.key.clone()),
        // The server does not tell the key of an outside store.
        (Some(_), pair) => pair.as_deref().and_then(Key::parse),
    };
    // `eval` does not show what stands in a comment.
    if !addresses.answered {
        complain(&addresses.note);
    } else if let Some(doubt) = known_key::doubt(&client, &control, &target.key).await {
        complain(doubt);
    }
    // The next command may run in another folder.
    let ca_file = args.ca_file.as_deref().map(std::path::absolute);
    let ca_file = ca_file.transpose().map_err(CliError::failed)?;
    let given = Given {
        key: args.access_key.as_deref(),
        ca_file: ca_file.as_deref().and_then(Path::to_str),
    };
    say(lines(
        shell,
        &target,
        &addresses,
        store_key.as_ref(),
        &given,
    ));
    Ok(ExitCode::SUCCESS)
}

fn addresses(endpoint: &Url, asked: Result<Value, CliError>) -> Addresses {
    let answered = asked.is_ok();
    let (answer, note) = match asked {
        Ok(answer) => (answer, format!("localyun at {endpoint}")),
        Err(error) => (
            Value::Null,
            format!("not running? these are the defaults: {error}"),
        ),
    };
    let text = |name: &str, default: &str| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or(default)
            .to_owned()
    };
    Addresses {
        rtmp: text("rtmp", "rtmp://127.0.0.1:1935"),
        play: text("play", "http://127.0.0.1:8088"),
        oss: text("oss", "http://127.0.0.1:9000"),
        oss_region: answer
            .get("oss_region")
            .and_then(Value::as_str)
            .map(str::to_owned),
        // One line, whatever the cause said: the rest would be run by the shell.
        note: note.split_whitespace().collect::<Vec<_>>().join(" "),
        answered,
    }
}

fn lines(
    shell: Shell,
    target: &Target,
    addresses: &Addresses,
    store_key: Option<&Key>,
    given: &Given<'_>,
) -> String {
    let mut out = vec![shell.remark(&addresses.note)];
    if store_key.is_none() {
        out.push(shell.remark(
            "the object store is another one; its key is not told here (LOCALYUN_OSS_ACCESS_KEY)",
        ));
    }
    let variables = variables(target, addresses, store_key, given).into_iter();
    out.extend(variables.map(|(name, value)| shell.set(name, &value)));
    out.push(shell.remark(&format!("taken by: {}", shell.taking())));
    out.join("\n")
}

/// What a program needs to reach a server of this process; `outside` are the key and the region of a store that is not its own.
pub(super) fn variables_of(
    target: &Target,
    rtmp: &str,
    play: &str,
    oss: &str,
    outside: Option<(&Key, &str)>,
) -> Vec<(&'static str, String)> {
    let addresses = Addresses {
        rtmp: rtmp.to_owned(),
        play: play.to_owned(),
        oss: oss.to_owned(),
        oss_region: outside.map(|(_, region)| region.to_owned()),
        note: String::new(),
        answered: true,
    };
    let store_key = outside.map_or(&target.key, |(key, _)| key);
    variables(target, &addresses, Some(store_key), &Given::default())
}

fn variables(
    target: &Target,
    addresses: &Addresses,
    store_key: Option<&Key>,
    given: &Given<'_>,
) -> Vec<(&'static str, String)> {
    let endpoint = target.endpoint.as_str().trim_end_matches('/');
    // SDKs take the host without a scheme.
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, host)| host);
    let key = &target.key;
    let push_url = format!("{}/live/STREAM?vhost=DOMAIN", addresses.rtmp);
    let play_url = format!("{}/live/STREAM.flv?vhost=DOMAIN", addresses.play);
    let region = addresses.oss_region.as_deref().unwrap_or("us-east-1");
    let mut variables = vec![
        ("ALIBABA_CLOUD_ENDPOINT", host),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", &key.id),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &key.secret),
        ("LOCALYUN_ENDPOINT", endpoint),
        ("LOCALYUN_PUSH_URL", &push_url),
        ("LOCALYUN_PLAY_URL", &play_url),
        ("OSS_ENDPOINT", &addresses.oss),
        ("AWS_ENDPOINT_URL_S3", &addresses.oss),
        ("AWS_REGION", region),
    ];
    if let Some(token) = &key.token {
        variables.push(("ALIBABA_CLOUD_SECURITY_TOKEN", token));
    }
    if let Some(key) = store_key {
        variables.extend([
            ("OSS_ACCESS_KEY_ID", key.id.as_str()),
            ("OSS_ACCESS_KEY_SECRET", &key.secret),
            ("AWS_ACCESS_KEY_ID", &key.id),
            ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ]);
        if let Some(token) = &key.token {
            let names = ["OSS_SESSION_TOKEN", "AWS_SESSION_TOKEN"];
            variables.extend(names.map(|name| (name, token.as_str())));
        }
    }
    variables.extend(given.key.map(|pair| ("LOCALYUN_ACCESS_KEYS", pair)));
    variables.extend(given.ca_file.map(|file| ("LOCALYUN_CA_FILE", file)));
    let owned = variables.into_iter();
    owned
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            endpoint: Url::parse("http://127.0.0.1:8080/").unwrap(),
            key: Key {
                id: "id".into(),
                secret: "it's".into(),
                token: Some("t".into()),
            },
        }
    }

    #[test]
    fn the_running_servers_addresses_are_exported() {
        let health =
            serde_json::json!({"rtmp": "rtmp://h:7", "oss": "http://h:8", "play": "http://h:9"});
        let target = target();
        let text = lines(
            Shell::Bash,
            &target,
            &addresses(&target.endpoint, Ok(health)),
            Some(&target.key),
            &Given {
                key: Some("id:it's"),
                ca_file: Some("cert.pem"),
            },
        );
        for line in [
            "export ALIBABA_CLOUD_ENDPOINT='127.0.0.1:8080'",
            r"export ALIBABA_CLOUD_ACCESS_KEY_SECRET='it'\''s'",
            "export LOCALYUN_PUSH_URL='rtmp://h:7/live/STREAM?vhost=DOMAIN'",
            "export LOCALYUN_PLAY_URL='http://h:9/live/STREAM.flv?vhost=DOMAIN'",
            "export AWS_ENDPOINT_URL_S3='http://h:8'",
            "export AWS_SESSION_TOKEN='t'",
            r"export LOCALYUN_ACCESS_KEYS='id:it'\''s'",
            "export LOCALYUN_CA_FILE='cert.pem'",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_store_outside_has_an_address_and_a_key_of_its_own() {
        let health = serde_json::json!({"oss": "http://s3:1", "oss_region": "eu"});
        let target = target();
        let told = addresses(&target.endpoint, Ok(health));
        let text = lines(Shell::Bash, &target, &told, None, &Given::default());
        assert!(text.contains("export AWS_ENDPOINT_URL_S3='http://s3:1'"));
        assert!(text.contains("export AWS_REGION='eu'"));
        assert!(!text.contains("AWS_SECRET_ACCESS_KEY") && text.contains("# the object store"));
        let key = Key::parse("a:b").unwrap();
        let text = lines(Shell::Bash, &target, &told, Some(&key), &Given::default());
        assert!(text.contains("export AWS_SECRET_ACCESS_KEY='b'"));
    }

    #[test]
    fn a_server_of_this_process_leads_to_its_store_outside() {
        let key = Key::parse("a:b").unwrap();
        let of = |outside| {
            let target = target();
            let all = variables_of(&target, "rtmp://h:1", "http://h:2", "http://s3:1", outside);
            let value = |name: &str| {
                let found = all.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.clone())
            };
            [
                "OSS_ENDPOINT",
                "AWS_REGION",
                "OSS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
            ]
            .map(value)
        };
        let some = |text: &str| Some(text.to_owned());
        let theirs = ["http://s3:1", "eu", "a", "b"].map(some);
        let [endpoint, region, id, secret, token] = of(Some((&key, "eu")));
        assert_eq!(([endpoint, region, id, secret], token), (theirs, None));
        let ours = ["http://s3:1", "us-east-1", "id", "it's", "t"].map(some);
        assert_eq!(of(None), ours);
    }

    #[test]
    fn without_a_server_the_defaults_come_with_a_comment() {
        let target = target();
        let refused = Err(CliError::failed("refused\nrm -rf"));
        let text = lines(
            Shell::Bash,
            &target,
            &addresses(&target.endpoint, refused),
            Some(&target.key),
            &Given::default(),
        );
        assert!(text.starts_with("# not running? these are the defaults: refused rm -rf\nexport "));
        assert!(text.contains("export OSS_ENDPOINT='http://127.0.0.1:9000'"));
        assert!(!text.contains("LOCALYUN_ACCESS_KEYS"));
    }
}
