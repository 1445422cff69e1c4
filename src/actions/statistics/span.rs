//! The time that a query of figures is about, its steps, and how minutes become steps: pure.

use std::collections::BTreeMap;

use crate::actions::arguments::instant;
use crate::clock::UnixMs;
use crate::error::{ApiError, Code};
use crate::model::figures::MINUTE_MS;
use crate::model::retention::DAY_MS;

/// An hour, the period that one end of it stands for.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The default step.
pub const FIVE_MINUTES_MS: i64 = 5 * MINUTE_MS;

/// The steps that the queries of a domain take. Another value is the default, as documented.
#[must_use]
pub fn step(interval: Option<&str>) -> i64 {
    match interval {
        Some("3600") => HOUR_MS,
        Some("86400") => DAY_MS,
        _ => FIVE_MINUTES_MS,
    }
}

/// Which periods a query takes.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What is taken, up to now, where neither end is given.
    pub default: i64,
    pub longest: i64,
}

/// The queries of a domain: the last day, at most what is kept.
pub const DOMAIN: Rule = Rule {
    default: DAY_MS,
    longest: 90 * DAY_MS,
};
/// The queries by the minute: the last hour, at most a day.
pub const REAL_TIME: Rule = Rule {
    default: HOUR_MS,
    longest: DAY_MS,
};

/// From one instant to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: UnixMs,
    pub to: UnixMs,
}

impl Span {
    /// Reads the two ends. Where one is absent, the other one stands for the hour on its side.
    pub fn read(
        start: Option<&str>,
        end: Option<&str>,
        rule: Rule,
        now: UnixMs,
    ) -> Result<Self, ApiError> {
        let read = |name, text: Option<&str>| {
            let given = text.filter(|text| !text.is_empty());
            given.map(|text| instant(name, text)).transpose()
        };
        let span = match (read("StartTime", start)?, read("EndTime", end)?) {
            (Some(from), Some(to)) => Self { from, to },
            (Some(from), None) => Self {
                from,
                to: from + HOUR_MS,
            },
            (None, Some(to)) => Self {
                from: to - HOUR_MS,
                to,
            },
            (None, None) => Self {
                from: now - rule.default,
                to: now,
            },
        };
        if span.to <= span.from || span.to - span.from > rule.longest {
            return Err(ApiError::coded(Code::InvalidEndTimeMismatch));
        }
        Ok(span)
    }

    /// The whole steps that the span touches.
    #[must_use]
    pub fn in_steps_of(self, step: i64) -> Self {
        Self {
            from: self.from - self.from.rem_euclid(step),
            to: self.to + (-self.to).rem_euclid(step),
        }
    }

    /// Where each step begins, up to now.
    pub fn steps(self, step: i64, now: UnixMs) -> impl Iterator<Item = UnixMs> {
        let whole = self.in_steps_of(step);
        let count = (whole.to.min(now + 1) - whole.from + step - 1) / step;
        (0..count.max(0)).map(move |number| whole.from + number * step)
    }
}

/// A value for each step of a span up to now, zero where nothing was counted.
pub fn roll_up(
    span: Span,
    step: i64,
    now: UnixMs,
    rows: impl IntoIterator<Item = (UnixMs, u64)>,
) -> Vec<(UnixMs, u64)> {
    let mut sums: BTreeMap<UnixMs, u64> = BTreeMap::new();
    for (minute, count) in rows {
        *sums.entry(minute - minute.rem_euclid(step)).or_default() += count;
    }
    span.steps(step, now)
        .map(|at| (at, sums.get(&at).copied().unwrap_or(0)))
        .collect()
}

/// Bits a second for each step of a span up to now: of five minutes or less the mean, of longer steps the highest of their five minutes.
pub fn bandwidth(
    span: Span,
    step: i64,
    now: UnixMs,
    rows: impl IntoIterator<Item = (UnixMs, u64)>,
) -> Vec<(UnixMs, f64)> {
    let part = step.min(FIVE_MINUTES_MS);
    let mut peaks: BTreeMap<UnixMs, u64> = BTreeMap::new();
    for (at, bytes) in roll_up(span.in_steps_of(step), part, now, rows) {
        let peak = peaks.entry(at - at.rem_euclid(step)).or_default();
        *peak = bytes.max(*peak);
    }
    span.steps(step, now)
        .map(|at| {
            let peak = peaks.get(&at).copied().unwrap_or(0);
            (at, bits_per_second(peak, part))
        })
        .collect()
}

