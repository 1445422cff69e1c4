//! Why a signature was refused: which known mistake of a client, signed with the key's own secret, gives the very
//! signature that came.
//!
//! Why: two strings that have to be equal and are not tell a client's author everything, but the server has only its own.
//! Trying what clients are known to do wrong recovers the other one. A signature is a keyed hash, so what matches is no guess.
//! The answer on the wire keeps the product's form; this is for the journal and for `sign --explain`.
//!
//! Cost: the journal keeps a refused request (`evidence.rs`), and it is looked into only when somebody reads the journal,
//! once, within a bound of work. No text that is made here holds a secret: values of secret parameters and headers, and
//! values that hold the access key's secret, are masked before the strings are built.

mod acs3;
mod search;
mod spelling;
mod v1;

use crate::evidence::{Diagnosis, Difference, Words};
use crate::phrases::{Phrase, Said};
use crate::secrets;
use crate::signature_v3::{Authorization, is_acs3};
use crate::wire::http_parts::HttpParts;
use crate::wire::params::parse_pairs;

/// Bytes of a string that are shown.
const SHOWN: usize = 8 * 1024;
/// Characters around a difference that are shown, on each side.
const CONTEXT: usize = 30;
/// What stands for a value that nobody may see.
const MASK: &str = "masked";

/// What a scheme's search came to.
struct Recovered {
    /// The mistakes and the text that was signed with them.
    client: Option<(Vec<Said>, String)>,
    server: String,
    tries: usize,
}

/// The access key that a request names.
#[must_use]
pub fn key_id(parts: &HttpParts) -> Option<String> {
    if let Some(header) = parts.header("authorization").filter(|_| is_acs3(parts)) {
        return Authorization::parse(header)
            .ok()
            .map(|authorization| authorization.credential.to_owned());
    }
    let form = parts.is_form().then_some(&parts.body[..]);
    let pairs = parse_pairs(&parts.query, form).ok()?;
    pairs.get("AccessKeyId").map(str::to_owned)
}

/// Looks for what a client did wrong; `None` where the request carries no signature that can be read. Bounded work, some
/// milliseconds.
#[must_use]
pub fn examine(parts: &HttpParts, secret: &str) -> Option<Diagnosis> {
    let recovered = if is_acs3(parts) {
        acs3::recover(parts, secret)
    } else {
        v1::recover(parts, secret)
    }?;
    Some(tell(recovered))
}

fn tell(recovered: Recovered) -> Diagnosis {
    let Recovered {
        client,
        server,
        tries,
    } = recovered;
    let Some((mistakes, client)) = client else {
        let finding = Phrase::NoKnownWay.with([("tries", &tries)]);
        return Diagnosis {
            finding: finding.to_string(),
            mistakes: Vec::new(),
            words: Words {
                finding,
                mistakes: Vec::new(),
            },
            client_string: None,
            server_string: shown(&server),
            first_difference: None,
        };
    };
    let difference = difference(&client, &server);
    let finding = match (&difference, mistakes.is_empty()) {
        (_, true) => Phrase::SignatureIsRight.into(),
        (Some(difference), _) => {
            Phrase::AnotherTextSigned.around([("at", &difference.at)], "mistakes", mistakes.clone())
        }
        (None, _) => Phrase::SignedWrongly.around([], "mistakes", mistakes.clone()),
    };
    Diagnosis {
        finding: finding.to_string(),
        mistakes: mistakes.iter().map(ToString::to_string).collect(),
        words: Words { finding, mistakes },
        client_string: Some(shown(&client)),
        server_string: shown(&server),
        first_difference: difference,
    }
}

/// Where two texts part.
fn difference(client: &str, server: &str) -> Option<Difference> {
    if client == server {
        return None;
    }
    let same = client.bytes().zip(server.bytes());
    let at = same.take_while(|(left, right)| left == right).count();
    Some(Difference {
        at,
        client: around(client, at),
        server: around(server, at),
    })
}

/// The characters around a byte of a text, with dots where it goes on.
fn around(text: &str, at: usize) -> String {
    let at = text.floor_char_boundary(at);
    let (before, after) = text.split_at(at);
    let start = before
        .char_indices()
        .rev()
        .nth(CONTEXT - 1)
        .map_or(0, |(index, _)| index);
    let end = after
        .char_indices()
        .nth(CONTEXT)
        .map_or(after.len(), |(index, _)| index);
    let dots = |more: bool| if more { "…" } else { "" };
    format!(
        "{}{}{}{}",
        dots(start > 0),
        before.get(start..).unwrap_or_default(),
        after.get(..end).unwrap_or_default(),
        dots(end < after.len())
    )
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(SHOWN);
    let head = text.get(..cut).unwrap_or_default();
    format!("{head}… ({} bytes)", text.len())
}

/// A value as it may be shown.
fn hidden(name: &str, value: &str, secret: &str) -> String {
    let tells = !value.is_empty() && secrets::is_name(name);
    if tells || (!secret.is_empty() && value.contains(secret)) {
        MASK.to_owned()
    } else {
        secrets::text(value).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_what_is_around_it() {
        let long = "x".repeat(100);
        let found = difference(&format!("{long}+{long}"), &format!("{long}%20{long}")).unwrap();
        assert_eq!(found.at, 100);
        let near = "x".repeat(CONTEXT);
        assert_eq!(
            found.client,
            format!("…{near}+{}…", "x".repeat(CONTEXT - 1))
        );
        assert_eq!(
            found.server,
            format!("…{near}%20{}…", "x".repeat(CONTEXT - 3))
        );
        assert_eq!(difference("a", "a"), None);
        // One is the beginning of the other; a difference inside a character.
        let end = difference("ab\n", "ab").unwrap();
        assert_eq!(
            (end.at, end.client.as_str(), end.server.as_str()),
            (2, "ab\n", "ab")
        );
        assert_eq!(difference("中", "丮").unwrap().client, "中");
    }

    #[test]
    fn long_strings_are_cut() {
        assert!(shown(&"中".repeat(SHOWN)).ends_with(&format!("… ({} bytes)", 3 * SHOWN)));
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        assert_eq!(hidden("SecurityToken", "t", "s3cret"), MASK);
        assert_eq!(hidden("x-acs-security-token", "t", "s3cret"), MASK);
        assert_eq!(hidden("StreamName", "my s3cret here", "s3cret"), MASK);
        assert_eq!(hidden("StreamName", "s1", ""), "s1");
        assert_eq!(hidden("SecurityToken", "", "s3cret"), "");
    }

    #[test]
    fn a_request_without_a_readable_signature_has_no_diagnosis() {
        let parts = HttpParts {
            method: "GET".to_owned(),
            query: "Action=X&AccessKeyId=a".to_owned(),
            ..HttpParts::default()
        };
        assert_eq!(examine(&parts, "s"), None);
        assert_eq!(key_id(&parts).as_deref(), Some("a"));
    }
}
