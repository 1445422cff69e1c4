//! What many actions read and write alike: domains, names, times, periods, pages, URLs.
//!
//! The gateway has checked types and ranges already; here are the rules that need the state of the service or two parameters at a time.

use crate::actions::Context;
use crate::clock::UnixMs;
use crate::config::Domains;
use crate::error::{ApiError, Code};
use crate::model::domain_name;
use crate::model::retention::DAY_MS;
use crate::store::documents;
use crate::wire_time;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub mod testbed;

/// The longest period that the recording queries take: the documented 4 days.
pub const LONGEST_QUERY_MS: i64 = 4 * DAY_MS;
/// The longest URL that is stored as a callback's target.
const LONGEST_URL: usize = 2_000;
/// Domains that one batch call may name.
pub const MOST_DOMAINS: usize = 50;

impl Context {
    /// The domain of a request as it is stored: in lower case, and declared where the settings ask for it.
    pub async fn check_domain(&self, name: &str) -> Result<String, ApiError> {
        let domain = domain_name("DomainName", name)?;
        self.check_declared(&domain).await?;
        Ok(domain)
    }

    /// Refuses a domain that had to be declared and is not.
    pub async fn check_declared(&self, domain: &str) -> Result<(), ApiError> {
        if self.config.domains == Domains::Any {
            return Ok(());
        }
        let declared: Option<serde_json::Value> = self
            .services
            .store
            .find_document(documents::Kind::Domain, domain)
            .await?;
        match declared {
            Some(_) => Ok(()),
            None => Err(ApiError::coded(Code::InvalidDomainNotFound)),
        }
    }

    /// The configuration that a domain has; to have none is an error.
    pub async fn config_of<T: serde::de::DeserializeOwned>(
        &self,
        kind: documents::Kind,
        domain: &str,
    ) -> Result<T, ApiError> {
        let stored = self.services.store.find_document(kind, domain).await?;
        stored.ok_or_else(|| ApiError::coded(Code::InvalidConfigNotFound))
    }

    /// The domains of a batch call, all of them checked before anything is changed.
    pub async fn check_domains(&self, list: &str) -> Result<Vec<String>, ApiError> {
        let mut domains: Vec<String> = Vec::new();
        for name in names(list) {
            let domain = domain_name("DomainNames", name)?;
            self.check_declared(&domain).await?;
            if !domains.contains(&domain) {
                domains.push(domain);
            }
            if domains.len() > MOST_DOMAINS {
                return Err(malformed("DomainNames"));
            }
        }
        if domains.is_empty() {
            return Err(ApiError::missing("DomainNames"));
        }
        Ok(domains)
    }
}

/// `Invalid{Param}.Malformed`, the product's form for a value that breaks a rule of meaning.
#[must_use]
pub fn malformed(param: &'static str) -> ApiError {
    let code = Code::from_wire(&format!("Invalid{param}.Malformed"));
    let is_known = !matches!(code, Code::Other(_));
    let error = ApiError::coded(code);
    if is_known {
        return error;
    }
    error.with_message(format!("Specified parameter {param} is not valid."))
}

/// A domain name in lower case; a leading dot stands for a wildcard domain.
pub fn domain_name(param: &'static str, name: &str) -> Result<String, ApiError> {
    if domain_name::is_valid(name) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(malformed(param))
    }
}

/// The members of a comma list, without blanks and empty ones.
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// An optional text of a query: an empty one is no filter.
#[must_use]
pub fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Whether a row's text passes a filter.
#[must_use]
pub fn passes(filter: Option<&str>, text: &str) -> bool {
    filter.is_none_or(|wanted| wanted == text)
}

/// A callback's target: an absolute `http` or `https` URL with a host.
#[must_use]
pub fn is_callback_url(text: &str) -> bool {
    let scheme = text.starts_with("http://") || text.starts_with("https://");
    scheme
        && text.len() <= LONGEST_URL
        && !text.chars().any(|c| c.is_control() || c == ' ')
        && url::Url::parse(text).is_ok_and(|url| url.has_host())
}

/// An instant of a request.
pub fn instant(param: &'static str, text: &str) -> Result<UnixMs, ApiError> {
    wire_time::from_api(text).ok_or_else(|| malformed(param))
}

/// The two ends of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: UnixMs,
    pub to: UnixMs,
}

impl Period {
    /// Reads StartTime and EndTime; `longest` bounds what lies between.
    pub fn read(start: &str, end: &str, longest: Option<i64>) -> Result<Self, ApiError> {
        let from = instant("StartTime", start)?;
        let to = instant("EndTime", end)?;
        if to <= from || longest.is_some_and(|longest| to - from > longest) {
            return Err(ApiError::coded(Code::InvalidEndTimeMismatch));
        }
        Ok(Self { from, to })
    }

