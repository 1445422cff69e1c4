//! The service clock: what it shows, and who moves, stops or starts it.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer, instant};
use crate::app::{App, To};
use crate::phrases::Phrase;
use crate::wire_time;

/// Ten years.
const MOST_S: f64 = 315_360_000.0;

/// The clock as it stands.
pub(super) fn shown(app: &App) -> Value {
    let clock = &app.services.clock;
    let now = clock.now();
    let next = clock.next_due();
    json!({
        "now": wire_time::to_api(now),
        "now_ms": now,
        "offset_ms": clock.offset_ms(),
        "frozen": clock.is_stopped(),
        "waiting": clock.waiting(),
        "next_due": next.map(wire_time::to_api),
        "next_due_ms": next,
    })
}

pub(super) async fn show(ask: Ask) -> Outcome {
    answer(&shown(&ask.app))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    frozen: bool,
}

/// Stops the clock or lets it run on.
pub(super) async fn set(ask: Ask) -> Outcome {
    let Set { frozen } = ask
        .fields()
        .map_err(|why| Refused::bad(Phrase::BadClockSetting.with([("why", &why.message)])))?;
    ask.app.freeze(frozen).await.map_err(Refused::silent)?;
    answer(&shown(&ask.app))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: Option<f64>,
    next: Option<bool>,
    until: Option<String>,
}

/// Moves the clock forward.
pub(super) async fn advance(ask: Ask) -> Outcome {
    let wanted: Advance = ask
        .fields()
        .map_err(|why| Refused::bad(Phrase::BadAdvance.with([("why", &why.message)])))?;
    let to = match wanted {
        Advance {
            seconds: Some(seconds),
            next: None | Some(false),
            until: None,
        } => {
            if !(0.0..=MOST_S).contains(&seconds) {
                return Err(Refused::bad(Phrase::AdvanceOutOfBounds));
            }
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            let ms = (seconds * 1000.0) as i64;
            To::Later(ms)
        }
        Advance {
            seconds: None,
            next: Some(true),
            until: None,
        } => To::NextDue,
        Advance {
            seconds: None,
            next: None | Some(false),
            until: Some(until),
        } => {
            let until = instant("until", &until)?;
            let now = ask.app.services.clock.now();
            let ahead = until - now;
            #[expect(clippy::cast_precision_loss, reason = "instants are far below 2^52")]
            let ahead = ahead as f64 / 1000.0;
            if !(0.0..=MOST_S).contains(&ahead) {
                return Err(Refused::bad(
                    Phrase::UntilOutOfBounds.with([("now", &wire_time::to_api(now))]),
                ));
            }
            To::Instant(until)
        }
        _ => return Err(Refused::bad(Phrase::ManyAdvances)),
    };
    let advanced = ask.app.advance(to).await.map_err(Refused::silent)?;
    let mut told = shown(&ask.app);
    if let Value::Object(fields) = &mut told {
        fields.insert("settled".to_owned(), advanced.settled.into());
        fields.insert("advanced_ms".to_owned(), advanced.by_ms.into());
    }
    answer(&told)
}