/// The mean of bytes over a time.
#[expect(
    clippy::cast_precision_loss,
    reason = "traffic below 2^52 bytes is exact, and above it nobody counts bytes"
)]
#[must_use]
pub fn bits_per_second(bytes: u64, ms: i64) -> f64 {
    bytes as f64 * 8000.0 / ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire_time::{from_api, to_api};

    fn at(time: &str) -> UnixMs {
        from_api(&format!("2026-03-01T{time}Z")).unwrap()
    }

    fn read(start: &str, end: &str, rule: Rule) -> Result<(String, String), String> {
        let given = |time: &str| match time {
            "" => None,
            time if time.len() == 8 => Some(format!("2026-03-01T{time}Z")),
            other => Some(other.to_owned()),
        };
        let (start, end) = (given(start), given(end));
        let span = Span::read(start.as_deref(), end.as_deref(), rule, at("12:00:30"));
        span.map(|span| (to_api(span.from), to_api(span.to)))
            .map_err(|error| error.code.to_string())
    }

    #[test]
    fn an_end_that_is_absent_is_an_hour_off() {
        let told = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        let expected = told("2026-03-01T11:00:30Z", "2026-03-01T12:00:30Z");
        assert_eq!(read("", "", REAL_TIME), expected);
        let expected = told("2026-02-28T12:00:30Z", "2026-03-01T12:00:30Z");
        assert_eq!(read("", "", DOMAIN), expected);
        let expected = told("2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z");
        assert_eq!(read("01:00:00", "", DOMAIN), expected);
        assert_eq!(read("", "02:00:00", DOMAIN), expected);
        assert_eq!(read("01:00:00", "02:00:00", DOMAIN), expected);
    }

    #[test]
    fn what_is_no_period_is_told() {
        for (start, end, code) in [
            ("yesterday", "", "InvalidStartTime.Malformed"),
            ("", "2026-03-01 10:00:00", "InvalidEndTime.Malformed"),
            ("01:00:00", "01:00:00", "InvalidEndTime.Mismatch"),
            ("02:00:00", "01:00:00", "InvalidEndTime.Mismatch"),
            (
                "2026-02-27T00:00:00Z",
                "2026-02-28T00:00:01Z",
                "InvalidEndTime.Mismatch",
            ),
        ] {
            assert_eq!(read(start, end, REAL_TIME), Err(code.to_owned()), "{start}");
        }
        let day = read("2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", REAL_TIME);
        assert!(day.is_ok());
    }

    #[test]
    fn intervals_are_the_documented_ones_or_five_minutes() {
        for (text, ms) in [
            (None, 300_000),
            (Some("300"), 300_000),
            (Some("60"), 300_000),
            (Some("3600"), 3_600_000),
            (Some("86400"), 86_400_000),
            (Some("x"), 300_000),
        ] {
            assert_eq!(step(text), ms);
        }
    }

    #[test]
    fn minutes_become_steps_with_zeros_up_to_now() {
        let span = Span {
            from: at("10:02:00"),
            to: at("10:16:00"),
        };
        let rows = [
            (at("10:00:00"), 1),
            (at("10:04:00"), 2),
            (at("10:05:00"), 4),
            (at("10:05:00"), 8),
        ];
        let told = |now| -> Vec<(String, u64)> {
            let points = roll_up(span, FIVE_MINUTES_MS, now, rows);
            points
                .into_iter()
                .map(|(at, sum)| (to_api(at)[11..16].to_owned(), sum))
                .collect()
        };
        let point = |at: &str, sum| (at.to_owned(), sum);
        assert_eq!(
            told(at("23:00:00")),
            [
                point("10:00", 3),
                point("10:05", 12),
                point("10:10", 0),
                point("10:15", 0)
            ]
        );
        assert_eq!(
            told(at("10:07:00")),
            [point("10:00", 3), point("10:05", 12)]
        );
        assert_eq!(told(at("10:05:00")).len(), 2, "the running one");
        assert_eq!(told(at("10:04:59")).len(), 1);
        assert!(told(at("09:00:00")).is_empty());
    }

    #[test]
    fn long_steps_have_the_highest_of_their_five_minutes() {
        let span = Span {
            from: at("10:00:00"),
            to: at("12:00:00"),
        };
        let rows = [
            (at("10:01:00"), 300_000),
            (at("10:02:00"), 75_000),
            (at("10:59:00"), 30_000),
            (at("11:00:00"), 37_500),
        ];
        let now = at("23:00:00");
        let hours = bandwidth(span, HOUR_MS, now, rows);
        let rates: Vec<f64> = hours.iter().map(|(_, rate)| *rate).collect();
        assert_eq!(rates, [10_000.0, 1_000.0]);
        let minutes = bandwidth(span, MINUTE_MS, now, rows);
        assert_eq!(minutes.len(), 120);
        assert_eq!(minutes[1].1, 40_000.0);
        // The highest of a step is looked for in all of it, also where the span begins within.
        let within = Span {
            from: at("10:30:00"),
            to: at("10:40:00"),
        };
        assert_eq!(bandwidth(within, HOUR_MS, now, rows)[0].1, 10_000.0);
    }
}
