//! Whether a server knows an access key, before an SDK is told that it does not.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use super::control::Control;
use super::demo::objects::signed_url;
use super::http::fetch;
use super::paper::text;
use super::target::Key;
use crate::clock::machine_timeout;
use crate::likeness;

const PATIENCE: Duration = Duration::from_secs(3);
/// A bucket that nobody has: who may ask for it is told that it is not there.
const NOBODYS: &str = "localyun-asks-nobodys-bucket";

/// Why the server would refuse the key, and which one was probably meant; nothing where it takes it, or where that cannot be found out.
pub(super) async fn doubt(client: &Client, control: &Control<'_>, key: &Key) -> Option<String> {
    let looking = async {
        let config = control.get("config").await.ok()?;
        match told(&config, key)? {
            Told::Unknown(doubt) => Some(doubt),
            Told::Known { store } => wrong_secret(client, control, &store?, key).await,
        }
    };
    machine_timeout(PATIENCE, looking).await.flatten()
}

/// What the settings of a server say of a key.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Unknown(String),
    /// It has the id; the store that checks the same keys may say more.
    Known {
        store: Option<String>,
    },
}

fn told(config: &Value, key: &Key) -> Option<Told> {
    let setting = |name: &str| {
        let settings = config.get("settings")?.as_array()?;
        settings.iter().find(|row| text(row, "name") == name)
    };
    // It takes any caller.
    if setting("auth").is_some_and(|row| text(row, "value") == "off") {
        return None;
    }
    let keys = config.get("access_keys")?.as_array()?;
    let is_on = |row: &&Value| row.get("disabled") != Some(&Value::Bool(true));
    let ids = || keys.iter().filter(is_on).map(|row| text(row, "id"));
    let id = &key.id;
    let Some(known) = keys.iter().find(|row| text(row, "id") == id) else {
        let meant = likeness::closest(ids(), id).or_else(|| ids().next())?;
        return Some(Told::Unknown(format!(
            "the server does not know the access key {id}; it has {meant}: --access-key {meant}:SECRET, or LOCALYUN_ACCESS_KEYS"
        )));
    };
    if !is_on(&known) {
        return Some(Told::Unknown(format!(
            "the access key {id} is disabled on the server"
        )));
    }
    let is_outside = setting("oss-endpoint").is_some_and(|row| !text(row, "value").is_empty());
    let store = config.pointer("/addresses/oss").and_then(Value::as_str);
    let store = store.filter(|_| !is_outside && key.token.is_none());
    Some(Told::Known {
        store: store.map(str::to_owned),
    })
}

/// The embedded store checks the same secrets, and what it is asked stands in no journal.
async fn wrong_secret(
    client: &Client,
    control: &Control<'_>,
    store: &str,
    key: &Key,
) -> Option<String> {
    let clock = control.get("clock").await.ok()?;
    let now_s = clock.get("now_ms")?.as_i64()? / 1_000;
    let url = signed_url(store, NOBODYS, "x", key, now_s);
    let answer = fetch(client.get(url)).await.ok()?;
    answer
        .text()
        .contains("<Code>SignatureDoesNotMatch</Code>")
        .then(|| {
            format!(
                "the server has the access key {}, but with another secret",
                key.id
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(auth: &str, id: &str) -> Option<Told> {
        let config = json!({
            "settings": [{"name": "auth", "value": auth}, {"name": "oss-endpoint", "value": null}],
            "access_keys": [{"id": "off1", "disabled": true}, {"id": "alice"}, {"id": "robert"}],
            "addresses": {"oss": "http://h:9000"},
        });
        told(&config, &Key::parse(&format!("{id}:s")).unwrap())
    }

    #[test]
    fn an_unknown_key_is_told_with_the_one_that_was_meant() {
        let doubt = |id: &str| match of("strict", id) {
            Some(Told::Unknown(doubt)) => doubt,
            other => panic!("{other:?}"),
        };
        assert!(doubt("testid").contains("does not know the access key testid; it has alice:"));
        assert!(doubt("roberd").contains("it has robert:"));
        assert!(doubt("off1").contains("disabled"));
        let store = Some("http://h:9000".to_owned());
        assert_eq!(of("strict", "alice"), Some(Told::Known { store }));
        assert_eq!(of("off", "testid"), None);
    }
}
