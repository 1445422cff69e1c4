//! ACS3-HMAC-SHA256: the ways in which clients get it wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::search::{Found, Mistake, Tried, each, left_out, search};
use super::spelling::{Order, Spelling, Verb, canonical_query};
use super::{Recovered, hidden};
use crate::phrases::{Phrase, Said};
use crate::signature_v3::{self, ALGORITHM, Authorization};
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pairs, parse_pairs};

type Pair = (String, String);

const CONTENT_HASH: &str = "x-acs-content-sha256";

/// Which parameters stand in the canonical query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Query,
    Nothing,
    WithForm,
    WithoutEmpty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Own,
    Root,
    Empty,
    Encoded,
}

/// The order of the signed headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    AsListed,
    /// Lines and list sorted.
    Sorted,
    /// The lines sorted, the list as it came.
    LinesSorted,
    /// The list sorted, the lines as it came.
    ListSorted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    AsSent,
    Lower,
    Upper,
    /// The value after `: `.
    Spaced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    AsSent,
    WithoutPort,
    Port80,
    Port443,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// As x-acs-content-sha256 says.
    Claimed,
    Actual,
    OfNothing,
    Upper,
    Absent,
}

/// Where lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Right,
    NewlineAfterCanonical,
    NewlineAfterStringToSign,
    NoEmptyLine,
    CarriageReturns,
}

/// What is signed of the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    Hash,
    UpperHash,
    HashWithoutAlgorithm,
    Itself,
    ItselfWithoutAlgorithm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Hex,
    UpperHex,
    Base64,
}

/// One way to sign.
#[derive(Debug, Clone, PartialEq)]
struct Way {
    verb: Verb,
    path: Path,
    taken: Taken,
    without: Option<String>,
    order: Order,
    spelling: Spelling,
    headers: Headers,
    values: Values,
    host: Host,
    body: Body,
    ends: Ends,
    signed: Signed,
    key_ends_with_and: bool,
    output: Output,
}

const AS_SENT: Way = Way {
    verb: Verb::Own,
    path: Path::Own,
    taken: Taken::Query,
    without: None,
    order: Order::Bytes,
    spelling: Spelling::Right,
    headers: Headers::AsListed,
    values: Values::AsSent,
    host: Host::AsSent,
    body: Body::Claimed,
    ends: Ends::Right,
    signed: Signed::Hash,
    key_ends_with_and: false,
    output: Output::Hex,
};

/// A request as signing sees it.
#[derive(Clone)]
struct Request {
    method: String,
    path: String,
    query: Vec<Pair>,
    form: Vec<Pair>,
    /// The signed headers in the order of their list; several of one name are joined.
    headers: Vec<Pair>,
    claimed: String,
    actual: String,
    given: String,
}

impl Request {
    fn read(parts: &HttpParts) -> Option<Self> {
        let authorization = Authorization::parse(parts.header("authorization")?).ok()?;
        let values = |name: &str| {
            let found: Vec<&str> = parts
                .headers
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
                .collect();
            found.join(",")
        };
        let form = parts
            .is_form()
            .then(|| parse_pairs("", Some(&parts.body)).ok());
        Some(Self {
            method: parts.method.clone(),
            path: parts.path.clone(),
            query: parse_pairs(&parts.query, None).ok()?.into_owned(),
            form: form.flatten().map(Pairs::into_owned).unwrap_or_default(),
            headers: authorization
                .signed_headers
                .split(';')
                .take(signature_v3::MAX_SIGNED_HEADERS)
                .map(|name| (name.to_owned(), values(name)))
                .collect(),
            claimed: values(CONTENT_HASH),
            actual: signature_v3::body_hash(&parts.body),
            given: authorization.signature.to_owned(),
        })
    }

    /// The same request without what nobody may see.
    fn masked(&self, secret: &str) -> Self {
        let mask = |list: &[Pair]| {
            list.iter()
                .map(|(name, value)| (name.clone(), hidden(name, value, secret)))
                .collect()
        };
        Self {
            query: mask(&self.query),
            form: mask(&self.form),
            headers: mask(&self.headers),
            ..self.clone()
        }
    }