    /// The period without what lies before `earliest`.
    #[must_use]
    pub fn since(self, earliest: UnixMs) -> Self {
        Self {
            from: self.from.max(earliest),
            to: self.to,
        }
    }
}

/// Which part of a list an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Counted from 1.
    pub page: u64,
    pub size: u64,
}

impl Paging {
    /// From the request's numbers; the gateway keeps them in their bounds.
    #[must_use]
    pub fn new(page: i64, size: i64) -> Self {
        let positive = |n: i64| u64::try_from(n).unwrap_or(1).max(1);
        Self {
            page: positive(page),
            size: positive(size),
        }
    }

    /// How many rows lie before the page, at most as many as a database can count.
    #[must_use]
    pub fn skipped(self) -> u64 {
        (self.page - 1)
            .saturating_mul(self.size)
            .min(i64::MAX.unsigned_abs())
    }

    /// The page of a list that is at hand as a whole.
    #[must_use]
    pub fn cut<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter()
            .skip(usize::try_from(self.skipped()).unwrap_or(usize::MAX))
            .take(usize::try_from(self.size).unwrap_or(usize::MAX))
            .collect()
    }

    /// The four numbers that go with a page.
    #[must_use]
    pub fn numbers(self, total: u64) -> Numbers {
        Numbers {
            page: number(self.page),
            size: number(self.size),
            total: number(total),
            pages: number(total.div_ceil(self.size)),
        }
    }
}

/// The numbers of a page as answers carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pub page: i32,
    pub size: i32,
    pub total: i32,
    pub pages: i32,
}

/// A count as an int32 of an answer.
#[must_use]
pub fn number(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The length of a list as a count.
#[must_use]
pub fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        result.unwrap_err().code.to_string()
    }

    #[test]
    fn domains_are_lower_case_names_of_bounded_length() {
        assert_eq!(
            domain_name("DomainName", "Live.Example.COM").unwrap(),
            "live.example.com"
        );
        assert_eq!(
            domain_name("DomainName", ".example.com").unwrap(),
            ".example.com"
        );
        assert!(domain_name("DomainName", &"d".repeat(253)).is_ok());
        for bad in ["", ".", "a b", "a/b", "a,b", "ä.de", &"d".repeat(254)] {
            assert_eq!(
                code(domain_name("DomainName", bad)),
                "InvalidDomainName.Malformed",
                "{bad:?}"
            );
        }
    }

    #[test]
    fn periods_have_an_order_and_a_longest_span() {
        let read = |end| Period::read("2026-03-01T00:00:00Z", end, Some(LONGEST_QUERY_MS));
        assert!(read("2026-03-05T00:00:00Z").is_ok());
        for end in [
            "2026-03-05T00:00:01Z",
            "2026-03-01T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ] {
            assert_eq!(code(read(end)), "InvalidEndTime.Mismatch", "{end}");
        }
        assert_eq!(code(read("tomorrow")), "InvalidEndTime.Malformed");
        assert_eq!(
            code(Period::read("x", "2026-03-05T00:00:00Z", None)),
            "InvalidStartTime.Malformed"
        );
    }

    #[test]
    fn pages_count_from_one_and_end_empty() {
        let all: Vec<u32> = (1..=7).collect();
        let page = Paging::new(2, 5);
        assert_eq!(page.cut(all.clone()), [6, 7]);
        let numbers = page.numbers(7);
        assert_eq!(
            (numbers.page, numbers.size, numbers.total, numbers.pages),
            (2, 5, 7, 2)
        );
        assert_eq!(Paging::new(i64::MAX, 30).cut(all), Vec::<u32>::new());
        assert_eq!(Paging::new(1, 10).numbers(0).pages, 0);
        assert_eq!(number(u64::MAX), i32::MAX);
    }

    #[test]
    fn callback_targets_are_absolute_web_addresses() {
        for good in [
            "http://127.0.0.1:9/x",
            "https://a.example.com/callback?x=1",
            "http://h/中",
        ] {
            assert!(is_callback_url(good), "{good}");
        }
        let long = format!("http://h/{}", "x".repeat(LONGEST_URL));
        for bad in [
            "",
            "ftp://h/x",
            "h/x",
            "http://",
            "http:///x y",
            "http://a b/",
            "HTTPS//x",
            &long,
        ] {
            assert!(!is_callback_url(bad), "{bad}");
        }
    }
}
