//! RPC signature V1: the ways in which clients get it wrong.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::search::{Found, Mistake, Tried, each, left_out, search};
use super::spelling::{Order, Spelling, Verb, canonical_query};
use super::{Recovered, hidden};
use crate::phrases::{Phrase, Said};
use crate::signature_v1::{self, Method};
use crate::wire::http_parts::HttpParts;
use crate::wire::params::{Pairs, parse_pairs};
use crate::wire::percent;

type Pair = (String, String);

const SIGNATURE: &str = "Signature";

/// Spellings that make a difference to a query whose names and values are encoded already.
const SECOND_TIME: [Spelling; 5] = [
    Spelling::Plain,
    Spelling::Twice,
    Spelling::TildeEscaped,
    Spelling::Uri,
    Spelling::LowerHex,
];

/// Which parameters are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    Query,
    Form,
    WithSignature,
    WithoutEmpty,
    WithBody,
}

/// What stands between method and parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Encoded,
    LowerHex,
    Raw,
    Empty,
    Own,
}

/// How the digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Base64,
    UrlBase64,
    Hex,
    Base64OfHex,
}

/// One way to sign.
#[derive(Debug, Clone, PartialEq)]
struct Way {
    verb: Verb,
    path: Path,
    taken: Taken,
    without: Option<String>,
    plus_kept: bool,
    order: Order,
    inner: Spelling,
    outer: Spelling,
    key_ends_with_and: bool,
    other_hash: bool,
    output: Output,
}

const RIGHT: Way = Way {
    verb: Verb::Own,
    path: Path::Encoded,
    taken: Taken::All,
    without: None,
    plus_kept: false,
    order: Order::Bytes,
    inner: Spelling::Right,
    outer: Spelling::Right,
    key_ends_with_and: true,
    other_hash: false,
    output: Output::Base64,
};

/// A request as signing sees it.
struct Request {
    method: String,
    path: String,
    query: Vec<Pair>,
    form: Vec<Pair>,
    /// Query and form, where a `+` on the wire is a plus.
    plus: Vec<Pair>,
    /// What a body that is no form holds.
    body: Vec<Pair>,
    hash: Method,
    /// What a client signs that has the parameter before it has its value.
    unsigned: Pair,
    given: String,
}

impl Request {
    fn read(parts: &HttpParts) -> Option<Self> {
        let form = parts.is_form().then_some(&parts.body[..]);
        let pairs = parse_pairs(&parts.query, form).ok()?;
        let list = |pairs: Option<Pairs<'_>>| pairs.map(Pairs::into_owned).unwrap_or_default();
        let only_form = list(form.and_then(|form| parse_pairs("", Some(form)).ok()));
        let literal = |text: &str| text.replace('+', "%2B");
        let form_text = form.map(|form| literal(&String::from_utf8_lossy(form)));
        let query_text = literal(&parts.query);
        let plus = parse_pairs(&query_text, form_text.as_deref().map(str::as_bytes));
        Some(Self {
            method: parts.method.clone(),
            path: parts.path.clone(),
            query: list(parse_pairs(&parts.query, None).ok()),
            form: only_form,
            plus: list(plus.ok()),
            body: if form.is_none() {
                body_pairs(&parts.body)
            } else {
                Vec::new()
            },
            hash: match pairs.get("SignatureMethod") {
                Some("HMAC-SHA256") => Method::HmacSha256,
                _ => Method::HmacSha1,
            },
            unsigned: (SIGNATURE.to_owned(), String::new()),
            given: pairs.get(SIGNATURE)?.to_owned(),
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
            method: self.method.clone(),
            path: self.path.clone(),
            query: mask(&self.query),
            form: mask(&self.form),
            plus: mask(&self.plus),
            body: mask(&self.body),
            hash: self.hash,
            unsigned: self.unsigned.clone(),
            given: String::new(),
        }
    }

    fn text(&self, way: &Way) -> String {
        let own = || self.query.iter().chain(&self.form);
        let all: Vec<&Pair> = match way.taken {
            _ if way.plus_kept => self.plus.iter().collect(),
            Taken::Query => self.query.iter().collect(),
            Taken::Form => self.form.iter().collect(),
            Taken::WithBody => own().chain(&self.body).collect(),
            Taken::WithoutEmpty => own().filter(|(_, value)| !value.is_empty()).collect(),
            Taken::All | Taken::WithSignature => own().collect(),
        };
        let extra = (way.taken == Taken::WithSignature).then_some(&self.unsigned);
        let pairs: Vec<&Pair> = all
            .into_iter()
            .filter(|(name, _)| name != SIGNATURE)
            .chain(extra)
            .filter(|(name, _)| way.without.as_deref() != Some(name.as_str()))
            .collect();
        let mut out = way.verb.of(&self.method);
        out.push('&');
        match way.path {
            Path::Encoded => out.push_str("%2F"),
            Path::LowerHex => out.push_str("%2f"),
            Path::Raw => out.push('/'),
            Path::Empty => {}
            Path::Own => percent::encode_into(&mut out, &self.path),
        }
        out.push('&');
        let query = canonical_query(&pairs, way.order, way.inner);
        way.outer.write(&mut out, &query);
        out
    }

    fn signature(&self, way: &Way, text: &str, secret: &str) -> String {
        let hash = match (self.hash, way.other_hash) {
            (Method::HmacSha1, false) | (Method::HmacSha256, true) => Method::HmacSha1,
            _ => Method::HmacSha256,
        };
        let mut key = secret.as_bytes().to_vec();
        if way.key_ends_with_and {
            key.push(b'&');
        }
        let digest = signature_v1::digest(hash, &key, text);
        match way.output {
            Output::Base64 => STANDARD.encode(digest),
            Output::UrlBase64 => URL_SAFE.encode(digest),
            Output::Hex => hex::encode(digest),
            Output::Base64OfHex => STANDARD.encode(hex::encode(digest)),
        }
    }

    /// The signature as it came, and as it was before the usual mishaps on the wire, each with its words.
    fn given_forms(&self) -> Vec<(String, Option<Phrase>)> {
        let mut forms = vec![(self.given.clone(), None)];
        if self.given.contains(' ') {
            forms.push((
                self.given.replace(' ', "+"),
                Some(Phrase::SignatureNotEncoded),
            ));
        }
        if let Ok(once) = percent::decode(self.given.replace('+', "%2B").as_bytes())
            && once != self.given
        {
            forms.push((once.into_owned(), Some(Phrase::SignatureEncodedTwice)));
        }
        forms
    }
}

/// The members of a JSON object, or the pairs of a form that is not marked as one.
fn body_pairs(body: &[u8]) -> Vec<Pair> {
    if let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return members
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect();
    }
    parse_pairs("", Some(body))
        .map(Pairs::into_owned)
        .unwrap_or_default()
}

