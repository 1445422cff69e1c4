//! Arming faults.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer, fields, shown_name};
use super::call::no_such_action;
use crate::app::App;
use crate::faults::{Fault, LIMIT, MAX_DELAY_MS, Point};
use crate::phrases::Phrase;

/// Takes one fault, or a list of them that replaces all.
pub(super) async fn arm(ask: Ask) -> Outcome {
    let app = &ask.app;
    let list = match ask.json()? {
        Value::Array(list) => Some(list),
        Value::Object(mut map) if map.contains_key("faults") => {
            if let Some(name) = map.keys().find(|name| *name != "faults") {
                return Err(Refused::bad(
                    Phrase::NotBesideFaults.with([("name", &shown_name(name))]),
                ));
            }
            match map.remove("faults") {
                Some(Value::Array(list)) => Some(list),
                _ => return Err(Refused::bad(Phrase::FaultsAreNoList)),
            }
        }
        single => {
            let fault = checked(app, single)?;
            if app.services.faults.list().len() >= LIMIT {
                return Err(too_many());
            }
            app.services.faults.add(fault);
            None
        }
    };
    if let Some(list) = list {
        if list.len() > LIMIT {
            return Err(too_many());
        }
        let faults = list
            .into_iter()
            .map(|fault| checked(app, fault))
            .collect::<Result<Vec<_>, _>>()?;
        app.services.faults.arm(faults);
    }
    armed(app)
}

fn armed(app: &App) -> Outcome {
    answer(&json!({"faults": app.services.faults.list()}))
}

pub(super) async fn list(ask: Ask) -> Outcome {
    armed(&ask.app)
}

pub(super) async fn disarm(ask: Ask) -> Outcome {
    ask.app.services.faults.arm(Vec::new());
    armed(&ask.app)
}

fn too_many() -> Refused {
    Refused::bad(Phrase::TooManyFaults.with([("most", &LIMIT)]))
}

/// A fault at a place that exists, doing something.
fn checked(app: &App, body: Value) -> Result<Fault, Refused> {
    let fault: Fault = fields(body)?;
    if let Point::Action(action) = &fault.at
        && app.gateway.spec.action(action).is_none()
    {
        let near = app.gateway.spec.closest(action);
        let near = near.map(|near| format!("api:{near}"));
        return Err(Refused::bad(no_such_action(action, near.as_deref())));
    }
    if fault.code.is_none() && fault.delay_ms.is_none() {
        return Err(Refused::bad(Phrase::FaultDoesNothing));
    }
    if fault
        .code
        .as_deref()
        .is_some_and(|c| c.is_empty() || c.len() > 100 || !c.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err(Refused::bad(Phrase::BadFaultCode));
    }
    if fault.delay_ms.is_some_and(|ms| ms > MAX_DELAY_MS) {
        return Err(Refused::bad(
            Phrase::DelayTooLong.with([("most", &MAX_DELAY_MS)]),
        ));
    }
    Ok(fault)
}
