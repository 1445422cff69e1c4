//! What the functions of a play domain say about a player: URL authentication, referer and address lists, HTTPS alone, headers of answers. Pure.

use std::net::IpAddr;

use super::{Asked, Player, Refusal};
use crate::clock::UnixMs;
use crate::live::ingest::admission::check_key;
use crate::model::domain::Function;
use crate::wire_time::unix_seconds;

/// Refuses a player that a function keeps out.
pub(super) fn check(functions: &[Function], asked: &Asked<'_>, now: UnixMs) -> Result<(), Refusal> {
    let forbidden = |why: String| Err(Refusal::Forbidden(why));
    let is_http = asked.player != Player::Rtmp;
    for function in functions {
        match function.name.as_str() {
            "https_force" if is_http && is_on(function, "enable") && !asked.secure => {
                return Err(Refusal::OverHttps);
            }
            "ip_black_list_set" if lists(function, "ip_list", asked.address) => {
                return forbidden(format!(
                    "the address {} is on the domain's ip_black_list_set",
                    asked.address
                ));
            }
            "ip_allow_list_set" | "ip_white_list_set"
                if !lists(function, "ip_list", asked.address) =>
            {
                return forbidden(format!(
                    "the address {} is not on the domain's {}",
                    asked.address, function.name
                ));
            }
            "referer_white_list_set"
                if is_http
                    && !is_referer_among(function, "refer_domain_allow_list", asked.referer) =>
            {
                return forbidden(
                    "the Referer is not on the domain's referer_white_list_set".to_owned(),
                );
            }
            "referer_black_list_set"
                if is_http
                    && is_referer_kept_out(function, "refer_domain_deny_list", asked.referer) =>
            {
                return forbidden(
                    "the Referer is on the domain's referer_black_list_set".to_owned(),
                );
            }
            "alilive" if is_on(function, "enable") && is_kept_off(function, asked) => {
                return forbidden("the domain's alilive keeps this protocol out".to_owned());
            }
            "aliauth" => {
                let key = asked.argument("auth_key");
                if let Err(why) = check_key(function, key, asked.uri, unix_seconds(now)) {
                    return forbidden(format!("auth_key is {why}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The headers that a domain sets on answers. A header without a value is taken away from them.
pub(super) fn response_headers(functions: &[Function]) -> Vec<(String, Option<String>)> {
    functions
        .iter()
        .filter(|function| function.name == "set_resp_header")
        .filter_map(|function| {
            let (key, value) = (function.arg("key")?, function.arg("value")?);
            Some((key.to_owned(), (value != "null").then(|| value.to_owned())))
        })
        .collect()
}

/// Whether the protocol of a player is one that is not to be used.
fn is_kept_off(function: &Function, asked: &Asked<'_>) -> bool {
    match asked.player {
        Player::Rtmp => is_on(function, "live_forbid_rtmp"),
        Player::Hls => is_on(function, "live_forbid_hls"),
        Player::Flv | Player::Mp4 => false,
    }
}

fn is_on(function: &Function, name: &str) -> bool {
    function.arg(name) == Some("on")
}

fn entries<'a>(function: &'a Function, name: &str) -> impl Iterator<Item = &'a str> {
    let list = function.arg(name).unwrap_or_default();
    list.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn lists(function: &Function, name: &str, address: IpAddr) -> bool {
    entries(function, name).any(|entry| is_in(entry, address.to_canonical()))
}

/// Whether an address is one of a network's (`192.0.2.0/24`), or the one that is written.
fn is_in(network: &str, address: IpAddr) -> bool {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, length.parse::<u32>().ok()),
        None => (network, Some(128)),
    };
    let (Ok(base), Some(length)) = (base.parse::<IpAddr>(), length) else {
        return false;
    };
    match (base.to_canonical(), address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(length);
            let part = |bits: u32| bits.checked_shr(shift).unwrap_or(0);
            part(base.to_bits()) == part(address.to_bits())
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(length);
            let part = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
            part(base.to_bits()) == part(address.to_bits())
        }
        _ => false,
    }
}

/// A player without a Referer is let in unless `allow_empty` is off.
fn is_referer_among(function: &Function, list: &str, referer: Option<&str>) -> bool {
    match referer.and_then(referer_host) {
        Some(host) => entries(function, list).any(|entry| is_of(entry, &host)),
        None => function.arg("allow_empty") != Some("off"),
    }
}

fn is_referer_kept_out(function: &Function, list: &str, referer: Option<&str>) -> bool {
    match referer.and_then(referer_host) {
        Some(host) => entries(function, list).any(|entry| is_of(entry, &host)),
        None => function.arg("allow_empty") == Some("off"),
    }
}

/// The host of a Referer, in lower case.
#[must_use]
pub fn referer_host(referer: &str) -> Option<String> {
    let url = url::Url::parse(referer).ok()?;
    url.host_str().map(str::to_ascii_lowercase)
}

/// A name on a list stands for itself and for what is below it; `*.` may stand before it.
fn is_of(entry: &str, host: &str) -> bool {
    let entry = entry.trim_start_matches("*.").to_ascii_lowercase();
    host == entry
        || host
            .strip_suffix(entry.as_str())
            .is_some_and(|before| before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stream_key::PushArgs;

    fn function(name: &str, args: &[(&str, &str)]) -> Function {
        Function {
            name: name.to_owned(),
            args: args
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            id: 0,
        }
    }

    fn told(functions: &[Function], referer: Option<&str>, address: &str, query: &str) -> String {
        told_to(Player::Flv, functions, referer, address, query)
    }

    fn told_to(
        player: Player,
        functions: &[Function],
        referer: Option<&str>,
        address: &str,
        query: &str,
    ) -> String {
        let args = [PushArgs::parse(query)];
        let asked = Asked {
            app: "live",
            stream: "s",
            uri: "/live/s.flv",
            host: "",
            args: &args,
            address: address.parse().unwrap(),
            referer,
            secure: false,
            player,
        };
        check(functions, &asked, 1_000_000)
            .err()
            .map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn addresses_are_told_apart_by_networks() {
        let black = [function(
            "ip_black_list_set",
            &[("ip_list", "192.0.2.0/24, 2001:db8::/32")],
        )];
        assert!(told(&black, None, "192.0.2.77", "").contains("192.0.2.77"));
        assert!(told(&black, None, "::ffff:192.0.2.77", "").contains("ip_black_list_set"));
        assert!(told(&black, None, "2001:db8::1", "").contains("ip_black_list_set"));
        assert_eq!(told(&black, None, "192.0.3.1", ""), "");
        let allowed = [function("ip_allow_list_set", &[("ip_list", "10.0.0.1")])];
        assert_eq!(told(&allowed, None, "10.0.0.1", ""), "");
        assert!(told(&allowed, None, "10.0.0.2", "").contains("ip_allow_list_set"));
        assert!(is_in("0.0.0.0/0", "1.2.3.4".parse().unwrap()));
        assert!(!is_in("rubbish", "1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn referers_are_held_against_lists() {
        let white = |empty| {
            [function(
                "referer_white_list_set",
                &[
                    ("refer_domain_allow_list", "a.com,*.b.com"),
                    ("allow_empty", empty),
                ],
            )]
        };
        for (referer, empty, is_let_in) in [
            (Some("https://a.com/x"), "off", true),
            (Some("http://www.A.com"), "off", true),
            (Some("http://x.b.com/"), "off", true),
            (Some("http://evila.com/"), "off", false),
            (Some("nonsense"), "off", false),
            (None, "off", false),
            (None, "on", true),
        ] {
            assert_eq!(
                told(&white(empty), referer, "::1", "").is_empty(),
                is_let_in,
                "{referer:?}"
            );
        }
        let black = [function(
            "referer_black_list_set",
            &[("refer_domain_deny_list", "c.com")],
        )];
        assert!(!told(&black, Some("http://c.com/"), "::1", "").is_empty());
        assert!(told(&black, Some("http://d.com/"), "::1", "").is_empty());
    }

    #[test]
    fn the_key_signs_the_path_with_its_ending() {
        let auth = [function(
            "aliauth",
            &[("auth_type", "type_a"), ("auth_key1", "secret")],
        )];
        assert!(told(&auth, None, "::1", "").contains("missing"));
        let key = |uri: &str| {
            use md5::{Digest, Md5};
            let hash = hex::encode(Md5::digest(format!("{uri}-2000-0-0-secret")));
            format!("auth_key=2000-0-0-{hash}")
        };
        assert_eq!(told(&auth, None, "::1", &key("/live/s.flv")), "");
        assert!(told(&auth, None, "::1", &key("/live/s")).contains("wrong"));
        let off = [function("aliauth", &[("auth_type", "no_auth")])];
        assert_eq!(told(&off, None, "::1", ""), "");
    }

    #[test]
    fn protocols_are_kept_out() {
        for (switch, rtmp, hls, told) in [
            ("on", "on", "off", [false, true, false, false]),
            ("on", "off", "on", [false, false, true, false]),
            ("off", "on", "on", [false; 4]),
        ] {
            let alilive = [function(
                "alilive",
                &[
                    ("enable", switch),
                    ("live_forbid_rtmp", rtmp),
                    ("live_forbid_hls", hls),
                ],
            )];
            let kept_out = Player::ALL
                .map(|player| told_to(player, &alilive, None, "::1", "").contains("alilive"));
            assert_eq!(kept_out, told, "{switch} {rtmp} {hls}");
        }
        // RTMP has no Referer.
        let off = ("allow_empty", "off");
        for list in [
            function("referer_white_list_set", &[off]),
            function("referer_black_list_set", &[off]),
        ] {
            let name = list.name.clone();
            let lists = [list];
            let let_in =
                Player::ALL.map(|player| told_to(player, &lists, None, "::1", "").is_empty());
            let over_rtmp = Player::ALL.map(|player| player == Player::Rtmp);
            assert_eq!(let_in, over_rtmp, "{name}");
        }
    }

    #[test]
    fn https_alone_and_headers() {
        let force = [function("https_force", &[("enable", "on")])];
        assert!(told(&force, None, "::1", "").contains("https"));
        assert_eq!(told_to(Player::Rtmp, &force, None, "::1", ""), "");
        let set = [
            function("set_resp_header", &[("key", "X-One"), ("value", "1")]),
            function("set_resp_header", &[("key", "X-Two"), ("value", "null")]),
        ];
        assert_eq!(
            response_headers(&set),
            [
                ("X-One".to_owned(), Some("1".to_owned())),
                ("X-Two".to_owned(), None)
            ]
        );
    }
}
