//! A journal entry as something to run again: our own command line, curl, and an SDK call.

use super::Entry;
use crate::wire::params::SIGNING;

fn business<'e>(entry: &'e Entry<'_>) -> impl Iterator<Item = (&'e str, &'e str)> {
    entry
        .params
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .filter(|(name, _)| !SIGNING.contains(name))
}

fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:/=,@%".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// `localyun call …`, which signs anew. `elsewhere`: the server's address, where it is not the one that the tools go to by themselves.
#[must_use]
pub fn as_command(entry: &Entry<'_>, elsewhere: Option<&str>) -> String {
    line("call", entry, elsewhere, "")
}

/// A line of a tool of ours; `options` are written in it, with a space before each.
fn line(tool: &str, entry: &Entry<'_>, elsewhere: Option<&str>, options: &str) -> String {
    let parameters = business(entry).map(|(name, value)| format!("{name}={value}"));
    let mut words = vec![entry.action.to_string()];
    words.extend(parameters);
    let asked: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let asked = asked.join(" ");
    let endpoint = elsewhere.map_or_else(String::new, |endpoint| {
        format!(" --endpoint {}", quoted(endpoint))
    });
    // Whoever sent the request chose its names. One such as `--endpoint` would be an option of the line; behind the two dashes none is.
    if words.iter().any(|word| word.starts_with('-')) {
        format!("localyun {tool}{endpoint}{options} -- {asked}")
    } else {
        format!("localyun {tool} {asked}{endpoint}{options}")
    }
}

/// A curl line; `localyun sign` makes the signed URL that it asks.
#[must_use]
pub fn as_curl(entry: &Entry<'_>, elsewhere: Option<&str>) -> String {
    // The method is signed too.
    let options = if entry.method == "POST" {
        " --method POST"
    } else {
        ""
    };
    let signed = line("sign", entry, elsewhere, options);
    format!("curl -X {} \"$({signed})\"", quoted(&entry.method))
}

/// A call of the generic Python SDK client.
#[must_use]
pub fn as_python(entry: &Entry<'_>) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let query: Vec<String> = business(entry)
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect();
    format!(
        "client.do_rpcrequest({}, \"2016-11-01\", \"HTTP\", \"{}\", \"AK\", \"json\", open_api_models.OpenApiRequest(query={{{}}}), runtime)",
        text(&entry.action),
        entry.method,
        query.join(", ")
    )
}

/// What a call of an SDK's generic client says besides the action: one value each, in the order of `Params`.
const PARAMS: [(&str, &str); 7] = [
    ("version", "2016-11-01"),
    ("protocol", "HTTP"),
    ("authType", "AK"),
    ("style", "RPC"),
    ("pathname", "/"),
    ("reqBodyType", "formData"),
    ("bodyType", "json"),
];

/// A text as JavaScript, Go and Java write it.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The members of `Params` of an entry, each written by `one`.
fn params(entry: &Entry<'_>, one: impl Fn(&str, &str) -> String) -> Vec<String> {
    let own = [
        ("action", entry.action.as_ref()),
        ("method", entry.method.as_ref()),
    ];
    own.iter()
        .chain(&PARAMS)
        .map(|(name, value)| one(name, value))
        .collect()
}

fn joined(entry: &Entry<'_>, one: impl Fn(&str, &str) -> String) -> String {
    let all: Vec<String> = business(entry)
        .map(|(name, value)| one(&literal(name), &literal(value)))
        .collect();
    all.join(", ")
}

/// A call of the generic Node.js SDK client (`@alicloud/openapi-client`).
#[must_use]
pub fn as_node(entry: &Entry<'_>) -> String {
    let params = params(entry, |name, value| format!("{name}: {}", literal(value)));
    format!(
        "await client.callApi(new OpenApi.Params({{ {} }}), new OpenApi.OpenApiRequest({{ query: {{ {} }} }}), new Util.RuntimeOptions({{}}));",
        params.join(", "),
        joined(entry, |name, value| format!("{name}: {value}"))
    )
}

