//! What a snapshot or a seed brings, checked by the very checks of the actions that make such things: each is put as the request that
//! would make it and goes through the spec and the action's own rules.

use serde::de::DeserializeOwned;

use super::arguments::{domain_name, malformed};
use super::domain::{add_live_domain, certificate, tags};
use super::record::{add_live_app_record_config, add_live_record_notify_config, config};
use super::stream::set_live_streams_notify_url_config;
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::domain::{DEFAULT_SCOPE, Domain, DomainCertificate, NamedCertificate, Tag};
use crate::model::forbidden::Forbidden;
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::rule::{FormatRule, Rule};
use crate::model::stream_key::check_name;
use crate::spec::{Spec, check};
use crate::wire::params::Tree;

/// The latest instant that an API time can name: the end of the year 9999.
const LATEST: UnixMs = 253_402_300_799_999;

/// Parameters on their way into a request.
struct Params(Vec<(String, String)>);

impl Params {
    fn of(domain: &str) -> Self {
        Self(vec![("DomainName".to_owned(), domain.to_owned())])
    }

    fn put(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    fn put_some(self, name: &str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    fn formats(self, name: &str, formats: &[FormatRule]) -> Self {
        (1..).zip(formats).fold(self, |params, (n, format)| {
            let member = |member: &str| format!("{name}.{n}.{member}");
            params
                .put(&member("Format"), format.format.as_str())
                .put(&member("OssObjectPrefix"), &format.object_prefix)
                .put_some(
                    &member("SliceOssObjectPrefix"),
                    format.slice_prefix.as_ref(),
                )
                .put(&member("SliceDuration"), &format.slice_s)
                .put(&member("CycleDuration"), &format.cycle_s)
        })
    }

    /// The request that these make, as the action's handler would get it.
    fn request<T: DeserializeOwned>(self, action: &'static str) -> Result<T, ApiError> {
        let spec = Spec::embedded()
            .action(action)
            .ok_or_else(|| ApiError::not_implemented(action, None))?;
        let pairs = self.0.into_iter().collect();
        let tree = Tree::from_pairs(&pairs)?;
        let checked = check::check(spec, &tree)?;
        serde_json::from_value(checked.value).map_err(ApiError::internal)
    }
}

/// A recording rule as AddLiveAppRecordConfig would have made it. Its window may lie anywhere: it was near when it was set.
pub fn rule(given: &Rule, now: UnixMs) -> Result<Rule, ApiError> {
    let mut params = Params::of(&given.domain)
        .put("AppName", &given.app)
        .put("StreamName", &given.stream)
        .put("OssEndpoint", &given.oss_endpoint)
        .put("OssBucket", &given.oss_bucket)
        .put("OnDemand", &given.on_demand.code())
        .put("DelayTime", &given.delay_s)
        .formats("RecordFormat", &given.formats)
        .formats("TranscodeRecordFormat", &given.transcode_formats);
    for (n, template) in (1..).zip(&given.transcode_templates) {
        params = params.put(&format!("TranscodeTemplates.{n}"), template);
    }
    let mut rule =
        add_live_app_record_config::rule(params.request("AddLiveAppRecordConfig")?, now)?;
    let start = given
        .start_time
        .map(|at| instant("StartTime", at))
        .transpose()?;
    let end = given
        .end_time
        .map(|at| instant("EndTime", at))
        .transpose()?;
    let window = config::window(Some(&rule.stream), start, end, start.unwrap_or(now))?;
    (rule.start_time, rule.end_time) = window.unwrap_or_default();
    rule.created_at = instant("created_at", given.created_at)?;
    Ok(rule)
}

/// Recording callbacks as AddLiveRecordNotifyConfig would have made them, with the domain's name.
pub fn record_notify(
    domain: &str,
    given: &RecordNotify,
) -> Result<(String, RecordNotify), ApiError> {
    let request = Params::of(domain)
        .put_some("NotifyUrl", given.notify_url.as_ref())
        .put_some("OnDemandUrl", given.on_demand_url.as_ref())
        .put("NeedStatusNotify", &given.need_status_notify)
        .put("NotifyReqAuth", &given.notify_req_auth)
        .put("NotifyAuthKey", &given.notify_auth_key)
        .request("AddLiveRecordNotifyConfig")?;
    let config = add_live_record_notify_config::config(request)?;
    Ok((domain_name("DomainName", domain)?, config))
}

/// Publish callbacks as SetLiveStreamsNotifyUrlConfig would have made them, with the domain's name.
pub fn stream_notify(
    domain: &str,
    given: &StreamNotify,
) -> Result<(String, StreamNotify), ApiError> {
    let request = Params::of(domain)
        .put_some("NotifyUrl", given.notify_url.as_ref())
        .put_some("ExceptionNotifyUrl", given.exception_notify_url.as_ref())
        .put(
            "NotifyReqAuth",
            if given.notify_req_auth { "yes" } else { "no" },
        )
        .put("NotifyAuthKey", &given.notify_auth_key)
        .request("SetLiveStreamsNotifyUrlConfig")?;
    let config = set_live_streams_notify_url_config::config(request)?;
    Ok((domain_name("DomainName", domain)?, config))
}

/// A declared domain as AddLiveDomain would have made it, with its name. A mapping declares one of which only the name is known, so
/// what is empty stays so.
pub fn domain(name: &str, given: &Domain) -> Result<(String, Domain), ApiError> {
    let or = |text: &str, usual: &str| if text.is_empty() { usual } else { text }.to_owned();
    let request = Params::of(name)
        .put("LiveDomainType", &or(given.kind.as_str(), "liveVideo"))
        .put("Region", &or(&given.region, "cn-shanghai"))
        .put("Scope", &or(&given.scope, DEFAULT_SCOPE))
        .request("AddLiveDomain")?;
    let created_at = instant("created_at", given.created_at)?;
    let (name, _) = add_live_domain::domain(request, created_at)?;
    instant("modified_at", given.modified_at)?;
    let named = |domain: &Option<String>| {
        let name = |play: &str| domain_name("PullDomain", play);
        domain.as_deref().map(name).transpose()
    };
    Ok((
        name,
        Domain {
            play_domain: named(&given.play_domain)?,
            main_domain: named(&given.main_domain)?,
            ..given.clone()
        },
    ))
}

/// A stream that is kept out, as ForbidLiveStream would have put it.
pub fn forbidden(given: &Forbidden) -> Result<(), ApiError> {
    let domain = domain_name("DomainName", &given.domain)?;
    let named = |what, name: &str| check_name(what, name).map_err(|_| malformed(what));
    named("AppName", &given.app)?;
    named("StreamName", &given.stream)?;
    instant("since", given.since)?;
    instant("until", given.until)?;
    if domain == given.domain {
        Ok(())
    } else {
        Err(malformed("DomainName").with_hint("a domain is stored in lower case"))
    }
}

/// The tags of a domain as TagLiveResources would have set them, with the domain's name.
pub fn tags(domain: &str, given: &[Tag]) -> Result<String, ApiError> {
    given.iter().try_for_each(tags::check)?;
    tags::check_room(given)?;
    domain_name("ResourceId", domain)
}

/// A certificate as SetLiveDomainCertificate would have taken it, but for its end. Its key may be hidden.
pub fn certificate(
    name: &str,
    given: &NamedCertificate,
    key_is_hidden: bool,
) -> Result<(), ApiError> {
    certificate::check_name(name)?;
    certificate::check_chain(&given.chain, UnixMs::MIN)?;
    instant("created_at", given.created_at)?;
    if key_is_hidden {
        Ok(())
    } else {
        certificate::check_key(&given.chain, &given.key)
    }
}

/// Which certificate a domain has, with the domain's name.
pub fn domain_certificate(domain: &str, given: &DomainCertificate) -> Result<String, ApiError> {
    certificate::check_name(&given.name)?;
    instant("updated_at", given.updated_at)?;
    if !matches!(given.kind.as_str(), "upload" | "cas" | "free") {
        return Err(ApiError::invalid("CertType"));
    }
    domain_name("DomainName", domain)
}

/// An instant that an API time can name; every sum with one stays in its type then.
pub fn instant(what: &'static str, at: UnixMs) -> Result<UnixMs, ApiError> {
    if (0..=LATEST).contains(&at) {
        Ok(at)
    } else {
        Err(ApiError::invalid(what)
            .with_hint("expected milliseconds since 1970, up to the year 9999"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::DomainKind;
    use crate::model::object_name::{DEFAULT_OBJECT_PREFIX, DEFAULT_SLICE_PREFIX};
    use crate::model::rule::{Format, tests as rules};

    const NOW: UnixMs = 1_772_330_400_000;

    fn good() -> Rule {
        Rule {
            domain: "play.example.com".into(),
            oss_endpoint: "oss-cn-shanghai.aliyuncs.com".into(),
            oss_bucket: "liverec".into(),
            start_time: Some(NOW - 1_234_567_891),
            end_time: Some(NOW - 1_134_567_891),
            formats: vec![FormatRule {
                format: Format::M3u8,
                object_prefix: DEFAULT_OBJECT_PREFIX.into(),
                slice_prefix: Some(DEFAULT_SLICE_PREFIX.into()),
                slice_s: 5,
                cycle_s: 40,
            }],
            transcode_templates: vec!["lld".into()],
            created_at: NOW,
            ..rules::rule("live", "s1")
        }
    }

    #[test]
    fn what_an_action_made_stays_as_it_is() {
        assert_eq!(rule(&good(), 0).unwrap(), good());
        let mapped = Domain {
            kind: DomainKind::Ingest,
            play_domain: Some("play.example.com".into()),
            created_at: NOW,
            ..Domain::default()
        };
        let kept = domain("push.example.com", &mapped).unwrap();
        assert_eq!(kept, ("push.example.com".to_owned(), mapped));
        let notify = RecordNotify {
            notify_url: Some("http://127.0.0.1:9/x".into()),
            notify_req_auth: true,
            notify_auth_key: "0123456789abcdef".into(),
            ..RecordNotify::default()
        };
        assert_eq!(record_notify("d.example.com", &notify).unwrap().1, notify);
    }

    #[test]
    fn what_no_action_would_make_is_refused() {
        type Change = fn(&mut Rule);
        let changes: [(&str, Change); 14] = [
            ("InvalidDelayTime", |r| r.delay_s = -5),
            ("InvalidDelayTime", |r| r.delay_s = 1 << 62),
            ("InvalidCycleDuration.Malformed", |r| {
                r.formats[0].cycle_s = 0;
            }),
            ("InvalidCycleDuration.Malformed", |r| {
                r.formats[0].cycle_s = -1;
            }),
            ("InvalidSliceDuration", |r| r.formats[0].slice_s = 0),
            ("MissingRecordFormat", |r| r.formats.clear()),
            ("InvalidFormat.Malformed", |r| {
                let twice = r.formats[0].clone();
                r.formats.push(twice);
            }),
            ("InvalidOssObjectPrefix.Malformed", |r| {
                r.formats[0].object_prefix = "x".into();
            }),
            ("MissingAppName", |r| r.app.clear()),
            ("InvalidStreamName.Malformed", |r| r.stream = "a/b".into()),
            ("InvalidOssBucket.Malformed", |r| {
                r.oss_bucket = "NO/bucket".into();
            }),
            ("InvalidStartTime", |r| r.start_time = Some(i64::MAX)),
            ("InvalidEndTime.Malformed", |r| r.end_time = Some(0)),
            ("Invalidcreated_at", |r| r.created_at = -1),
        ];
        for (code, change) in changes {
            let mut bad = good();
            change(&mut bad);
            assert_eq!(rule(&bad, NOW).unwrap_err().code.to_string(), code);
        }
        assert!(domain("no domain", &Domain::default()).is_err());
        assert!(record_notify("d.example.com", &RecordNotify::default()).is_err());
        assert!(stream_notify("d.example.com", &StreamNotify::default()).is_err());
    }
}
