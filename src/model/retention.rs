//! How long what happened is remembered: the one table, by which rows are forgotten and queries look back.
//!
//! The product documents 3 months for slices and 6 months for recordings; here these are the longest that so many months can be.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 3600 * 1000;

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What is kept, as docs/limits.md calls it.
    pub what: &'static str,
    pub days: i64,
}

impl Retention {
    /// The same in milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.days * DAY_MS
    }
}

/// Callbacks that have ended, with their attempts.
pub const CALLBACKS: Retention = Retention {
    what: "callbacks",
    days: 7,
};
/// Rows of slices. Their objects stay.
pub const SLICES: Retention = Retention {
    what: "slice records",
    days: 92,
};
/// Rows of files and of the sessions that they come from. Their objects stay.
pub const RECORDINGS: Retention = Retention {
    what: "file and session records",
    days: 183,
};

/// What was counted in each minute.
pub const FIGURES: Retention = Retention {
    what: "figures",
    days: 93,
};

/// Rows of pushes that have ended: the product lists those of 30 days.
pub const PUSHES: Retention = Retention {
    what: "pushes",
    days: 30,
};
/// What calls did to streams.
pub const CONTROLS: Retention = Retention {
    what: "control history",
    days: 30,
};

/// Everything that is forgotten by its age.
#[cfg(test)]
const ALL: [Retention; 6] = [CALLBACKS, SLICES, RECORDINGS, PUSHES, CONTROLS, FIGURES];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_limits_are_these() {
        let told: Vec<String> = ALL
            .iter()
            .map(|kept| format!("{} {} days", kept.what, kept.days))
            .collect();
        let line = format!("| retention | {} of the service clock;", told.join(", "));
        let limits = include_str!("../../docs/limits.md");
        assert!(limits.contains(&line), "docs/limits.md lacks: {line}");
    }
}
