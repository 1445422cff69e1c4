//! What of the documented API is there: implemented, declined with a reason, or known by its spec alone.
//!
//! The `coverage` subcommand and the control plane's route show this one table.

use std::fmt::Write as _;

use serde_json::{Value, json};
use thiserror::Error;

use super::Spec;
use crate::phrases::{Phrase, Said};

/// How an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has a handler.
    Implemented,
    /// It has none, for this reason.
    Declined(Phrase),
    /// Its parameters are checked, then the answer is ActionNotImplemented.
    SpecOnly,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Standing::Implemented => "implemented",
            Standing::Declined(_) => "declined",
            Standing::SpecOnly => "spec-only",
        }
    }

    fn reason(self) -> &'static str {
        if let Standing::Declined(reason) = self {
            reason.text()
        } else {
            ""
        }
    }
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub action: String,
    /// Its family.
    pub family: String,
    /// `read` or `write`.
    pub access: &'static str,
    /// How it stands.
    pub standing: Standing,
}

/// A list that the table cannot be made from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CoverageError {
    /// A name that no spec file has.
    #[error("{0} is not a documented action")]
    Unknown(String),
    /// A name that is both, or is listed twice.
    #[error("{0} is listed twice")]
    Twice(String),
}

/// The table, sorted by action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    rows: Vec<Row>,
    /// Answered though the product has them no more.
    retired: Vec<String>,
}

impl Coverage {
    /// The table for these implemented and declined actions.
    ///
    /// # Errors
    /// A name is unknown, or listed twice.
    pub fn of(
        spec: &Spec,
        implemented: &[&str],
        declined: &[(&str, Phrase)],
    ) -> Result<Self, CoverageError> {
        let mut listed: Vec<&str> = implemented
            .iter()
            .copied()
            .chain(declined.iter().map(|(name, _)| *name))
            .collect();
        listed.sort_unstable();
        if let Some(unknown) = listed.iter().find(|name| spec.action(name).is_none()) {
            return Err(CoverageError::Unknown((*unknown).to_owned()));
        }
        if let Some([name, _]) = listed.array_windows().find(|[left, right]| left == right) {
            return Err(CoverageError::Twice((*name).to_owned()));
        }
        let standing = |name: &str| {
            if implemented.contains(&name) {
                return Standing::Implemented;
            }
            let reason = declined
                .iter()
                .find(|(declined, _)| *declined == name)
                .map(|(_, reason)| *reason);
            reason.map_or(Standing::SpecOnly, Standing::Declined)
        };
        let rows = spec
            .actions()
            .map(|action| Row {
                action: action.action.clone(),
                family: action.family.clone(),
                access: action.access.as_str(),
                standing: standing(&action.action),
            })
            .collect();
        let retired = implemented.iter().copied();
        let retired = retired.filter(|name| spec.action(name).is_some_and(|action| action.retired));
        Ok(Self {
            rows,
            retired: retired.map(str::to_owned).collect(),
        })
    }

    fn count(&self, word: &str) -> usize {
        self.rows
            .iter()
            .filter(|row| row.standing.word() == word)
            .count()
    }

    /// The table as JSON: the sums, then a row for each action.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let mut json = json!({"action": row.action, "family": row.family, "access": row.access, "standing": row.standing.word()});
                if let (Standing::Declined(reason), Some(members)) = (row.standing, json.as_object_mut()) {
                    members.insert("reason".to_owned(), reason.text().into());
                    members.insert("words".to_owned(), json!({"reason": Said::from(reason)}));
                }
                json
            })
            .collect();
        json!({
            "total": self.rows.len(),
            "implemented": self.count("implemented"),
            "declined": self.count("declined"),
            "specOnly": self.count("spec-only"),
            "retired": self.retired,
            "actions": rows,
        })
    }

    /// The table as text for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = |of: fn(&Row) -> usize| self.rows.iter().map(of).max().unwrap_or(0);
        let (action, family) = (width(|row| row.action.len()), width(|row| row.family.len()));
        let mut out = String::new();
        for row in &self.rows {
            let line = format!(
                "{:action$}  {:family$}  {:5}  {:11}  {}",
                row.action,
                row.family,
                row.access,
                row.standing.word(),
                row.standing.reason()
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "{} actions: {} implemented, {} declined, {} by their spec alone",
            self.rows.len(),
            self.count("implemented"),
            self.count("declined"),
            self.count("spec-only")
        );
        if !self.retired.is_empty() {
            let _ = writeln!(
                out,
                "and {} that the product has retired: {}",
                self.retired.len(),
                self.retired.join(", ")
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_rows_agree_in_both_forms() {
        let declined = [("StartCaster", Phrase::CastersElsewhere)];
        let table = Coverage::of(Spec::embedded(), &["AddLiveAppRecordConfig"], &declined).unwrap();
        let json = table.to_json();
        assert_eq!(
            (
                &json["total"],
                &json["implemented"],
                &json["declined"],
                &json["specOnly"]
            ),
            (&json!(437), &json!(1), &json!(1), &json!(435))
        );
        let row = |name: &str| {
            json["actions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|row| row["action"] == name)
                .unwrap()
                .clone()
        };
        let reason = Phrase::CastersElsewhere;
        assert_eq!(row("StartCaster")["reason"], reason.text());
        assert_eq!(row("StartCaster")["words"]["reason"]["code"], reason.code());
        assert_eq!(row("AddLiveAppRecordConfig")["standing"], "implemented");
        let text = table.to_text();
        assert_eq!(text.lines().count(), 438);
        assert!(
            text.ends_with("437 actions: 1 implemented, 1 declined, 435 by their spec alone\n")
        );
        assert!(
            text.lines()
                .any(|line| line.starts_with("StartCaster ") && line.ends_with(reason.text()))
        );
    }

    #[test]
    fn retired_actions_stand_apart() {
        let name = "DescribeLiveStreamOnlineUserNum";
        let table = Coverage::of(Spec::embedded(), &[name], &[]).unwrap();
        let json = table.to_json();
        assert_eq!(
            (&json["total"], &json["implemented"]),
            (&json!(437), &json!(0))
        );
        assert_eq!(json["retired"], json!([name]));
        assert!(
            table
                .to_text()
                .ends_with(&format!("and 1 that the product has retired: {name}\n"))
        );
    }

    #[test]
    fn wrong_lists_are_refused() {
        let of = |implemented: &[&str], declined| {
            Coverage::of(Spec::embedded(), implemented, declined).unwrap_err()
        };
        assert_eq!(of(&["Nope"], &[]), CoverageError::Unknown("Nope".into()));
        assert_eq!(
            of(
                &["StartCaster"],
                &[("StartCaster", Phrase::CastersElsewhere)]
            ),
            CoverageError::Twice("StartCaster".into())
        );
    }
}
