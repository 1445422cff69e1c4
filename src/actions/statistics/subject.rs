//! Whom a query of figures is about: domains, a stream, the forms in which it was played.

use crate::actions::Context;
use crate::actions::arguments::{domain_name, given, malformed, names};
use crate::actions::statistics::span::Span;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::figures::{Asked, Player};
use crate::store::figures::Sent;

/// Domains that one query may name.
const MOST_DOMAINS: usize = 500;
/// The forms that a query may name, and which of ours each is. Nothing is played here in those that have none.
const PROTOCOLS: [(&str, Option<Player>); 5] = [
    ("flv", Some(Player::Flv)),
    ("hls", Some(Player::Hls)),
    ("rtmp", Some(Player::Rtmp)),
    ("rts", None),
    ("p2p", None),
];
/// What AppName and StreamName are where the figures of all streams are asked for in one.
pub const ALL: &str = "all";

/// The domains of a comma list; none stands for all.
pub async fn domains(ctx: &Context, list: Option<String>) -> Result<Vec<String>, ApiError> {
    let mut found: Vec<String> = Vec::new();
    for name in names(list.as_deref().unwrap_or_default()) {
        let domain = domain_name("DomainName", name)?;
        ctx.check_declared(&domain).await?;
        if !found.contains(&domain) {
            found.push(domain);
        }
        if found.len() > MOST_DOMAINS {
            return Err(malformed("DomainName"));
        }
    }
    Ok(found)
}

/// All that these domains counted within whole steps of a span.
#[must_use]
pub fn of_domains(domains: &[String], span: Span, step: i64) -> Asked {
    let whole = span.in_steps_of(step);
    Asked {
        domains: domains.to_vec(),
        from: whole.from,
        to: whole.to,
        ..Asked::default()
    }
}

/// What was sent in all, over HTTP and over HTTPS, by minute.
#[must_use]
pub fn by_transport(sent: &[Sent]) -> [Vec<(UnixMs, u64)>; 3] {
    let bytes = |wanted: Option<bool>| {
        let over_it = sent.iter().filter(|row| {
            wanted.is_none_or(|secure| row.secure == secure && row.player != Player::Rtmp)
        });
        over_it.map(|row| (row.minute, row.bytes)).collect()
    };
    [bytes(None), bytes(Some(false)), bytes(Some(true))]
}

/// One stream of a domain.
#[must_use]
pub fn of_stream(domain: &str, app: &str, stream: &str, span: Span, step: i64) -> Asked {
    Asked {
        app: Some(app.to_owned()),
        stream: Some(stream.to_owned()),
        ..of_domains(&[domain.to_owned()], span, step)
    }
}

/// The streams that a query by the minute asks for.
#[derive(Debug)]
pub struct Streams {
    pub asked: Asked,
    /// All of them in one.
    pub are_one: bool,
    /// The domain as the answer shows it.
    pub domain: String,
}

impl Streams {
    /// Reads DomainName, AppName and StreamName. Without a domain, and with `all` for both names, the figures of all are one.
    pub async fn read(
        ctx: &Context,
        domain: Option<String>,
        app: Option<String>,
        stream: Option<String>,
        span: Span,
        step: i64,
    ) -> Result<Self, ApiError> {
        let (domain, app, stream) = (given(domain), given(app), given(stream));
        let domains = match &domain {
            Some(domain) => vec![ctx.check_domain(domain).await?],
            None => Vec::new(),
        };
        if stream.is_some() && app.is_none() {
            return Err(ApiError::missing("AppName"));
        }
        let takes_all = |name: &Option<String>| name.as_deref() == Some(ALL);
        let are_one = domains.is_empty() || (takes_all(&app) && takes_all(&stream));
        let named = |name: Option<String>| name.filter(|name| name != ALL);
        Ok(Self {
            domain: domains.first().cloned().unwrap_or_default(),
            asked: Asked {
                app: named(app),
                stream: named(stream),
                ..of_domains(&domains, span, step)
            },
            are_one,
        })
    }
}

/// Which of the documented forms a query asks for; none of them are all.
#[derive(Debug, Clone, Default)]
pub struct Protocols(Option<Vec<&'static str>>);

impl Protocols {
    /// Reads a comma list.
    pub fn read(list: Option<&str>) -> Result<Self, ApiError> {
        let mut found = Vec::new();
        for name in names(list.unwrap_or_default()) {
            let known = PROTOCOLS.iter().find(|(known, _)| *known == name);
            found.push(
                known
                    .ok_or_else(|| ApiError::coded(Code::InvalidProtocol))?
                    .0,
            );
        }
        Ok(Self((!found.is_empty()).then_some(found)))
    }

    /// Whether an answer shows this one.
    #[must_use]
    pub fn show(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(&name))
    }

    /// The forms whose figures are taken; nothing where all are.
    #[must_use]
    pub fn players(&self) -> Option<Vec<Player>> {
        let names = self.0.as_ref()?;
        let of_them = PROTOCOLS.iter().filter(|(name, _)| names.contains(name));
        Some(of_them.filter_map(|(_, player)| *player).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_the_documented_ones() {
        let all = Protocols::read(None).unwrap();
        assert!(all.show("rts") && all.players().is_none());
        let two = Protocols::read(Some("hls, p2p")).unwrap();
        assert_eq!(two.players(), Some(vec![Player::Hls]));
        assert!(two.show("p2p") && !two.show("flv"));
        let error = Protocols::read(Some("hls,dash")).unwrap_err();
        assert_eq!(error.code.to_string(), "InvalidProtocol");
    }
}