/// A call of the generic Go SDK client (`darabonba-openapi`).
#[must_use]
pub fn as_go(entry: &Entry<'_>) -> String {
    let params = params(entry, |name, value| {
        format!("{}: tea.String({})", capital(name), literal(value))
    });
    format!(
        "result, err := client.CallApi(&openapi.Params{{{}}}, &openapi.OpenApiRequest{{Query: map[string]*string{{{}}}}}, &util.RuntimeOptions{{}})",
        params.join(", "),
        joined(entry, |name, value| format!("{name}: tea.String({value})"))
    )
}

/// A call of the generic Java SDK client (`tea-openapi`).
#[must_use]
pub fn as_java(entry: &Entry<'_>) -> String {
    let params = params(entry, |name, value| {
        format!(".set{}({})", capital(name), literal(value))
    });
    format!(
        "client.callApi(new Params(){}, new OpenApiRequest().setQuery(Map.ofEntries({})), new RuntimeOptions());",
        params.concat(),
        joined(entry, |name, value| format!("Map.entry({name}, {value})"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        for word in ["StreamName=*", "Name={AppName}", "a b", "", "$HOME", "a?"] {
            assert_eq!(quoted(word), format!("'{word}'"));
        }
        assert_eq!(
            quoted("DomainName=play.example.com"),
            "DomainName=play.example.com"
        );
    }

    #[test]
    fn an_entry_is_run_again_without_its_signature() {
        let pair = |name: &'static str, value: &'static str| (name.into(), value.into());
        let entry = Entry {
            request_id: "".into(),
            at: 0,
            method: "POST".into(),
            action: "DescribeLiveRecordConfig".into(),
            params: vec![
                pair("Signature", "***"),
                pair("DomainName", "play.example.com"),
                pair("StreamName", "it's"),
            ],
            caller: None,
            scheme: crate::rpc::caller::Scheme::V1,
            verdict: "ok".into(),
            status: 200,
            code: None,
            message: None,
            cause: None,
            ignored: Vec::new(),
            notes: Vec::new(),
            words: None,
            fault: false,
            took_us: 0,
            upstream: None,
        };
        assert_eq!(
            as_command(&entry, None),
            "localyun call DescribeLiveRecordConfig DomainName=play.example.com 'StreamName=it'\\''s'"
        );
        let curl = as_curl(&entry, Some("http://h:1"));
        assert!(curl.starts_with("curl -X POST \"$(localyun sign Describe"));
        assert!(curl.ends_with(" --endpoint http://h:1 --method POST)\""));
        let get = Entry {
            method: "GET".into(),
            ..entry.clone()
        };
        assert!(!as_curl(&get, None).contains("--method"));
        // A method is whatever a stranger sends, too.
        let strange = Entry {
            method: "`id`".into(),
            ..entry.clone()
        };
        assert!(as_curl(&strange, None).starts_with("curl -X '`id`' "));
        let options = Entry {
            params: vec![
                pair("--endpoint", "http://evil"),
                pair("DomainName", "d.example.com"),
            ],
            ..entry.clone()
        };
        assert_eq!(
            as_command(&options, Some("http://h:1")),
            "localyun call --endpoint http://h:1 -- DescribeLiveRecordConfig --endpoint=http://evil DomainName=d.example.com"
        );
        assert_eq!(
            as_curl(&options, None),
            "curl -X POST \"$(localyun sign --method POST -- DescribeLiveRecordConfig --endpoint=http://evil DomainName=d.example.com)\""
        );
        let action = Entry {
            action: "-V".into(),
            params: Vec::new(),
            ..entry.clone()
        };
        assert_eq!(as_command(&action, None), "localyun call -- -V");
        assert!(
            as_python(&entry)
                .contains("{\"DomainName\": \"play.example.com\", \"StreamName\": \"it's\"}")
        );
        let node = as_node(&entry);
        assert!(
            node.starts_with(
                "await client.callApi(new OpenApi.Params({ action: \"DescribeLiveRecordConfig\", method: \"POST\""
            )
        );
        assert!(node.contains("\"StreamName\": \"it's\"") && !node.contains("Signature"));
        let go = as_go(&entry);
        assert!(go.contains("ReqBodyType: tea.String(\"formData\")"));
        assert!(go.contains("\"StreamName\": tea.String(\"it's\")"));
        let java = as_java(&entry);
        assert!(java.contains(".setMethod(\"POST\").setVersion(\"2016-11-01\")"));
        assert!(java.contains("Map.entry(\"StreamName\", \"it's\")"));
    }
}