    fn canonical(&self, way: &Way) -> String {
        let pairs: Vec<&Pair> = match way.taken {
            Taken::Nothing => Vec::new(),
            Taken::Query | Taken::WithoutEmpty => self.query.iter().collect(),
            Taken::WithForm => self.query.iter().chain(&self.form).collect(),
        };
        let pairs: Vec<&Pair> = pairs
            .into_iter()
            .filter(|(_, value)| way.taken != Taken::WithoutEmpty || !value.is_empty())
            .filter(|(name, _)| way.without.as_deref() != Some(name.as_str()))
            .collect();
        let path = match way.path {
            Path::Own if self.path.is_empty() => "/",
            Path::Own => &self.path,
            Path::Root => "/",
            Path::Empty => "",
            Path::Encoded => "%2F",
        };
        let mut lines: Vec<&Pair> = self.headers.iter().collect();
        let mut list: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        if matches!(way.headers, Headers::Sorted | Headers::LinesSorted) {
            lines.sort_unstable();
        }
        if matches!(way.headers, Headers::Sorted | Headers::ListSorted) {
            list.sort_unstable();
        }
        let lines: String = lines
            .into_iter()
            .map(|(name, value)| format!("{name}:{}\n", way.value(name, value)))
            .collect();
        let hash = match way.body {
            Body::Claimed => self.claimed.clone(),
            Body::Actual => self.actual.clone(),
            Body::OfNothing => signature_v3::body_hash(b""),
            Body::Upper => self.claimed.to_ascii_uppercase(),
            Body::Absent => String::new(),
        };
        let gap = if way.ends == Ends::NoEmptyLine {
            ""
        } else {
            "\n"
        };
        let end = if way.ends == Ends::NewlineAfterCanonical {
            "\n"
        } else {
            ""
        };
        let text = format!(
            "{}\n{path}\n{}\n{lines}{gap}{}\n{hash}{end}",
            way.verb.of(&self.method),
            canonical_query(&pairs, way.order, way.spelling),
            list.join(";"),
        );
        if way.ends == Ends::CarriageReturns {
            text.replace('\n', "\r\n")
        } else {
            text
        }
    }

    fn signature(&self, way: &Way, canonical: &str, secret: &str) -> String {
        let hash = signature_v3::body_hash(canonical.as_bytes());
        let mut text = match way.signed {
            Signed::Hash => format!("{ALGORITHM}\n{hash}"),
            Signed::UpperHash => format!("{ALGORITHM}\n{}", hash.to_ascii_uppercase()),
            Signed::HashWithoutAlgorithm => hash,
            Signed::Itself => format!("{ALGORITHM}\n{canonical}"),
            Signed::ItselfWithoutAlgorithm => canonical.to_owned(),
        };
        if way.ends == Ends::NewlineAfterStringToSign {
            text.push('\n');
        }
        let end = if way.key_ends_with_and { "&" } else { "" };
        let signature = signature_v3::signature(&format!("{secret}{end}"), &text);
        match way.output {
            Output::Hex => signature,
            Output::UpperHex => signature.to_ascii_uppercase(),
            Output::Base64 => STANDARD.encode(hex::decode(signature).unwrap_or_default()),
        }
    }
}

impl Way {
    fn value(&self, name: &str, value: &str) -> String {
        let host = |port: &str| {
            let bare = value.rsplit_once(':').map_or(value, |(host, _)| host);
            format!("{bare}{port}")
        };
        let value = match (name, self.host) {
            ("host", Host::WithoutPort) => host(""),
            ("host", Host::Port80) => host(":80"),
            ("host", Host::Port443) => host(":443"),
            _ => value.to_owned(),
        };
        match self.values {
            Values::AsSent => value,
            Values::Lower => value.to_ascii_lowercase(),
            Values::Upper => value.to_ascii_uppercase(),
            Values::Spaced => format!(" {value}"),
        }
    }
}