/// Everything that is tried for a request, the usual first.
fn mistakes(request: &Request) -> Vec<Mistake<Way>> {
    let mut list = Vec::with_capacity(128);
    list.push(Mistake::new(Phrase::KeyWithoutAnd, |way: &mut Way| {
        way.key_ends_with_and = false;
    }));
    list.extend(each(Verb::WRONG, |way: &mut Way, verb| way.verb = verb));
    for (spelling, words) in Spelling::WRONG {
        list.push(Mistake::new(
            Phrase::ValuesWrong.around([], "how", vec![words.into()]),
            move |way: &mut Way| way.inner = spelling,
        ));
    }
    for (spelling, words) in Spelling::WRONG {
        // These two leave nothing that the second time could spell wrongly.
        if !matches!(spelling, Spelling::PlusForSpace | Spelling::TildeEscaped) {
            list.push(Mistake::new(
                Phrase::ValuesAndQueryWrong.around([], "how", vec![words.into()]),
                move |way: &mut Way| (way.inner, way.outer) = (spelling, spelling),
            ));
        }
        if SECOND_TIME.contains(&spelling) {
            list.push(Mistake::new(
                Phrase::QueryWrongSecondTime.around([], "how", vec![words.into()]),
                move |way: &mut Way| way.outer = spelling,
            ));
        }
    }
    list.extend(each(Order::WRONG, |way: &mut Way, order| way.order = order));
    list.extend(each(
        [
            (Taken::Query, Phrase::FormLeftOut),
            (Taken::Form, Phrase::QueryLeftOut),
            (Taken::WithSignature, Phrase::SignatureSigned),
            (Taken::WithoutEmpty, Phrase::EmptyLeftOut),
            (Taken::WithBody, Phrase::BodyMembersSigned),
        ],
        |way: &mut Way, taken| way.taken = taken,
    ));
    list.push(Mistake::new(Phrase::PlusSentAsIs, |way: &mut Way| {
        way.plus_kept = true;
    }));
    list.extend(each(
        [
            (Path::Raw, Phrase::PathRaw),
            (Path::LowerHex, Phrase::PathLowerHex),
            (Path::Empty, Phrase::PathEmptyV1),
            (Path::Own, Phrase::PathOfRequest),
        ],
        |way: &mut Way, path| way.path = path,
    ));
    list.push(Mistake::new(Phrase::OtherHash, |way: &mut Way| {
        way.other_hash = true;
    }));
    list.extend(each(
        [
            (Output::Hex, Phrase::SignatureHex),
            (Output::Base64OfHex, Phrase::SignatureBase64OfHex),
            (Output::UrlBase64, Phrase::SignatureUrlBase64),
        ],
        |way: &mut Way, output| way.output = output,
    ));
    let sent = request.query.iter().chain(&request.form);
    let names = sent.map(|(name, _)| name).filter(|name| *name != SIGNATURE);
    list.extend(left_out(names, |way: &mut Way, name| {
        way.without = Some(name);
    }));
    list
}

/// Looks for the way in which a request was signed; `None` when it carries no signature that can be read.
pub(super) fn recover(parts: &HttpParts, secret: &str) -> Option<Recovered> {
    let request = Request::read(parts)?;
    let forms = request.given_forms();
    let form_of = |signature: &str| forms.iter().find(|(form, _)| form == signature);
    let (found, tries) = search(&RIGHT, &mistakes(&request), |way| {
        let text = request.text(way);
        let signature = request.signature(way, &text, secret);
        Tried {
            same: form_of(&signature).is_some(),
            length: text.len(),
        }
    });
    let shown = request.masked(secret);
    let client = found.map(|Found { way, mut words }| {
        let signature = request.signature(&way, &request.text(&way), secret);
        words.extend(form_of(&signature).and_then(|(_, words)| words.map(Said::from)));
        (words, shown.text(&way))
    });
    Some(Recovered {
        client,
        server: shown.text(&RIGHT),
        tries,
    })
}

#[cfg(test)]
mod tests;