/// Everything that is tried for a request, the usual first.
fn mistakes(request: &Request) -> Vec<Mistake<Way>> {
    let mut list: Vec<Mistake<Way>> = Vec::with_capacity(128);
    list.push(Mistake::new(Phrase::KeyWithAnd, |way: &mut Way| {
        way.key_ends_with_and = true;
    }));
    list.extend(each(
        [
            (Host::WithoutPort, Phrase::HostWithoutPort),
            (Host::Port80, Phrase::HostWithPort80),
            (Host::Port443, Phrase::HostWithPort443),
        ],
        |way: &mut Way, host| way.host = host,
    ));
    list.extend(each(Verb::WRONG, |way: &mut Way, verb| way.verb = verb));
    for (spelling, words) in Spelling::WRONG {
        list.push(Mistake::new(
            Phrase::QueryValuesWrong.around([], "how", vec![words.into()]),
            move |way: &mut Way| way.spelling = spelling,
        ));
    }
    list.extend(each(Order::WRONG, |way: &mut Way, order| way.order = order));
    list.extend(each(
        [
            (Taken::Nothing, Phrase::QueryLeftOut),
            (Taken::WithForm, Phrase::FormInCanonicalQuery),
            (Taken::WithoutEmpty, Phrase::EmptyLeftOut),
        ],
        |way: &mut Way, taken| way.taken = taken,
    ));
    list.extend(each(
        [
            (Headers::Sorted, Phrase::HeadersSorted),
            (Headers::LinesSorted, Phrase::HeaderLinesSorted),
            (Headers::ListSorted, Phrase::SignedHeadersSorted),
        ],
        |way: &mut Way, headers| way.headers = headers,
    ));
    list.extend(each(
        [
            (Values::Lower, Phrase::HeaderValuesLower),
            (Values::Upper, Phrase::HeaderValuesUpper),
            (Values::Spaced, Phrase::HeaderValuesSpaced),
        ],
        |way: &mut Way, values| way.values = values,
    ));
    list.extend(each(
        [
            (Body::OfNothing, Phrase::HashOfNothing),
            (Body::Actual, Phrase::HashOfBodySigned),
            (Body::Upper, Phrase::HashUpper),
            (Body::Absent, Phrase::HashLeftOut),
        ],
        |way: &mut Way, body| way.body = body,
    ));
    list.extend(each(
        [
            (Ends::NewlineAfterCanonical, Phrase::NewlineAfterCanonical),
            (
                Ends::NewlineAfterStringToSign,
                Phrase::NewlineAfterStringToSign,
            ),
            (Ends::NoEmptyLine, Phrase::NoEmptyLine),
            (Ends::CarriageReturns, Phrase::CarriageReturns),
        ],
        |way: &mut Way, ends| way.ends = ends,
    ));
    list.extend(each(
        [
            (Path::Root, Phrase::PathRoot),
            (Path::Empty, Phrase::PathEmptyV3),
            (Path::Encoded, Phrase::PathEncoded),
        ],
        |way: &mut Way, path| way.path = path,
    ));
    list.extend(each(
        [
            (Signed::UpperHash, Phrase::CanonicalHashUpper),
            (Signed::HashWithoutAlgorithm, Phrase::AlgorithmMissing),
            (Signed::Itself, Phrase::CanonicalNotHashed),
            (Signed::ItselfWithoutAlgorithm, Phrase::CanonicalAlone),
        ],
        |way: &mut Way, signed| way.signed = signed,
    ));
    list.extend(each(
        [
            (Output::UpperHex, Phrase::SignatureUpper),
            (Output::Base64, Phrase::SignatureBase64),
        ],
        |way: &mut Way, output| way.output = output,
    ));
    let names = request.query.iter().map(|(name, _)| name);
    list.extend(left_out(names, |way: &mut Way, name| {
        way.without = Some(name);
    }));
    list
}

/// Looks for the way in which a request was signed; `None` when it carries no signature that can be read.
pub(super) fn recover(parts: &HttpParts, secret: &str) -> Option<Recovered> {
    let request = Request::read(parts)?;
    let (found, tries) = search(&AS_SENT, &mistakes(&request), |way| {
        let canonical = request.canonical(way);
        Tried {
            same: request.signature(way, &canonical, secret) == request.given,
            length: canonical.len(),
        }
    });
    let shown = request.masked(secret);
    let wrong_hash = !request.claimed.eq_ignore_ascii_case(&request.actual);
    let client = found.map(|Found { way, mut words }| {
        if wrong_hash && way.body == Body::Claimed {
            words.insert(0, claimed_words(&request));
        }
        (words, shown.canonical(&way))
    });
    let right = Way {
        body: if wrong_hash {
            Body::Actual
        } else {
            Body::Claimed
        },
        ..AS_SENT
    };
    Some(Recovered {
        client,
        server: shown.canonical(&right),
        tries,
    })
}

fn claimed_words(request: &Request) -> Said {
    let nothing = signature_v3::body_hash(b"");
    let phrase = if request.claimed.eq_ignore_ascii_case(&nothing) {
        Phrase::HashClaimedOfNothing
    } else {
        Phrase::HashClaimedWrong
    };
    phrase.with([("header", &CONTENT_HASH)])
}

#[cfg(test)]
mod tests;
